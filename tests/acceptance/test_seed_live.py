"""A real ticker through the agents, on real Kafka and Redis: every record is what replay's engine says it is."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from alerts.channels import open_channels, read_channels
from alerts.receiver import Receiver
from alerts.rulefile import load_rules
from connectors.interface import Context
from connectors.ticker import Ticker
from streams.cli.plan import load_taxonomy
from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.decide import RuleChannels
from streams.core.dedupe import ExactDeduper
from streams.core.match import Matcher
from streams.core.records import Alert, Classified, Dropped, Headline, Unique
from streams.worker.app import Plan, Worker
from streams.worker.history import read_tail
from streams.worker.reload import Current
from streams.worker.rules import InForce
from streams.worker.tally import count
from streams.worker.topics import Topics, create_topics

SEED = Path(__file__).parents[3] / "shared" / "data" / "seed_ticker.txt"
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not SEED.exists(), reason="the seed ticker is not beside this checkout"),
]

NOW = datetime(2026, 2, 11, 20, tzinfo=UTC)
WINDOW = timedelta(hours=72)
RULES = """
rules:
  - {name: everything, when: "topic:(iran OR russia_energy OR tech_deals)", channels: [desk]}
  - {name: words, when: "oil OR gas OR talks OR deal", channels: [desk]}
"""
T = TypeVar("T")


def headlines() -> list[bytes]:
    """The ticker, told twice, so that there is something to drop."""
    context = Context(None, date(2026, 2, 11), ZoneInfo("UTC"), NOW)
    read = [found for found in Ticker().read(BytesIO(SEED.read_bytes()), context) if isinstance(found, Headline)]
    return [msgspec.json.encode(headline) for headline in read + read[::2]]


async def records(client: dict[str, Any], topic: str, kind: type[T]) -> list[T]:
    return [msgspec.json.decode(value, type=kind) async for _, value in read_tail(client, [topic], 10**12)]


async def through_the_agents(plan: Plan, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**plan.kafka)
    await producer.start()
    for number, value in enumerate(values):
        await producer.send(plan.topics.raw, value, partition=number % 4)
    await producer.stop()
    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(plan).run(stop=stop))]
    async with asyncio.timeout(60):
        while True:
            tally = await count(plan.kafka, plan.topics, plan.group, now=datetime.now(UTC))
            if tally.read == len(values) and tally.finished:
                break
            await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*workers)


async def test_the_topics_hold_what_the_pure_pipeline_decides(
    kafka_client: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    name = f"seed{secrets.token_hex(3)}"
    topics = Topics(f"{name}.")
    await create_topics(kafka_client, topics, partitions=4, replication=1)
    classifier, matcher = Classifier(load_taxonomy([])), Matcher(load_rules([tmp_path / "rules.yaml"]))
    values = headlines()
    with Receiver() as receiver:
        channels = read_channels(
            f"channels: {{desk: {{type: webhook, url: '{receiver.url}', allow_private: true}}}}", "c"
        )
        plan = Plan(
            kafka=kafka_client,
            group=name,
            topics=topics,
            redis_url=redis_url,
            redis_prefix=name,
            window=WINDOW,
            deduper=lambda: ExactDeduper(WINDOW),
            classifier=Current(classifier),
            rules=Current(InForce(matcher)),
            notifiers=open_channels(channels.values(), {}),
            clock=lambda: datetime.now(UTC),
            data_dir=tmp_path,
            session_timeout=2.0,
        )
        await through_the_agents(plan, values)
    unique = await records(kafka_client, topics.unique, Unique)
    dropped = await records(kafka_client, topics.dropped, Dropped)
    told = {record.position: record for record in await records(kafka_client, topics.classified, Classified)}
    alerts = {alert.alert_id: alert for alert in await records(kafka_client, topics.alerts, Alert)}
    assert len(unique) + len(dropped) == len(values)
    assert len(dropped) >= len(values) // 3

    rules = load_rules([tmp_path / "rules.yaml"])
    engine = pipeline.Engine(Matcher(rules), classifier, ExactDeduper(WINDOW), RuleChannels())
    expected: dict[str, Alert] = {}
    decided: list[Unique | Dropped] = sorted([*unique, *dropped], key=lambda record: record.seq)
    for record in decided:
        _, partition, offset = record.position.rsplit(":", 2)
        raw = values[int(offset) * 4 + int(partition)]
        candidate = pipeline.read(raw, id=record.id, position=record.position, received=record.received)
        result, found = engine.feed(candidate)
        result = msgspec.structs.replace(result, seq=record.seq)
        assert result == (record if isinstance(record, Dropped) else told.pop(record.position))
        for alert in found:
            headline = msgspec.structs.replace(alert.headline, seq=record.seq)
            expected[alert.alert_id] = msgspec.structs.replace(alert, headline=headline)
    assert told == {}
    assert alerts == expected
    assert len(expected) > 5
    assert Counter(post.id for post in receiver.received) == Counter(expected.keys())
