"""The outbox in memory: a fake for tests and dry runs that keeps every promise but to outlive its process."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from alerts.outbox.interface import TERMINAL_TTL, Counts, Durability, Leased, Outbox, Outcome, revival
from streams.core.records import Alert, Delivery


@dataclass(slots=True)
class _Job:
    alert: Alert
    since: datetime
    due: datetime
    order: int
    attempts: int = 0
    failures: int = 0
    token: int = 0
    leased: bool = False

    def held(self, now: datetime) -> bool:
        """Leased, and the lease has not run out."""
        return self.leased and self.due > now


@dataclass(slots=True)
class _ChannelState:
    jobs: dict[str, _Job] = field(default_factory=dict)
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
            if alert.alert_id in state.jobs or state.ended(alert.alert_id, now):
                continue
            self._scheduled += 1
            state.jobs[alert.alert_id] = _Job(alert, since=now, due=now, order=self._scheduled)
            added += 1
        return added

    async def durable(self, timeout: float = 2.0) -> Durability:  # noqa: ASYNC109 - the interface's
        return Durability.OFF

    async def lease(self, channel: str, now: datetime, lease_for: timedelta, limit: int) -> list[Leased]:
        now = _whole(now)
        due = [job for job in self._channels[channel].jobs.values() if job.due <= now]
        taken = sorted(due, key=lambda job: (job.due, job.order))[:limit]
        for job in taken:
            self._tokens += 1
            job.token = self._tokens
            job.attempts += 1
            job.leased = True
            job.due = _whole(now + lease_for)
        return [Leased(job.alert, job.attempts, job.failures, job.since, job.token) for job in taken]

    async def finish(
        self, leased: Leased, delivery: Delivery, *, due: datetime | None = None, excused: bool = False
    ) -> bool:
        if (due is None) == (delivery.outcome == "retry"):
            raise ValueError("an alert is due again after a retry, and only then")
        state = self._channels[leased.alert.channel]
        job = state.jobs.get(leased.alert.alert_id)
        if job is None or not job.leased or job.token != leased.token:
            return False
        if due is not None:
            job.leased = False
            job.due = _whole(due)
            job.failures += 0 if excused else 1
        else:
            self._end(state, job, delivery)
        state.outcomes[leased.outcome_id] = delivery
        return True

    def _end(self, state: _ChannelState, job: _Job, delivery: Delivery) -> None:
        expires = _whole(delivery.at) + self._terminal_ttl
        del state.jobs[job.alert.alert_id]
        if delivery.outcome == "dead":
            state.dead[job.alert.alert_id] = (expires, job.alert)
        else:
            state.done[job.alert.alert_id] = expires

    async def published(self, channel: str, ids: Collection[str]) -> None:
        for name in ids:
            self._channels[channel].outcomes.pop(name, None)

    async def unpublished(self, channel: str, before: datetime, limit: int = 500) -> list[Outcome]:
        noted = [Outcome(name, delivery) for name, delivery in self._channels[channel].outcomes.items()]
        old = [outcome for outcome in noted if _whole(outcome.delivery.at) < _whole(before)]
        return sorted(old, key=lambda outcome: outcome.delivery.at)[:limit]

    async def counts(self, channel: str, now: datetime) -> Counts:
        now = _whole(now)
        state = self._channels[channel]
        leased = sum(job.held(now) for job in state.jobs.values())
        return Counts(
            queued=len(state.jobs) - leased,
            due=sum(job.due <= now for job in state.jobs.values()),
            leased=leased,
            done=sum(expires > now for expires in state.done.values()),
            dead=sum(expires > now for expires, _ in state.dead.values()),
        )

    async def holds(self, channel: str, ids: Collection[str]) -> set[str]:
        state = self._channels[channel]
        return {name for name in ids if name in state.jobs or name in state.done or name in state.dead}

    async def dead(self, channel: str, now: datetime, limit: int = 500) -> list[Alert]:
        kept = [died for died in self._channels[channel].dead.values() if died[0] > _whole(now)]
        return [alert for _, alert in sorted(kept, key=lambda died: died[0])[:limit]]

    async def revive(self, channel: str, alerts: Sequence[Alert], now: datetime) -> int:
        state = self._channels[channel]
        kept = {one.alert_id for one in await self.dead(channel, now, len(state.dead))}
        chosen = [alert for alert in alerts if alert.alert_id in kept]
        for alert in chosen:
            state.dead.pop(alert.alert_id)
            outcome = revival(alert, now)
            state.outcomes[outcome.id] = outcome.delivery
        return await self.schedule(chosen, now)

    async def serve(self, channels: Collection[str], until: datetime) -> None:
        for channel in channels:
            state = self._channels[channel]
            state.served = max(_whole(until), state.served or _whole(until))

    async def forgotten(self, now: datetime) -> set[str]:
        return {
            channel
            for channel, state in self._channels.items()
            if (state.jobs or state.outcomes) and (state.served is None or state.served <= _whole(now))
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
                state.jobs.pop(alert.alert_id, None)
                if alert.alert_id not in state.dead:
                    state.done[alert.alert_id] = max(expires, state.done.get(alert.alert_id, expires))
        return await self.schedule([alert for alert in alerts if alert.alert_id not in terminal], now)

    def lose_everything(self) -> None:
        """What a crash without a disk does."""
        self._channels.clear()


def _whole(moment: datetime) -> datetime:
    """Whole milliseconds, as every outbox counts."""
    return datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)
