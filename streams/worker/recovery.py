"""Rebuilds the outbox from Kafka where Redis has lost it: the alerts of the topic, less those that came to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from aiokafka.errors import KafkaError

from alerts.outbox import Outbox
from streams.core.records import Alert, Delivery
from streams.worker.agents import is_cancelled
from streams.worker.history import read_tail
from streams.worker.topics import Topics

log = structlog.get_logger(__name__)

#: How often the outbox is asked whether it still has its data, seconds.
EVERY = 1.0
_ALERTS_AT_ONCE = 500

_alert = msgspec.json.Decoder(Alert)
_delivery = msgspec.json.Decoder(Delivery)


class Keeper:
    """Looks after the outbox of some channels: one that has no epoch lost its data, or never had any."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Collection[str],
        client: Mapping[str, Any],
        topics: Topics,
        *,
        clock: Callable[[], datetime],
        horizon: timedelta,
    ) -> None:
        self._outbox = outbox
        self._channels = sorted(channels)
        self._client = client
        self._topics = topics
        self._clock = clock
        self._reach_ms = round(horizon.total_seconds() * 1000)

    async def run(self) -> None:
        """Look, and rebuild where needed, until cancelled."""
        while not is_cancelled():
            try:
                lost = [channel for channel in self._channels if await self._outbox.epoch(channel) is None]
                if lost:
                    await self._rebuild(lost)
            except (KafkaError, OSError) as error:
                log.info("the outbox cannot be looked after", error=repr(error))
            await asyncio.sleep(EVERY)

    async def _rebuild(self, channels: Collection[str]) -> None:
        alerts, ended = await self._read(channels)
        restored = 0
        for start in range(0, len(alerts), _ALERTS_AT_ONCE):
            restored += await self._outbox.restore(alerts[start : start + _ALERTS_AT_ONCE], ended, self._clock())
        for channel in channels:
            await self._outbox.begin_epoch(channel)
        if restored:
            log.warning("rebuilt the outbox from Kafka", channels=sorted(channels), alerts=restored)

    async def _read(self, channels: Collection[str]) -> tuple[list[Alert], set[str]]:
        alerts: dict[str, Alert] = {}
        ended: set[str] = set()
        async for topic, value in read_tail(
            self._client, [self._topics.alerts, self._topics.deliveries], self._reach_ms
        ):
            try:
                if topic == self._topics.alerts:
                    alert = _alert.decode(value)
                    if alert.channel in channels:
                        alerts[alert.alert_id] = alert
                elif (delivery := _delivery.decode(value)).outcome != "retry":
                    ended.add(delivery.alert_id)
            except (ValueError, RecursionError):  # msgspec's errors, and those of bad UTF-8, are ValueErrors
                continue  # not ours; the deliver agent puts it to headlines.invalid
        return [alert for alert_id, alert in alerts.items() if alert_id not in ended], ended
