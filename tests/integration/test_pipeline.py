"""The four agents on real Kafka and Redis, to a real webhook."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from alerts.channels import open_channels, read_channels
from alerts.receiver import Receiver
from streams.core import document
from streams.core.classify import Classifier
from streams.core.dedupe import ExactDeduper
from streams.core.match import Matcher
from streams.core.pipeline import read as read_raw
from streams.core.query import compile_query
from streams.core.rule import Rule, RuleSet
from streams.core.taxonomy import compile_taxonomy
from streams.worker.app import Plan, Worker
from streams.worker.history import read_tail
from streams.worker.tally import count
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WINDOW = timedelta(hours=72)
FOREVER = 10**12

TAXONOMY = """
topic: ships
title: Ships
description: Ships and ports.
threshold: 0.5
entities:
  vessels: [tanker, ferry]
conditions:
  - {name: a vessel, any: [vessels], weight: 0.9}
"""


@dataclass
class Pipeline:
    """One pipeline of its own, in the session's Kafka and Redis."""

    plan: Callable[[], Plan]
    topics: Topics
    group: str
    client: dict[str, str]
    receiver: Receiver

    async def produce(self, values: Sequence[tuple[int, bytes, str | None]]) -> None:
        """Put (partition, value, id) onto headlines.raw."""
        producer = AIOKafkaProducer(**self.client, acks="all", linger_ms=1)
        await producer.start()
        for partition, value, name in values:
            headers = [("id", name.encode())] if name else []
            await producer.send(self.topics.raw, value, partition=partition, headers=headers)
        await producer.stop()

    async def records(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) async for _, value in read_tail(self.client, [topic], FOREVER)]

    async def drained(self, expected: int) -> None:
        """Wait until so many raw records, and all that came of them, are through."""
        async with asyncio.timeout(40):
            while True:
                tally = await count(self.client, self.topics, self.group, reach_ms=FOREVER)
                if tally.read >= expected and tally.finished:
                    return
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def workers(self, number: int = 1) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(Worker(self.plan()).run(stop=stop)) for _ in range(number)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@pytest.fixture
async def pipeline(kafka_client: dict[str, str], redis_url: str, tmp_path: Path) -> AsyncIterator[Pipeline]:
    name = f"t{secrets.token_hex(3)}"
    topics = Topics(f"{name}.")
    await create_topics(kafka_client, topics, partitions=4, replication=1)
    rules = RuleSet(
        [
            Rule("vessels", "Vessels", compile_query("topic:ships AND held"), "high", ("desk",)),
            Rule("money", "Money", compile_query('"for $2 billion" OR billion'), "low", ("desk",)),
        ]
    )
    taxonomy = compile_taxonomy([document.parse(TAXONOMY, "ships.yaml")])
    with Receiver(secret=SECRET) as receiver:
        text = f"channels:\n  desk: {{type: webhook, url: '{receiver.url}', secret: env:S, allow_private: true}}\n"

        def plan() -> Plan:
            return Plan(
                kafka=kafka_client,
                group=name,
                topics=topics,
                redis_url=redis_url,
                redis_prefix=name,
                window=WINDOW,
                classifier=Classifier(taxonomy),
                matcher=Matcher(rules),
                notifiers=open_channels(read_channels(text, "c.yaml").values(), {"S": SECRET}),
                clock=lambda: datetime.now(UTC),
                data_dir=tmp_path,
                session_timeout=2.0,
            )

        yield Pipeline(plan, topics, name, kafka_client, receiver)


def raw(text: str, published: str = "2026-03-01T12:00:00Z") -> bytes:
    return json.dumps({"headline": text, "published": published, "source": "example.com"}).encode()


async def test_a_headline_comes_out_as_a_signed_webhook_with_topic_rule_and_words(pipeline: Pipeline) -> None:
    async with pipeline.workers():
        await pipeline.produce([(0, raw("Tanker held off Malta"), "my-id"), (1, raw("Weather fair"), None)])
        await pipeline.drained(2)
    (post,) = pipeline.receiver.received
    alert = post.json()["data"]
    assert post.verified
    assert post.id == alert["alert_id"]
    assert alert["rule"]["name"] == "vessels"
    assert {span["text"] for span in alert["rule"]["matched"]} == {"Tanker", "held"}
    assert [topic["topic"] for topic in alert["headline"]["topics"]] == ["ships"]
    assert alert["headline"]["id"] == "my-id"
    (delivery,) = await pipeline.records(pipeline.topics.deliveries)
    assert (delivery["alert_id"], delivery["outcome"]) == (post.id, "delivered")


