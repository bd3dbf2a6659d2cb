"""Where silences are kept: in Redis, for all workers.

Whoever asks often asks for the version, which changes with any silence, and for the silences only when it has changed. So
a worker knows of a silence within a poll, and asks nothing for a headline.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec
import structlog
from redis.asyncio import Redis

from alerts.silence.silence import KEPT, Silence, make_silence

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(Silence).decode
_encode = msgspec.json.Encoder().encode


class SilenceStore(Protocol):
    """Keeps silences, and forgets those that ended long ago (:data:`KEPT`)."""

    async def version(self) -> int:
        """A number that is another after any change."""

    async def all(self) -> list[Silence]:
        """All silences, the pending and ended ones too, in the order in which they start."""

    async def add(self, silence: Silence) -> bool:
        """Keep a silence; False if it is there already and was not ended before its time."""

    async def expire(self, silence_id: str, now: datetime) -> Silence | None:
        """End a silence now, and return it as it is then; None if there is none of that id that has not ended."""


def _ended(silence: Silence, now: datetime) -> Silence | None:
    """A silence that ends now, or, had it not begun, never begins; None if it had ended."""
    if silence.ends <= now:
        return None
    return msgspec.structs.replace(silence, ends=max(now, silence.starts))


def _is_there(silences: Mapping[str, Silence], silence: Silence) -> bool:
    """Whether a silence is among others, and not ended before its time."""
    return silence.id in silences and silences[silence.id].ends >= silence.ends


def _in_order(silences: Any) -> list[Silence]:
    return sorted(silences, key=lambda silence: (silence.starts, silence.id))


class MemorySilences:
    """Silences in memory, for tests and trials."""

    def __init__(self) -> None:
        self._silences: dict[str, Silence] = {}
        self._version = 0

    async def version(self) -> int:
        return self._version

    async def all(self) -> list[Silence]:
        return _in_order(self._silences.values())

    async def add(self, silence: Silence) -> bool:
        if _is_there(self._silences, silence):
            return False
        forgotten = [one.id for one in self._silences.values() if one.ends < silence.made - KEPT]
        for name in forgotten:
            del self._silences[name]
        self._silences[silence.id] = silence
        self._version += 1
        return True

    async def expire(self, silence_id: str, now: datetime) -> Silence | None:
        silence = self._silences.get(silence_id)
        ended = _ended(silence, now) if silence else None
        if ended is not None:
            self._silences[silence_id] = ended
            self._version += 1
        return ended


class RedisSilences:
    """Silences in Redis: a hash of them by id, and a counter beside it, changed together.

    ``redis`` is a client that does not decode responses. It stays the caller's to close. Every method raises RedisError
    or OSError where Redis is away.
    """

    def __init__(self, redis: Redis, *, prefix: str = "wirewatch") -> None:
        self._redis = redis
        self._key = f"{prefix}:{{silences}}:all"
        self._counter = f"{prefix}:{{silences}}:version"

    async def version(self) -> int:
        return int(await self._redis.get(self._counter) or 0)

    async def all(self) -> list[Silence]:
        return _in_order((await self._read(self._redis)).values())

    async def add(self, silence: Silence) -> bool:
        async def change(pipe: Any) -> bool:
            found = await self._read(pipe)
            pipe.multi()
            if _is_there(found, silence):
                return False
            forgotten = [one.id for one in found.values() if one.ends < silence.made - KEPT]
            if forgotten:
                pipe.hdel(self._key, *forgotten)
            pipe.hset(self._key, silence.id, _encode(silence))
            pipe.incr(self._counter)
            return True

        return bool(await self._change(change))

    async def expire(self, silence_id: str, now: datetime) -> Silence | None:
        async def change(pipe: Any) -> Silence | None:
            silence = (await self._read(pipe)).get(silence_id)
            ended = _ended(silence, now) if silence else None
            pipe.multi()
            if ended is not None:
                pipe.hset(self._key, silence_id, _encode(ended))
                pipe.incr(self._counter)
            return ended

        found: Silence | None = await self._change(change)
        return found

    async def _change(self, change: Any) -> Any:
        """Change what is read and written in one step; where somebody else came in between, all over again."""
        return await self._redis.transaction(change, self._key, value_from_callable=True)

    async def _read(self, client: Any) -> dict[str, Silence]:
        """The silences by id, without those that cannot be read: they may come from another version."""
        found = {}
        for name, value in (await client.hgetall(self._key)).items():
            try:
                silence = _decode(value)
            except msgspec.DecodeError as error:
                log.warning("a silence cannot be read and silences nothing", id=name.decode(), error=str(error))
            else:
                found[silence.id] = silence
        return found


async def add_silence(  # noqa: PLR0913 - as make_silence
    redis: Redis,
    query: str,
    *,
    starts: datetime,
    ends: datetime,
    comment: str,
    by: str,
    now: datetime,
    prefix: str = "wirewatch",
) -> Silence:
    """Make a silence and keep it in Redis, where every worker sees it within a second. Made twice, it is one.

    To mute a story: ``query=quoted("story", story_id)``; a rule: ``quoted("rule", name)``; either for one channel:
    ``f'{quoted("story", story_id)} AND {quoted("channel", name)}'``.

    Raises:
        SilenceError: it cannot be so.
        RedisError, OSError: Redis is away.
    """
    silence = make_silence(query, starts=starts, ends=ends, comment=comment, by=by, now=now)
    await RedisSilences(redis, prefix=prefix).add(silence)
    return silence
