"""Which workers there are and what each goes by, kept in Redis for whoever asks: ``wirewatch doctor`` does.

A hash ``{prefix}:workers`` holds a line of JSON for each worker, which it renews every few seconds and takes away when it
ends. A line that was not renewed is of a worker that was killed, or is cut off.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: Seconds after which a worker renews its line, and looks whether it changed what it goes by.
EVERY = 2.0
#: Who has not renewed a line for so long does not count as working.
GONE_AFTER = timedelta(seconds=30)
_AWAY = (RedisError, OSError, asyncio.TimeoutError)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A worker: where it runs, the revisions of the rules and of the taxonomy that it goes by, and when it said so."""

    host: str
    process: int
    rules: str
    taxonomy: str
    at: datetime

    @property
    def name(self) -> str:
        """What a person finds it by."""
        return f"{self.host}:{self.process}"


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Entry).decode


class Roster:
    """The line of one worker. ``revisions`` gives those of the rules and of the taxonomy in force."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        token: str,
        revisions: Callable[[], tuple[str, str]],
        *,
        clock: Callable[[], datetime],
        every: float = EVERY,
    ) -> None:
        self._redis = redis
        self._key = _key(prefix)
        self._token = token
        self._revisions = revisions
        self._clock = clock
        self._every = every

    async def run(self) -> None:
        """Keep the line until cancelled. Where Redis is away, others say so."""
        while True:
            try:
                await self._write()
            except _AWAY as error:
                log.debug("the roster cannot be kept", error=repr(error))
            await asyncio.sleep(self._every)

    async def leave(self) -> None:
        """Take the line away."""
        try:
            await self._redis.hdel(self._key, self._token)
        except _AWAY as error:
            log.debug("the roster cannot be kept", error=repr(error))

    async def _write(self) -> None:
        rules, taxonomy = self._revisions()
        entry = Entry(host=socket.gethostname(), process=os.getpid(), rules=rules, taxonomy=taxonomy, at=self._clock())
        await self._redis.hset(self._key, self._token, _encode(entry))


async def read_roster(redis: Redis, prefix: str, now: datetime) -> list[Entry]:
    """The workers that there are, by name. Lines of those that are gone are taken away.

    Raises:
        RedisError: Redis is away.
    """
    found: list[Entry] = []
    gone: list[bytes | str] = []
    for token, line in (await redis.hgetall(_key(prefix))).items():
        try:
            entry = _decode(line)
        except msgspec.DecodeError:  # of another release
            continue
        if now - entry.at > GONE_AFTER:
            gone.append(token)
        else:
            found.append(entry)
    if gone:
        await redis.hdel(_key(prefix), *gone)
    return sorted(found, key=lambda entry: entry.name)


def _key(prefix: str) -> str:
    return f"{prefix}:workers"
