"""Keeps a worker's router told of the silences, so that it asks Redis nothing for a headline."""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import RedisError

from alerts.route import ChannelRouter
from alerts.silence import SilenceStore, Snapshot

log = structlog.get_logger(__name__)

#: Seconds from one look for changed silences to the next: a worker knows of a silence within a second.
EVERY = 0.5
_AWAY = (RedisError, OSError, asyncio.TimeoutError)


class SilenceWatch:
    """Gives a router the silences of a store, and again whenever these change."""

    def __init__(self, store: SilenceStore, router: ChannelRouter, *, every: float = EVERY) -> None:
        self._store = store
        self._router = router
        self._every = every
        self._version: int | None = None
        self._away = False

    async def load(self, stop: asyncio.Event) -> None:
        """Return when the router has the silences, or ``stop`` is set: no headline is to be routed without them."""
        while self._version is None and not stop.is_set():
            await self.look()
            if self._version is None:
                await asyncio.sleep(self._every)

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def look(self) -> None:
        """Look once. Where the store is away, what was known stays in force."""
        try:
            version = await self._store.version()
            if version != self._version:
                self._put_in_force(Snapshot(await self._store.all()))
                self._version = version
        except _AWAY as error:
            if not self._away:
                log.warning("silences cannot be looked for, those known stay in force", error=repr(error))
            self._away = True
        else:
            self._away = False

    def _put_in_force(self, snapshot: Snapshot) -> None:
        self._router.silences = snapshot
        log.info("silences are in force", silences=len(snapshot.silences))
        for silence in snapshot.unreadable:
            log.error(
                "a silence cannot be read and silences nothing: is this worker older than who made it?", id=silence
            )
