"""Chunked consumption: one Faust event for all that a fetch returned of one partition.

Stock Faust runs four asyncio tasks for every record, fetches in a thread of its own, and keeps its acknowledgements a
record at a time, in a way that can commit what was never processed (``docs/reference/faust.md``). :class:`ChunkConsumer`
replaces the methods listed in :data:`REPLACED`, whose upstream source ``tests/unit/worker/test_chunks.py`` pins by a
fingerprint, and leaves everything else to Faust:

- an event is a :class:`Chunk`: the raw records of one partition, one after the other, as many as the fetch returned
  up to ``chunk_size``. It never waits to fill up, so a lone headline goes through at once;
- one acknowledgement covers the chunk, and a commit moves to the end of the last chunk that was acknowledged with no
  unacknowledged one before it;
- a commit that failed is tried again, and takes nothing down with it;
- a partition is told of when a chunk of it has been in hand for long, not when none has come for long;
- a partition that is taken away releases the chunks in hand: whoever works on them can see it and let go;
- the consumer is in the worker's one loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import faust
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP, EventT, ServiceT
from faust.types.tuples import ConsumerMessage, Message
from mode.threads import QueueServiceThread, ServiceThread
from mode.utils.futures import maybe_async
from mode.utils.queues import ThrowableQueue

log = structlog.get_logger(__name__)
_faust = logging.getLogger("faust.chunks")  # what Faust says of our classes belongs with the rest of Faust

#: The upstream methods that this module replaces, and so depends on line by line.
REPLACED: tuple[tuple[type, str], ...] = (
    (BaseConsumer, "getmany"),
    (BaseConsumer, "ack"),
    (BaseConsumer, "wait_empty"),
    (BaseConsumer, "perform_seek"),
    (BaseConsumer, "_wait_next_records"),
    (BaseConsumer, "_add_gap"),
    (BaseConsumer, "_commit_tps"),
    (BaseConsumer, "_filter_tps_with_pending_acks"),
    (BaseConsumer, "_drain_messages"),
    (Consumer, "verify_event_path"),
    (AIOKafkaConsumerThread, "_commit"),
    (AIOKafkaConsumerThread, "close"),
    (AIOKafkaConsumerThread, "seek_to_committed"),
    (AIOKafkaConsumerThread, "_create_worker_consumer"),
    (QueueServiceThread, "call_thread"),
    (ServiceThread, "_gather_remaining_tasks"),
    (ServiceThread, "_start_thread"),
    (ServiceThread, "start"),  # these two are not replaced, but say what is asked of a thread
    (ServiceThread, "stop"),
)


@dataclass(eq=False, slots=True)
class Chunk:
    """The records of one partition that one fetch returned, in order; the value of a Faust event.

    ``released`` is set when the partition is taken away, or the worker is told to stop and has waited long enough:
    whoever works on the chunk lets go of it, unacknowledged, and it is delivered again to the next owner.
    """

    tp: TP
    records: Sequence[ConsumerRecord[bytes, bytes]]
    released: asyncio.Event

    @property
    def first(self) -> int:
        """The offset of the first record."""
        return int(self.records[0].offset)

    @property
    def end(self) -> int:
        """The offset after the last record: what a commit of the whole chunk says."""
        return int(self.records[-1].offset) + 1

    def __len__(self) -> int:
        return len(self.records)


class ChunkQueue(ThrowableQueue[EventT[Any]]):
    """The chunks that wait for an agent, counted by the records in them: a chunk may have one, or a thousand.

    From four fifths of ``maxsize`` on, Faust has a partition of which another chunk comes fetched no further, until two
    fifths are left. What has been fetched by then is taken all the same: it is in memory anyway, and would hold up what was
    fetched for others. It is no more than one fetch of each partition.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._records = 0

    def _put(self, item: EventT[Any]) -> None:
        super()._put(item)
        self._records += len(item.value)

    def _get(self) -> EventT[Any]:
        event: EventT[Any] = super()._get()
        self._records -= len(event.value)
        return event

    def clear(self) -> None:
        """Forget what waits."""
        super().clear()
        self._records = 0

    def qsize(self) -> int:
        """How many records wait."""
        return self._records

    def full(self) -> bool:
        """Never."""
        return False


class ChunkApp(faust.App):
    """A Faust app whose agents take chunks."""

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> ChunkQueue:  # noqa: N802
        """The queue of an agent; ``maxsize`` is in records."""
        return ChunkQueue(maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)


