"""Where it is kept, beyond one worker, which channels fail and which are disabled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog
from msgspec.structs import replace
from redis.asyncio import Redis

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Failures further apart than this are two troubles and not one: longer than any wait of the schedule, so that the retries
#: of a single alert are one.
APART = timedelta(days=2)


class Failing(NamedTuple):
    """A channel fails: ``since`` when, without a success in between, and when it did for the ``last`` time."""

    since: datetime
    last: datetime

    def and_then(self, later: Failing) -> Failing:
        """What comes of it when it fails again: it goes on, or begins anew where nothing failed for longer than :data:`APART`.

        Workers tell of their failures in any order.
        """
        if later.since - self.last > APART:
            return later
        if self.since - later.last > APART:
            return self
        return Failing(min(self.since, later.since), max(self.last, later.last))


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

    async def note(self, working: Collection[str], failing: Mapping[str, Failing]) -> None:
        """Forget the failures of channels that worked; then note which fail, after what was noted before."""
        ...

    async def failing(self) -> dict[str, Failing]:
        """How channels fail, by name."""
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
        self._failing: dict[str, Failing] = {}
        self._disabled: dict[str, Disabled] = {}

    async def note(self, working: Collection[str], failing: Mapping[str, Failing]) -> None:
        for channel in working:
            self._failing.pop(channel, None)
        for channel, seen in failing.items():
            before = self._failing.get(channel)
            self._failing[channel] = before.and_then(seen) if before else seen

    async def failing(self) -> dict[str, Failing]:
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
    """It in Redis: two hashes by channel, one of :class:`Failing` (its two times) and one of :class:`Disabled` as JSON.

    ``redis`` is a client that does not decode responses. It stays the caller's to close. Every method raises RedisError
    or OSError where Redis is away.
    """

    def __init__(self, redis: Redis, *, prefix: str = "wirewatch") -> None:
        self._redis = redis
        self._failing = f"{prefix}:{{health}}:failing"
        self._disabled = f"{prefix}:{{health}}:disabled"

    async def note(self, working: Collection[str], failing: Mapping[str, Failing]) -> None:
        async def change(pipe: Any) -> None:
            others = [channel for channel in failing if channel not in working]
            known = dict(zip(others, await pipe.hmget(self._failing, others), strict=True)) if others else {}
            pipe.multi()
            if working:
                pipe.hdel(self._failing, *working)
            for channel, seen in failing.items():
                before = _read(known.get(channel))
                pipe.hset(self._failing, channel, _written(before.and_then(seen) if before else seen))

        if working or failing:
            await self._redis.transaction(change, self._failing)

    async def failing(self) -> dict[str, Failing]:
        found: Any = await self._redis.hgetall(self._failing)
        read = ((name.decode(), _read(text)) for name, text in found.items())
        return {name: failing for name, failing in read if failing}

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


def _written(failing: Failing) -> str:
    return f"{failing.since.isoformat()} {failing.last.isoformat()}"


def _read(text: bytes | None) -> Failing | None:
    """Both times; an earlier release wrote the first alone."""
    if text is None:
        return None
    since, _, last = text.decode().partition(" ")
    return Failing(datetime.fromisoformat(since), datetime.fromisoformat(last or since))
