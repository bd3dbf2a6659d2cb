"""What became of alerts, read back from ``deliveries`` without joining a group."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from streams.core.records import Alert, Delivery
from streams.worker.clients import reader
from streams.worker.history import partitions_of
from streams.worker.lookback import offsets_at, records
from streams.worker.topics import Topics

R = TypeVar("R", Alert, Delivery)


async def read_deliveries(client: Mapping[str, Any], topics: Topics, since: datetime) -> list[Delivery]:
    """The attempts since a moment, in the order of time; one that was published twice counts once.

    Raises:
        KafkaError: Kafka cannot be asked.
    """
    found = await _read(client, topics.deliveries, since, Delivery)
    kept = {(one.alert_id, one.attempt, one.at, one.outcome): one for one in found if one.at >= since}
    return sorted(kept.values(), key=lambda one: (one.at, one.alert_id, one.attempt))


async def find_alerts(client: Mapping[str, Any], topics: Topics, since: datetime, start: str) -> dict[str, Alert]:
    """The alerts whose ids begin with ``start`` and that were decided since a moment, by id.

    Raises:
        KafkaError: Kafka cannot be asked.
    """
    found = await _read(client, topics.alerts, since, Alert)
    return {alert.alert_id: alert for alert in found if alert.alert_id.startswith(start)}


async def _read(client: Mapping[str, Any], topic: str, since: datetime, kind: type[R]) -> list[R]:
    decode = msgspec.json.Decoder(kind).decode
    partitions = await partitions_of(client, [topic])
    found: list[R] = []
    async with reader(client, partitions) as consumer:
        ends = await consumer.end_offsets(partitions)
        starts = await offsets_at(consumer, ends, int(since.timestamp() * 1000))
        async for record in records(consumer, starts, ends):
            try:
                found.append(decode(record.value or b""))
            except (ValueError, RecursionError):  # msgspec's errors, and those of bad UTF-8, are ValueErrors
                continue  # somebody else's record
    return found
