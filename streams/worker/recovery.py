"""Rebuilds the outbox from Kafka where Redis has lost it: the alerts of the topic, less those that came to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from alerts.outage import Outage
from alerts.outbox import Outbox
from alerts.outbox.interface import REVIVED
from streams.core.records import Alert, Delivery
from streams.worker.agents import is_cancelled
from streams.worker.clients import reader
from streams.worker.history import partitions_of
from streams.worker.lookback import kept_since, offsets_at, records
from streams.worker.topics import Topics

log = structlog.get_logger(__name__)

#: How often the outbox is asked whether it still has its data, seconds.
EVERY = 1.0
_ALERTS_AT_ONCE = 500

_alert = msgspec.json.Decoder(Alert)
_delivery = msgspec.json.Decoder(Delivery)


class Keeper:
    """Looks after the outbox of some channels: one that has no epoch lost its data, or never had any.

    An outbox that is rebuilt gets every alert whose end ``deliveries`` does not tell, however old: what is too old to be
    sent ends there like any other, with a record that says so. Of those that ended, it gets to know that they did, for
    Kafka may deliver one again.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Collection[str],
        client: Mapping[str, Any],
        topics: Topics,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._channels = sorted(channels)
        self._client = client
        self._topics = topics
        self._clock = clock

    async def run(self) -> None:
        """Look, and rebuild where needed, until cancelled."""
        outage = Outage("the outbox, to be looked after", "info")
        while not is_cancelled():
            try:
                lost = [channel for channel in self._channels if await self._outbox.epoch(channel) is None]
                if lost:
                    await self._rebuild(lost)
            except (KafkaError, OSError) as error:
                outage.begins(error)
            else:
                outage.ends()
            await asyncio.sleep(EVERY)

    async def _rebuild(self, channels: Collection[str]) -> None:
        partitions = await partitions_of(self._client, [self._topics.alerts, self._topics.deliveries])
        async with reader(self._client, partitions) as consumer:
            # The ends first: whatever ends from now on, the outbox itself remembers.
            ended = await self._ended(consumer, partitions)
            restored, batch = 0, list[Alert]()
            async for alert in self._alerts(consumer, partitions):
                if alert.channel in channels and alert.suppressed is None:
                    batch.append(alert)
                if len(batch) == _ALERTS_AT_ONCE:
                    restored += await self._outbox.restore(batch, ended, self._clock())
                    batch = []
            restored += await self._outbox.restore(batch, ended, self._clock())
        for channel in channels:
            await self._outbox.begin_epoch(channel)
        if restored:
            log.warning("rebuilt the outbox from Kafka", channels=sorted(channels), alerts=restored)

    async def _ended(self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> set[str]:
        """The ids of the alerts that came to an end, as far back as Kafka tells."""
        ours = [tp for tp in partitions if tp.topic == self._topics.deliveries]
        firsts, ends = await consumer.beginning_offsets(ours), await consumer.end_offsets(ours)
        ended: dict[str, datetime] = {}
        revived: dict[str, datetime] = {}
        async for record in records(consumer, firsts, ends):
            try:
                delivery = _delivery.decode(record.value or b"")
            except (ValueError, RecursionError):  # msgspec's errors, and those of bad UTF-8, are ValueErrors
                continue  # not ours
            if delivery.outcome != "retry":
                ended[delivery.alert_id] = max(delivery.at, ended.get(delivery.alert_id, delivery.at))
            elif delivery.reason == REVIVED:  # told later than what came after, perhaps: its time counts, not its place
                revived[delivery.alert_id] = max(delivery.at, revived.get(delivery.alert_id, delivery.at))
        return {name for name, at in ended.items() if name not in revived or revived[name] < at}

    async def _alerts(self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> AsyncIterator[Alert]:
        """The alerts whose ends Kafka would tell: of older ones, these may be deleted already."""
        ours = [tp for tp in partitions if tp.topic == self._topics.alerts]
        deliveries = [tp for tp in partitions if tp.topic == self._topics.deliveries]
        firsts, ends = await consumer.beginning_offsets(ours), await consumer.end_offsets(ours)
        now_ms = int(self._clock().timestamp() * 1000)
        kept = await kept_since(self._client, consumer, await consumer.beginning_offsets(deliveries), now_ms)
        starts = await offsets_at(consumer, ends, kept) if kept else firsts
        async for record in records(consumer, starts, ends):
            try:
                yield _alert.decode(record.value or b"")
            except (ValueError, RecursionError):
                continue  # not ours; the deliver agent puts it to headlines.invalid
