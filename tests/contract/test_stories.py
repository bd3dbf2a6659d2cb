"""One suite for both stores of which message a story has: what the interface promises, of Redis and of the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from alerts.slack.card import Card, Line, Reason
from alerts.slack.stories import MemoryStories, RedisStories, Stories, StoriesError, Told
from connectors import embedded

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
LINE = Line(headline_id="h", seq=1, text="Fähren fahren", published=NOON, received=NOON, source="wire")
CARD = Card(
    story_id="s",
    lines=(LINE,),
    reasons=(Reason(name="r", title="R", severity="low", seq=1),),
    told=("al_1",),
    seqs=(1,),
)
TOLD = Told(card=CARD, at=NOON, ts="1.000001", place="C0DESK", replying=("al_2",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("stories")) as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
async def stories(request: pytest.FixtureRequest) -> AsyncIterator[Stories]:
    if request.param == "memory":
        yield MemoryStories()
        return
    async with Redis.from_url(request.getfixturevalue("server").url) as client:
        await client.flushall()
        yield RedisStories(client, prefix="test")


async def held(stories: Stories, story: str = "s") -> str:
    word = await stories.hold("desk", story, 30)
    assert word is not None
    return word


async def test_what_is_saved_is_there_for_its_channel_and_story_alone(stories: Stories) -> None:
    assert await stories.load("desk", "s") is None
    assert await stories.save("desk", "s", TOLD, await held(stories)) is True
    assert await stories.load("desk", "s") == TOLD
    assert await stories.load("log", "s") is None
    assert await stories.load("desk", "t") is None


async def test_it_is_forgotten_where_that_is_said(stories: Stories) -> None:
    word = await held(stories)
    await stories.save("desk", "s", TOLD, word)
    assert await stories.save("desk", "s", None, word) is True
    assert await stories.load("desk", "s") is None


async def test_a_story_is_held_by_one_at_a_time_and_others_are_free(stories: Stories) -> None:
    word = await held(stories)
    assert await stories.hold("desk", "s", 30) is None
    assert await stories.hold("desk", "t", 30) is not None
    assert await stories.hold("log", "s", 30) is not None
    await stories.release("desk", "s", "another word")
    assert await stories.hold("desk", "s", 30) is None
    await stories.release("desk", "s", word)
    assert await held(stories) != word


async def test_who_holds_a_story_no_more_changes_nothing(stories: Stories) -> None:
    old = await held(stories)
    await stories.release("desk", "s", old)
    assert await stories.save("desk", "s", TOLD, old) is False
    await held(stories)
    assert await stories.save("desk", "s", TOLD, old) is False
    assert await stories.load("desk", "s") is None


async def test_in_redis_who_died_lets_go_and_old_stories_are_forgotten(server: embedded.Redis) -> None:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        stories = RedisStories(client, prefix="test", kept=timedelta(milliseconds=30))
        assert await stories.hold("desk", "s", 0.03)
        while (word := await stories.hold("desk", "s", 30)) is None:  # noqa: ASYNC110 - what is waited for is in Redis
            await asyncio.sleep(0.01)
        await stories.save("desk", "s", TOLD, word)
        while await stories.load("desk", "s") is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_redis_that_is_away_is_told_as_such() -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as client:
        stories = RedisStories(client)
        for call in (stories.load("desk", "s"), stories.hold("desk", "s", 1), stories.save("desk", "s", TOLD, "w")):
            with pytest.raises(StoriesError):
                await call
