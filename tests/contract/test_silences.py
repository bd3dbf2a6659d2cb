"""One suite for both stores of silences: what the interface promises, of Redis and of the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from alerts.silence import (
    KEPT,
    MemorySilences,
    RedisSilences,
    Silence,
    SilenceStore,
    Snapshot,
    add_silence,
    make_silence,
)
from connectors import embedded
from tests.unit.alerts.routing import firing

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def silence(query: str, starts: datetime = NOON, ends: datetime = NOON + HOUR) -> Silence:
    return make_silence(query, starts=starts, ends=ends, comment="Brücke gesperrt", by="ann", now=starts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("silences")) as running:
        yield running


@pytest.fixture
async def redis(server: embedded.Redis) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[SilenceStore]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemorySilences()
        else:
            client = await stack.enter_async_context(Redis.from_url(request.getfixturevalue("server").url))
            await client.flushall()
            yield RedisSilences(client, prefix="test")


async def test_nothing_is_there_at_first(store: SilenceStore) -> None:
    assert await store.all() == []
    assert await store.version() == await store.version()
    assert await store.expire("nothing", NOON) is None


async def test_silences_come_out_whole_in_the_order_of_their_start(store: SilenceStore) -> None:
    later, one, other = silence("c", NOON + HOUR / 2), silence("a"), silence("b")
    for some in (later, one, other):
        assert await store.add(some)
    assert await store.all() == [*sorted((one, other), key=lambda some: some.id), later]


async def test_every_change_is_another_version_and_nothing_else_is(store: SilenceStore) -> None:
    seen = [await store.version()]
    await store.add(silence("a"))
    seen.append(await store.version())
    assert not await store.add(silence("a"))
    assert await store.version() == seen[-1]
    await store.expire(silence("a").id, NOON + HOUR / 2)
    seen.append(await store.version())
    assert await store.expire(silence("a").id, NOON + HOUR / 2) is None
    assert await store.expire("nothing", NOON) is None
    await store.all()
    assert await store.version() == seen[-1]
    assert len(set(seen)) == 3


async def test_one_that_runs_ends_now_and_one_that_has_not_begun_never_begins(store: SilenceStore) -> None:
    runs, waits = silence("a"), silence("b", NOON + HOUR, NOON + 2 * HOUR)
    await store.add(runs)
    await store.add(waits)
    now = NOON + HOUR / 2
    ended = [await store.expire(some.id, now) for some in (runs, waits)]
    assert [(some.starts, some.ends) for some in ended if some] == [(NOON, now), (waits.starts, waits.starts)]
    assert await store.all() == ended
    assert [some.state(now) for some in await store.all()] == ["ended", "pending"]


async def test_one_that_was_ended_may_be_made_again(store: SilenceStore) -> None:
    await store.add(silence("a"))
    await store.expire(silence("a").id, NOON + HOUR / 4)
    assert await store.add(silence("a"))
    assert await store.all() == [silence("a")]


async def test_what_ended_long_ago_is_forgotten(store: SilenceStore) -> None:
    await store.add(silence("old"))
    await store.add(silence("kept", NOON, NOON + 2 * HOUR))
    much_later = NOON + KEPT + HOUR + timedelta(seconds=1)
    await store.add(silence("new", much_later, much_later + HOUR))
    assert [some.query for some in await store.all()] == ["kept", "new"]


async def test_many_at_once_are_all_kept(store: SilenceStore) -> None:
    many = [silence(f"word{number}") for number in range(20)]
    await asyncio.gather(*(store.add(some) for some in many))
    assert {some.id for some in await store.all()} == {some.id for some in many}
    assert await store.version() == 20


async def test_projects_in_one_redis_have_silences_of_their_own(redis: Redis) -> None:
    await RedisSilences(redis, prefix="one").add(silence("a"))
    assert await RedisSilences(redis, prefix="other").all() == []


async def test_a_silence_of_another_version_is_passed_over(redis: Redis) -> None:
    store = RedisSilences(redis)
    await store.add(silence("a"))
    await redis.hset(store._key, "strange", '{"id": "strange", "matchers": []}')
    assert await store.all() == [silence("a")]
    assert await store.add(silence("b"))
    assert {some.query for some in await store.all()} == {"a", "b"}


async def test_a_silence_of_a_button_is_seen_by_whoever_looks(redis: Redis) -> None:
    made = await add_silence(
        redis, "story:s-1 AND channel:desk", starts=NOON, ends=NOON + 2 * HOUR, comment="button", by="ann", now=NOON
    )
    snapshot = Snapshot(await RedisSilences(redis).all())
    assert snapshot.silences == (made,)
    assert snapshot.reason(firing(), "desk") is not None
    assert snapshot.reason(firing(), "log") is None
