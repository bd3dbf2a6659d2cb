"""The four agents, thin: each takes what waits, has the pure core decide, publishes what came of it, and acknowledges.

The order of these steps is the protocol that loses no headline (``docs/reference/delivery-guarantees.md``). An agent
acknowledges a chunk only after the broker has confirmed every record that came of it. What can be tried again (Kafka,
Redis) is tried in place until it works or the partition is taken away; then the chunk is let go, unacknowledged. A
record that cannot be read, or that the core stumbles over, goes to ``headlines.invalid`` with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec
import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from alerts.delivery import OnStep
from alerts.outbox import Outbox
from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.decide import alerts_for
from streams.core.dedupe import Candidate
from streams.core.headline import UnreadableError
from streams.core.match import Matcher
from streams.core.records import Alert, Classified, Dropped, Headline, Invalid, Unique
from streams.worker.chunks import Chunk, ChunkConsumer
from streams.worker.ledger import Ledger
from streams.worker.publish import BatchProducer, Output, PublishError
from streams.worker.topics import Topics

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: What passes when the other side is back.
PASSING = (RedisError, KafkaError, PublishError, OSError, asyncio.TimeoutError)
#: Records that are worked on together, at most twice as many.
AT_ONCE = 500
#: Waits between two tries, seconds: doubled from the first to the last.
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0

#: Bytes of what was read of a raw record, at most: with what the agents add to it, less than the broker takes at once.
LARGEST = 700_000
#: As many bytes of a record that cannot be worked on are kept.
KEPT = 64_000

_encode = msgspec.json.Encoder().encode


#: Records of Kafka, of one partition or several.
Records = Sequence[ConsumerRecord[bytes, bytes]]


class ReleasedError(Exception):
    """The partition was taken away, or the worker stops: let go of the chunk."""


class Stage(Protocol):
    """What one agent does with records, apart from publishing and acknowledging."""

    name: str

    async def work(self, records: Records) -> Sequence[Output]:
        """What comes of some records, in their order. May be called again for the same ones, and then says the same."""


def received(record: ConsumerRecord[bytes, bytes]) -> datetime:
    """When Kafka received a record."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def position(record: ConsumerRecord[bytes, bytes]) -> str:
    """Where a record stands: ``topic:partition:offset``."""
    return f"{record.topic}:{record.partition}:{record.offset}"


def _name(record: ConsumerRecord[bytes, bytes]) -> str:
    """The id that the producer gave to a record; empty where it gave none."""
    for key, value in record.headers:
        if key == "id" and value:
            return str(value, "utf-8", "replace")[:200]
    return ""


class Refusals:
    """Puts records that cannot be worked on to ``headlines.invalid``."""

    def __init__(self, stage: str, topics: Topics) -> None:
        self._stage = stage
        self._topic = topics.invalid

    def refuse(self, record: ConsumerRecord[bytes, bytes], reason: str) -> Output:
        """The record of a refusal, with the original bytes, the first :data:`KEPT` of them."""
        place = position(record)
        invalid = Invalid(
            position=place,
            received=received(record),
            stage=self._stage,
            reason=reason,
            original=(record.value or b"")[:KEPT],
        )
        log.warning("a record is invalid", stage=self._stage, position=place, reason=reason)
        return Output(self._topic, _encode(invalid), place.encode(), record.partition)

    def stumbled(self, record: ConsumerRecord[bytes, bytes], error: Exception) -> Output:
        """The refusal of a record that our own code failed on."""
        log.error("a record could not be worked on", stage=self._stage, position=position(record), exc_info=error)
        return self.refuse(record, f"the {self._stage} agent failed on it: {error!r}")


