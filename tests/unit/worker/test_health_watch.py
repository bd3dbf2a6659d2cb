from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from alerts.health import DISABLE_AFTER, Disabled, Health, MemoryHealth
from alerts.notify.interface import Dead, Retry, Sent
from streams.core.records import Alert
from streams.worker.health import HealthWatch

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


@dataclass
class Bench:
    """Some workers over one store, their clock, and what they published."""

    store: MemoryHealth = field(default_factory=MemoryHealth)
    now: datetime = NOON
    published: list[Alert] = field(default_factory=list)

    def worker(self, channels: Sequence[str] = ("desk", "log", "ops"), **to: str) -> tuple[Health, HealthWatch]:
        health = Health()
        for name in channels:
            health.of(name)
        return health, HealthWatch(self.store, health, channels, to, self._publish, clock=lambda: self.now)

    async def _publish(self, alerts: Sequence[Alert]) -> None:
        self.published += alerts


async def test_what_one_worker_disables_all_know_and_one_other_channel_is_told() -> None:
    bench = Bench()
    (one, watch), (other, other_watch) = bench.worker(), bench.worker()
    one.of("desk").note(Dead("gone", 410), NOON)
    for looks in (watch, other_watch, watch, other_watch):
        await looks.look()
    assert one.of("desk").disabled == other.of("desk").disabled
    assert other.of("desk").disabled is not None
    assert [alert.channel for alert in bench.published] == ["log"]


async def test_the_channel_that_is_named_is_told_unless_it_is_disabled_too() -> None:
    bench = Bench()
    health, watch = bench.worker(desk="ops", log="desk")
    health.of("desk").note(Dead("gone", 410), NOON)
    await watch.look()
    health.of("log").note(Dead("gone", 410), NOON)
    await watch.look()
    assert [(alert.channel, alert.headline.headline.headline.split()[2]) for alert in bench.published] == [
        ("ops", "desk"),
        ("ops", "log"),
    ]


async def test_where_nobody_is_left_to_be_told_nothing_is_published() -> None:
    bench = Bench()
    health, watch = bench.worker(["desk"])
    health.of("desk").note(Dead("gone", 410), NOON)
    await watch.look()
    assert (bench.published, (await bench.store.disabled())["desk"].told) == ([], True)


async def test_a_channel_that_fails_for_five_days_without_a_success_is_disabled_across_restarts() -> None:
    bench = Bench()
    for hours in range(0, 120, 24):
        bench.now = NOON + timedelta(hours=hours)
        health, watch = bench.worker()
        health.of("desk").note(Retry("no connection"), bench.now)
        await watch.look()
    assert await bench.store.disabled() == {}
    bench.now = NOON + DISABLE_AFTER
    await watch.look()
    assert await bench.store.disabled() == {}, "it fails no more, as far as is known: nothing was sent"
    health.of("desk").note(Retry("no connection"), bench.now)
    await watch.look()
    assert (await bench.store.disabled())["desk"].reason == "it has failed for 5 days without a success"
    assert [alert.channel for alert in bench.published] == ["log"]


@pytest.mark.parametrize(
    "first", [Dead("the template, line 3: there is no `x`"), Retry("Slack answered 503", None, 503)]
)
async def test_a_quiet_channel_is_not_disabled_by_two_troubles_days_apart(first: Dead | Retry) -> None:
    bench = Bench()
    health, watch = bench.worker()
    health.of("desk").note(first, NOON)
    await watch.look()
    bench.now = NOON + DISABLE_AFTER + timedelta(hours=1)
    health.of("desk").note(Retry("Slack answered 503", None, 503), bench.now)
    await watch.look()
    assert await bench.store.disabled() == {}


async def test_an_alert_that_is_wrong_says_nothing_against_its_channel_however_often() -> None:
    bench = Bench()
    health, watch = bench.worker()
    for hours in range(0, 200, 12):
        bench.now = NOON + timedelta(hours=hours)
        health.of("desk").note(Dead("Slack refuses it: invalid_blocks", 200), bench.now)
        await watch.look()
    assert await bench.store.disabled() == {}


async def test_one_success_of_any_worker_in_between_keeps_it() -> None:
    bench = Bench()
    (one, watch), (other, other_watch) = bench.worker(), bench.worker()
    one.of("desk").note(Retry("no connection"), NOON)
    await watch.look()
    other.of("desk").note(Sent(200), NOON)
    await other_watch.look()
    bench.now = NOON + 2 * DISABLE_AFTER
    one.of("desk").note(Retry("no connection"), bench.now)
    await watch.look()
    assert await bench.store.disabled() == {}


async def test_who_died_before_it_told_is_stood_in_for() -> None:
    bench = Bench()
    await bench.store.disable(Disabled(channel="desk", since=NOON, reason="gone"))
    _, watch = bench.worker()
    await watch.look()
    assert bench.published == []
    bench.now = NOON + timedelta(minutes=1)
    await watch.look()
    await watch.look()
    assert [alert.channel for alert in bench.published] == ["log"]


async def test_what_cannot_be_told_now_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    health, watch = bench.worker()
    health.of("desk").note(Dead("gone", 410), NOON)

    async def away(*_: object) -> None:
        raise RedisConnectionError("no Redis")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "note", away)
        with pytest.raises(RedisConnectionError):
            await watch.look()
    await watch.look()
    assert list(await bench.store.disabled()) == ["desk"]


async def test_a_store_that_is_away_is_told_of_once_and_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    _, watch = bench.worker()
    looks, enough = 0, asyncio.Event()

    async def away() -> dict[str, Disabled]:
        nonlocal looks
        looks += 1
        if looks < 4:
            raise RedisConnectionError("no Redis")
        if looks == 6:
            enough.set()
        return {}

    monkeypatch.setattr(bench.store, "disabled", away)
    monkeypatch.setattr("streams.worker.health.EVERY", 0.0)
    with capture_logs() as logs:
        running = asyncio.create_task(watch.run())
        await enough.wait()
        running.cancel()
    assert [line["event"] for line in logs] == ["away, waiting", "back"]


async def test_a_channel_that_was_enabled_by_hand_is_sent_to_again() -> None:
    bench = Bench()
    health, watch = bench.worker()
    health.of("desk").note(Dead("gone", 410), NOON)
    await watch.look()
    await bench.store.enable("desk")
    await watch.look()
    assert health.of("desk").disabled is None
