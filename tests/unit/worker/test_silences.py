"""A worker's router knows the silences, whatever becomes of the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from redis.exceptions import ConnectionError as RedisConnectionError

from alerts.route import ChannelRouter
from alerts.silence import MemorySilences, Silence, make_silence
from streams.worker.silences import SilenceWatch
from tests.unit.alerts.routing import firing

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
SILENCE = make_silence("topic:iran", starts=NOON, ends=NOON + timedelta(hours=1), comment="drill", by="ann", now=NOON)


class Store(MemorySilences):
    """Counts what is read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.read = 0

    async def version(self) -> int:
        if self.away:
            raise RedisConnectionError("gone")
        return await super().version()

    async def all(self) -> list[Silence]:
        self.read += 1
        return await super().all()


def silenced(router: ChannelRouter) -> bool:
    (alert,) = router.alerts(firing(channels=("desk",)))
    return alert.suppressed is not None


async def test_silences_are_read_when_they_change_and_not_else() -> None:
    store, router = Store(), ChannelRouter()
    watch = SilenceWatch(store, router)
    for _ in range(3):
        await watch.look()
    assert store.read == 1
    await store.add(SILENCE)
    for _ in range(3):
        await watch.look()
    assert silenced(router)
    assert store.read == 2
    await store.expire(SILENCE.id, NOON)
    await watch.look()
    assert not silenced(router)


async def test_where_the_store_is_away_what_was_known_stays() -> None:
    store, router = Store(), ChannelRouter()
    watch = SilenceWatch(store, router)
    await store.add(SILENCE)
    await watch.look()
    store.away = True
    await watch.look()
    assert silenced(router)


async def test_a_worker_does_not_begin_without_the_silences() -> None:
    store, router = Store(), ChannelRouter()
    await store.add(SILENCE)
    store.away = True
    loading = asyncio.create_task(SilenceWatch(store, router, every=0.01).load(asyncio.Event()))
    await asyncio.sleep(0.05)
    assert not loading.done()
    store.away = False
    await loading
    assert silenced(router)


async def test_a_worker_that_is_to_stop_waits_for_no_silences() -> None:
    store, stop = Store(), asyncio.Event()
    store.away = True
    loading = asyncio.create_task(SilenceWatch(store, ChannelRouter(), every=0.01).load(stop))
    await asyncio.sleep(0.03)
    stop.set()
    await loading


async def test_what_is_added_while_the_watch_runs_is_in_force_soon() -> None:
    store, router = Store(), ChannelRouter()
    watching = asyncio.create_task(SilenceWatch(store, router, every=0.01).run())
    await store.add(SILENCE)
    async with asyncio.timeout(10):
        while not silenced(router):  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.01)
    watching.cancel()
