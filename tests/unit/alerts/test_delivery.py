from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alerts.delivery import Dispatcher, RetrySchedule, Timing
from alerts.health import Health, Limits
from alerts.notify.interface import Attempt, Dead, Result, Retry, Sent
from alerts.outbox import Counts, Leased, MemoryOutbox, OutboxError
from streams.core.records import Alert, Delivery, Grouping

Make = Callable[..., Alert]
NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)
BEGAN = time.monotonic()

#: Three attempts in quick succession.
QUICK = RetrySchedule(waits=(timedelta(milliseconds=10),) * 2)
OFTEN = Timing(poll=0.02, lease_margin=0.3)


def now() -> datetime:
    """A clock that starts when the alerts are new."""
    return NOW + timedelta(seconds=time.monotonic() - BEGAN)


@dataclass
class Script:
    """A notifier that answers as it is told: results are returned, exceptions raised, numbers waited for."""

    answers: list[Result | Exception | float] = field(default_factory=list)
    otherwise: Result | Exception | float = field(default_factory=lambda: Sent(200))
    concurrency: int = 8
    timeout: float = 0.2
    sent: list[str] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    at_once: int = 0
    busiest: int = 0

    async def probe(self) -> str:
        return "a script"

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        self.sent.append(alert.alert_id)
        self.attempts.append(attempt.number)
        answer = self.answers.pop(0) if self.answers else self.otherwise
        self.at_once += 1
        self.busiest = max(self.busiest, self.at_once)
        try:
            if isinstance(answer, float):
                await asyncio.sleep(answer)
                return Sent()
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Desk:
    """A dispatcher at work."""

    outbox: MemoryOutbox
    dispatcher: Dispatcher
    recorded: list[Delivery]

    async def alert(self, *alerts: Alert) -> None:
        await self.outbox.schedule(alerts, now())
        for channel in {alert.channel for alert in alerts}:
            self.dispatcher.kick(channel)

    def outcomes(self, alert_id: str = "al_1") -> list[str]:
        return [one.outcome for one in self.recorded if one.alert_id == alert_id]


@asynccontextmanager
async def desk(
    notifiers: dict[str, Any],
    outbox: MemoryOutbox | None = None,
    *,
    retries: RetrySchedule = QUICK,
    timing: Timing = OFTEN,
    grace: float = 1.0,
    health: Health | None = None,
) -> AsyncIterator[Desk]:
    outbox = outbox or MemoryOutbox()
    recorded: list[Delivery] = []

    async def record(deliveries: Sequence[Delivery]) -> None:
        recorded.extend(deliveries)

    dispatcher = Dispatcher(outbox, notifiers, record, clock=now, retries=retries, timing=timing, health=health)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield Desk(outbox, dispatcher, recorded)
    finally:
        await dispatcher.stop(grace)
        await running


async def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - conditions of all sorts
            await asyncio.sleep(0.002)


@dataclass
class Digests(Script):
    """A notifier that tells several alerts in one message."""

    batch: int = 3
    messages: list[list[str]] = field(default_factory=list)

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        self.messages.append([alert.alert_id for alert in alerts])
        return await self.send(alerts[0], attempt)


# --- the retry schedule


def leased(make_alert: Make, *, attempt: int = 1, failures: int = 0, since: datetime = NOW) -> Leased:
    return Leased((make_alert(),), attempt, failures, since, 1, "al_1")


def test_the_schedule_is_that_of_standard_webhooks(make_alert: Make) -> None:
    schedule = RetrySchedule()
    waits: list[float] = []
    for failures in range(20):
        due = schedule.next_attempt(leased(make_alert, failures=failures), Retry("no"), NOW, chance=0)
        if due is None:
            break
        waits.append((due - NOW).total_seconds())
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert schedule.horizon == timedelta(seconds=sum(waits))


