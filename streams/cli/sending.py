"""Headlines on their way to Kafka: sent in rounds, each of which is confirmed before the next one is.

So it is known at any time how far the broker has confirmed, and what it refuses can be told from what came after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from connectors.interface import Reading, Unreadable
from streams.cli.common import UnreachableError, clock, err
from streams.core.records import Headline, Invalid
from streams.worker.topics import Topics

#: As much is kept of what cannot be read, bytes, so that the record of it stays below Kafka's limit; and as much where
#: the topic takes less.
KEPT = (64_000, 1_000, 0)
#: How long the broker may take to confirm a round, seconds.
PATIENCE = 30.0
#: As much of what cannot be read is shown, and the rest counted: an input may be wrong in every line, and go on for days.
SHOWN = 20
#: Headlines in a round, at most.
_ROUND = 2_000
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Named = tuple[str, Reading]


@dataclass(slots=True)
class Sent:
    """What came of an ingestion so far.

    ``headlines`` are confirmed, of ``unconfirmed`` ones it is not known; ``last`` is the confirmed one that came last,
    with the name of its input. ``unreadable`` counts what could not be read, of which the first is ``shown``: the input,
    the line (0 if it is not known) and the reason. ``tell`` hears of each as it comes, with its number before these.
    """

    headlines: int = 0
    unconfirmed: int = 0
    last: tuple[str, str] | None = None
    unreadable: int = 0
    shown: list[tuple[str, int, str]] = field(default_factory=list)
    tell: Callable[[int, str, int, str], None] = lambda _number, _name, _line, _reason: None

    def note_unreadable(self, name: str, line: int, reason: str) -> None:
        """Something of the input ``name`` cannot be read."""
        self.unreadable += 1
        if len(self.shown) < SHOWN:
            self.shown.append((name, line, reason))
        self.tell(self.unreadable, name, line, reason)


async def send(
    client: dict[str, Any],
    topics: Topics,
    readings: Iterator[Named],
    sent: Sent | None = None,
    *,
    patience: float = PATIENCE,
) -> Sent:
    """Publish readings, and return once the broker has confirmed every one; ``sent`` tells on the way how far it is.

    ``client`` holds aiokafka's connection settings.

    A headline that the broker refuses for its size goes to ``headlines.invalid``, as what cannot be read does.

    Raises:
        UnreachableError: Kafka cannot be had, refuses everything, or confirms nothing for ``patience`` seconds.
    """
    sent = sent or Sent()
    feed = _Feed(readings)
    try:
        async with _Sender.opened(client, patience) as sender:
            with _spinner() as tell:
                async for some in feed.rounds():
                    sent.unconfirmed = sum(isinstance(reading, Headline) for _, reading in some)
                    await _publish(sender, topics, some, sent)
                    sent.unconfirmed = 0
                    tell(sent.headlines)
    except (KafkaError, OSError) as error:
        message = f"Kafka did not take every headline: {str(error) or type(error).__name__}"
        hint = "see `wirewatch doctor`; then ingest the same input again: what was taken is recognised and dropped"
        raise UnreachableError(message, hint) from None
    finally:
        feed.abandon()
    return sent


async def _publish(sender: _Sender, topics: Topics, some: Sequence[Named], sent: Sent) -> None:
    records = [_record(topics, name, reading) for name, reading in some]
    refused = await sender.publish(records)
    for (name, reading), record in zip(some, records, strict=True):
        unreadable = reading
        if record in refused:
            if isinstance(reading, Headline):
                reason = f"Kafka refuses it for its size: {len(record.value):,} bytes are too many for {topics.raw}"
                unreadable = Unreadable(0, reason, record.value)
            await _publish_less(sender, topics, name, unreadable)
        if isinstance(unreadable, Unreadable):
            sent.note_unreadable(name, unreadable.line, unreadable.reason)
        else:
            sent.headlines += 1
            sent.last = name, unreadable.headline


async def _publish_less(sender: _Sender, topics: Topics, name: str, unreadable: Reading) -> None:
    for keep in KEPT:
        if not await sender.publish([_record(topics, name, unreadable, keep)]):
            return
    raise UnreachableError(f"{topics.invalid} takes no record, however small", "raise its max.message.bytes")


class _Feed:
    """Readings, read in a thread of their own, because an input may be silent for hours."""

    def __init__(self, readings: Iterator[Named]) -> None:
        self._readings = readings
        self._queue: queue.Queue[Named | Exception | None] = queue.Queue(maxsize=_ROUND)
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._abandoned = threading.Event()
        threading.Thread(target=self._read, daemon=True, name="reading").start()

    def abandon(self) -> None:
        """Read no further."""
        self._abandoned.set()

    async def rounds(self) -> AsyncIterator[Sequence[Named]]:
        """The readings that have come, as soon as one has; raises what reading raised."""
        while True:
            some, end = self._come()
            if some:
                yield some
            if isinstance(end, Exception):
                raise end
            if end:
                return
            if not some:
                await self._arrived.wait()
                self._arrived.clear()

    def _come(self) -> tuple[list[Named], Exception | bool]:
        """What has come, and whether, or by what, it ends."""
        some: list[Named] = []
        with contextlib.suppress(queue.Empty):
            while len(some) < _ROUND:
                item = self._queue.get_nowait()
                if item is None or isinstance(item, Exception):
                    return some, item or True
                some.append(item)
        return some, False

    def _read(self) -> None:
        try:
            for reading in self._readings:
                if not self._put(reading):
                    return
            self._put(None)
        except Exception as error:  # noqa: BLE001 - raised again on the other side
            self._put(error)

    def _put(self, item: Named | Exception | None) -> bool:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=1.0)
                with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the need
                    self._loop.call_soon_threadsafe(self._arrived.set)
                return True
        return False


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """One record to publish, itself and no other with the same content."""

    topic: str
    value: bytes
    key: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def _record(topics: Topics, name: str, reading: Reading, keep: int = KEPT[0]) -> _Record:
    if isinstance(reading, Headline):
        headers = (("id", str(uuid.uuid4()).encode()),)
        return _Record(topics.raw, msgspec.json.encode(reading), reading.source.encode(), headers)
    place = f"{name}:{reading.line}" if reading.line else name
    invalid = Invalid(
        position=place, received=clock(), stage="ingest", reason=reading.reason, original=reading.original[:keep]
    )
    return _Record(topics.invalid, msgspec.json.encode(invalid), place.encode())


class _Sender:
    """Sends records in batches; and one by one what was in a batch that the broker refused.

    aiokafka's idempotent producer loses count of a partition with the first batch that is refused, and must be replaced.
    Another, which does not count, sends what was refused, and what came after it, alone.
    """

    def __init__(self, client: dict[str, Any], patience: float) -> None:
        self._client = client
        self._patience = patience
        self._producer = self._new(idempotent=True)
        self._careful: Any = None

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, client: dict[str, Any], patience: float) -> AsyncIterator[_Sender]:
        sender = cls(client, patience)
        try:
            await sender._producer.start()
            yield sender
        finally:
            for producer in filter(None, (sender._producer, sender._careful)):
                await _stop(producer)

    async def publish(self, records: Sequence[_Record]) -> AbstractSet[_Record]:
        """Send the records, wait until each is confirmed or refused, and return those that are refused for their size.

        Raises:
            KafkaError, OSError: the broker is away, or refuses them for another reason.
        """
        failed = await self._failed(self._producer, records)
        if not failed:
            return frozenset()
        if not any(isinstance(error, _TOO_LARGE) for _, error in failed):
            raise failed[0][1]
        await self._replace()
        refused = set()
        for record, _ in failed:
            for _, error in await self._failed(self._careful, [record]):
                if not isinstance(error, _TOO_LARGE):
                    raise error
                refused.add(record)
        return refused

    async def _failed(self, producer: Any, records: Sequence[_Record]) -> list[tuple[_Record, KafkaError]]:
        failed: list[tuple[_Record, KafkaError]] = []
        waiting: dict[_Record, asyncio.Future[Any]] = {}
        try:
            async with asyncio.timeout(self._patience):
                for record in records:
                    try:
                        waiting[record] = await producer.send(
                            record.topic, record.value, key=record.key, headers=list(record.headers)
                        )
                    except MessageSizeTooLargeError as error:
                        failed.append((record, error))
                if waiting:
                    await asyncio.wait(waiting.values())
        except TimeoutError:
            raise TimeoutError(f"it has confirmed nothing for {self._patience:.0f} seconds") from None
        for record, answer in waiting.items():
            failure = answer.exception()
            if isinstance(failure, KafkaError):
                failed.append((record, failure))
            elif failure:
                raise failure
        return failed

    async def _replace(self) -> None:
        await _stop(self._producer)
        self._producer = self._new(idempotent=True)
        await self._producer.start()
        if self._careful is None:
            self._careful = self._new(idempotent=False)
            await self._careful.start()

    def _new(self, *, idempotent: bool) -> Any:
        return AIOKafkaProducer(
            **self._client, acks="all", enable_idempotence=idempotent, linger_ms=2 if idempotent else 0
        )


async def _stop(producer: Any) -> None:
    """Stop a producer; one that still waits for a broker would wait for ever."""
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(2.0):
            await producer.stop()


@contextlib.contextmanager
def _spinner() -> Iterator[Callable[[int], None]]:
    """Says how many headlines were sent, on a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} headlines"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda count: bar.update(task, completed=count)
