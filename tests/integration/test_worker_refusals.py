"""What Kafka refuses for good ends on headlines.invalid, and holds up nothing; what it refuses for now waits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from structlog.testing import capture_logs

from streams.worker.app import create_app
from streams.worker.clients import admin_client
from streams.worker.publish import MAX_BATCH, BatchProducer, InvalidRecordError, Output, PublishError
from tests.integration.rig import Pipeline, raw, until

pytestmark = pytest.mark.services

NOW = 1_772_366_400_000
LONG = " and so on" * 600


def long(text: str) -> bytes:
    """A headline with 6,000 bytes of body."""
    return json.dumps({**json.loads(raw(text)), "body": f"Letter{LONG}"}).encode()


async def configure(pipeline: Pipeline, topic: str, **settings: int | str) -> None:
    """Set what a topic takes; the broker knows of it when this returns."""
    names = {name.replace("_", "."): str(value) for name, value in settings.items()}
    async with admin_client(pipeline.client) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, names)])
    await asyncio.sleep(0.5)


@pytest.mark.parametrize(
    ("topic", "stage"),
    [
        ("unique", "deduplicate"),
        pytest.param("dropped", "deduplicate", marks=pytest.mark.long),
        pytest.param("classified", "classify", marks=pytest.mark.long),
        ("alerts", "alert"),
    ],
)
async def test_one_record_too_large_for_its_topic_becomes_invalid_and_the_rest_goes_on(
    pipeline: Pipeline, topic: str, stage: str
) -> None:
    name = getattr(pipeline.topics, topic)
    await configure(pipeline, name, max_message_bytes=2_500)
    # All in one partition, so that large and small ones are in one batch; the repeats come to headlines.dropped.
    fine = [raw(f"Tanker {n} held off Malta") for n in range(30)]
    fine[15:15] = [long("Tanker held off Gozo"), long("Ferry held in Rhodes")]
    with capture_logs() as logs:
        async with pipeline.workers():
            await pipeline.produce([(0, value, f"id{n}") for n, value in enumerate(fine + fine)])
            await pipeline.drained(64)
            await pipeline.produce([(0, raw("Ferry held in Piraeus"), "last")])
            await pipeline.drained(65)
    invalid = await pipeline.records(pipeline.topics.invalid)
    assert [record["stage"] for record in invalid] == [stage] * 2
    assert all("MESSAGE_SIZE_TOO_LARGE" in record["reason"] and name in record["reason"] for record in invalid)
    assert all(LONG.encode() in base64.b64decode(record["original"]) for record in invalid)
    told = [entry["position"] for entry in logs if entry["event"] == "a record is invalid"]
    assert sorted(told) == sorted(record["position"] for record in invalid)
    counts = {each: len(await pipeline.records(getattr(pipeline.topics, each))) for each in ("unique", "dropped")}
    assert counts == {"unique": 33 - 2 * (topic == "unique"), "dropped": 32 - 2 * (topic == "dropped")}
    assert len({post.id for post in pipeline.receiver.received}) == 33 - 2 * (topic != "dropped")


async def test_where_headlines_invalid_takes_little_less_of_the_record_is_kept(pipeline: Pipeline) -> None:
    await configure(pipeline, pipeline.topics.invalid, max_message_bytes=2_500)
    async with pipeline.workers():
        await pipeline.produce([(0, b"{" + b"x" * 50_000, None), (0, b"[1]", None)])
        await pipeline.drained(2)
    kept = [base64.b64decode(record["original"]) for record in await pipeline.records(pipeline.topics.invalid)]
    assert sorted(map(len, kept)) == [3, 1000]


async def test_where_headlines_invalid_takes_nothing_its_partition_waits_until_it_does(pipeline: Pipeline) -> None:
    await configure(pipeline, pipeline.topics.invalid, max_message_bytes=80)
    with capture_logs() as logs:
        async with pipeline.workers():
            await pipeline.produce([(0, b"{" + b"x" * 5_000, None), (0, raw("Tanker held off Malta"), "id")])
            await until(lambda: any("takes no record at all" in entry.get("error", "") for entry in logs))
            assert len(await pipeline.records(pipeline.topics.unique)) == 1
            await configure(pipeline, pipeline.topics.invalid, max_message_bytes=100_000)
            await pipeline.drained(2)
    (invalid,) = await pipeline.records(pipeline.topics.invalid)
    assert invalid["original"] == ""
    assert len(await pipeline.records(pipeline.topics.unique)) == 1
    assert len([entry for entry in logs if entry["event"] == "a record is invalid"]) == 1


@pytest.fixture
async def producer(pipeline: Pipeline) -> AsyncIterator[BatchProducer]:
    """The producer of a worker, alone."""
    app = create_app(pipeline.plan())
    made = BatchProducer(app.transport, beacon=app.beacon)
    await made.start()
    yield made
    await made.stop()


async def test_batches_of_a_topic_that_takes_little_are_small_from_then_on(
    pipeline: Pipeline, producer: BatchProducer
) -> None:
    topic = pipeline.topics.unique
    await configure(pipeline, topic, max_message_bytes=2_000)
    outputs = [Output(topic, b'{"n": %3d}' % n + b" " * 500, b"k") for n in range(50)]
    first, rounds = producer._producer, 0
    while producer._producer is first:  # until the broker goes by its new limit, which may take it a moment
        assert await producer.publish(outputs, timestamp_ms=NOW) == []
        rounds += 1
    renewed = producer._producer
    assert await producer.publish(outputs, timestamp_ms=NOW) == []
    assert producer._producer is renewed, "nothing was refused, so nothing had to be sent twice"
    published = sorted(record["n"] for record in await pipeline.records(topic))
    assert published == sorted(list(range(50)) * (rounds + 1))


async def test_records_that_fill_a_batch_to_its_last_bytes_are_published(
    pipeline: Pipeline, producer: BatchProducer
) -> None:
    topic = pipeline.topics.unique
    for missing in range(0, 60, 10):  # around what the head of a batch takes
        half = (MAX_BATCH - 2 * 33 - missing) // 2
        outputs = [Output(topic, b'{"n": %d}' % n + b" " * (half - 8), b"k") for n in range(2)]
        assert await producer.publish(outputs, timestamp_ms=NOW) == []
    assert sorted(record["n"] for record in await pipeline.records(topic)) == [0] * 6 + [1] * 6


async def test_a_record_that_a_compacted_topic_refuses_is_told_apart_from_its_neighbours(
    pipeline: Pipeline, producer: BatchProducer
) -> None:
    topic = f"{pipeline.group}.compacted"
    async with admin_client(pipeline.client) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"cleanup.policy": "compact"})])
    outputs = [Output(topic, b'{"n": %d}' % n, None if n == 5 else b"%d" % n) for n in range(12)]
    [(refused, error)] = await producer.publish(outputs, timestamp_ms=NOW)
    assert refused is outputs[5]
    assert isinstance(error, InvalidRecordError)
    assert sorted(record["n"] for record in await pipeline.records(topic)) == [n for n in range(12) if n != 5]


async def test_a_producer_that_lost_count_is_replaced_once_and_goes_on(
    pipeline: Pipeline, producer: BatchProducer
) -> None:
    topic = pipeline.topics.unique

    def outputs(partition: int) -> list[Output]:
        return [Output(topic, b'{"n": %d}' % partition, b"k", partition)]

    for partition in (0, 1):
        await producer.publish(outputs(partition), timestamp_ms=NOW)
    lost: Any = producer._producer
    for partition in (0, 1):
        lost._txn_manager.increment_sequence_number(TopicPartition(topic, partition), 7)
    told = await asyncio.gather(
        *(producer.publish(outputs(partition), timestamp_ms=NOW) for partition in (0, 1)), return_exceptions=True
    )
    assert [type(each) for each in told] == [PublishError, PublishError]
    assert "OutOfOrderSequenceNumber" in str(told[0])
    assert producer._producer is not lost
    for partition in (0, 1):
        assert await producer.publish(outputs(partition), timestamp_ms=NOW) == []
    assert sorted(record["n"] for record in await pipeline.records(topic)) == [0, 0, 1, 1]


async def test_a_producer_is_kept_where_no_broker_answers_for_a_new_one(
    pipeline: Pipeline, producer: BatchProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = producer._producer
    await producer.publish([Output(pipeline.topics.unique, b"{}", b"k")], timestamp_ms=NOW)
    new = producer._new_producer

    def unreachable() -> object:
        made = new()
        made.client._bootstrap_servers = "localhost:1"
        made.client._hosts = [("localhost", 1, 0)]
        return made

    monkeypatch.setattr(producer, "_new_producer", unreachable)
    await producer._renew(before)
    assert producer._producer is before
    assert await producer.publish([Output(pipeline.topics.unique, b"{}", b"k")], timestamp_ms=NOW) == []
