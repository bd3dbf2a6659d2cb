from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import inspect
import logging
import textwrap
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import faust
import pytest
import structlog
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from mode.threads import WorkerThread

from streams.worker.chunks import REPLACED, ChunkConsumer, ChunkQueue, Overdue, Progress

#: Of the upstream methods that `streams.worker.chunks` replaces or relies on, by release of Faust and of its mode. When one
#: changes, read what changed in the methods named by the failure, adapt the module, and write the new fingerprints here.
FINGERPRINTS = {
    "faust-streaming 0.15.3": {
        "Consumer.getmany": "e486c434b7928ee8",
        "Consumer.ack": "5548cf0f75843f73",
        "Consumer.wait_empty": "53195dca246c0a86",
        "Consumer.perform_seek": "2b4ceebd23deb7ee",
        "Consumer._wait_next_records": "ba40cd3671328d3b",
        "Consumer._add_gap": "f1cc1db634f5ea09",
        "Consumer._commit_tps": "b83d551c32787010",
        "Consumer._filter_tps_with_pending_acks": "cccdca32d241b14c",
        "Consumer._drain_messages": "8f35dd7a11144daa",
        "Consumer.verify_event_path": "883ce70ac0a6007f",
        "AIOKafkaConsumerThread.close": "8eadeb1981dbba93",
        "AIOKafkaConsumerThread.seek_to_committed": "43907fc1163624bd",
        "AIOKafkaConsumerThread._commit": "78c931ecfa8dde44",
        "AIOKafkaConsumerThread._create_worker_consumer": "c179c0bdb9755c3a",
    },
    "mode-streaming 0.7.1": {
        "QueueServiceThread.call_thread": "d1304f73ca65376d",
        "ServiceThread._gather_remaining_tasks": "72a184791b6c5837",
        "ServiceThread._start_thread": "22434db1314bb4a9",
        "ServiceThread.start": "ecd8f1bcf3eadb5d",
        "ServiceThread.stop": "22d5a8dad369a585",
    },
}


def fingerprint(owner: type, name: str) -> str:
    source = textwrap.dedent(inspect.getsource(inspect.getattr_static(owner, name)))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("owner", "name"), REPLACED, ids=lambda part: getattr(part, "__name__", part))
def test_the_upstream_methods_are_those_we_know(owner: type, name: str) -> None:
    package = f"{owner.__module__.partition('.')[0]}-streaming"
    release = f"{package} {importlib.metadata.version(package)}"
    assert fingerprint(owner, name) == FINGERPRINTS[release][f"{owner.__name__}.{name}"]


def test_a_commit_moves_to_the_end_of_the_last_chunk_with_none_open_before_it() -> None:
    progress = Progress()
    for first in (0, 500, 1000):
        progress.handed_out(first, first + 500)
    reached = []
    for first in (500, 0, 1000):
        progress.acknowledged(first)
        reached.append(progress.committable)
    assert reached == [None, 1000, 1500]


def test_a_chunk_that_was_taken_back_cannot_be_acknowledged() -> None:
    progress = Progress()
    assert not progress.acknowledged(0)
    assert progress.committable is None


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_nothing_is_ever_committed_before_it_is_done(sizes: list[int], random: object) -> None:
    """In whatever order chunks are done, what may be committed ends before the first chunk that is open."""
    progress = Progress()
    bounds = []
    first = 0
    for size in sizes:
        progress.handed_out(first, first + size)
        bounds.append((first, first + size))
        first += size
    order = list(bounds)
    random.shuffle(order)  # type: ignore[attr-defined]
    open_chunks = set(bounds)
    for chunk in order:
        assert progress.acknowledged(chunk[0])
        open_chunks.discard(chunk)
        first_open = min((start for start, _ in open_chunks), default=first)
        assert (progress.committable or 0) == first_open


RAW = TP("headlines.raw", 0)


def quiet_consumer() -> ChunkConsumer:
    """The consumer of an app whose Kafka nobody serves."""
    app = faust.App("quiet", broker="kafka://localhost:1", web_enabled=False, loop=asyncio.get_running_loop())
    setattr(app.transport, "Consumer", ChunkConsumer)  # noqa: B010 - Faust declares it for the class
    consumer = app.consumer
    assert isinstance(consumer, ChunkConsumer)
    return consumer


async def test_the_consumer_is_in_our_own_loop_and_says_where_it_fails() -> None:
    """With its loop to itself it would, when it ends, cancel all that is left on it: here that is everything."""
    consumer = quiet_consumer()
    others = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(KafkaConnectionError):
        await consumer._thread.start()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]
    await consumer._thread.stop()
    assert not others.done()
    others.cancel()