@dataclass(slots=True)
class Progress:
    """How far one partition has come: the chunks handed out, in order, and the offset up to which all are done."""

    chunks: deque[tuple[int, int]] = field(default_factory=deque)
    done: set[int] = field(default_factory=set)
    committable: int | None = None

    def handed_out(self, first: int, end: int) -> None:
        """A chunk of the offsets ``first`` to ``end - 1`` is being worked on."""
        self.chunks.append((first, end))

    def acknowledged(self, first: int) -> bool:
        """The chunk that starts at ``first`` is done. False if it was not handed out, or was taken back since."""
        if not any(start == first for start, _ in self.chunks):
            return False
        self.done.add(first)
        while self.chunks and self.chunks[0][0] in self.done:
            start, end = self.chunks.popleft()
            self.done.discard(start)
            self.committable = end
        return True


class Overdue:
    """Finds the partitions whose oldest chunk in hand stays the same for ``limit`` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: dict[TP, tuple[int, float]] = {}
        self._told: dict[TP, int] = {}

    def look(self, tp: TP, progress: Progress | None, now: float) -> float | None:
        """Look at one partition, now and then. For how many seconds its oldest chunk has been in hand, once for each
        chunk of which that is too long; else None.
        """
        if progress is None or not progress.chunks:
            self._since.pop(tp, None)
            return None
        first = progress.chunks[0][0]
        seen, since = self._since.get(tp, (None, now))
        if seen != first:
            self._since[tp] = first, now
            return None
        if now - since < self._limit or self._told.get(tp) == first:
            return None
        self._told[tp] = first
        return now - since


class InLoop:
    """In place of the thread in which Faust has its consumer: a task of the loop that all else is on.

    Two threads take turns at the interpreter's lock, and each turn waits until the other thread lets go of it and this one
    is woken on its processor: for every fetch, and a headline is fetched four times (``docs/adr/0009-one-loop.md``).
    """

    def __init__(self, service: ServiceThread) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; called once, as of a thread."""
        self._task = self._service.parent_loop.create_task(self._serve())

    def stop(self) -> None:
        """Nothing: who calls this has waited for the service's end already."""

    async def _serve(self) -> None:
        try:
            await self._service._serve()  # noqa: SLF001 - what the thread would run
        except Exception:  # noqa: BLE001 - it has told of it, as a thread would have
            self._service.set_shutdown()


