"""What an outbox promises.

The ``alerts`` topic is the truth, and the outbox an index of it that can be rebuilt. An alert is *queued*
until a worker *leases* it for a while to send it; when the worker has *finished*, the alert is done, dead, or
queued for another attempt. A lease that runs out, because its worker died, makes the alert due again. Every
lease has a fencing token, higher than all before it: who comes with an old one changes nothing.

What is leased is a *message*. An alert of no group is one by itself. Those of a group are collected into one until
`streams.core.grouping.next_message` says that it goes; what is in it is settled by its first lease, so that every attempt
sends the same, and what comes later is for the group's next message.

The outcome of an attempt is noted in the same step that ends the lease, and stays until it is known to be in
Kafka, so none is lost between the two (a transactional outbox). It may be published twice.

All times are aware. Every method raises :class:`OutboxError` where the store cannot be used at the moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from streams.core.records import Alert, Delivery

#: How long it is remembered that an alert came to its end, and a dead alert kept. No alert is sent that is older than
#: this, so none whose end has been forgotten; and it is not longer than Kafka keeps the ``alerts`` topic.
TERMINAL_TTL = timedelta(days=7)


class OutboxError(ConnectionError):
    """The store behind the outbox is away or refuses to work; what was asked may or may not have happened.

    Every method may be called again: none does harm the second time.
    """


class Durability(Enum):
    """Whether what was scheduled would outlive a crash of the store's machine."""

    SYNCED = "synced"
    LATE = "not on disk within the time given"
    OFF = "the store does not write to disk"


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that its holder alone may send until the lease ends: one alert or more, in the order in which they came.

    ``attempt`` counts the leases of the message, this one included; ``failures`` those of its attempts that
    speak against it. ``since`` is when its first alert was scheduled. ``message`` is what the outbox knows it by.
    """

    alerts: tuple[Alert, ...]
    attempt: int
    failures: int
    since: datetime
    token: int
    message: str

    def outcomes(self, deliveries: Iterable[Delivery]) -> list[Outcome]:
        """What came of this lease, by ids that tell it apart from all other outcomes of the channel."""
        return [Outcome(f"{delivery.alert_id}:{self.token}", delivery) for delivery in deliveries]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A noted outcome, of a lease (:meth:`Leased.outcomes`) or of a revival."""

    id: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Counts:
    """The alerts of a channel: each is ``queued``, ``leased``, ``done`` or ``dead``. ``due`` counts messages.

    ``done`` and ``dead`` count the last days only (:data:`TERMINAL_TTL`).
    """

    queued: int
    due: int
    leased: int
    done: int
    dead: int


#: Why an alert that is dead waits again, on ``deliveries``.
REVIVED = "put back by hand"


def revival(alert: Alert, now: datetime) -> Outcome:
    """What ``deliveries`` tells of a dead alert that is queued again: an attempt 0 that is followed by another."""
    delivery = Delivery(
        alert_id=alert.alert_id,
        channel=alert.channel,
        rule=alert.rule.name,
        outcome="retry",
        attempt=0,
        at=now,
        reason=REVIVED,
    )
    return Outcome(f"{alert.alert_id}:revived:{int(now.timestamp() * 1000)}", delivery)


def check_due(deliveries: Sequence[Delivery], due: datetime | None) -> None:
    """Refuse a lease to end in a way that an outbox does not know.

    Raises:
        ValueError: an alert is tried again and it is not said when, or the other way round.
    """
    if (due is not None) != any(delivery.outcome == "retry" for delivery in deliveries):
        raise ValueError("an alert is due again after a retry, and only then")


class Outbox(Protocol):
    """Alerts on their way out, channel by channel."""

    async def schedule(self, alerts: Sequence[Alert], now: datetime) -> int:
        """Queue alerts, due at once, in this order within a channel; those that have a group, when its message goes.

        Alerts that are queued or leased already, or came to their end, are passed over.

        Returns:
            how many were new.
        """
        ...

    async def durable(self, timeout: float = 2.0) -> Durability:  # noqa: ASYNC109 - the store does the waiting
        """Wait until all that this object scheduled is on disk, for at most ``timeout`` seconds.

        To be called after each ``schedule``, or once after several: until then the alerts are remembered here
        as well, and queued again should the store have lost them.
        """
        ...

    async def lease(
        self, channel: str, now: datetime, lease_for: timedelta, limit: int, batch: int = 1
    ) -> list[Leased]:
        """Take up to ``limit`` due messages of a channel, the longest due first.

        None has more than ``batch`` alerts: what a group has collected beyond that is due as messages of its own.
        """
        ...

    async def finish(
        self, leased: Leased, deliveries: Sequence[Delivery], *, due: datetime | None = None, excused: bool = False
    ) -> bool:
        """End a lease by what came of it, and note ``deliveries``, one of each of its alerts, as outcomes.

        The outcome ``retry`` leaves an alert in the message, which is due again at ``due``, and adds to its failures
        unless it is ``excused``; ``dead`` keeps the alert among the dead; any other outcome means that it is done.

        Returns:
            False, with nothing changed, where the lease has ended or passed to another holder in the
            meantime.
        """
        ...

    async def published(self, ids: Mapping[str, Collection[str]]) -> None:
        """Forget outcomes, by their channels, that are in Kafka now."""
        ...

    async def unpublished(self, channel: str, before: datetime, limit: int = 500) -> list[Outcome]:
        """Outcomes that were noted ``before`` a time and not forgotten since, the oldest first."""
        ...

    async def counts(self, channel: str, now: datetime) -> Counts:
        """How many alerts of a channel there are of each sort, at one moment."""
        ...

    async def holds(self, channel: str, ids: Collection[str]) -> set[str]:
        """Those of some alerts of a channel that are queued or leased, or of which it is remembered how they ended."""
        ...

    def dead(self, channel: str, now: datetime) -> AsyncIterator[Alert]:
        """The alerts of a channel that are dead when the first is asked for, the longest dead first.

        There may be a million of them, so few are in memory at once. One that is dead no more when its turn comes is left out.
        """
        ...

    async def revive(self, channel: str, alerts: Sequence[Alert], now: datetime) -> int:
        """Queue those of some alerts of a channel that are dead, due at once, with no attempt and no failure counted.

        :func:`revival` is noted as the outcome of each in the same step.

        Returns:
            how many were dead.
        """
        ...

    async def serve(self, channels: Collection[str], until: datetime) -> None:
        """Say that somebody serves these channels, or will, until then at least."""
        ...

    async def forgotten(self, now: datetime) -> set[str]:
        """Channels that hold alerts, or outcomes that are not in Kafka, and that nobody says to serve at ``now``."""
        ...

    async def epoch(self, channel: str) -> str | None:
        """A word that stays the same for as long as the store keeps its data.

        None means that there is no data (lost, or never any), and another word that it was lost and begun
        anew: then the outbox is to be rebuilt by :meth:`restore`. Each channel has its own, since in a
        cluster each can be lost alone.
        """
        ...

    async def begin_epoch(self, channel: str) -> str:
        """Declare the data complete, after :meth:`restore`. An epoch that has begun stays as it is."""
        ...

    async def restore(self, alerts: Sequence[Alert], terminal: Collection[str], now: datetime) -> int:
        """Queue what the ``alerts`` topic holds, less what came to its end by the ids in ``terminal``.

        Does no harm to a store that lost nothing, nor when several workers do it at once.

        Returns:
            how many alerts were queued that were not before.
        """
        ...