class Deduplicate:
    """``headlines.raw`` to ``headlines.unique`` and ``headlines.dropped``."""

    name = "deduplicate"

    def __init__(self, topics: Topics, ledger: Ledger) -> None:
        self._topics = topics
        self._ledger = ledger
        self._refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Read, claim in the ledger, and say what was decided."""
        read, outputs = self._read(records)
        entries = await self._ledger.decide([candidate for candidate, _ in read])
        for (candidate, partition), entry in zip(read, entries, strict=True):
            record = pipeline.decided(candidate, entry)
            topic = self._topics.dropped if isinstance(record, Dropped) else self._topics.unique
            outputs.append(Output(topic, _encode(record), record.id.encode(), partition))
        return outputs

    def _read(self, records: Records) -> tuple[list[tuple[Candidate, int]], list[Output]]:
        candidates: list[tuple[Candidate, int]] = []
        refused: list[Output] = []
        for record in records:
            place = position(record)
            name = _name(record) or place
            value = record.value or b""
            try:
                candidate = pipeline.read(value, id=name, position=place, received=received(record))
                _check_size(value, candidate.headline)
                candidates.append((candidate, record.partition))
            except UnreadableError as error:
                refused.append(self._refusals.refuse(record, str(error)))
            except Exception as error:  # noqa: BLE001 - one record must not hold up the others
                refused.append(self._refusals.stumbled(record, error))
        return candidates, refused


def _check_size(value: bytes, headline: Headline) -> None:
    # Small ones need no look: encoded anew, a byte becomes six at most.
    if len(value) > LARGEST // 6 and len(_encode(headline)) > LARGEST:
        raise UnreadableError(f"larger than {LARGEST:,} bytes: shorten its fields")


class Classify:
    """``headlines.unique`` to ``headlines.classified``."""

    name = "classify"

    def __init__(self, topics: Topics, classifier: Classifier) -> None:
        self._topic = topics.classified
        self._classifier = classifier
        self._decode = msgspec.json.Decoder(Unique).decode
        self._refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Give every headline its topics."""
        return [self._one(record) for record in records]

    def _one(self, record: ConsumerRecord[bytes, bytes]) -> Output:
        try:
            unique = self._decode(record.value or b"")
            result = pipeline.classified(unique, self._classifier.classify(unique.headline.headline))
        except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            return self._refusals.refuse(record, f"not a record of headlines.unique: {error}")
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return self._refusals.stumbled(record, error)
        return Output(self._topic, _encode(result), result.id.encode(), record.partition)


class Alerting:
    """``headlines.classified`` to ``alerts``."""

    name = "alert"

    def __init__(self, topics: Topics, matcher: Matcher) -> None:
        self._topic = topics.alerts
        self._matcher = matcher
        self._decode = msgspec.json.Decoder(Classified).decode
        self._refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Match every headline with the rules."""
        return [output for record in records for output in self._one(record)]

    def _one(self, record: ConsumerRecord[bytes, bytes]) -> Sequence[Output]:
        try:
            headline = self._decode(record.value or b"")
            found = alerts_for(headline, self._matcher.match(headline))
        except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            return [self._refusals.refuse(record, f"not a record of headlines.classified: {error}")]
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return [self._refusals.stumbled(record, error)]
        return [Output(self._topic, _encode(alert), alert.alert_id.encode(), record.partition) for alert in found]


class Deliver:
    """``alerts`` to the outbox. It only schedules: no HTTP here, so a slow channel holds up nothing."""

    name = "deliver"

    def __init__(
        self, topics: Topics, outbox: Outbox, kick: Callable[[str], None], clock: Callable[[], datetime]
    ) -> None:
        self._outbox = outbox
        self._kick = kick
        self._clock = clock
        self._decode = msgspec.json.Decoder(Alert).decode
        self._refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Put the alerts into the outbox, and wake the channels."""
        alerts: list[Alert] = []
        refused: list[Output] = []
        for record in records:
            try:
                alerts.append(self._decode(record.value or b""))
            except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
                refused.append(self._refusals.refuse(record, f"not a record of alerts: {error}"))
        if alerts:
            await self._outbox.schedule(alerts, self._clock())
            for channel in {alert.channel for alert in alerts}:
                self._kick(channel)
        return refused


