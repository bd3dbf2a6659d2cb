"""Topics read back, from a moment up to where they ended when the reading began, without a group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.worker.survey import topic_settings

#: How far the clock of whoever wrote a record may be ahead of that of the worker that read it, milliseconds. Brokers
#: refuse records from further ahead (``message.timestamp.after.max.ms``, an hour by default from Kafka 4 on).
SKEW_MS = 3_600_000


async def records(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    """The records from ``starts`` on and before ``ends``, each partition in order. ``consumer`` is assigned to them."""
    for tp, start in starts.items():
        consumer.seek(tp, start)
    behind = {tp for tp, start in starts.items() if start < ends[tp]}
    while behind:
        for tp, found in (await consumer.getmany(*behind, timeout_ms=1000)).items():
            for record in found:
                if record.offset < ends[tp]:
                    yield record
        behind = {tp for tp in behind if await consumer.position(tp) < ends[tp]}


async def offsets_at(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], moment_ms: int
) -> dict[TopicPartition, int]:
    """Of each partition of ``ends`` the first offset with a record of ``moment_ms`` or later; its end if it has none."""
    found = await consumer.offsets_for_times(dict.fromkeys(ends, max(0, moment_ms))) if ends else {}
    return {tp: place.offset if (place := found.get(tp)) else end for tp, end in ends.items()}


async def kept_since(
    client: Mapping[str, Any],
    consumer: AIOKafkaConsumer,
    firsts: Mapping[TopicPartition, int],
    now_ms: int,
) -> int:
    """The moment from which on every record of some partitions is still there, milliseconds; 0 where none is gone.

    ``firsts`` are the offsets at which the partitions begin. Time deletes only what is older than ``retention.ms``. Where
    the size of a topic is limited too, nothing is known of the time before its first record.
    """
    shortened = [tp for tp, first in firsts.items() if first > 0]
    if not shortened:
        return 0
    settings = await topic_settings(client, {tp.topic for tp in shortened})
    first_records = await consumer.offsets_for_times(dict.fromkeys(shortened, 0))
    since = 0
    for tp in shortened:
        first = first_records.get(tp)
        known = [first.timestamp if first else now_ms]
        if settings[tp.topic]["retention.bytes"] == "-1":
            known.append(now_ms - int(settings[tp.topic]["retention.ms"]))
        since = max(since, min(known))
    return since