@given(chance=st.floats(0, 1), asked=st.floats(1, 3600), status=st.sampled_from([None, 429, 500, 503]))
def test_nobody_is_asked_again_before_they_want_to_be(
    make_alert: Make, chance: float, asked: float, status: int | None
) -> None:
    due = RetrySchedule().next_attempt(leased(make_alert), Retry("no", asked, status), NOW, chance)
    assert due is not None
    earliest = max(asked, 5) if status != 429 else asked
    wait = (due - NOW).total_seconds()
    assert earliest - 0.001 <= wait <= earliest * 1.1 + 0.001


def test_throttling_is_no_failure_and_waits_longer_and_longer(make_alert: Make) -> None:
    schedule, throttled = RetrySchedule(), Retry("slow down", None, 429)
    waits = []
    for attempt in range(1, 12):
        due = schedule.next_attempt(leased(make_alert, attempt=attempt), throttled, NOW, chance=0)
        assert due is not None
        waits.append((due - NOW).total_seconds())
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_throttling_ends_with_the_horizon(make_alert: Make) -> None:
    schedule = RetrySchedule()
    old = leased(make_alert, attempt=900, since=NOW - schedule.horizon)
    assert schedule.next_attempt(old, Retry("slow down", 1, 429), NOW, chance=0) is None


def test_nothing_is_tried_again_that_would_be_too_old_by_then(make_alert: Make) -> None:
    schedule = RetrySchedule(waits=(timedelta(minutes=50), timedelta(minutes=20)), jitter=0, max_age=timedelta(hours=1))
    first, second = leased(make_alert), leased(make_alert, attempt=2, failures=1)
    assert schedule.next_attempt(first, Retry("no"), NOW, chance=0) == NOW + timedelta(minutes=50)
    assert schedule.next_attempt(second, Retry("no"), NOW + timedelta(minutes=50), chance=0) is None
    assert schedule.next_attempt(first, Retry("slow down", 3601, 429), NOW + timedelta(minutes=1), chance=0) is None


def test_alerts_are_not_sent_after_their_ends_are_forgotten() -> None:
    assert RetrySchedule().horizon * (1 + RetrySchedule().jitter) < RetrySchedule().max_age, "all attempts fit in"
    RetrySchedule(max_age=timedelta(days=7))
    with pytest.raises(ValueError, match="remembered for 7 days"):
        RetrySchedule(max_age=timedelta(days=7, seconds=1))


# --- the dispatcher


async def test_an_alert_that_is_too_old_is_not_sent_and_ends_with_the_reason(make_alert: Make) -> None:
    notifier = Script()
    hour = RetrySchedule(max_age=timedelta(hours=1))
    late = make_alert(alert_id="al_late", received=NOW - timedelta(hours=1, seconds=1))
    async with desk({"desk": notifier}, retries=hour) as at:
        with capture_logs() as logs:
            await at.alert(late, make_alert(alert_id="al_new"))
            await until(lambda: len(at.recorded) == 2)
        assert await at.outbox.schedule([late], now()) == 0, "it came to its end"
    assert notifier.sent == ["al_new"]
    (delivery,) = [one for one in at.recorded if one.alert_id == "al_late"]
    assert (delivery.outcome, delivery.attempt) == ("suppressed", 0)
    assert delivery.reason == "too old: its headline was received 2025-03-03 10:59 UTC (delivery.max_age)"
    assert [line["event"] for line in logs if line.get("alert_id") == "al_late"] == ["suppressed"]


async def test_an_alert_that_became_too_old_between_its_attempts_is_not_sent_again(make_alert: Make) -> None:
    """As after a worker that was stopped for long."""
    notifier, outbox = Script(), MemoryOutbox()
    await outbox.schedule([make_alert(received=NOW - timedelta(hours=2))], NOW - timedelta(hours=2))
    (first,) = await outbox.lease("desk", NOW - timedelta(hours=2), timedelta(seconds=30), 1)
    failed = Delivery(
        alert_id="al_1", channel="desk", rule="ferries", outcome="retry", attempt=1, at=NOW - timedelta(hours=2)
    )
    await outbox.finish(first, [failed], due=NOW - timedelta(hours=1))
    async with desk({"desk": notifier}, outbox, retries=RetrySchedule(max_age=timedelta(hours=1))) as at:
        await until(lambda: "suppressed" in at.outcomes())
    assert notifier.sent == []
    assert [one.attempt for one in at.recorded if one.outcome == "suppressed"] == [1], "one was made"