def event_of(records: int) -> Any:
    """What stands in the queue of an agent."""
    return SimpleNamespace(value=range(records))


def queue_of(maxsize: int) -> ChunkQueue:
    return ChunkQueue(maxsize, flow_control=quiet_consumer().app.flow_control, clear_on_resume=True)


async def test_a_queue_counts_records_and_not_chunks_and_takes_what_was_fetched() -> None:
    queue = queue_of(100)
    for records in [1] * 50 + [60]:
        queue.put_nowait(event_of(records))
    assert (queue.qsize(), queue.full()) == (110, False)
    assert len(queue.get_nowait().value) == 1
    assert (queue.qsize(), queue.empty()) == (109, False)
    queue.clear()
    assert (queue.qsize(), queue.empty()) == (0, True)


async def test_a_partition_is_not_fetched_while_too_many_records_of_it_wait() -> None:
    queue = queue_of(100)
    told: list[str] = []

    def high() -> None:
        told.append("high")

    def drop() -> None:
        told.append("drop")

    for records in (60, 30, 30):  # from 80 on
        queue.put_nowait_enhanced(event_of(records), on_pressure_high=high, on_pressure_drop=drop)
    assert told == ["high"]
    queue.get_nowait()
    queue.get_nowait()
    assert told == ["high"]
    queue.get_nowait()  # 30 are left when it is taken
    assert told == ["high", "drop"]


class Handing:
    """A consumer that has one fetch, and hears what was handed over, and when."""

    def __init__(self, *offsets: tuple[TP, int]) -> None:
        self.consumer = quiet_consumer()
        self.consumer.app.flow_control.resume()
        self.consumer.getmany = self._getmany  # type: ignore[method-assign]
        self.consumer.callback = self._callback
        self.handed: list[int] = []
        self.turns = 0
        self.at: list[int] = []
        self._fetched = offsets

    async def _getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        fetched, self._fetched = self._fetched, ()
        for tp, offset in fetched:
            yield tp, SimpleNamespace(offset=offset)
        if not fetched:
            await self.consumer._stopped.wait()

    async def _callback(self, message: Any) -> None:
        await self.consumer.app.flow_control.acquire()
        self.handed.append(message.offset)
        self.at.append(self.turns)

    async def run(self) -> None:
        draining = asyncio.create_task(self.consumer._drain_messages(self.consumer))
        for self.turns in range(20):
            await asyncio.sleep(0)
        self.consumer._stopped.set()
        await draining


async def test_all_chunks_of_a_fetch_are_handed_over_before_an_agent_begins() -> None:
    handing = Handing(*((TP("headlines.raw", partition), 7) for partition in range(8)))
    await handing.run()
    assert len(handing.handed) == 8
    assert len(set(handing.at)) == 1


async def test_a_chunk_from_before_a_seek_is_not_handed_over() -> None:
    handing = Handing((RAW, 7), (RAW, 9))
    handing.consumer._read_offset[RAW] = 8
    await handing.run()
    assert handing.handed == [9]


async def test_a_chunk_that_waits_for_the_end_of_a_rebalance_is_left_when_another_begins() -> None:
    handing = Handing((RAW, 7))
    handing.consumer.app.flow_control.suspend()
    handing.consumer.suspend_flow.set()
    await handing.run()
    assert handing.handed == []


async def test_the_first_headline_after_a_long_silence_is_not_taken_for_one_that_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Faust compares its start, or the last commit, with now: after five quiet minutes, news made it tell of a bug."""
    consumer = quiet_consumer()
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as told:
        consumer.verify_event_path(10.0, RAW)
        consumer._progress.setdefault(RAW, Progress()).handed_out(7, 8)
        for now in (3600.0, 3602.5, 3899.0):
            consumer.verify_event_path(now, RAW)
        assert (told, caplog.records) == ([], [])
        for now in (3900.0, 3902.5):
            consumer.verify_event_path(now, RAW)
    (line,) = told
    assert (line["log_level"], line["partition"], line["seconds"]) == ("warning", "headlines.raw:0", 300)
    assert not caplog.records


def test_a_partition_that_moves_is_not_overdue_however_much_waits() -> None:
    overdue, progress = Overdue(300.0), Progress()
    for first in range(100):
        progress.handed_out(first, first + 1)
    for first in range(99):
        assert overdue.look(RAW, progress, 200.0 * first) is None
        progress.acknowledged(first)
    assert overdue.look(RAW, progress, 30_000.0) is None
    assert overdue.look(RAW, progress, 30_300.0) == 300.0
    assert overdue.look(RAW, progress, 30_600.0) is None, "once is enough"
    progress.acknowledged(99)
    assert overdue.look(RAW, progress, 40_000.0) is None
