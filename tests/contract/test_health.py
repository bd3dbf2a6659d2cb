"""One suite for both stores of how channels do: what the interface promises, of Redis and of the fake in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from alerts.health import Disabled, HealthStore, MemoryHealth, RedisHealth
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


async def test_a_channel_fails_since_its_first_failure_until_it_works(store: HealthStore) -> None:
    await store.note([], {"desk": NOON, "log": NOON})
    await store.note([], {"desk": NOON + HOUR})
    assert await store.failing() == {"desk": NOON, "log": NOON}
    await store.note(["desk"], {})
    assert await store.failing() == {"log": NOON}


async def test_who_worked_and_then_failed_fails_since_then(store: HealthStore) -> None:
    await store.note([], {"desk": NOON})
    await store.note(["desk"], {"desk": NOON + HOUR})
    assert await store.failing() == {"desk": NOON + HOUR}


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
    await store.note([], {"desk": NOON, "log": NOON})
    await store.disable(GONE)
    await store.told("desk")
    assert await store.enable("desk") is True
    assert (await store.failing(), await store.disabled()) == ({"log": NOON}, {})
    assert await store.disable(GONE) is True
    assert not (await store.disabled())["desk"].told


async def test_what_another_version_wrote_of_a_channel_is_passed_over(server: embedded.Redis) -> None:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        store = RedisHealth(client, prefix="test")
        await store.disable(GONE)
        await client.hset("test:{health}:disabled", "strange", '{"state": "off"}')
        assert await store.disabled() == {"desk": GONE}
