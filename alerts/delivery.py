"""Sends what the outbox holds: one pool of senders a channel, so that a dead or slow channel delays no other.

A pool leases alerts that are due, no more than it can send at once, and sends them side by side. What comes
of each attempt ends its lease and is noted in the outbox in one step; a recorder publishes the notes
afterwards, off the way of the next alert. A worker that dies leaves leases, which run out, and notes, which
any worker publishes.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from alerts.health import Health
from alerts.notify.interface import Attempt, BatchNotifier, Dead, Notifier, Result, Retry, Sent
from alerts.outage import Outage
from alerts.outbox import Leased, Outbox, OutboxError, Outcome
from alerts.outbox.interface import TERMINAL_TTL
from streams.core.records import Alert, Delivery
from streams.core.records import Outcome as Ending

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Publishes outcomes, and returns when the broker has confirmed them.
Record = Callable[[Sequence[Delivery]], Awaitable[None]]

#: Hears of every step of the protocol, by agent and step, before the next one begins. Used to measure and to test.
OnStep = Callable[[str, str], None]

#: Pauses while the outbox or Kafka is away, the first and the longest, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

#: The longest pause where an alert has been sent and the outbox does not know of it yet.
_UNFINISHED_PAUSE = 0.1

_RECORD_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """When an alert that was not taken is sent again, and until when.

    ``waits`` come between the attempts, each longer by up to the ``jitter``, a share of it. The default is
    the schedule of Standard Webhooks: ten attempts in three days. An alert whose headline was received longer ago than
    ``max_age`` is not sent any more, whatever has held it up. That must not be longer than it is remembered that an
    alert came to its end (:data:`~alerts.outbox.interface.TERMINAL_TTL`), or an old one could be sent again.
    """

    waits: tuple[timedelta, ...] = (
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    )
    jitter: float = 0.1
    longest_throttle: timedelta = timedelta(minutes=5)
    max_age: timedelta = timedelta(days=4)

    def __post_init__(self) -> None:
        if self.max_age > TERMINAL_TTL:
            raise ValueError(f"alerts are remembered for {TERMINAL_TTL.days} days, and cannot be sent any later")

    @property
    def horizon(self) -> timedelta:
        """The time that all attempts take together."""
        return sum(self.waits, timedelta())

    def next_attempt(self, leased: Leased, retry: Retry, now: datetime, chance: float) -> datetime | None:
        """When to try again, or None where the alert is to be given up. ``chance`` lies between 0 and 1.

        A receiver that is throttling (429) says nothing against the alert, so that counts as no failure: the
        alert waits as long as was asked for, or 1, 2, 4 ... seconds, and is given up only after the whole
        horizon. After any other failure it waits as the schedule says, and at least as long as was asked for. None
        is tried again that would be too old by then.
        """
        due = self._due(leased, retry, now, chance)
        return None if due is None or all(self.too_old(alert, due) for alert in leased.alerts) else due

    def too_old(self, alert: Alert, now: datetime) -> bool:
        """Whether it is too late to send an alert."""
        return now - alert.headline.received > self.max_age

    def _due(self, leased: Leased, retry: Retry, now: datetime, chance: float) -> datetime | None:
        asked = timedelta(seconds=retry.after or 0)
        if retry.throttled:
            throttled_before = leased.attempt - 1 - leased.failures
            wait = max(asked, min(timedelta(seconds=2 ** min(throttled_before, 20)), self.longest_throttle))
            due = now + wait * (1 + self.jitter * chance)
            return due if due - leased.since <= self.horizon else None
        if leased.failures >= len(self.waits):
            return None
        return now + max(asked, self.waits[leased.failures]) * (1 + self.jitter * chance)


@dataclass(frozen=True, slots=True)
class Timing:
    """The times that a dispatcher keeps, in seconds.

    ``poll`` is the most between two looks for what is due by itself: retries, and what other workers scheduled.
    ``lease_margin`` is how much longer than its notifier's time-out an alert is leased. Outcomes noted longer ago than
    ``abandoned``, and still not published, were left by a worker that died; every ``sweep`` they are looked for. ``gather``
    is how long an outcome waits for others to be published with, for nobody waits for it.
    """

    poll: float = 0.5
    lease_margin: float = 15.0
    abandoned: float = 60.0
    sweep: float = 30.0
    gather: float = 0.05


class Dispatcher:
    """Delivers the alerts of the outbox until it is stopped.

    ``notifiers`` are the open channels by name; they stay the caller's to close. ``record`` publishes the
    outcomes; one may come twice, with the same alert id and attempt. ``chance`` gives numbers between 0 and 1 for
    the jitter of retries. ``health`` tells how many alerts a channel may be sent, and hears what came of each.
    """

    def __init__(  # noqa: PLR0913 - who runs one names the arguments, and needs few of them
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        record: Record,
        *,
        clock: Callable[[], datetime],
        retries: RetrySchedule | None = None,
        timing: Timing | None = None,
        chance: Callable[[], float] = random.random,
        on_step: OnStep = lambda _agent, _step: None,
        health: Health | None = None,
    ) -> None:
        timing = timing or Timing()
        health = health or Health()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._grace = 0.0
        outage = _Outage("outbox")
        self._recorder = _Recorder(outbox, tuple(notifiers), record, clock, outage, timing, on_step)
        setting = _Setting(
            outbox, self._recorder, clock, retries or RetrySchedule(), timing, chance, outage, on_step, health
        )
        self._pools = {name: _Pool(name, notifier, setting) for name, notifier in notifiers.items()}

    async def run(self) -> None:
        """Deliver until :meth:`stop`. An exception means a bug, or that the caller was cancelled."""
        loop = asyncio.get_running_loop()
        self._stopped.clear()
        try:
            async with asyncio.TaskGroup() as group:
                recording = group.create_task(self._recorder.run())
                pools = [group.create_task(pool.run(self._stopping)) for pool in self._pools.values()]
                await self._stopping.wait()
                deadline = loop.time() + self._grace
                for pool in self._pools.values():
                    pool.wake()
                if pools:
                    _, unfinished = await asyncio.wait(pools, timeout=self._grace)
                    for late in unfinished:
                        late.cancel()
                await self._recorder.drain(max(deadline - loop.time(), 0))
                recording.cancel()
        finally:
            self._stopped.set()

    def kick(self, channel: str) -> None:
        """Send at once what is due in a channel; a channel that is served elsewhere is ignored."""
        if pool := self._pools.get(channel):
            pool.wake()

    async def stop(self, grace: float = 5.0) -> None:
        """Lease nothing more; end :meth:`run` when what is on its way has arrived, or after ``grace`` seconds.

        What is unfinished by then stays leased, and is sent again when its lease ends.
        """
        self._grace = grace
        self._stopping.set()
        await self._stopped.wait()


class _Outage(Outage):
    """An outage, and how long to pause before the next try: longer each time."""

    def __init__(self, what: str) -> None:
        super().__init__(what, back="info")
        self._next_pause = _FIRST_PAUSE

    def pause(self, error: Exception) -> float:
        """Note a failure; gives the seconds to pause before another try."""
        if not self.away:
            self._next_pause = _FIRST_PAUSE
        self.begins(error)
        pause = self._next_pause
        self._next_pause = min(pause * 2, _LONGEST_PAUSE)
        return pause


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the pools of a dispatcher share."""

    outbox: Outbox
    recorder: _Recorder
    clock: Callable[[], datetime]
    retries: RetrySchedule
    timing: Timing
    chance: Callable[[], float]
    outage: _Outage
    on_step: OnStep
    health: Health