async def test_an_alert_is_sent_once_and_its_delivery_recorded(make_alert: Make) -> None:
    notifier = Script()
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await at.alert(make_alert())
        await until(lambda: bool(at.recorded))
    assert notifier.sent == ["al_1"]
    (delivery,) = at.recorded
    assert (delivery.outcome, delivery.attempt, delivery.status_code) == ("delivered", 1, 200)
    assert (delivery.channel, delivery.rule) == ("desk", "ferries")
    assert await at.outbox.counts("desk", now()) == Counts(queued=0, due=0, leased=0, done=1, dead=0)
    assert await at.outbox.unpublished("desk", now() + timedelta(hours=1)) == []


async def test_a_kick_sends_at_once(make_alert: Make) -> None:
    notifier = Script()
    async with desk({"desk": notifier}, timing=Timing(poll=60)) as at:
        await asyncio.sleep(0.05)
        for index in range(3):
            await at.alert(make_alert(alert_id=f"a{index}"))
            await until(lambda index=index: len(notifier.sent) > index)  # type: ignore[misc]  # sooner than the poll
        at.dispatcher.kick("a channel of another worker")


async def test_what_others_scheduled_is_found_without_a_kick(make_alert: Make) -> None:
    notifier = Script()
    async with desk({"desk": notifier}) as at:
        await asyncio.sleep(0.05)
        await at.outbox.schedule([make_alert()], now())
        await until(lambda: notifier.sent == ["al_1"])


async def test_a_slow_channel_delays_no_other(make_alert: Make) -> None:
    slow, quick = Script(otherwise=30.0, concurrency=1, timeout=60), Script()
    async with desk({"slow": slow, "desk": quick}, grace=0) as at:
        await at.alert(*(make_alert(alert_id=f"s{n}", channel="slow") for n in range(5)))
        await at.alert(*(make_alert(alert_id=f"d{n}") for n in range(50)))
        await until(lambda: len(quick.sent) == 50, within=1)
        assert len(slow.sent) == 1


async def test_a_pool_sends_no_more_at_once_than_its_notifier_allows(make_alert: Make) -> None:
    one, four = Script(otherwise=0.005, concurrency=1), Script(otherwise=0.005, concurrency=4)
    async with desk({"one": one, "four": four}) as at:
        names = [f"a{n:02}" for n in range(20)]
        await at.alert(*(make_alert(alert_id=name, channel=channel) for name in names for channel in ("one", "four")))
        await until(lambda: len(at.recorded) == 40)
    assert (one.busiest, four.busiest) == (1, 4)
    assert one.sent == names, "one at a time is in order"


async def test_a_failure_is_tried_again_until_it_works(make_alert: Make) -> None:
    notifier = Script(answers=[Retry("busy", None, 503), Retry("no connection")])
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await until(lambda: len(at.recorded) == 3)
    assert at.outcomes() == ["retry", "retry", "delivered"]
    assert [one.attempt for one in at.recorded] == notifier.attempts == [1, 2, 3]
    assert (at.recorded[0].status_code, at.recorded[0].reason) == (503, "busy")


async def test_an_alert_that_nobody_takes_is_dead_and_kept(make_alert: Make) -> None:
    notifier = Script(otherwise=Retry("busy", None, 500))
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await until(lambda: "dead" in at.outcomes())
        await asyncio.sleep(0.1)
    assert at.outcomes() == ["retry", "retry", "dead"]
    assert at.recorded[-1].reason == "given up after 3 attempts: busy"
    assert [one async for one in at.outbox.dead("desk", now())] == [make_alert()]


async def test_an_alert_that_is_refused_for_good_is_not_tried_again(make_alert: Make) -> None:
    notifier = Script(otherwise=Dead("gone", 410))
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await until(lambda: at.outcomes() == ["dead"])
        await asyncio.sleep(0.1)
    assert notifier.sent == ["al_1"]


