"""Where it is kept, beyond one worker, which channels fail and which are disabled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec
import structlog
from msgspec.structs import replace
from redis.asyncio import Redis

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Disabled(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A channel that is sent nothing any more: since when, why, and whether somebody was ``told``."""

    channel: str
    since: datetime
    reason: str
    told: bool = False


_disabled = msgspec.json.Decoder(Disabled)
_encode = msgspec.json.Encoder().encode


class HealthStore(Protocol):
    """Keeps since when channels have failed without a success, and those that are disabled."""

    async def note(self, working: Collection[str], failing: Mapping[str, datetime]) -> None:
        """Forget the failures of channels that worked; then note which fail since when, unless they did before."""
        ...

    async def failing(self) -> dict[str, datetime]:
        """Since when channels have failed, by name."""
        ...

    async def disabled(self) -> dict[str, Disabled]:
        """The disabled channels, by name."""
        ...

    async def disable(self, disabled: Disabled) -> bool:
        """Disable a channel; False, with nothing changed, if it is already."""
        ...

    async def told(self, channel: str) -> None:
        """Note that somebody was told that a channel is disabled. One that is not stays so."""
        ...

    async def enable(self, channel: str) -> bool:
        """Enable a channel, its failures forgotten; whether it was disabled."""
        ...


class MemoryHealth:
    """It in memory, for tests and trials."""

    def __init__(self) -> None:
        self._failing: dict[str, datetime] = {}
        self._disabled: dict[str, Disabled] = {}

    async def note(self, working: Collection[str], failing: Mapping[str, datetime]) -> None:
        for channel in working:
            self._failing.pop(channel, None)
        for channel, since in failing.items():
            self._failing.setdefault(channel, since)

    async def failing(self) -> dict[str, datetime]:
        return dict(self._failing)

    async def disabled(self) -> dict[str, Disabled]:
        return dict(self._disabled)

    async def disable(self, disabled: Disabled) -> bool:
        return self._disabled.setdefault(disabled.channel, disabled) is disabled

    async def told(self, channel: str) -> None:
        if channel in self._disabled:
            self._disabled[channel] = replace(self._disabled[channel], told=True)

    async def enable(self, channel: str) -> bool:
        self._failing.pop(channel, None)
        return self._disabled.pop(channel, None) is not None


class RedisHealth:
    """It in Redis: two hashes by channel, one of times and one of :class:`Disabled` as JSON.

    ``redis`` is a client that does not decode responses. It stays the caller's to close. Every method raises RedisError
    or OSError where Redis is away.
    """

    def __init__(self, redis: Redis, *, prefix: str = "wirewatch") -> None:
        self._redis = redis
        self._failing = f"{prefix}:{{health}}:failing"
        self._disabled = f"{prefix}:{{health}}:disabled"

    async def note(self, working: Collection[str], failing: Mapping[str, datetime]) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            if working:
                pipe.hdel(self._failing, *working)
            for channel, since in failing.items():
                pipe.hsetnx(self._failing, channel, since.isoformat())
            await pipe.execute()

    async def failing(self) -> dict[str, datetime]:
        found: Any = await self._redis.hgetall(self._failing)
        return {name.decode(): datetime.fromisoformat(since.decode()) for name, since in found.items()}

    async def disabled(self) -> dict[str, Disabled]:
        found: Any = await self._redis.hgetall(self._disabled)
        disabled = {}
        for name, value in found.items():
            try:
                disabled[name.decode()] = _disabled.decode(value)
            except msgspec.DecodeError as error:  # by another version
                log.warning("unreadable, so the channel counts as enabled", channel=name.decode(), error=str(error))
        return disabled

    async def disable(self, disabled: Disabled) -> bool:
        # typed as str by redis-py, though bytes go
        return bool(await self._redis.hsetnx(self._disabled, disabled.channel, _encode(disabled).decode()))

    async def told(self, channel: str) -> None:
        async def change(pipe: Any) -> None:
            value = await pipe.hget(self._disabled, channel)
            pipe.multi()
            if value is not None:
                pipe.hset(self._disabled, channel, _encode(replace(_disabled.decode(value), told=True)))

        await self._redis.transaction(change, self._disabled)

    async def enable(self, channel: str) -> bool:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(self._failing, channel)
            pipe.hdel(self._disabled, channel)
            _, removed = await pipe.execute()
        return bool(removed)
