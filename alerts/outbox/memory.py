"""The outbox in memory: a fake for tests and dry runs that keeps every promise but to outlive its process."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from alerts.outbox.interface import TERMINAL_TTL, Counts, Durability, Leased, Outbox, Outcome, check_due, revival
from streams.core.grouping import next_message
from streams.core.records import Alert, Delivery, Grouping


@dataclass(slots=True)
class _Message:
    """One alert, or those of a group; ``group`` is there as long as it collects them."""

    name: str
    alerts: list[Alert]
    since: datetime
    due: datetime
    order: int
    group: Grouping | None = None
    attempts: int = 0
    failures: int = 0
    token: int = 0
    leased: bool = False

    def held(self, now: datetime) -> bool:
        """Leased, and the lease has not run out."""
        return self.leased and self.due > now


@dataclass(slots=True)
class _ChannelState:
    messages: dict[str, _Message] = field(default_factory=dict)
    message_of: dict[str, _Message] = field(default_factory=dict)
    open: dict[str, _Message] = field(default_factory=dict)
    pauses: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, datetime] = field(default_factory=dict)
    dead: dict[str, tuple[datetime, Alert]] = field(default_factory=dict)
    outcomes: dict[str, Delivery] = field(default_factory=dict)
    epoch: str | None = None
    served: datetime | None = None

    def ended(self, alert_id: str, now: datetime) -> bool:
        """The alert came to its end, and its marker has not expired."""
        died = self.dead.get(alert_id)
        expires = self.done.get(alert_id) or (died[0] if died else None)
        return expires is not None and expires > now

    def take(self, alert: Alert, now: datetime, order: int, *, alone: bool = False) -> None:
        """Queue an alert, with its group if it has one."""
        group = None if alone else alert.group
        message = self.open.get(group.key) if group else None
        if message is None:
            due = now if group is None else next_message(group, now, self.pauses.get(group.key))
            name = alert.alert_id if group is None else f"g:{alert.alert_id}"
            message = self.messages[name] = _Message(name, [], since=now, due=due, order=order, group=group)
            if group is not None:
                self.open[group.key] = message
        message.alerts.append(alert)
        self.message_of[alert.alert_id] = message

    def close(self, message: _Message, now: datetime) -> None:
        """What comes now is for the group's next message."""
        group, message.group = message.group, None
        if group is not None:
            del self.open[group.key]
            self.pauses[group.key] = now + timedelta(seconds=group.interval)

    def split(self, message: _Message, most: int) -> None:
        """Make messages of their own of what is more than one takes, in its place in the queue."""
        for first in range(most, len(message.alerts), most):
            part = message.alerts[first : first + most]
            name = f"g:{part[0].alert_id}"
            other = _Message(name, part, since=message.since, due=message.due, order=message.order)
            self.messages[name] = other
            self.message_of |= {alert.alert_id: other for alert in part}
        del message.alerts[most:]

    def take_out(self, alert_id: str) -> None:
        """Forget that an alert is queued, and its message when that is empty."""
        message = self.message_of.pop(alert_id, None)
        if message is None:
            return
        message.alerts = [alert for alert in message.alerts if alert.alert_id != alert_id]
        if not message.alerts:
            del self.messages[message.name]
            if message.group is not None:
                del self.open[message.group.key]


