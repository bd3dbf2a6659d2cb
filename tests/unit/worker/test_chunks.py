from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import inspect
import logging
import textwrap

import faust
import pytest
import structlog
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.worker.chunks import REPLACED, ChunkConsumer, Overdue, Progress

#: Of the upstream methods that `streams.worker.chunks` replaces or relies on, by release of Faust. When Faust changes,
#: read what changed in the methods named by the failure, adapt the module, and write the new fingerprints here.
FINGERPRINTS = {
    "0.15.3": {
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
}


def fingerprint(owner: type, name: str) -> str:
    source = textwrap.dedent(inspect.getsource(inspect.getattr_static(owner, name)))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("owner", "name"), REPLACED, ids=lambda part: getattr(part, "__name__", part))
def test_the_upstream_methods_are_those_we_know(owner: type, name: str) -> None:
    version = importlib.metadata.version("faust-streaming")
    assert fingerprint(owner, name) == FINGERPRINTS[version][f"{owner.__name__}.{name}"]


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


async def test_the_first_headline_after_a_long_silence_is_not_taken_for_one_that_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Faust compares its start, or the last commit, with now: after five quiet minutes, news made it tell of a bug."""
    app = faust.App("quiet", broker="kafka://localhost:1", web_enabled=False, loop=asyncio.get_running_loop())
    setattr(app.transport, "Consumer", ChunkConsumer)  # noqa: B010 - Faust declares it for the class
    consumer = app.consumer
    assert isinstance(consumer, ChunkConsumer)
    consumer._thread.thread_loop.close()  # it never ran
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