async def test_a_throttled_channel_pauses_and_loses_nothing(make_alert: Make) -> None:
    """Slack takes a message a second: a burst must neither be lost nor hammer on."""
    notifier = Script(answers=[Sent(), *[Retry("slow down", 0.1, 429)] * 5], concurrency=1)
    quick = RetrySchedule(waits=(timedelta(seconds=60),), longest_throttle=timedelta(milliseconds=20))
    async with desk({"desk": notifier}, retries=quick) as at:
        started = time.monotonic()
        await at.alert(*(make_alert(alert_id=f"a{n}") for n in range(10)))
        await until(lambda: [one.outcome for one in at.recorded].count("delivered") == 10)
        assert time.monotonic() - started >= 0.5
    assert len(notifier.sent) == 15
    assert [one.outcome for one in at.recorded].count("retry") == 5


async def test_a_notifier_that_trips_over_an_alert_does_not_stop_its_channel(make_alert: Make) -> None:
    notifier = Script(answers=[RuntimeError("https://hooks.example/hunter2")])
    with capture_logs() as logs:
        async with desk({"desk": notifier}) as at:
            await at.alert(make_alert(alert_id="bad"), make_alert(alert_id="good"))
            await until(lambda: at.outcomes("good") == ["delivered"] and "delivered" in at.outcomes("bad"))
    assert at.outcomes("bad") == ["retry", "delivered"]
    assert "the notifier failed: RuntimeError" in {one.reason for one in at.recorded}
    (failed,) = (one for one in logs if one["event"] == "notifier failed")
    assert "raise answer" in failed["at"]
    assert "hunter2" not in repr(logs) + repr(at.recorded)


async def test_a_send_ends_before_its_lease_does(make_alert: Make) -> None:
    notifier = Script(answers=[30.0], timeout=0.05)
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await until(lambda: at.outcomes() == ["retry", "delivered"])
    assert at.recorded[0].reason == "not sent within 0.05 s"


class Counting(MemoryOutbox):
    """An outbox that counts how often it is asked."""

    leases = 0
    publications = 0

    async def lease(self, *args: Any, **kwargs: Any) -> list[Leased]:
        self.leases += 1
        return await super().lease(*args, **kwargs)

    async def published(self, *args: Any, **kwargs: Any) -> None:
        self.publications += 1
        await super().published(*args, **kwargs)


async def test_where_nothing_waits_a_sender_that_ends_asks_for_no_more(make_alert: Make) -> None:
    outbox = Counting()
    async with desk({"desk": Script()}, outbox, timing=Timing(poll=60)) as at:
        await until(lambda: outbox.leases == 1)
        for number in range(1, 6):
            await at.alert(make_alert(alert_id=f"a{number}"))
            await until(lambda number=number: len(at.recorded) == number)  # type: ignore[misc]
        assert outbox.leases == 6


async def test_where_more_waits_than_there_are_senders_each_that_ends_asks_for_the_next(make_alert: Make) -> None:
    notifier = Script(otherwise=0.002, concurrency=2)
    async with desk({"desk": notifier}, timing=Timing(poll=60)) as at:
        await at.alert(*(make_alert(alert_id=f"a{n:02}") for n in range(21)))
        await until(lambda: len(notifier.sent) == 21)


async def test_what_comes_to_its_end_about_the_same_time_is_recorded_together(make_alert: Make) -> None:
    outbox = Counting()
    async with desk({"desk": Script()}, outbox, timing=Timing(poll=60, gather=0.5)) as at:
        for number in range(5):
            await at.alert(make_alert(alert_id=f"a{number}"))
            await asyncio.sleep(0.005)
        await until(lambda: len(at.recorded) == 5)
        await until(lambda: outbox.publications > 0)
        assert outbox.publications == 1


async def test_a_dispatcher_that_stops_waits_for_nothing_more_to_record(make_alert: Make) -> None:
    notifier = Script()
    async with desk({"desk": notifier}, timing=Timing(poll=60, gather=3600), grace=60) as at:
        await at.alert(make_alert())
        await until(lambda: bool(notifier.sent))
    assert at.outcomes() == ["delivered"]