class MemoryOutbox(Outbox):
    """The outbox in memory."""

    def __init__(self, *, terminal_ttl: timedelta = TERMINAL_TTL) -> None:
        self._terminal_ttl = terminal_ttl
        self._channels: dict[str, _ChannelState] = defaultdict(_ChannelState)
        self._tokens = 0
        self._scheduled = 0

    async def schedule(self, alerts: Sequence[Alert], now: datetime) -> int:
        added = 0
        now = _whole(now)
        for alert in alerts:
            state = self._channels[alert.channel]
            if alert.alert_id in state.message_of or state.ended(alert.alert_id, now):
                continue
            self._scheduled += 1
            state.take(alert, now, self._scheduled)
            added += 1
        return added

    async def durable(self, timeout: float = 2.0) -> Durability:  # noqa: ASYNC109 - the interface's
        return Durability.OFF

    async def lease(
        self, channel: str, now: datetime, lease_for: timedelta, limit: int, batch: int = 1
    ) -> list[Leased]:
        now, state = _whole(now), self._channels[channel]
        leased: list[Leased] = []
        while len(leased) < limit and (due := [one for one in state.messages.values() if one.due <= now]):
            message = min(due, key=lambda one: (one.due, one.order))
            state.close(message, now)
            state.split(message, batch)
            self._tokens += 1
            message.token = self._tokens
            message.attempts += 1
            message.leased = True
            message.due = _whole(now + lease_for)
            leased.append(
                Leased(
                    tuple(message.alerts),
                    message.attempts,
                    message.failures,
                    message.since,
                    message.token,
                    message.name,
                )
            )
        return leased

    async def finish(
        self, leased: Leased, deliveries: Sequence[Delivery], *, due: datetime | None = None, excused: bool = False
    ) -> bool:
        check_due(deliveries, due)
        state = self._channels[leased.alerts[0].channel]
        message = state.messages.get(leased.message)
        if message is None or not message.leased or message.token != leased.token:
            return False
        for outcome in leased.outcomes(deliveries):
            if outcome.delivery.outcome != "retry":
                self._end(state, outcome.delivery)
            state.outcomes[outcome.id] = outcome.delivery
        if due is not None:
            message.leased = False
            message.due = _whole(due)
            message.failures += 0 if excused else 1
        return True

    def _end(self, state: _ChannelState, delivery: Delivery) -> None:
        expires = _whole(delivery.at) + self._terminal_ttl
        message = state.message_of.get(delivery.alert_id)
        if message is None:  # it has been settled meanwhile
            return
        alert = next(alert for alert in message.alerts if alert.alert_id == delivery.alert_id)
        state.take_out(delivery.alert_id)
        if delivery.outcome == "dead":
            state.dead[delivery.alert_id] = (expires, alert)
        else:
            state.done[delivery.alert_id] = expires

    async def published(self, ids: Mapping[str, Collection[str]]) -> None:
        for channel, names in ids.items():
            for name in names:
                self._channels[channel].outcomes.pop(name, None)

    async def unpublished(self, channel: str, before: datetime, limit: int = 500) -> list[Outcome]:
        noted = [Outcome(name, delivery) for name, delivery in self._channels[channel].outcomes.items()]
        old = [outcome for outcome in noted if _whole(outcome.delivery.at) < _whole(before)]
        return sorted(old, key=lambda outcome: outcome.delivery.at)[:limit]

    async def counts(self, channel: str, now: datetime) -> Counts:
        now = _whole(now)
        state = self._channels[channel]
        leased = sum(len(message.alerts) for message in state.messages.values() if message.held(now))
        return Counts(
            queued=len(state.message_of) - leased,
            due=sum(message.due <= now for message in state.messages.values()),
            leased=leased,
            done=sum(expires > now for expires in state.done.values()),
            dead=sum(expires > now for expires, _ in state.dead.values()),
        )

    async def holds(self, channel: str, ids: Collection[str]) -> set[str]:
        state = self._channels[channel]
        return {name for name in ids if name in state.message_of or name in state.done or name in state.dead}

    async def dead(self, channel: str, now: datetime) -> AsyncIterator[Alert]:
        dead = self._channels[channel].dead
        for _, alert in sorted((died for died in dead.values() if died[0] > _whole(now)), key=lambda died: died[0]):
            if alert.alert_id in dead:
                yield alert

    async def revive(self, channel: str, alerts: Sequence[Alert], now: datetime) -> int:
        state = self._channels[channel]
        kept = {name for name, (expires, _) in state.dead.items() if expires > _whole(now)}
        chosen = [alert for alert in alerts if alert.alert_id in kept]
        for alert in chosen:
            state.dead.pop(alert.alert_id)
            outcome = revival(alert, now)
            state.outcomes[outcome.id] = outcome.delivery
            self._scheduled += 1
            state.take(alert, _whole(now), self._scheduled, alone=True)
        return len(chosen)

    async def serve(self, channels: Collection[str], until: datetime) -> None:
        for channel in channels:
            state = self._channels[channel]
            state.served = max(_whole(until), state.served or _whole(until))

    async def forgotten(self, now: datetime) -> set[str]:
        return {
            channel
            for channel, state in self._channels.items()
            if (state.messages or state.outcomes) and (state.served is None or state.served <= _whole(now))
        }

    async def epoch(self, channel: str) -> str | None:
        return self._channels[channel].epoch

    async def begin_epoch(self, channel: str) -> str:
        state = self._channels[channel]
        state.epoch = state.epoch or uuid.uuid4().hex
        return state.epoch

    async def restore(self, alerts: Sequence[Alert], terminal: Collection[str], now: datetime) -> int:
        expires = _whole(now) + self._terminal_ttl
        for alert in alerts:
            state = self._channels[alert.channel]
            if alert.alert_id in terminal:
                state.take_out(alert.alert_id)
                if alert.alert_id not in state.dead:
                    state.done[alert.alert_id] = max(expires, state.done.get(alert.alert_id, expires))
        return await self.schedule([alert for alert in alerts if alert.alert_id not in terminal], now)

    def lose_everything(self) -> None:
        """What a crash without a disk does."""
        self._channels.clear()


def _whole(moment: datetime) -> datetime:
    """Whole milliseconds, as every outbox counts."""
    return datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)
