"""Ends the alerts of channels that are not configured any more, which would wait in the outbox for ever.

A channel is given up only if no worker has it: each says which it has, so that one whose files are older or newer than
the others' takes nothing from them. And it is given up only after the log has said so, while there is still time to put
the channel back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog
from aiokafka.errors import KafkaError

from alerts.outbox import Leased, Outbox, OutboxError
from streams.core.records import Delivery
from streams.worker.agents import is_cancelled
from streams.worker.publish import PublishError

log = structlog.get_logger(__name__)

#: How often a look is taken, seconds, and so how long after the warning the first alerts are suppressed.
EVERY = 30.0
#: How long a worker that is not heard of any more may still come back for its channels, in looks.
_PATIENCE = 3
#: How long the alerts that are being suppressed are kept from others, and as many at once.
_LEASE, _AT_ONCE = timedelta(seconds=30), 100


class Caretaker:
    """Says which channels this worker has, and suppresses the alerts of those that no worker has.

    ``channels`` are served; ``unopened`` are configured, so their alerts wait. ``record`` publishes outcomes; ``every`` is
    the time between two looks in seconds, :data:`EVERY` by default.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Collection[str],
        unopened: Collection[str],
        record: Callable[[Sequence[Delivery]], Awaitable[None]],
        *,
        clock: Callable[[], datetime],
        every: float | None = None,
    ) -> None:
        self._outbox = outbox
        self._channels = (*channels, *unopened)
        self._unopened = unopened
        self._record = record
        self._clock = clock
        self._every = EVERY if every is None else every
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Look, and suppress where needed, until cancelled."""
        while not is_cancelled():
            try:
                await self.look()
            except (OutboxError, KafkaError, PublishError) as error:
                log.info("forgotten channels cannot be looked for", error=repr(error))
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Warn of channels that hold alerts and that nobody serves; of which was warned before, suppress what is due.

        Raises:
            OutboxError, KafkaError, PublishError: it cannot be done now.
        """
        now = self._clock()
        await self._outbox.serve(self._channels, now + timedelta(seconds=self._every * _PATIENCE))
        waiting = await self._waiting(now)
        for channel in sorted(waiting & self._warned - set(self._unopened)):
            await self._suppress(channel)
        for channel in sorted(waiting - self._warned):
            log.warning(
                "alerts wait for a channel that cannot be opened; `wirewatch doctor` says why"
                if channel in self._unopened
                else "alerts wait for a channel that is not configured; soon they are suppressed",
                channel=channel,
                alerts=(await self._outbox.counts(channel, now)).queued,
            )
        self._warned = waiting

    async def _waiting(self, now: datetime) -> set[str]:
        """Channels that hold something, and that nobody serves."""
        unopened = {channel for channel in self._unopened if (await self._outbox.counts(channel, now)).queued}
        return unopened | (await self._outbox.forgotten(now) - set(self._channels))

    async def _suppress(self, channel: str) -> None:
        suppressed = 0
        while leased := await self._outbox.lease(channel, self._clock(), _LEASE, _AT_ONCE):
            for one in leased:
                suppressed += await self._outbox.finish(one, [self._delivery(one)])
        # Among them may be outcomes of before, which a worker that served the channel has left.
        while outcomes := await self._outbox.unpublished(channel, self._clock() + timedelta(seconds=1)):
            await self._record([outcome.delivery for outcome in outcomes])
            await self._outbox.published({channel: [outcome.id for outcome in outcomes]})
        if suppressed:
            log.warning("suppressed the alerts of a channel that is not configured", channel=channel, alerts=suppressed)

    def _delivery(self, leased: Leased) -> Delivery:
        return Delivery(
            alert_id=leased.alerts[0].alert_id,
            channel=leased.alerts[0].channel,
            rule=leased.alerts[0].rule.name,
            outcome="suppressed",
            attempt=leased.attempt - 1,
            at=self._clock(),
            reason="its channel is not configured any more",
        )
