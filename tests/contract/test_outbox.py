"""One suite for both outboxes: what the interface promises, of Redis and of the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from alerts.outbox import Counts, Durability, Leased, MemoryOutbox, Outbox, OutboxError, RedisOutbox
from connectors import embedded
from streams.core.records import Alert, Classified, Delivery, FiredRule, Grouping, Headline

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
TTL = timedelta(days=7)


def alert(name: str, channel: str = "desk") -> Alert:
    headline = Headline(headline=f"Headline of {name}", published=NOW, source="wire")
    return Alert(
        alert_id=name,
        channel=channel,
        rule=FiredRule(name="any", title="Any", severity="low", revision="1"),
        headline=Classified(id=f"h-{name}", seq=1, position="t:0:1", received=NOW, headline=headline, story_id="s"),
    )


def delivery(leased: Leased, outcome: Any, at: datetime) -> Delivery:
    return Delivery(
        alert_id=leased.alerts[0].alert_id,
        channel=leased.alerts[0].channel,
        rule="any",
        outcome=outcome,
        attempt=leased.attempt,
        at=at,
    )


def outcome_id(leased: Leased) -> str:
    [outcome] = leased.outcomes([delivery(leased, "delivered", NOW)])
    return outcome.id


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@dataclass
class Bench:
    """An outbox, empty at first, and a way to lose its data."""

    outbox: Outbox
    lose: Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("outbox")) as running:
        yield running


@asynccontextmanager
async def redis_bench(url: str) -> AsyncIterator[Bench]:
    async with Redis.from_url(url) as client:
        await client.flushall()
        yield Bench(RedisOutbox(client, prefix="test", terminal_ttl=TTL), client.flushall)


@asynccontextmanager
async def memory_bench() -> AsyncIterator[Bench]:
    outbox = MemoryOutbox(terminal_ttl=TTL)

    async def lose() -> None:
        outbox.lose_everything()

    yield Bench(outbox, lose)


@pytest.fixture(params=["memory", "redis"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield await stack.enter_async_context(memory_bench())
        else:
            url = request.getfixturevalue("server").url
            yield await stack.enter_async_context(redis_bench(url))


@pytest.fixture
def outbox(bench: Bench) -> Outbox:
    return bench.outbox


def ids(leased: list[Leased]) -> list[str]:
    return [one.alerts[0].alert_id for one in leased]


async def test_alerts_come_out_whole_and_in_the_order_they_went_in(outbox: Outbox) -> None:
    names = [f"{(index * 7919) % 500:03}" for index in range(500)]
    assert await outbox.schedule([alert(name) for name in names], NOW) == 500
    leased = await outbox.lease("desk", NOW, LEASE, 1000)
    assert ids(leased) == names
    assert leased[0].alerts[0] == alert("000")
    assert {(one.attempt, one.failures, one.since) for one in leased} == {(1, 0, NOW)}


async def test_an_alert_is_scheduled_once_while_queued_leased_done_or_dead(outbox: Outbox) -> None:
    everything = [alert("queued"), alert("leased"), alert("done"), alert("dead")]
    await outbox.schedule(everything[1:], NOW)
    _, done, dead = await outbox.lease("desk", NOW, LEASE, 10)
    await outbox.finish(done, [delivery(done, "delivered", NOW)])
    await outbox.finish(dead, [delivery(dead, "dead", NOW)])
    assert await outbox.schedule(everything, later(1)) == 1
    assert await outbox.schedule(everything, later(2)) == 0
    assert await outbox.counts("desk", later(2)) == Counts(queued=1, due=1, leased=1, done=1, dead=1)
    assert [one async for one in outbox.dead("desk", later(2))] == [alert("dead")]


async def test_the_first_payload_of_an_alert_is_kept(outbox: Outbox) -> None:
    changed = Alert(
        alert_id="a",
        channel="desk",
        rule=FiredRule(name="any", title="Changed", severity="low", revision="2"),
        headline=alert("a").headline,
    )
    await outbox.schedule([alert("a")], NOW)
    await outbox.schedule([changed], NOW)
    (leased,) = await outbox.lease("desk", NOW, LEASE, 10)
    assert leased.alerts[0] == alert("a")


async def test_channels_do_not_see_each_other(outbox: Outbox) -> None:
    await outbox.schedule([alert("a", "desk"), alert("a", "archive"), alert("b", "archive")], NOW)
    assert ids(await outbox.lease("archive", NOW, LEASE, 10)) == ["a", "b"]
    assert (await outbox.counts("desk", NOW)).queued == 1
    assert await outbox.lease("nobody", NOW, LEASE, 10) == []


async def test_a_lease_is_exclusive_until_it_ends(outbox: Outbox) -> None:
    await outbox.schedule([alert("a"), alert("b")], NOW)
    assert ids(await outbox.lease("desk", NOW, LEASE, 1)) == ["a"]
    assert ids(await outbox.lease("desk", NOW, LEASE, 5)) == ["b"]
    assert await outbox.lease("desk", later(29), LEASE, 5) == []
    assert await outbox.counts("desk", later(29)) == Counts(queued=0, due=0, leased=2, done=0, dead=0)
    again = await outbox.lease("desk", later(30), LEASE, 5)
    assert sorted(ids(again)) == ["a", "b"]
    assert {one.attempt for one in again} == {2}
    assert {one.failures for one in again} == {0}, "a crash speaks against the worker, not the alert"


async def test_a_stale_token_changes_nothing_and_says_so(outbox: Outbox) -> None:
    await outbox.schedule([alert("a")], NOW)
    (old,) = await outbox.lease("desk", NOW, LEASE, 1)
    (new,) = await outbox.lease("desk", later(31), LEASE, 1)
    assert new.token > old.token
    for outcome, due in (("delivered", None), ("dead", None), ("retry", later(60))):
        assert not await outbox.finish(old, [delivery(old, outcome, later(32))], due=due)
    assert await outbox.unpublished("desk", later(100)) == []
    assert await outbox.counts("desk", later(32)) == Counts(queued=0, due=0, leased=1, done=0, dead=0)
    assert await outbox.finish(new, [delivery(new, "delivered", later(33))])
    assert not await outbox.finish(new, [delivery(new, "delivered", later(33))]), "a lease ends once"


async def test_a_late_finish_counts_where_nobody_else_has_taken_the_alert(outbox: Outbox) -> None:
    await outbox.schedule([alert("a")], NOW)
    (leased,) = await outbox.lease("desk", NOW, LEASE, 1)
    assert await outbox.finish(leased, [delivery(leased, "delivered", later(60))])
    assert await outbox.lease("desk", later(120), LEASE, 1) == []


async def test_a_retry_comes_back_when_due_and_counts_its_failures(outbox: Outbox) -> None:
    await outbox.schedule([alert("a")], NOW)
    (leased,) = await outbox.lease("desk", NOW, LEASE, 1)
    await outbox.finish(leased, [delivery(leased, "retry", NOW)], due=later(5))
    assert await outbox.counts("desk", later(1)) == Counts(queued=1, due=0, leased=0, done=0, dead=0)
    assert await outbox.lease("desk", later(4.9), LEASE, 1) == []
    (leased,) = await outbox.lease("desk", later(5), LEASE, 1)
    assert (leased.attempt, leased.failures, leased.since) == (2, 1, NOW)
    await outbox.finish(leased, [delivery(leased, "retry", later(5))], due=later(6), excused=True)
    (leased,) = await outbox.lease("desk", later(6), LEASE, 1)
    assert (leased.attempt, leased.failures) == (3, 1)


async def test_only_a_retry_is_due_again(outbox: Outbox) -> None:
    await outbox.schedule([alert("a")], NOW)
    (leased,) = await outbox.lease("desk", NOW, LEASE, 1)
    with pytest.raises(ValueError, match="only then"):
        await outbox.finish(leased, [delivery(leased, "retry", NOW)])
    with pytest.raises(ValueError, match="only then"):
        await outbox.finish(leased, [delivery(leased, "delivered", NOW)], due=later(5))


async def test_terminal_markers_expire(outbox: Outbox) -> None:
    await outbox.schedule([alert("done"), alert("dead")], NOW)
    done, dead = await outbox.lease("desk", NOW, LEASE, 2)
    await outbox.finish(done, [delivery(done, "delivered", NOW)])
    await outbox.finish(dead, [delivery(dead, "dead", NOW)])
    before, after = NOW + TTL - timedelta(seconds=1), NOW + TTL
    assert await outbox.schedule([alert("done"), alert("dead")], before) == 0
    assert await outbox.counts("desk", after) == Counts(queued=0, due=0, leased=0, done=0, dead=0)
    assert [one async for one in outbox.dead("desk", after)] == []
    assert await outbox.schedule([alert("done"), alert("dead")], after) == 2


async def test_it_holds_what_waits_and_what_has_ended_and_nothing_else(outbox: Outbox) -> None:
    await outbox.schedule([alert("dead"), alert("done"), alert("leased"), alert("queued")], NOW)
    dead, done, _ = await outbox.lease("desk", NOW, LEASE, 3)
    await outbox.finish(dead, [delivery(dead, "dead", NOW)])
    await outbox.finish(done, [delivery(done, "delivered", NOW)])
    known = {"dead", "done", "leased", "queued"}
    assert await outbox.holds("desk", [*sorted(known), "unknown"]) == known
    assert await outbox.holds("archive", known) == set()
    assert await outbox.holds("desk", []) == set()


async def died(outbox: Outbox, *names: str) -> None:
    await outbox.schedule([alert(name) for name in names], NOW)
    for leased in await outbox.lease("desk", NOW, LEASE, len(names)):
        assert await outbox.finish(leased, [delivery(leased, "dead", NOW)])


async def test_dead_alerts_are_put_back_as_if_they_were_new(outbox: Outbox) -> None:
    await died(outbox, "a", "b", "c")
    await outbox.published({"desk": [one.id for one in await outbox.unpublished("desk", later(1))]})
    assert await outbox.revive("desk", [alert("a"), alert("c"), alert("unknown")], later(60)) == 2
    assert [one.alert_id async for one in outbox.dead("desk", later(60))] == ["b"]
    leased = await outbox.lease("desk", later(60), LEASE, 9)
    assert [(one.alerts[0], one.attempt, one.failures, one.since) for one in leased] == [
        (alert("a"), 1, 0, later(60)),
        (alert("c"), 1, 0, later(60)),
    ]
    noted = [outcome.delivery for outcome in await outbox.unpublished("desk", later(61))]
    assert [(one.alert_id, one.outcome, one.attempt, one.reason) for one in noted] == [
        ("a", "retry", 0, "put back by hand"),
        ("c", "retry", 0, "put back by hand"),
    ]
    assert await outbox.revive("desk", [alert("a")], later(61)) == 0, "it is dead no more"


async def test_what_is_dead_comes_a_few_at_a_time_and_may_be_put_back_meanwhile(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.outbox.redis._IDS", 100)
    names = [f"{index:03}" for index in range(450)]
    for name in names:
        await outbox.schedule([alert(name)], NOW)
        (leased,) = await outbox.lease("desk", NOW, LEASE, 1)
        await outbox.finish(leased, [delivery(leased, "dead", later(int(name) // 9))])
    came: list[str] = []
    async for one in outbox.dead("desk", later(60)):
        came.append(one.alert_id)
        assert await outbox.revive("desk", [one], later(60)) == 1
        if len(came) == 1:
            assert await outbox.revive("desk", [alert(names[-1])], later(60)) == 1
    assert came == names[:-1], "the longest dead first, and those that are dead no more are left out"
    assert (await outbox.counts("desk", later(60))).queued == 450


async def test_what_died_again_is_dead_again_and_what_is_forgotten_stays_so(outbox: Outbox) -> None:
    await died(outbox, "a", "b")
    await outbox.revive("desk", [alert("a")], later(1))
    (leased,) = await outbox.lease("desk", later(1), LEASE, 9)
    assert await outbox.finish(leased, [delivery(leased, "dead", later(1))])
    assert {one.alert_id async for one in outbox.dead("desk", later(2))} == {"a", "b"}
    assert await outbox.revive("desk", [alert("b")], NOW + TTL) == 0


async def test_a_channel_is_forgotten_that_holds_something_and_that_nobody_serves(outbox: Outbox) -> None:
    await outbox.schedule([alert("a", "desk"), alert("b", "gone"), alert("c", "old{}-1")], NOW)
    await outbox.serve(["desk", "empty"], later(60))
    assert await outbox.forgotten(later(1)) == {"gone", "old{}-1"}
    assert await outbox.forgotten(later(60)) == {"desk", "gone", "old{}-1"}
    for one in await outbox.lease("gone", NOW, LEASE, 1):
        await outbox.finish(one, [delivery(one, "suppressed", NOW)])
    assert "gone" in await outbox.forgotten(NOW), "its outcome is not in Kafka yet"
    await outbox.published({"gone": [outcome.id for outcome in await outbox.unpublished("gone", later(1))]})
    assert "gone" not in await outbox.forgotten(NOW)
    assert (await outbox.counts("gone", NOW)).done == 1


async def test_who_serves_a_channel_for_longer_is_not_cut_short(outbox: Outbox) -> None:
    await outbox.schedule([alert("a")], NOW)
    for seconds in (60, 90, 10):
        await outbox.serve(["desk"], later(seconds))
    assert await outbox.forgotten(later(89)) == set()
    assert await outbox.forgotten(later(90)) == {"desk"}


async def test_outcomes_stay_until_they_are_published(outbox: Outbox) -> None:
    await outbox.schedule([alert("a"), alert("b")], NOW)
    first, second = await outbox.lease("desk", NOW, LEASE, 2)
    retried = delivery(first, "retry", later(1))
    delivered = delivery(second, "delivered", later(2))
    await outbox.finish(first, [retried], due=later(9))
    await outbox.finish(second, [delivered])
    found = await outbox.unpublished("desk", later(3))
    assert [outcome.delivery for outcome in found] == [retried, delivered]
    assert await outbox.unpublished("desk", later(2)) == found[:1], "only what is older"
    assert await outbox.unpublished("desk", later(3), limit=1) == found[:1]
    assert found[0].id == outcome_id(first)
    await outbox.published({"desk": [outcome_id(first), "unknown"]})
    await outbox.published({"desk": []})
    assert await outbox.unpublished("desk", later(3)) == found[1:]


async def test_the_epoch_tells_of_lost_data(bench: Bench) -> None:
    outbox = bench.outbox
    assert await outbox.epoch("desk") is None
    word = await outbox.begin_epoch("desk")
    assert await outbox.begin_epoch("desk") == word
    assert await outbox.epoch("desk") == word
    assert await outbox.epoch("archive") is None
    await bench.lose()
    assert await outbox.epoch("desk") is None
    assert await outbox.begin_epoch("desk") != word


async def test_what_was_lost_is_restored_less_what_had_ended(bench: Bench) -> None:
    outbox = bench.outbox
    topic = [alert("delivered"), alert("waiting"), alert("new")]
    await outbox.schedule(topic, NOW)
    await bench.lose()
    assert await outbox.restore(topic, {"delivered"}, later(1)) == 2
    assert await outbox.restore(topic, {"delivered"}, later(2)) == 0, "another worker restores as well"
    assert await outbox.schedule(topic, later(3)) == 0, "Kafka redelivers the topic"
    assert ids(await outbox.lease("desk", later(3), LEASE, 10)) == ["waiting", "new"]


async def test_restoring_ends_what_is_known_to_have_ended(outbox: Outbox) -> None:
    await outbox.schedule([alert("a"), alert("b")], NOW)
    (leased, _) = await outbox.lease("desk", NOW, LEASE, 2)
    assert await outbox.restore([alert("a"), alert("b")], {"a", "b"}, NOW) == 0
    assert not await outbox.finish(leased, [delivery(leased, "delivered", NOW)])
    assert await outbox.counts("desk", NOW) == Counts(queued=0, due=0, leased=0, done=2, dead=0)


async def test_a_token_from_before_a_loss_is_stale_after_it(bench: Bench) -> None:
    outbox = bench.outbox
    await outbox.schedule([alert("a")], NOW)
    (old,) = await outbox.lease("desk", NOW, LEASE, 1)
    await bench.lose()
    await outbox.schedule([alert("a")], later(1))
    (new,) = await outbox.lease("desk", later(1), LEASE, 1)
    assert not await outbox.finish(old, [delivery(old, "delivered", later(2))])
    assert await outbox.finish(new, [delivery(new, "delivered", later(2))])


# --- what only Redis has


async def test_redis_says_when_alerts_are_on_disk(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench:
        await bench.outbox.schedule([alert("a")], NOW)
        assert await bench.outbox.durable() is Durability.SYNCED
        assert await bench.outbox.durable() is Durability.SYNCED, "with nothing to wait for"


async def test_redis_without_an_append_only_file_says_so(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:
        await client.config_set("appendonly", "no")
        try:
            await bench.outbox.schedule([alert("a")], NOW)
            assert await bench.outbox.durable() is Durability.OFF
        finally:
            await client.config_set("appendonly", "yes")


async def test_redis_that_lost_what_was_not_on_disk_gets_it_again(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench:
        await bench.outbox.schedule([alert("a")], NOW)
        await bench.lose()
        assert await bench.outbox.durable() is Durability.SYNCED
        assert ids(await bench.outbox.lease("desk", NOW, LEASE, 10)) == ["a"]


async def test_redis_that_is_slow_to_sync_is_late_and_asked_again(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:
        await client.config_set("appendfsync", "no")
        try:
            await bench.outbox.schedule([alert("a")], NOW)
            assert await bench.outbox.durable(timeout=0.05) is Durability.LATE
        finally:
            await client.config_set("appendfsync", "everysec")
        assert await bench.outbox.durable() is Durability.SYNCED


async def test_much_is_confirmed_in_parts_of_which_none_is_told_again(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:

        async def told() -> int:
            """How often anything was scheduled, by calls of the script."""
            return int(await client.get("test:outbox:{desk}:tokens") or 0) - int(NOW.timestamp() * 1000)

        await client.config_set("appendfsync", "no")
        try:
            for n in range(12):
                await bench.outbox.schedule([alert(f"{n}-{m}") for m in range(1_000)], NOW)
            before = await told()
            assert await bench.outbox.durable(timeout=0.01) is Durability.LATE
            assert await told() - before == 25, "5,000 alerts, 200 a call"
        finally:
            await client.config_set("appendfsync", "everysec")
        before = await told()
        assert await bench.outbox.durable() is Durability.SYNCED
        assert await told() - before == 60
        assert await bench.outbox.durable() is Durability.SYNCED
        assert await told() - before == 60, "nothing is left to confirm"
        assert (await bench.outbox.counts("desk", NOW)).queued == 12_000


async def test_redis_that_forgot_the_scripts_is_told_them_again(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:
        await client.script_flush()
        await bench.outbox.schedule([alert("a")], NOW)
        await client.script_flush()
        (leased,) = await bench.outbox.lease("desk", NOW, LEASE, 1)
        await client.script_flush()
        assert await bench.outbox.finish(leased, [delivery(leased, "delivered", NOW)])


async def test_an_absent_redis_is_an_outbox_error(tmp_path: Path) -> None:
    with embedded.Redis(tmp_path) as server:
        url = server.url
    async with Redis.from_url(url, retry=None) as client:
        outbox = RedisOutbox(client)
        with pytest.raises(OutboxError, match="Redis"):
            await outbox.schedule([alert("a")], NOW)
        with pytest.raises(OutboxError):
            await outbox.lease("desk", NOW, LEASE, 1)


async def test_what_redis_could_not_confirm_is_confirmed_later(tmp_path: Path) -> None:
    with embedded.Redis(tmp_path) as server:
        async with Redis.from_url(server.url, retry=None) as client:
            outbox = RedisOutbox(client)
            await outbox.schedule([alert("a")], NOW)
            server.kill()
            with pytest.raises(OutboxError):
                await outbox.durable()
            server.restart()
            assert await outbox.durable() is Durability.SYNCED
            assert ids(await outbox.lease("desk", NOW, LEASE, 1)) == ["a"]


async def test_redis_keeps_nothing_of_what_is_over(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:
        await bench.outbox.schedule([alert("done"), alert("dead")], NOW)
        done, dead = await bench.outbox.lease("desk", NOW, LEASE, 2)
        await bench.outbox.finish(done, [delivery(done, "delivered", NOW)])
        await bench.outbox.finish(dead, [delivery(dead, "dead", NOW)])
        await bench.outbox.published({"desk": [outcome_id(done), outcome_id(dead)]})
        await bench.outbox.schedule([alert("last")], NOW + TTL)
        (last,) = await bench.outbox.lease("desk", NOW + TTL, LEASE, 1)
        await bench.outbox.finish(last, [delivery(last, "delivered", NOW + TTL)])
        await bench.outbox.published({"desk": [outcome_id(last)]})
        assert sorted(await client.keys()) == [b"test:outbox:{desk}:done", b"test:outbox:{desk}:tokens"]
        assert await client.zrange("test:outbox:{desk}:done", 0, -1) == [b"last"]


# --- groups

IRAN = Grouping(key="iran", wait=30, interval=300)


def grouped(*names: str, group: Grouping = IRAN) -> list[Alert]:
    return [msgspec.structs.replace(alert(name), group=group) for name in names]


def messages(leased: list[Leased]) -> list[list[str]]:
    return [[alert.alert_id for alert in one.alerts] for one in leased]


def all_of(leased: Leased, outcome: Any, at: datetime) -> list[Delivery]:
    """One outcome for all alerts of a message."""
    first = delivery(leased, outcome, at)
    return [msgspec.structs.replace(first, alert_id=alert.alert_id) for alert in leased.alerts]


async def test_a_group_goes_in_one_message_after_its_wait(outbox: Outbox) -> None:
    assert await outbox.schedule(grouped("a", "b"), NOW) == 2
    assert await outbox.schedule([*grouped("c", "b"), alert("alone")], later(10)) == 2
    assert await outbox.counts("desk", later(10)) == Counts(queued=4, due=1, leased=0, done=0, dead=0)
    assert messages(await outbox.lease("desk", later(29), LEASE, 9, 9)) == [["alone"]]
    [message] = await outbox.lease("desk", later(30), LEASE, 9, 9)
    assert messages([message]) == [["a", "b", "c"]]
    assert message.since == NOW
    assert await outbox.counts("desk", later(30)) == Counts(queued=0, due=0, leased=4, done=0, dead=0)
    assert await outbox.finish(message, all_of(message, "delivered", later(31)))
    assert await outbox.schedule(grouped("a", "b", "c"), later(32)) == 0
    assert [one.delivery.alert_id for one in await outbox.unpublished("desk", later(99))] == ["a", "b", "c"]


async def test_the_next_message_of_a_group_waits_for_its_interval_and_a_quiet_group_begins_anew(outbox: Outbox) -> None:
    await outbox.schedule(grouped("a"), NOW)
    [first] = await outbox.lease("desk", later(30), LEASE, 9, 9)
    assert await outbox.finish(first, all_of(first, "delivered", later(30)))
    await outbox.schedule(grouped("b"), later(40))
    await outbox.schedule(grouped("c"), later(329))
    assert await outbox.lease("desk", later(329), LEASE, 9, 9) == []
    [second] = await outbox.lease("desk", later(330), LEASE, 9, 9)
    assert messages([second]) == [["b", "c"]]
    assert await outbox.finish(second, all_of(second, "delivered", later(330)))
    await outbox.schedule(grouped("d"), later(700))
    assert await outbox.lease("desk", later(729), LEASE, 9, 9) == []
    assert messages(await outbox.lease("desk", later(730), LEASE, 9, 9)) == [["d"]]


async def test_a_lone_alert_of_a_group_without_a_wait_goes_at_once_and_what_follows_in_one_message(
    outbox: Outbox,
) -> None:
    rate = Grouping(key="rate", interval=1)
    await outbox.schedule(grouped("a", group=rate), NOW)
    assert messages(await outbox.lease("desk", NOW, LEASE, 9, 9)) == [["a"]]
    await outbox.schedule(grouped("b", group=rate), later(0.2))
    await outbox.schedule(grouped("c", group=rate), later(0.9))
    assert await outbox.lease("desk", later(0.9), LEASE, 9, 9) == []
    assert messages(await outbox.lease("desk", later(1), LEASE, 9, 9)) == [["b", "c"]]


async def test_every_attempt_sends_the_same_message_and_what_comes_later_is_for_the_next(outbox: Outbox) -> None:
    await outbox.schedule(grouped("a", "b"), NOW)
    [first] = await outbox.lease("desk", later(30), LEASE, 9, 9)
    await outbox.schedule(grouped("c"), later(31))
    assert await outbox.finish(first, all_of(first, "retry", later(32)), due=later(40))
    [again] = await outbox.lease("desk", later(40), LEASE, 9, 9)
    assert (again.alerts, again.message, again.attempt, again.failures) == (first.alerts, first.message, 2, 1)
    [after_a_crash] = await outbox.lease("desk", later(71), LEASE, 9, 9)
    assert after_a_crash.alerts == first.alerts
    assert not await outbox.finish(again, all_of(again, "delivered", later(72))), "the lease has passed on"
    assert await outbox.finish(after_a_crash, all_of(after_a_crash, "delivered", later(73)))
    assert messages(await outbox.lease("desk", later(330), LEASE, 9, 9)) == [["c"]]


async def test_what_is_more_than_a_message_takes_becomes_messages_of_their_own(outbox: Outbox) -> None:
    await outbox.schedule(grouped(*"abcde"), NOW)
    await outbox.schedule([alert("later")], later(30))
    leased = await outbox.lease("desk", later(30), LEASE, 9, 2)
    assert messages(leased) == [["a", "b"], ["c", "d"], ["e"], ["later"]]
    assert len({one.token for one in leased}) == 4
    for one in leased:
        assert await outbox.finish(one, all_of(one, "delivered", later(31)))
    assert await outbox.counts("desk", later(31)) == Counts(queued=0, due=0, leased=0, done=6, dead=0)


async def test_alerts_of_a_message_may_end_apart(outbox: Outbox) -> None:
    await outbox.schedule(grouped("late", "a", "b"), NOW)
    [message] = await outbox.lease("desk", later(30), LEASE, 9, 9)
    late, *others = all_of(message, "retry", later(31))
    ended = [msgspec.structs.replace(late, outcome="suppressed"), *others]
    assert await outbox.finish(message, ended, due=later(35))
    [again] = await outbox.lease("desk", later(35), LEASE, 9, 9)
    assert messages([again]) == [["a", "b"]]
    assert await outbox.finish(again, all_of(again, "dead", later(36)))
    assert await outbox.counts("desk", later(36)) == Counts(queued=0, due=0, leased=0, done=1, dead=2)
    assert await outbox.revive("desk", grouped("a", "b"), later(40)) == 2
    assert messages(await outbox.lease("desk", later(40), LEASE, 9, 9)) == [["a"], ["b"]]


async def test_groups_and_channels_are_collected_apart(outbox: Outbox) -> None:
    russia = Grouping(key="russia", wait=10, interval=60)
    for_all = [msgspec.structs.replace(alert("x", "archive"), group=IRAN), *grouped("a"), *grouped("b", group=russia)]
    await outbox.schedule(for_all, NOW)
    assert messages(await outbox.lease("desk", later(10), LEASE, 9, 9)) == [["b"]]
    assert messages(await outbox.lease("desk", later(30), LEASE, 9, 9)) == [["a"]]
    assert messages(await outbox.lease("archive", later(30), LEASE, 9, 9)) == [["x"]]


async def test_a_group_that_was_lost_is_restored_less_what_had_ended(bench: Bench) -> None:
    await bench.outbox.schedule(grouped("a", "b", "c"), NOW)
    await bench.outbox.restore(grouped("a", "b"), {"a"}, later(1))
    assert await bench.outbox.holds("desk", ["a", "b", "c", "d"]) == {"a", "b", "c"}
    await bench.lose()
    assert await bench.outbox.restore(grouped("a", "b", "c"), {"a"}, later(5)) == 2
    assert messages(await bench.outbox.lease("desk", later(35), LEASE, 9, 9)) == [["b", "c"]]


async def test_a_message_whose_alerts_have_all_ended_is_no_more(outbox: Outbox) -> None:
    await outbox.schedule(grouped("a", "b"), NOW)
    await outbox.restore(grouped("a", "b"), {"a", "b"}, later(1))
    assert await outbox.counts("desk", later(1)) == Counts(queued=0, due=0, leased=0, done=2, dead=0)
    await outbox.schedule(grouped("c"), later(2))
    assert messages(await outbox.lease("desk", later(32), LEASE, 9, 9)) == [["c"]]


async def test_redis_keeps_nothing_of_a_group_that_is_over(server: embedded.Redis) -> None:
    async with redis_bench(server.url) as bench, Redis.from_url(server.url) as client:
        await bench.outbox.schedule(grouped(*"abc"), NOW)
        for one in await bench.outbox.lease("desk", later(30), LEASE, 9, 2):
            await bench.outbox.finish(one, all_of(one, "delivered", later(30)))
        await bench.outbox.schedule([alert("x")], later(330))
        [last] = await bench.outbox.lease("desk", later(330), LEASE, 9, 2)
        await bench.outbox.finish(last, all_of(last, "delivered", later(330)))
        outcomes = await bench.outbox.unpublished("desk", later(999))
        await bench.outbox.published({"desk": [outcome.id for outcome in outcomes]})
        assert sorted(await client.keys()) == [b"test:outbox:{desk}:done", b"test:outbox:{desk}:tokens"]


# --- any order of events


@dataclass
class ModelJob:
    """What the model knows of an alert that has not ended; ``due`` may be the end of its lease."""

    due: datetime
    attempts: int = 0
    failures: int = 0
    holder: int | None = None


@dataclass
class Model:
    """The outbox in a few lines: no order, no tokens, no time to live."""

    jobs: dict[str, ModelJob] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    unpublished: int = 0


class Machine(RuleBasedStateMachine):
    """Workers lease, crash, are late and finish in any order: nothing is lost or had by two at once."""

    held = Bundle("held")
    open_bench: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.context = self.open_bench()
        self.outbox: Outbox = self.do(self.context.__aenter__()).outbox
        self.model = Model()
        self.now = NOW
        self.leases = 0

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.do(self.context.__aexit__(None, None, None))
        self.loop.close()

    @initialize()
    def begins_empty(self) -> None:
        assert self.do(self.outbox.counts("desk", self.now)) == Counts(0, 0, 0, 0, 0)

    @rule(names=st.lists(st.sampled_from("abcdefgh"), max_size=5, unique=True))
    def schedules(self, names: list[str]) -> None:
        new = [name for name in names if name not in self.model.jobs and name not in self.model.ended]
        assert self.do(self.outbox.schedule([alert(name) for name in names], self.now)) == len(new)
        self.model.jobs |= {name: ModelJob(self.now) for name in new}

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(target=held, limit=st.integers(1, 3))
    def leases_some(self, limit: int) -> Any:
        due = {name for name, job in self.model.jobs.items() if job.due <= self.now}
        leased = self.do(self.outbox.lease("desk", self.now, LEASE, limit))
        names = ids(leased)
        assert len(names) == len(set(names)) == min(limit, len(due))
        assert set(names) <= due
        for one in leased:
            job = self.model.jobs[one.alerts[0].alert_id]
            job.attempts += 1
            assert (one.attempt, one.failures) == (job.attempts, job.failures)
            assert one.token > self.leases
            self.leases = one.token
            job.holder, job.due = one.token, self.now + LEASE
        return leased

    @rule(leased=consumes(held), outcome=st.sampled_from(["delivered", "dead", "retry"]), excused=st.booleans())
    def finishes(self, leased: list[Leased], outcome: str, excused: bool) -> None:
        for one in leased:
            due = self.now + timedelta(seconds=5) if outcome == "retry" else None
            job = self.model.jobs.get(one.alerts[0].alert_id)
            holds = job is not None and job.holder == one.token
            told = delivery(one, outcome, self.now)
            assert self.do(self.outbox.finish(one, [told], due=due, excused=excused)) == holds
            if job is None or not holds:
                continue
            self.model.unpublished += 1
            if due is None:
                del self.model.jobs[one.alerts[0].alert_id]
                self.model.ended[one.alerts[0].alert_id] = outcome
            else:
                job.holder, job.due = None, due
                job.failures += not excused

    @rule(leased=consumes(held))
    def crashes(self, leased: list[Leased]) -> None:
        """The worker is gone; its leases run out by themselves."""

    @rule()
    def publishes(self) -> None:
        found = self.do(self.outbox.unpublished("desk", self.now + timedelta(seconds=1)))
        assert len(found) == self.model.unpublished
        self.do(self.outbox.published({"desk": [outcome.id for outcome in found]}))
        self.model.unpublished = 0

    @rule(names=st.lists(st.sampled_from("abcdefgh"), max_size=3, unique=True))
    def restores(self, names: list[str]) -> None:
        self.do(self.outbox.restore([alert(name) for name in names], set(self.model.ended), self.now))
        for name in names:
            if name not in self.model.ended:
                self.model.jobs.setdefault(name, ModelJob(self.now))

    @invariant()
    def counts_agree(self) -> None:
        jobs = self.model.jobs.values()
        leased = sum(job.holder is not None and job.due > self.now for job in jobs)
        ended = list(self.model.ended.values())
        assert self.do(self.outbox.counts("desk", self.now)) == Counts(
            queued=len(jobs) - leased,
            due=sum(job.due <= self.now for job in jobs),
            leased=leased,
            done=ended.count("delivered"),
            dead=ended.count("dead"),
        )


_STEPS = settings(max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_memory_keeps_its_promises_in_any_order() -> None:
    class MemoryMachine(Machine):
        open_bench = staticmethod(memory_bench)

    run_state_machine_as_test(MemoryMachine, settings=_STEPS)


def test_redis_keeps_its_promises_in_any_order(server: embedded.Redis) -> None:
    class RedisMachine(Machine):
        open_bench = staticmethod(lambda: redis_bench(server.url))

    run_state_machine_as_test(RedisMachine, settings=_STEPS)