class Shaky(MemoryOutbox):
    """An outbox that can go away."""

    away = False

    async def lease(self, *args: Any, **kwargs: Any) -> list[Leased]:
        self._answer()
        return await super().lease(*args, **kwargs)

    async def finish(self, *args: Any, **kwargs: Any) -> bool:
        self._answer()
        return await super().finish(*args, **kwargs)

    def _answer(self) -> None:
        if self.away:
            raise OutboxError("Redis: connection refused")


async def test_an_outbox_that_is_away_is_waited_for_and_said_once(make_alert: Make) -> None:
    outbox, notifier = Shaky(), Script(answers=[0.05])
    with capture_logs() as logs:
        async with desk({"desk": notifier, "other": Script()}, outbox) as at:
            await at.alert(make_alert())
            await until(lambda: notifier.at_once == 1)
            outbox.away = True
            await at.alert(make_alert(alert_id="al_2"))
            await asyncio.sleep(0.8)  # longer than the lease
            assert at.recorded == []
            outbox.away = False
            await until(lambda: len(at.recorded) == 2)
    assert notifier.sent == ["al_1", "al_2"], "what was sent before is not sent again"
    assert [one["event"] for one in logs if one["log_level"] in {"warning", "info"}] == ["away, waiting", "back"]


async def test_deliveries_that_kafka_does_not_take_are_kept_and_recorded_later(make_alert: Make) -> None:
    outbox = MemoryOutbox()
    recorded: list[Delivery] = []
    kafka_up = False

    async def record(deliveries: Sequence[Delivery]) -> None:
        if not kafka_up:
            raise ConnectionError("no broker")
        recorded.extend(deliveries)

    dispatcher = Dispatcher(outbox, {"desk": Script()}, record, clock=now, timing=OFTEN)
    running = asyncio.create_task(dispatcher.run())
    with capture_logs() as logs:
        await outbox.schedule([make_alert(alert_id=f"a{n}") for n in range(5)], now())
        await asyncio.sleep(0.2)
        later = now() + timedelta(hours=1)
        assert len(await outbox.unpublished("desk", later)) == 5
        kafka_up = True
        await until(lambda: len(recorded) == 5)
        await dispatcher.stop()
    await running
    assert await outbox.unpublished("desk", later) == []
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["away, waiting"]


async def test_outcomes_that_a_dead_worker_left_are_published(make_alert: Make) -> None:
    outbox, past = MemoryOutbox(), now() - timedelta(minutes=2)
    await outbox.schedule([make_alert()], past)
    (held,) = await outbox.lease("desk", past, timedelta(seconds=30), 1)
    left = Delivery(alert_id="al_1", channel="desk", rule="ferries", outcome="delivered", attempt=1, at=past)
    await outbox.finish(held, [left])
    async with desk({"desk": Script()}, outbox) as at:
        await until(lambda: at.recorded == [left])


async def test_stopping_lets_what_is_on_its_way_arrive(make_alert: Make) -> None:
    notifier = Script(otherwise=0.15)
    async with desk({"desk": notifier}) as at:
        await at.alert(make_alert())
        await until(lambda: notifier.at_once == 1)
    assert at.outcomes() == ["delivered"]


async def test_what_does_not_arrive_in_time_is_sent_by_the_next_worker(make_alert: Make) -> None:
    outbox, stuck, fresh = MemoryOutbox(), Script(otherwise=30.0), Script()
    async with desk({"desk": stuck}, outbox, grace=0.05) as at:
        await at.alert(make_alert())
        await until(lambda: stuck.at_once == 1)
    assert at.recorded == []
    assert (await outbox.counts("desk", now())).leased == 1
    async with desk({"desk": fresh}, outbox) as next_worker:
        await until(lambda: next_worker.outcomes() == ["delivered"])
    assert fresh.attempts == [2]


async def test_a_delivery_after_the_lease_had_ended_is_told_all_the_same(make_alert: Make) -> None:
    outbox, notifier = MemoryOutbox(), Script(otherwise=0.1)
    async with desk({"desk": notifier}, outbox) as at:
        await at.alert(make_alert())
        await until(lambda: notifier.at_once == 1)
        outbox.lose_everything()
        await until(lambda: at.outcomes() == ["delivered"])


