"""One suite for both stores of how channels do: what the interface promises, of Redis and of the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from alerts.health import APART, Disabled, Failing, HealthStore, MemoryHealth, RedisHealth
from connectors import embedded

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GONE = Disabled(channel="desk", since=NOON, reason="Überfahrt answered 410")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("health")) as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[HealthStore]:
    if request.param == "memory":
        yield MemoryHealth()
        return
    async with Redis.from_url(request.getfixturevalue("server").url) as client:
        await client.flushall()
        yield RedisHealth(client, prefix="test")


async def test_nothing_is_there_at_first(store: HealthStore) -> None:
    assert (await store.failing(), await store.disabled()) == ({}, {})
    await store.note([], {})
    await store.told("desk")
    assert await store.enable("desk") is False
    assert (await store.failing(), await store.disabled()) == ({}, {})


def at(hours: float, until: float | None = None) -> Failing:
    """Failures from so many hours after noon, until so many."""
    return Failing(NOON + hours * HOUR, NOON + (hours if until is None else until) * HOUR)


async def test_a_channel_fails_from_its_first_failure_to_its_last_until_it_works(store: HealthStore) -> None:
    await store.note([], {"desk": at(0), "log": at(0)})
    await store.note([], {"desk": at(1, 2)})
    assert await store.failing() == {"desk": at(0, 2), "log": at(0)}
    await store.note(["desk"], {})
    assert await store.failing() == {"log": at(0)}


async def test_who_worked_and_then_failed_fails_since_then(store: HealthStore) -> None:
    await store.note([], {"desk": at(0)})
    await store.note(["desk"], {"desk": at(1)})
    assert await store.failing() == {"desk": at(1)}


async def test_failures_far_apart_are_two_troubles(store: HealthStore) -> None:
    apart = APART / HOUR
    await store.note([], {"desk": at(0, 3), "log": at(0, 3)})
    await store.note([], {"desk": at(3 + apart), "log": at(3.5 + apart)})
    assert await store.failing() == {"desk": at(0, 3 + apart), "log": at(3.5 + apart)}


async def test_workers_tell_of_failures_in_any_order(store: HealthStore) -> None:
    await store.note([], {"desk": at(5, 6), "log": at(200)})
    await store.note([], {"desk": at(4, 5), "log": at(0)})
    assert await store.failing() == {"desk": at(4, 6), "log": at(200)}


async def test_what_many_workers_tell_at_once_is_all_there(store: HealthStore) -> None:
    told = [store.note(["log"] if n % 2 else [], {"desk": at(n)}) for n in range(10)]
    await asyncio.gather(*told)
    assert await store.failing() == {"desk": at(0, 9)}


async def test_a_channel_is_disabled_by_the_first_who_says_so(store: HealthStore) -> None:
    assert await store.disable(GONE) is True
    assert await store.disable(Disabled(channel="desk", since=NOON + HOUR, reason="another")) is False
    assert await store.disabled() == {"desk": GONE}


async def test_it_is_noted_that_somebody_was_told(store: HealthStore) -> None:
    await store.disable(GONE)
    await store.told("desk")
    assert (await store.disabled())["desk"].told
    await store.told("other")
    assert list(await store.disabled()) == ["desk"]


async def test_an_enabled_channel_begins_anew(store: HealthStore) -> None:
    await store.note([], {"desk": at(0), "log": at(0)})
    await store.disable(GONE)
    await store.told("desk")
    assert await store.enable("desk") is True
    assert (await store.failing(), await store.disabled()) == ({"log": at(0)}, {})
    assert await store.disable(GONE) is True
    assert not (await store.disabled())["desk"].told


async def test_what_another_version_wrote_of_a_channel_is_passed_over(server: embedded.Redis) -> None:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        store = RedisHealth(client, prefix="test")
        await store.disable(GONE)
        await client.hset("test:{health}:disabled", "strange", '{"state": "off"}')
        assert await store.disabled() == {"desk": GONE}