class ChunkThread(AIOKafkaConsumerThread):
    """What talks to Kafka, in our own loop in spite of its name. A commit that fails is reported, not fatal."""

    logger = _faust

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it here and now."""
        return await maybe_async(fun(*args, **kwargs))

    async def _gather_remaining_tasks(self) -> None:
        """Nothing. In a loop of its own, every task that is left would be one of the consumer's, and be cancelled."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # A fetch that waits for data holds up the partitions that it does not ask for, because aiokafka has one
        # fetch in flight a broker. Faust's 1,500 ms would be the latency of an unlucky headline.
        consumer._fetch_max_wait_ms = ChunkConsumer.fetch_max_wait_ms  # noqa: SLF001 - Faust offers no setting
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what is committed, and to the beginning where nothing is: there aiokafka would stay where it is."""
        committed: Mapping[TP, int] = await super().seek_to_committed()
        untouched = [TopicPartition(*tp) for tp, offset in committed.items() if not offset]
        if untouched:
            await self.seek_to_beginning(*untouched)
        return committed

    def close(self) -> None:
        """Nothing. Faust calls this where a rebalance meets a worker that stops, and would close the consumer from the
        loop of another thread, after which it cannot be stopped any more. The thread closes it when it ends.
        """

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        wanted = {tp: offset for tp, offset in wanted.items() if tp in assigned}
        if not wanted:
            return False
        try:
            await consumer.commit(wanted)
        except (KafkaError, IllegalStateError) as error:
            # What was not committed is delivered again, to us or to the next owner, and recognised.
            log.warning("commit failed, will try again", error=repr(error))
            return False
        return True


class ChunkConsumer(Consumer):
    """Faust's Kafka consumer, with chunks for events. Put it in place by ``app.transport.Consumer = ChunkConsumer``."""

    logger = _faust

    #: Records in a chunk at most.
    chunk_size: ClassVar[int] = 1_000
    #: How long a fetch may wait for data, milliseconds.
    fetch_max_wait_ms: ClassVar[int] = 100
    #: How long a partition that is taken away, or a worker that stops, waits for the chunks in hand, seconds.
    grace: ClassVar[float] = 5.0
    #: How long a chunk may be in hand before the log tells of it, seconds.
    overdue: ClassVar[float] = 300.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._progress: dict[TP, Progress] = {}
        self._overdue = Overdue(self.overdue)
        self._released = asyncio.Event()
        self._room = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, thread_loop=self.loop, Worker=InLoop, beacon=self.beacon)

    # Fetching

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - upstream's signature
        """What one fetch returned, a chunk an event."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not records or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_back()
            return
        for aiokafka_tp, batch in records.items():
            tp = TP(aiokafka_tp.topic, aiokafka_tp.partition)
            if tp not in active and tp not in self._buffered_partitions:
                continue
            for start in range(0, len(batch), self.chunk_size):
                if not self._still(generation):
                    return
                yield tp, self._hand_out(tp, batch[start : start + self.chunk_size])

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Hand what is fetched to the agents, until the fetcher stops.

        All chunks of a fetch are handed over in one turn of the loop, so that an agent finds those of all its partitions,
        and works on them together. Faust has two tasks for each, and an agent would be at work on the first before the
        second is there.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)  # what has been fetched already is handed over without one
                async for tp, message in self.getmany(timeout=1.0):
                    if message.offset < (self._read_offset[tp] or 0):
                        continue  # from before a seek
                    if self.app.flow_control.is_active():
                        await self.callback(message)
                    else:  # a rebalance may begin before the last one is through
                        await self.wait_first(self.callback(message), self.suspend_flow.wait())
                    self._read_offset[tp] = message.offset
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    def _still(self, generation: int) -> bool:
        """Whether what was fetched in ``generation`` is still ours to work on. It may change between two chunks."""
        return self.flow_active and self.app.consumer_generation_id == generation

    def _hand_out(self, tp: TP, records: Sequence[ConsumerRecord[bytes, bytes]]) -> ConsumerMessage:
        chunk = Chunk(tp, records, self._released)
        self._progress.setdefault(tp, Progress()).handed_out(chunk.first, chunk.end)
        head = records[0]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.first,
            head.timestamp / 1000.0,
            head.timestamp_type,
            None,
            None,
            chunk,  # type: ignore[arg-type]  # decoded by the "raw" codec, which passes it on as it is
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _seek_back(self) -> None:
        try:
            await self.perform_seek()
        except KafkaError as error:
            log.warning("could not seek back to the committed offsets", error=repr(error))

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; what was handed out since will be handed out again."""
        self._progress.clear()
        await super().perform_seek()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP]]:  # noqa: ASYNC109 - upstream's
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        active = self._get_active_partitions()
        if active:
            return await self._getmany(active_partitions=active, timeout=timeout), active
        # Of every partition as much waits as the agents may fall behind: wait for room, not for a second.
        self._room.clear()
        await self.wait_first(self._room.wait(), self.sleep(timeout))
        return {}, active

    def on_buffer_drop(self, tp: TP) -> None:
        """An agent has caught up with this partition."""
        super().on_buffer_drop(tp)
        self._room.set()

    def resume_flow(self) -> None:
        """Hand out chunks again, after a rebalance or at the start."""
        self._released = asyncio.Event()
        super().resume_flow()
        self._room.set()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets between two chunks hold no record for us (compaction, transactions): nothing to keep."""

    # Acknowledging and committing

    def ack(self, message: Message) -> bool:
        """The chunk of this event is done with."""
        if message.acked and message not in self._unacked_messages:
            return False
        message.acked = True
        self.let_go(message)
        progress = self._progress.get(message.tp)
        return (
            progress is not None
            and message.generation_id == self.app.consumer_generation_id
            and progress.acknowledged(message.offset)
        )

    def let_go(self, message: Message) -> None:
        """Nobody works on this event any more, whether it is done or not."""
        self._unacked_messages.discard(message)
        waiting = self._waiting_for_ack
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:  # type: ignore[override]
        return [tp for tp in self._progress if topics is None or tp in topics or tp.topic in topics]

    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:
        offsets: dict[TP, int] = {}
        for tp in tps:
            end = self._progress[tp].committable
            if end is not None and end > (self._committed_offset[tp] or 0):
                offsets[tp] = end
        if not offsets or not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Tell of a chunk that has been in hand for long. Faust, which calls this every few seconds, would compare the
        last commit with now, and take the first headline after a quiet hour for one that waits since an hour ago.
        """
        seconds = self._overdue.look(tp, self._progress.get(tp), now)
        if seconds is not None:
            log.warning("a chunk is not done for long", partition=f"{tp.topic}:{tp.partition}", seconds=round(seconds))

    async def wait_empty(self) -> None:
        """Wait for the chunks in hand, at most ``grace`` seconds; then let go of them, and commit what is done."""
        deadline = self.loop.time() + self.grace
        while self._unacked_messages and self.loop.time() < deadline:
            await self._wait_for_ack(timeout=0.05)
        self._released.set()
        # Those who wait in between two tries see it at once, and leave their chunk unacknowledged.
        deadline = self.loop.time() + 0.5
        while self._unacked_messages and self.loop.time() < deadline:
            await self._wait_for_ack(timeout=0.05)
        self._unacked_messages.clear()
        await self.commit()

    async def _wait_for_ack(self, timeout: float) -> None:  # noqa: ASYNC109 - upstream's signature
        self._waiting_for_ack = self.loop.create_future()
        await asyncio.wait([self._waiting_for_ack], timeout=timeout)
        self._waiting_for_ack = None
