"""What Kafka knows of the past: the tails of topics, read without a group, and the decisions that they testify to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.core.dedupe import Entry
from streams.core.pipeline import restored
from streams.core.records import Dropped, Unique
from streams.worker.clients import admin_client, reader

_unique = msgspec.json.Decoder(Unique)
_dropped = msgspec.json.Decoder(Dropped)


async def partitions_of(client: Mapping[str, Any], topics: Sequence[str]) -> list[TopicPartition]:
    """The partitions of those of ``topics`` that exist."""
    async with admin_client(client) as admin:
        described = await admin.describe_topics(list(topics))
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        if not topic["error_code"]
        for partition in topic["partitions"]
    ]


async def committed_offsets(client: Mapping[str, Any], group: str) -> dict[TopicPartition, int]:
    """What a consumer group has committed, by partition.

    Raises:
        KafkaError: Kafka does not say, even when asked again for ten seconds. A young broker needs a moment.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10.0
    async with admin_client(client) as admin:
        while True:
            try:
                found = await admin.list_consumer_group_offsets(group)
            except KafkaError as error:
                if not error.retriable or loop.time() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return {tp: meta.offset for tp, meta in found.items()}


async def read_tail(
    client: Mapping[str, Any], topics: Sequence[str], reach_ms: int
) -> AsyncIterator[tuple[str, bytes]]:
    """Topic and value of the newest records of ``topics``.

    Of each partition, those that Kafka received within ``reach_ms`` milliseconds before its last one.
    """
    partitions = await partitions_of(client, topics)
    async with reader(client, partitions) as consumer:
        ends = {tp: end for tp, end in (await consumer.end_offsets(partitions)).items() if end > 0}
        if not ends:
            return
        starts = await _starts(consumer, ends, reach_ms)
        for tp, start in starts.items():
            consumer.seek(tp, start)
        behind = {tp for tp, start in starts.items() if start < ends[tp]}
        while behind:
            for tp, records in (await consumer.getmany(*behind, timeout_ms=1000)).items():
                for record in records:
                    if record.offset < ends[tp] and record.value is not None:
                        yield tp.topic, record.value
            behind = {tp for tp in behind if await consumer.position(tp) < ends[tp]}


async def _starts(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], reach_ms: int
) -> dict[TopicPartition, int]:
    firsts = await consumer.beginning_offsets(list(ends))
    held = {tp for tp, end in ends.items() if end > firsts[tp]}
    for tp in held:
        consumer.seek(tp, ends[tp] - 1)
    since: dict[TopicPartition, int] = {}
    while len(since) < len(held):
        for tp, records in (await consumer.getmany(*(held - since.keys()), timeout_ms=1000)).items():
            since[tp] = max(0, records[-1].timestamp - reach_ms)
    found = await consumer.offsets_for_times(since) if since else {}
    return {tp: (place.offset if (place := found.get(tp)) else firsts[tp]) for tp in held}


async def read_decisions(
    client: Mapping[str, Any], *, unique: str, dropped: str, reach_ms: int
) -> AsyncIterator[Entry]:
    """The entries of the ledger that the topics ``unique`` and ``dropped`` testify to, in no order."""
    async for topic, value in read_tail(client, [unique, dropped], reach_ms):
        try:
            yield restored(_unique.decode(value) if topic == unique else _dropped.decode(value))
        except (ValueError, RecursionError):  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            continue  # somebody else's record; it cannot be a decision of ours
