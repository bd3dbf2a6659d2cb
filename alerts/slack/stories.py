"""Which message a story has in a Slack channel, so that what comes later finds it: after a restart, from any worker.

Whoever tells of a story holds it meanwhile, for some seconds: two workers never tell of one at the same time, and a worker
that dies lets go. Every method raises :class:`StoriesError` where the store cannot be used at the moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.slack.card import Card

#: How long it is remembered, after the last word of a story, which message it has. Later news of it begin another.
KEPT = timedelta(days=14)


class StoriesError(ConnectionError):
    """The store is away or refuses to work."""


class Told(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A story in a channel: its ``card``, and the message that shows it.

    ``ts`` is Slack's name for the message, and ``place`` the id of Slack's channel. Without a ``ts`` the message was about to
    be posted at ``at``, and it is not known whether it was. ``replying`` are alerts of which a reply was about to be posted.
    """

    card: Card
    at: datetime
    ts: str | None = None
    place: str | None = None
    replying: tuple[str, ...] = ()


class Stories(Protocol):
    """What is remembered of stories, by the channel of ``channels.yaml`` and the id of the story."""

    async def hold(self, channel: str, story: str, seconds: float) -> str | None:
        """Hold a story for so long at most; a word by which to save and to let go, or None while another holds it."""
        ...

    async def release(self, channel: str, story: str, word: str) -> None:
        """Let go of a story, if it is still held by this word."""
        ...

    async def load(self, channel: str, story: str) -> Told | None:
        """What is remembered of a story."""
        ...

    async def save(self, channel: str, story: str, told: Told | None, word: str) -> bool:
        """Remember it, or forget it; False, with nothing changed, if it is no longer held by this word."""
        ...


class MemoryStories:
    """It in memory, for tests and trials. What is held is held until it is let go of."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Told] = {}
        self._held: dict[tuple[str, str], str] = {}

    async def hold(self, channel: str, story: str, seconds: float) -> str | None:
        if (channel, story) in self._held:
            return None
        return self._held.setdefault((channel, story), secrets.token_hex(8))

    async def release(self, channel: str, story: str, word: str) -> None:
        if self._held.get((channel, story)) == word:
            del self._held[channel, story]

    async def load(self, channel: str, story: str) -> Told | None:
        return self._told.get((channel, story))

    async def save(self, channel: str, story: str, told: Told | None, word: str) -> bool:
        if self._held.get((channel, story)) != word:
            return False
        if told is None:
            self._told.pop((channel, story), None)
        else:
            self._told[channel, story] = told
        return True


#: KEYS the lock, what is remembered. ARGV the word, what to remember or nothing, for how long (ms).
_SAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
#: KEYS the lock. ARGV the word.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

_decode = msgspec.json.Decoder(Told).decode


class RedisStories:
    """It in Redis: a string for each story, and one beside it while somebody holds it.

    ``redis`` is a client that does not decode responses. It stays the caller's to close.
    """

    def __init__(self, redis: Redis, *, prefix: str = "wirewatch", kept: timedelta = KEPT) -> None:
        self._redis = redis
        self._prefix = prefix
        self._kept = kept // timedelta(milliseconds=1)
        self._save = redis.register_script(_SAVE)
        self._release = redis.register_script(_RELEASE)

    async def hold(self, channel: str, story: str, seconds: float) -> str | None:
        word = secrets.token_hex(8)
        with _translated():
            held: Any = await self._redis.set(self._lock(channel, story), word, nx=True, px=int(seconds * 1000))
        return word if held else None

    async def release(self, channel: str, story: str, word: str) -> None:
        with _translated():
            await self._release([self._lock(channel, story)], [word])

    async def load(self, channel: str, story: str) -> Told | None:
        with _translated():
            value: Any = await self._redis.get(self._key(channel, story))
        return None if value is None else _decode(value)

    async def save(self, channel: str, story: str, told: Told | None, word: str) -> bool:
        value = b"" if told is None else msgspec.json.encode(told)
        keys = [self._lock(channel, story), self._key(channel, story)]
        with _translated():
            return bool(await self._save(keys, [word, value, self._kept]))

    def _key(self, channel: str, story: str) -> str:
        return f"{self._prefix}:slack:{{{channel}}}:story:{story}"

    def _lock(self, channel: str, story: str) -> str:
        return f"{self._prefix}:slack:{{{channel}}}:held:{story}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoriesError(f"Redis: {error}") from error