class _Pool:
    """The senders of one channel."""

    def __init__(self, channel: str, notifier: Notifier, setting: _Setting) -> None:
        self._channel = channel
        self._notifier = notifier
        self._setting = setting
        self._wake = asyncio.Event()
        self._may_wait = True  # whether an alert may be due that no sender was free for, or that could not be leased
        self._sending = 0
        self._unfinished: set[str] = set()
        self._lease_for = timedelta(seconds=notifier.timeout + setting.timing.lease_margin)
        self._paused_until: datetime | None = None
        self._health = setting.health.of(channel)
        self._batch = notifier.batch if isinstance(notifier, BatchNotifier) else 1

    def wake(self) -> None:
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Lease and send until ``stopping``, then wait for what is on its way."""
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                self._wake.clear()
                free = self._health.room(self._setting.clock(), self._sending, self._notifier.concurrency)
                pause = self._pause()
                self._may_wait = True
                for leased in await self._lease(free) if free and not pause and not self._unfinished else ():
                    self._sending += 1
                    group.create_task(self._deliver(leased)).add_done_callback(self._sent)
                # Now nothing more is due, and a kick wakes the pool; or something may be, and a sender that ends does, too.
                await _wait(self._wake, pause or self._setting.timing.poll)

    def _sent(self, _: asyncio.Task[None]) -> None:
        self._sending -= 1
        if self._may_wait:
            self._wake.set()

    def _pause(self) -> float:
        """The seconds for which the receiver still asks to be left alone."""
        if self._paused_until is None:
            return 0.0
        left = (self._paused_until - self._setting.clock()).total_seconds()
        if left <= 0:
            self._paused_until = None
        return max(left, 0.0)

    async def _lease(self, limit: int) -> list[Leased]:
        setting = self._setting
        try:
            jobs = await setting.outbox.lease(self._channel, setting.clock(), self._lease_for, limit, self._batch)
        except OutboxError as error:
            await _sleep(setting.outage.pause(error))
            return []
        setting.outage.ends()
        _heed_cancellation()  # a group that is being cancelled takes no more tasks
        self._may_wait = len(jobs) >= limit
        return jobs

    async def _deliver(self, leased: Leased) -> None:
        step = self._setting.on_step
        step("outbox", "leased")
        attempt = Attempt(leased.attempt, self._setting.clock())
        unsent = [(alert, reason) for alert in leased.alerts if (reason := self._not_to_be_sent(alert, attempt.at))]
        ended = [_delivery(alert, reason, attempt.number - 1, attempt.at) for alert, reason in unsent]
        alerts = [alert for alert in leased.alerts if all(alert is not other for other, _ in unsent)]
        if not alerts:
            await self._end(leased, ended, quiet=self._health.disabled is not None)
            return
        result = await self._send(alerts, attempt)
        step("outbox", "posted")
        now = self._setting.clock()
        self._health.note(result, now)
        due: datetime | None = None
        if isinstance(result, Retry):
            due = self._setting.retries.next_attempt(leased, result, now, self._setting.chance())
            if due is None:
                result = Dead(f"given up after {attempt.number} attempts: {result.reason}", result.status_code)
            elif result.after is not None:
                self._paused_until = now + timedelta(seconds=result.after)
        excused = isinstance(result, Retry) and result.throttled
        ended += [_delivery(alert, result, attempt.number, now) for alert in alerts]
        await self._end(leased, ended, due, excused=excused)

    def _not_to_be_sent(self, alert: Alert, now: datetime) -> Dead | _Suppressed | None:
        """Why an alert that is leased is not sent."""
        if self._setting.retries.too_old(alert, now):
            received = alert.headline.received
            return _Suppressed(f"too old: its headline was received {received:%Y-%m-%d %H:%M} UTC (delivery.max_age)")
        if disabled := self._health.disabled:
            return Dead(f"its channel is disabled since {disabled.since:%Y-%m-%d %H:%M} UTC: {disabled.reason}")
        return None

    async def _end(
        self,
        leased: Leased,
        deliveries: Sequence[Delivery],
        due: datetime | None = None,
        *,
        excused: bool = False,
        quiet: bool = False,
    ) -> None:
        """End the lease by what came of it, and have that recorded, and logged unless the log knows why already."""
        held = await self._finish(leased, deliveries, due, excused=excused)
        self._setting.on_step("outbox", "finished")
        if not held:
            log.warning("lease had ended", channel=self._channel, alert_id=leased.alerts[0].alert_id)
        for outcome in leased.outcomes(deliveries):
            if held or outcome.delivery.outcome == "delivered":
                # What was delivered is told even where the lease had passed on, so that Kafka knows of its end.
                self._setting.recorder.add(outcome)
            if not quiet:
                _tell(outcome.delivery)

    async def _send(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        notifier = self._notifier
        try:
            # Past the lease, another worker may send it: an attempt ends before.
            async with asyncio.timeout(notifier.timeout + self._setting.timing.lease_margin / 3):
                if len(alerts) > 1 and isinstance(notifier, BatchNotifier):
                    return await notifier.send_all(alerts, attempt)
                return await notifier.send(alerts[0], attempt)
        except TimeoutError:
            return Retry(f"not sent within {self._notifier.timeout:g} s")
        except Exception as error:  # noqa: BLE001 - an alert that a notifier trips over must not stop its channel
            # Neither the text nor the values of an exception are logged: they may hold a URL or a header.
            log.error(  # noqa: TRY400 - the traceback is given without the exception's text
                "notifier failed",
                channel=self._channel,
                alert_id=alerts[0].alert_id,
                error=type(error).__name__,
                at="".join(traceback.format_tb(error.__traceback__)[-2:]),
            )
            return Retry(f"the notifier failed: {type(error).__name__}")

    async def _finish(
        self, leased: Leased, deliveries: Sequence[Delivery], due: datetime | None, *, excused: bool
    ) -> bool:
        """End the lease, however long the outbox is away.

        Meanwhile the pool leases nothing: the first word to an outbox that is back is what was sent before, or its
        lease, which may have run out, would be taken again.
        """
        setting = self._setting
        while True:
            try:
                held = await setting.outbox.finish(leased, deliveries, due=due, excused=excused)
            except OutboxError as error:
                self._unfinished.add(leased.message)
                await _sleep(min(setting.outage.pause(error), _UNFINISHED_PAUSE))
            else:
                self._unfinished.discard(leased.message)
                setting.outage.ends()
                return held


@dataclass(frozen=True, slots=True)
class _Suppressed:
    """The alert is not to be sent."""

    reason: str
    status_code: None = None


def _delivery(alert: Alert, result: Result | _Suppressed, attempt: int, now: datetime) -> Delivery:
    endings: dict[type[Any], Ending] = {
        Sent: "delivered",
        Retry: "retry",
        Dead: "dead",
        _Suppressed: "suppressed",
    }
    return Delivery(
        alert_id=alert.alert_id,
        channel=alert.channel,
        rule=alert.rule.name,
        outcome=endings[type(result)],
        attempt=attempt,
        at=now,
        status_code=result.status_code,
        reason=None if isinstance(result, Sent) else result.reason,
    )


def _tell(delivery: Delivery) -> None:
    tell = {"delivered": log.debug, "retry": log.info, "suppressed": log.warning, "dead": log.error}[delivery.outcome]
    tell(
        delivery.outcome,
        channel=delivery.channel,
        alert_id=delivery.alert_id,
        rule=delivery.rule,
        attempt=delivery.attempt,
        reason=delivery.reason,
    )


class _Recorder:
    """Publishes outcomes, in batches, and forgets them once they are in Kafka."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Collection[str],
        record: Record,
        clock: Callable[[], datetime],
        outage: _Outage,
        timing: Timing,
        on_step: OnStep,
    ) -> None:
        self._timing = timing
        self._on_step = on_step
        self._outbox = outbox
        self._channels = channels
        self._record = record
        self._clock = clock
        self._outbox_outage = outage
        self._kafka_outage = _Outage("recording deliveries")
        self._waiting: list[Outcome] = []
        self._wake = asyncio.Event()
        self._leaving = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, outcome: Outcome) -> None:
        """Publish an outcome soon."""
        self._waiting.append(outcome)
        self._empty.clear()
        self._wake.set()

    async def drain(self, within: float) -> None:
        """Wait until all is published, so many seconds at most; the rest is left to another worker."""
        self._leaving.set()
        await _wait(self._empty, within)

    async def run(self) -> None:
        """Publish what is added, and now and then what workers that died have left."""
        loop = asyncio.get_running_loop()
        next_sweep = loop.time()
        while True:
            if not self._waiting and loop.time() >= next_sweep:
                next_sweep = loop.time() + self._timing.sweep
                await self._sweep()
            self._wake.clear()
            if not self._waiting:
                self._empty.set()
                await _wait(self._wake, self._timing.sweep)
            if 0 < len(self._waiting) < _RECORD_AT_ONCE:
                await _wait(self._leaving, self._timing.gather)
            if self._waiting:
                await self._publish(self._waiting[:_RECORD_AT_ONCE])

    async def _sweep(self) -> None:
        before = self._clock() - timedelta(seconds=self._timing.abandoned)
        try:
            for channel in self._channels:
                for outcome in await self._outbox.unpublished(channel, before):
                    self.add(outcome)
        except OutboxError as error:
            await _sleep(self._outbox_outage.pause(error))

    async def _publish(self, batch: Sequence[Outcome]) -> None:
        try:
            await self._record([outcome.delivery for outcome in batch])
        except Exception as error:  # noqa: BLE001 - whatever keeps them out of Kafka, the outbox has them
            await _sleep(self._kafka_outage.pause(error))
            return
        self._kafka_outage.ends()
        self._on_step("outbox", "recorded")
        del self._waiting[: len(batch)]
        ids: dict[str, list[str]] = defaultdict(list)
        for outcome in batch:
            ids[outcome.delivery.channel].append(outcome.id)
        try:
            await self._outbox.published(ids)
        except OutboxError as error:
            # They stay noted, and a later sweep publishes them once more: better twice than never.
            await _sleep(self._outbox_outage.pause(error))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or until the time is up."""
    _heed_cancellation()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _sleep(seconds: float) -> None:
    _heed_cancellation()
    await asyncio.sleep(seconds)


def _heed_cancellation() -> None:
    """End a task that was cancelled and did not notice, before it waits again.

    redis-py writes under ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that arrives together
    with the result it waits for (https://github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