class Runner:
    """Runs one stage over a Faust stream of chunks."""

    def __init__(
        self,
        stage: Stage,
        app: Any,
        clock: Callable[[], datetime],
        on_step: OnStep,
        confirm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._stage = stage
        self._app = app
        self._clock = clock
        self._on_step = on_step
        self._confirm = confirm
        self._unconfirmed: asyncio.Queue[tuple[Any, Chunk]] = asyncio.Queue()

    async def run(self, stream: Any) -> None:
        """Take the chunks as they come, those that wait together, until the stream ends.

        A lone headline goes through at once. Under load a decision, a batch and a confirmation serve all that came in
        the meantime, of whatever partition: the more headlines, the less work for each.
        """
        events = stream.noack().events()
        async for event in events:
            waiting, records = [event], len(event.value)
            while records < AT_ONCE and not stream.channel.empty():
                waiting.append(await anext(events))
                records += len(waiting[-1].value)
            await self._take(waiting)

    async def _take(self, events: Sequence[Any]) -> None:
        newest: Chunk = events[-1].value  # released last
        records = [record for event in events for record in event.value.records]
        step = self._on_step
        try:
            step(self._stage.name, "consumed")
            outputs = await keep_trying(self._stage.work, records, chunk=newest, what=self._stage.name)
            step(self._stage.name, "decided")
            if outputs:
                await keep_trying(self._publish, outputs, chunk=newest, what="publish")
            step(self._stage.name, "published")
        except ReleasedError:
            consumer: ChunkConsumer = self._app.consumer
            for event in events:
                consumer.let_go(event.message)
            return
        if self._confirm is None:
            for event in events:
                event.ack()
            step(self._stage.name, "acknowledged")
        else:
            for event in events:
                self._unconfirmed.put_nowait((event, event.value))

    async def _publish(self, outputs: Sequence[Output]) -> None:
        producer: BatchProducer = self._app.producer
        await producer.publish(outputs, timestamp_ms=int(self._clock().timestamp() * 1000))

    async def acknowledge_confirmed(self) -> None:
        """Acknowledge chunks once ``confirm`` has said that what they left in Redis is on its disk.

        Runs beside :meth:`run`, so that no chunk waits for the disk before the next one is taken.
        """
        confirm = self._confirm
        assert confirm is not None
        while not is_cancelled():
            batch = [await self._unconfirmed.get()]
            while not self._unconfirmed.empty():
                batch.append(self._unconfirmed.get_nowait())
            chunk = batch[-1][1]
            try:
                await keep_trying(lambda _: confirm(), None, chunk=chunk, what="confirm")
            except ReleasedError:
                for event, _ in batch:
                    self._app.consumer.let_go(event.message)
                continue
            self._on_step(self._stage.name, "confirmed")
            for event, _ in batch:
                event.ack()
            self._on_step(self._stage.name, "acknowledged")


def is_cancelled() -> bool:
    """Whether the task we are in was told to end. redis-py may swallow the exception (cpython #86296)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def keep_trying(work: Callable[[Any], Awaitable[T]], subject: Any, *, chunk: Chunk, what: str) -> T:
    """Do ``work`` on ``subject`` until it succeeds.

    Raises:
        ReleasedError: the chunk was released before it did.
    """
    wait = FIRST_WAIT
    while True:
        if chunk.released.is_set():
            raise ReleasedError
        try:
            return await work(subject)
        except PASSING as error:
            log.warning("waiting", what=what, partition=f"{chunk.tp.topic}:{chunk.tp.partition}", error=repr(error))
        try:
            await asyncio.wait_for(chunk.released.wait(), timeout=wait)
        except TimeoutError:
            wait = min(wait * 2, LONGEST_WAIT)
