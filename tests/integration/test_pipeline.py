"""The four agents on real Kafka and Redis, to a real webhook."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections import Counter
from datetime import datetime

import pytest
from mode.threads import WorkerThread

from streams.core.dedupe import ExactDeduper
from streams.core.pipeline import read as read_raw
from tests.integration.rig import WINDOW, Pipeline, raw

pytestmark = pytest.mark.services


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


async def test_a_worker_fetches_in_the_loop_that_it_works_in(pipeline: Pipeline) -> None:
    """Faust's thread for it would wait for the interpreter's lock several times a headline."""
    async with pipeline.workers():
        await pipeline.produce([(0, raw("Tanker held off Malta"), None)])
        await pipeline.drained(1)
        assert not [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]


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
        assert (entry.related_to, entry.story_id) == (record.get("duplicate_of", ""), record["story_id"])
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
