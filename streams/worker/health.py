"""Keeps how channels do in Redis: what this worker saw goes there, and what all workers know comes from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from alerts.health import DISABLE_AFTER, Disabled, Health, HealthStore, Seen, notice
from alerts.outage import Outage
from streams.core.records import Alert
from streams.worker.agents import is_cancelled
from streams.worker.publish import PublishError

#: How often it is told and asked, seconds.
EVERY = 1.0
#: Whoever disables a channel tells another one at once; if it died before, the other workers do, after so long.
_LEFT_UNTOLD = timedelta(seconds=30)


class HealthWatch:
    """Tells the store and a worker's :class:`Health` of each other, and another channel of one that is disabled.

    ``channels`` are those that the worker serves, in the order in which they are to be told; ``to`` are the channels to be
    told where a channel names one. ``publish`` puts alerts on their topic.
    """

    def __init__(
        self,
        store: HealthStore,
        health: Health,
        channels: Sequence[str],
        to: Mapping[str, str],
        publish: Callable[[Sequence[Alert]], Awaitable[None]],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._health = health
        self._channels = channels
        self._to = to
        self._publish = publish
        self._clock = clock
        self._learned = asyncio.Event()

    async def learned(self) -> None:
        """Return once it is known which channels are disabled: nothing is to be sent before."""
        await self._learned.wait()

    async def run(self) -> None:
        """Look until cancelled. What cannot be told now is told later."""
        outage = Outage("how channels do, to be told to other workers", "info")
        while not is_cancelled():
            try:
                await self.look()
            except (RedisError, KafkaError, OSError, PublishError) as error:
                outage.begins(error)
            else:
                outage.ends()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Tell what was seen, disable what has failed for too long, and take over what all workers know.

        Raises:
            RedisError, KafkaError, OSError, PublishError: it cannot be done now.
        """
        seen, now = self._health.take(), self._clock()
        try:
            ours = await self._tell(seen, now)
        except BaseException:
            self._health.put_back(seen)
            raise
        disabled = await self._store.disabled()
        self._health.learn(disabled)
        self._learned.set()
        for name, one in disabled.items():
            if not one.told and name in self._channels and (name in ours or now - one.since > _LEFT_UNTOLD):
                await self._tell_of(one, disabled)

    async def _tell(self, seen: Mapping[str, Seen], now: datetime) -> set[str]:
        """Tell the store; the channels that are disabled by that."""
        if not seen:
            return set()
        working = [name for name, one in seen.items() if one.worked]
        failing = {name: one.failing for name, one in seen.items() if one.failing}
        await self._store.note(working, failing)
        ends = [one.gone for one in seen.values() if one.gone]
        known = await self._store.failing() if failing else {}
        days = DISABLE_AFTER.days
        ends += [
            Disabled(channel=name, since=now, reason=f"it has failed for {days} days without a success")
            for name in failing
            if name in known and now - known[name].since >= DISABLE_AFTER
        ]
        return {end.channel for end in ends if await self._store.disable(end)}

    async def _tell_of(self, disabled: Disabled, all_disabled: Mapping[str, Disabled]) -> None:
        """Tell another channel; where there is none that works, the log has said it."""
        wanted = self._to.get(disabled.channel)
        others = [name for name in (wanted, *self._channels) if name in self._channels]
        to = next((name for name in others if name != disabled.channel and name not in all_disabled), None)
        if to is not None:
            await self._publish([notice(disabled, to)])
        await self._store.told(disabled.channel)