async def test_stopping_what_never_ran_returns() -> None:
    async def record(_: Sequence[Delivery]) -> None:
        """Nothing will come."""

    await asyncio.wait_for(Dispatcher(MemoryOutbox(), {}, record, clock=now).stop(), 1)


async def test_a_channel_that_fails_is_paused_and_what_waits_keeps_its_attempts(make_alert: Make) -> None:
    notifier = Script(answers=[Retry("no connection")] * 2, concurrency=1)
    health = Health(Limits(failures=2, first_pause=timedelta(seconds=0.3)))
    async with desk({"desk": notifier}, health=health, retries=RetrySchedule(waits=(timedelta(seconds=60),))) as at:
        await at.alert(*(make_alert(alert_id=f"al_{n}") for n in range(5)))
        await until(lambda: len(at.recorded) == 5)
    assert notifier.sent == [f"al_{n}" for n in range(5)]
    assert [(one.outcome, one.attempt) for one in at.recorded] == [("retry", 1)] * 2 + [("delivered", 1)] * 3
    assert at.recorded[2].at - at.recorded[1].at >= timedelta(seconds=0.3)


async def test_the_alerts_of_a_channel_that_is_gone_end_as_dead_unsent(make_alert: Make) -> None:
    notifier = Script(answers=[Dead("harbour.example answered 410", 410)], concurrency=1)
    async with desk({"desk": notifier, "other": Script()}) as at:
        await at.alert(*(make_alert(alert_id=f"al_{n}") for n in (1, 2)), make_alert(alert_id="al_3", channel="other"))
        await until(lambda: len(at.recorded) == 3)
    assert notifier.sent == ["al_1"]
    assert at.outcomes("al_3") == ["delivered"]
    (unsent,) = (one for one in at.recorded if one.alert_id == "al_2")
    assert (unsent.outcome, unsent.attempt) == ("dead", 0)
    assert str(unsent.reason).startswith("its channel is disabled since 2025-03-03 12:")
    assert str(unsent.reason).endswith("harbour.example answered 410")


# --- groups

SOON = Grouping(key="all", wait=0.05)


async def test_a_group_is_sent_in_one_message_and_each_alert_has_its_end(make_alert: Make) -> None:
    notifier = Digests([Retry("busy")])
    async with desk({"desk": notifier}) as at:
        await at.alert(*(make_alert(alert_id=name, group=SOON) for name in "abcd"))
        await until(lambda: at.outcomes("d") == ["delivered"] and at.outcomes("a")[-1:] == ["delivered"])
    assert notifier.messages == [["a", "b", "c"], ["a", "b", "c"]], "what was tried again is the same"
    assert notifier.sent.count("d") == 1, "one alone is sent as such"
    assert {name: at.outcomes(name) for name in "abc"} == {name: ["retry", "delivered"] for name in "abc"}


async def test_a_notifier_without_digests_is_sent_the_alerts_of_a_group_one_by_one(make_alert: Make) -> None:
    notifier = Script()
    async with desk({"desk": notifier}) as at:
        await at.alert(*(make_alert(alert_id=name, group=SOON) for name in "abc"))
        await until(lambda: len(at.recorded) == 3)
    assert sorted(notifier.sent) == ["a", "b", "c"]


async def test_what_is_too_old_is_taken_out_of_its_message(make_alert: Make) -> None:
    notifier = Digests()
    old = make_alert(alert_id="old", group=SOON, received=NOW - timedelta(hours=2))
    async with desk({"desk": notifier}, retries=RetrySchedule(max_age=timedelta(hours=1))) as at:
        await at.alert(old, *(make_alert(alert_id=name, group=SOON) for name in "ab"))
        await until(lambda: len(at.recorded) == 3)
    assert notifier.messages == [["a", "b"]]
    assert [at.outcomes(name) for name in ("old", "a", "b")] == [["suppressed"], ["delivered"], ["delivered"]]