async def test_what_cannot_be_read_is_kept_with_its_bytes_and_holds_up_nothing(pipeline: Pipeline) -> None:
    hostile = [
        b"",
        b"not json",
        b"\xff\xfe\x00broken",
        b"[1, 2]",
        b'{"headline": ""}',
        b'{"headline": "\\u200b \\u0000"}',
        b'{"headline": 42}',
        b'{"headline": "x", "published": "the other day"}',
        b'{"headline": ' + b"[" * 5000,
    ]
    fine = [
        raw("Tanker held\u200b off\u0007 Malta"),
        raw("Tanker held off Gozo " + "and on " * 2000),
        b'{"title": "Ferry held in Rhodes", "pubDate": "Sun, 01 Mar 2026 12:00:00 GMT"}',
    ]
    values = [value for pair in zip(hostile, fine * 3, strict=True) for value in pair]
    async with pipeline.workers():
        await pipeline.produce([(n % 4, value, None) for n, value in enumerate(values)])
        await pipeline.drained(len(values))
    invalid = await pipeline.records(pipeline.topics.invalid)
    assert Counter(base64.b64decode(record["original"]) for record in invalid) == Counter(hostile)
    assert all(record["reason"] and record["stage"] == "deduplicate" for record in invalid)
    unique = await pipeline.records(pipeline.topics.unique)
    texts = sorted(record["headline"]["headline"] for record in unique)
    assert texts[0] == "Ferry held in Rhodes"
    assert texts[1].startswith("Tanker held off Gozo and on")
    assert len(texts[1]) <= 2000
    assert texts[2] == "Tanker held off Malta"
    assert len(await pipeline.records(pipeline.topics.dropped)) == 6
    assert len(pipeline.receiver.received) == 3


async def test_two_workers_decide_as_one_and_replay_decides_the_same(pipeline: Pipeline) -> None:
    values = [
        (partition, raw(f"Tanker {n} held off port {n % 7}", f"2026-03-01T{n % 24:02}:00:00Z"), f"{partition}-{n}")
        for n in range(150)
        for partition in range(4)
    ]
    async with pipeline.workers(2):
        await asyncio.sleep(1)
        await pipeline.produce(values)
        await pipeline.drained(len(values))
    unique = await pipeline.records(pipeline.topics.unique)
    dropped = await pipeline.records(pipeline.topics.dropped)
    assert len({record["headline"]["headline"] for record in unique}) == len(unique) == 150
    assert len(unique) + len(dropped) == len(values)
    decided = sorted(unique + dropped, key=lambda record: record["seq"])
    assert len({record["seq"] for record in decided}) == len(values)
    deduper = ExactDeduper(WINDOW)
    for record in decided:
        received = datetime.fromisoformat(record["received"])
        value = json.dumps(record["headline"]).encode()
        entry = deduper.decide(read_raw(value, id=record["id"], position=record["position"], received=received))
        deduper.remember(entry)
        deduper.settle()
        assert (entry.duplicate_of, entry.story_id) == (record.get("duplicate_of", ""), record["story_id"])
    posted = Counter(post.id for post in pipeline.receiver.received)
    assert len(posted) == 150
    assert set(posted.values()) == {1}


async def test_a_worker_that_stops_leaves_its_work_to_the_next(pipeline: Pipeline) -> None:
    values = [(n % 4, raw(f"Ferry {n} held in Rhodes"), f"id{n}") for n in range(400)]
    for start in range(0, 400, 100):
        async with pipeline.workers():
            await pipeline.produce(values[start : start + 100])
            await asyncio.sleep(0.2)  # stopped wherever it happens to be
    async with pipeline.workers():
        await pipeline.drained(400)
    assert len({record["id"] for record in await pipeline.records(pipeline.topics.unique)}) == 400
    assert await pipeline.records(pipeline.topics.dropped) == []
    assert len({post.id for post in pipeline.receiver.received}) == 400
