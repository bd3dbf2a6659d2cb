"""The four agents, thin: each takes what waits, has the pure core decide, publishes what came of it, and acknowledges.

The order of these steps is the protocol that loses no headline (``docs/reference/delivery-guarantees.md``). An agent
acknowledges a chunk only after the broker has confirmed every record that came of it. What can be tried again (Kafka,
Redis) is tried in place until it works or the partition is taken away; then the chunk is let go, unacknowledged. A
record that cannot be read, that the core stumbles over, or of which comes what the broker refuses for good, goes to
``headlines.invalid`` with the reason. An error that nobody foresaw acknowledges nothing, and ends the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec
import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from alerts.delivery import OnStep
from alerts.outbox import Outbox
from alerts.route import ChannelRouter
from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.correlate import Event, event_of
from streams.core.decide import Firing, fire
from streams.core.dedupe import Candidate, Entry
from streams.core.headline import UnreadableError, given_id, nearest_time, received_at
from streams.core.records import Alert, Classified, Correlated, Delivery, Dropped, Invalid, Place, Unique
from streams.worker.chunks import Chunk, ChunkConsumer
from streams.worker.correlation import Considered, CorrelationLog
from streams.worker.ledger import Ledger
from streams.worker.publish import BatchProducer, Output, PublishError, Refused
from streams.worker.reload import Current
from streams.worker.rules import InForce
from streams.worker.topics import Topics
from streams.worker.turns import IN_A_TURN, in_turns

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: What passes when the other side is back.
PASSING = (RedisError, KafkaError, PublishError, OSError, asyncio.TimeoutError)
#: Records that are worked on together, at most twice as many.
AT_ONCE = 1_000
#: Records of which nobody has yet said that what they left in Redis is on its disk, at most; a chunk or some more.
MOST_UNCONFIRMED = 10_000
#: Places in the log that one record tells at most: some 14,000 bytes.
PLACES_AT_ONCE = 200
#: How long a chunk waits for others to be confirmed with, seconds: nothing waits for it but its acknowledgement.
GATHER = 0.05
#: Waits between two tries, seconds: doubled from the first to the last.
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0

#: As many bytes of a record that cannot be worked on are kept, and where the broker takes no more, fewer.
KEPT = 64_000
_KEPT_LESS = 1_000
#: Characters of a reason, at most.
_REASON = 1_000

_encode = msgspec.json.Encoder().encode


Record: TypeAlias = ConsumerRecord[bytes, bytes]
#: Records of Kafka, of one partition or several.
Records = Sequence[Record]


class ReleasedError(Exception):
    """The partition was taken away, or the worker stops: let go of the chunk."""


#: Hears of a part of the worker that failed in a way that nobody foresaw, before it ends.
OnFailure = Callable[[str, Exception], None]


class Stage(Protocol):
    """What one agent does with records, apart from publishing and acknowledging."""

    name: str
    refusals: Refusals

    async def work(self, records: Records) -> Sequence[Output]:
        """What comes of some records, in their order. May be called again for the same ones, and then says the same."""


def position(record: Record) -> str:
    """Where a record stands: ``topic:partition:offset``."""
    return f"{record.topic}:{record.partition}:{record.offset}"


class Refusals:
    """Puts records that cannot be worked on to ``headlines.invalid``."""

    def __init__(self, stage: str, topics: Topics) -> None:
        self._stage = stage
        self._topic = topics.invalid

    def refuse(self, record: Record, reason: str, *, error: Exception | None = None, keep: int = KEPT) -> Output:
        """The record of a refusal, with the original bytes, the first ``keep`` of them."""
        place = position(record)
        invalid = Invalid(
            position=place,
            received=nearest_time(record.timestamp),
            stage=self._stage,
            reason=reason[:_REASON],
            original=(record.value or b"")[:keep],
        )
        key = place.encode()
        return Output(self._topic, _encode(invalid), key, record.partition, record, reason, error)

    def stumbled(self, record: Record, error: Exception) -> Output:
        """The refusal of a record that our own code failed on."""
        return self.refuse(record, f"the {self._stage} agent failed on it: {error!r}", error=error)

    def instead(self, refused: Refused) -> Output:
        """What is published in place of a record that the broker refuses for good.

        That is the refusal of what it came of; and of a refusal, one with fewer of the original bytes, at last none.
        """
        output, answer = refused
        record = output.source
        assert record is not None, "what a stage puts out says what it came of"
        if output.topic != self._topic:
            reason = f"Kafka refuses what came of it, {len(output.value):,} bytes for {output.topic}: {answer.message}"
            return self.refuse(record, reason)
        less = self.refuse(record, output.reason, error=output.error, keep=_KEPT_LESS)
        if len(less.value) < len(output.value):
            return less
        return self.refuse(record, output.reason, error=output.error, keep=0)

    def tell(self, outputs: Sequence[Output]) -> None:
        """Log the refusals among what was published."""
        for output in outputs:
            if output.source is None or not output.reason:
                continue
            place = position(output.source)
            log.warning("a record is invalid", stage=self._stage, position=place, reason=output.reason)
            if output.error is not None:
                log.error("our own code failed on a record", stage=self._stage, position=place, exc_info=output.error)


class Deduplicate:
    """``headlines.raw`` to ``headlines.unique`` and ``headlines.dropped``."""

    name = "deduplicate"

    def __init__(self, topics: Topics, ledger: Ledger) -> None:
        self._topics = topics
        self._ledger = ledger
        self.refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Read, claim in the ledger, and say what was decided."""
        read: list[tuple[Candidate, Record]] = []
        outputs: list[Output] = []
        async for some in in_turns(records):
            for record in some:
                candidate = self._read(record)
                if isinstance(candidate, Output):
                    outputs.append(candidate)
                else:
                    read.append((candidate, record))
        entries = await self._ledger.decide([candidate for candidate, _ in read])
        async for part in in_turns(list(zip(read, entries, strict=True))):
            outputs += [self._told(candidate, entry, source) for (candidate, source), entry in part]
        return outputs

    def _read(self, record: Record) -> Candidate | Output:
        """What is to be decided on, or why it cannot be."""
        place = position(record)
        name = given_id(record.headers) or place
        try:
            received = received_at(record.timestamp)
            return pipeline.read(record.value or b"", id=name, position=place, received=received)
        except UnreadableError as error:
            return self.refusals.refuse(record, str(error))
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return self.refusals.stumbled(record, error)

    def _told(self, candidate: Candidate, entry: Entry, source: Record) -> Output:
        record = pipeline.decided(candidate, entry)
        topic = self._topics.dropped if isinstance(record, Dropped) else self._topics.unique
        return Output(topic, _encode(record), record.id.encode(), source.partition, source)


class Classify:
    """``headlines.unique`` to ``headlines.classified``."""

    name = "classify"

    def __init__(self, topics: Topics, classifier: Current[Classifier]) -> None:
        self._topic = topics.classified
        self._classifier = classifier
        self._decode = msgspec.json.Decoder(Unique).decode
        self.refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Give every headline its topics, all by the taxonomy that is in force now."""
        classifier = self._classifier.value
        outputs: list[Output] = []
        async for some in in_turns(records):
            outputs += [self._one(record, classifier) for record in some]
        return outputs

    def _one(self, record: Record, classifier: Classifier) -> Output:
        try:
            unique = self._decode(record.value or b"")
            result = pipeline.classified(unique, classifier.classify(unique.headline.headline))
        except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            return self.refusals.refuse(record, f"not a record of headlines.unique: {error}")
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return self.refusals.stumbled(record, error)
        return Output(self._topic, _encode(result), result.id.encode(), record.partition, record)


class Alerting:
    """``headlines.classified`` to ``alerts``; and of ``headlines.dropped`` what rules count that ask how often."""

    name = "alert"

    def __init__(
        self,
        topics: Topics,
        rules: Current[InForce],
        router: ChannelRouter,
        correlation: CorrelationLog,
        classifier: Current[Classifier],
    ) -> None:
        self._topics = topics
        self._rules = rules
        self._router = router
        self._correlation = correlation
        self._classifier = classifier
        self._deciding = asyncio.Lock()  # rules change between two calls, and never within one
        self._go_by(rules.value)
        self._decode = msgspec.json.Decoder(Classified).decode
        self._decode_dropped = msgspec.json.Decoder(Dropped).decode
        self.refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Match every headline with the rules. Those that take more than one headline are asked together."""
        async with self._deciding:
            await self._take_up_changes()
            outputs: list[Output] = []
            events: list[tuple[Record, Event]] = []
            async for some in in_turns(records):
                for record in some:
                    told, event = self._matched(record)
                    outputs += told
                    if event is not None:
                        events.append((record, event))
            if events:
                considered = await self._correlation.decide([event for _, event in events])
                for (record, _), firings in zip(events, considered.firings, strict=True):
                    outputs += self._told(record, firings)
                outputs += self._placed(considered, [record for record, _ in events])
        return outputs

    async def elapsed(self, publish: Callable[[Sequence[Output]], Awaitable[object]], now: datetime) -> None:
        """Publish what fires because nothing came."""
        async with self._deciding:
            await self._take_up_changes()
            elapsed = await self._correlation.elapse(int(now.timestamp() * 1000))
        if elapsed is not None:
            outputs = [output for firings in elapsed.firings for output in self._told(None, firings)]
            await publish([*outputs, *self._placed(elapsed)])
            self._correlation.told(elapsed)

    def _matched(self, record: Record) -> tuple[Sequence[Output], Event | None]:
        """What comes of a record by itself, and what rules that take more than one headline are to hear of it."""
        repeat = record.topic == self._topics.dropped
        if repeat and not self._counts_repeats:
            return (), None
        try:
            headline = self._repeated(record) if repeat else self._decode(record.value or b"")
            matches = self._matcher.match(headline)
            if not matches:
                return (), None
            told = [] if repeat else self._told(record, fire(headline, matches))
            return told, event_of(headline, matches, repeat=repeat)
        except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            return [self.refusals.refuse(record, f"not a record of {record.topic}: {error}")], None
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return [self.refusals.stumbled(record, error)], None

    async def _take_up_changes(self) -> None:
        """Go by the rules that are in force now: all records of a call are decided by the same ones."""
        rules = self._rules.value
        if rules is not self._in_force:
            await self._correlation.adopt(rules.matcher.ruleset)
            self._go_by(rules)

    def _go_by(self, rules: InForce) -> None:
        self._in_force = rules
        self._matcher = rules.matcher
        self._router.routing = rules.routing
        self._counts_repeats = any(rule.counts_repeats for rule in rules.matcher.ruleset.matched)

    def _repeated(self, record: Record) -> Classified:
        dropped = self._decode_dropped(record.value or b"")
        return pipeline.classified(dropped, self._classifier.value.classify(dropped.headline.headline))

    def _placed(self, considered: Considered, records: Records = ()) -> Iterator[Output]:
        """What tells the places of events in the log, many in one record; those of one partition stay on it, in order."""
        sources: dict[int, Record | None] = {record.partition: record for record in records} or {0: None}
        places: dict[int, list[Place]] = {partition: [] for partition in sources}
        for place, record in zip_longest(considered.places, records):
            if place.number:  # a worker of an earlier release noted none
                places[record.partition if record else 0].append(place)
        for partition, of_partition in places.items():
            for start in range(0, len(of_partition), PLACES_AT_ONCE):
                some = tuple(of_partition[start : start + PLACES_AT_ONCE])
                told = Correlated(log=considered.log, places=some, absences=considered.absences)
                key = considered.log.encode()
                yield Output(self._topics.correlated, _encode(told), key, partition, sources[partition])

    def _told(self, record: Record | None, firings: Iterable[Firing]) -> list[Output]:
        """The alerts of some firings."""
        partition = record.partition if record is not None else 0
        return [
            Output(self._topics.alerts, _encode(alert), alert.alert_id.encode(), partition, record)
            for firing in firings
            for alert in self._router.alerts(firing)
        ]


class Deliver:
    """``alerts`` to the outbox. It only schedules: no HTTP here, so a slow channel holds up nothing."""

    name = "deliver"

    def __init__(
        self, topics: Topics, outbox: Outbox, kick: Callable[[str], None], clock: Callable[[], datetime]
    ) -> None:
        self._deliveries = topics.deliveries
        self._outbox = outbox
        self._kick = kick
        self._clock = clock
        self._decode = msgspec.json.Decoder(Alert).decode
        self.refusals = Refusals(self.name, topics)

    async def work(self, records: Records) -> Sequence[Output]:
        """Put the alerts into the outbox, and wake the channels; say of those that go to nobody that they ended."""
        alerts: list[Alert] = []
        ended: list[Output] = []
        async for some in in_turns(records):
            for record in some:
                try:
                    alert = self._decode(record.value or b"")
                except (ValueError, RecursionError) as error:  # msgspec's, and of bad UTF-8
                    ended.append(self.refusals.refuse(record, f"not a record of alerts: {error}"))
                    continue
                if alert.suppressed is None:
                    alerts.append(alert)
                else:
                    ended.append(self._held_back(alert, record))
        if alerts:
            await self._outbox.schedule(alerts, self._clock())
            for channel in {alert.channel for alert in alerts}:
                self._kick(channel)
        return ended

    def _held_back(self, alert: Alert, record: Record) -> Output:
        """The end of an alert that is to go to nobody."""
        end = Delivery(
            alert_id=alert.alert_id,
            channel=alert.channel,
            rule=alert.rule.name,
            outcome="suppressed",
            attempt=0,
            at=self._clock(),
            reason=alert.suppressed,
        )
        return Output(self._deliveries, _encode(end), alert.alert_id.encode(), record.partition, record)


class Runner:
    """Runs one stage over a Faust stream of chunks. Those of a worker share ``at_work``, so that one has its turn at a time."""

    def __init__(
        self,
        stage: Stage,
        app: Any,
        clock: Callable[[], datetime],
        on_step: OnStep,
        confirm: Callable[[], Awaitable[None]] | None = None,
        on_failure: OnFailure = lambda _part, _error: None,
        at_work: asyncio.Lock | None = None,
    ) -> None:
        self._stage = stage
        self._app = app
        self._clock = clock
        self._on_step = on_step
        self._confirm = confirm
        self._on_failure = on_failure
        self._at_work = at_work or asyncio.Lock()
        self._unconfirmed: asyncio.Queue[tuple[Any, Chunk]] = asyncio.Queue()
        self._held = 0  # records of those chunks, and of those that are being confirmed
        self._fewer_held = asyncio.Event()

    async def run(self, stream: Any) -> None:
        """Take the chunks as they come, those that wait together, until the stream ends.

        A lone headline goes through at once. Under load a decision, a batch and a confirmation serve all that came in
        the meantime, of whatever partition: the more headlines, the less work for each.

        Raises:
            Exception: one that nobody foresaw. The chunks in hand stay unacknowledged, and ``on_failure`` is told, for
                Faust would run the agent again and go on behind them.
        """
        try:
            await self._run(stream)
        except Exception as error:
            self._on_failure(self._stage.name, error)
            raise

    async def _run(self, stream: Any) -> None:
        events = stream.noack().events()
        async for event in events:
            waiting, records = [event], len(event.value)
            while records < AT_ONCE and not stream.channel.empty():
                following = await anext(events, None)
                if following is None:  # the worker stops
                    break
                waiting.append(following)
                records += len(following.value)
            await self._take(waiting)

    async def _take(self, events: Sequence[Any]) -> None:
        stale = [event for event in events if event.value.released.is_set()]
        if stale:  # they are handed out again, here or to another worker
            self._let_go(stale)
            events = [event for event in events if not event.value.released.is_set()]
        if not events:
            return
        newest: Chunk = events[-1].value  # released last
        records = [record for event in events for record in event.value.records]
        step = self._on_step
        try:
            step(self._stage.name, "consumed")
            outputs = await keep_trying(self._work, records, chunk=newest, what=self._stage.name)
            step(self._stage.name, "decided")
            while outputs:
                outputs = await keep_trying(self._publish, outputs, chunk=newest, what="publish")
            step(self._stage.name, "published")
        except ReleasedError:
            self._let_go(events)
            return
        except Exception:
            self._let_go(events)
            raise
        if self._confirm is None:
            for event in events:
                event.ack()
            step(self._stage.name, "acknowledged")
        else:
            for event in events:
                self._unconfirmed.put_nowait((event, event.value))
            self._held += len(records)
            await self._room()

    async def _room(self) -> None:
        """Wait while too much waits for the disk: all of it is in memory, and told to Redis again at each try."""
        while self._held > MOST_UNCONFIRMED:
            self._fewer_held.clear()
            await self._fewer_held.wait()

    async def _work(self, records: Records) -> Sequence[Output]:
        """What comes of some records. Stages with much to do work one after the other; a few records do not wait.

        Meanwhile more comes together for the others, and between two parts of the work a request needs one turn fewer.
        """
        if len(records) <= IN_A_TURN:
            return await self._stage.work(records)
        async with self._at_work:
            return await self._stage.work(records)

    def _let_go(self, events: Sequence[Any]) -> None:
        consumer: ChunkConsumer = self._app.consumer
        for event in events:
            consumer.let_go(event.message)

    async def _publish(self, outputs: Sequence[Output]) -> Sequence[Output]:
        """Publish, and return what is to be published in place of what the broker refuses for good.

        Raises:
            PublishError: the broker did not confirm them, or refuses what can be made no smaller.
        """
        producer: BatchProducer = self._app.producer
        refused = await producer.publish(outputs, timestamp_ms=int(self._clock().timestamp() * 1000))
        refusals = self._stage.refusals
        if not refused:
            refusals.tell(outputs)
            return ()
        theirs = {id(output) for output, _ in refused}
        refusals.tell([output for output in outputs if id(output) not in theirs])
        instead = [refusals.instead(one) for one in refused]
        if instead == [one.output for one in refused] == list(outputs):
            raise PublishError(f"{instead[0].topic} takes no record at all: {refused[0].error!r}")
        return instead

    async def acknowledge_confirmed(self) -> None:
        """Acknowledge chunks once ``confirm`` has said that what they left in Redis is on its disk.

        Runs beside :meth:`run`, so that no chunk waits for the disk before the next one is taken. Fails as it does.
        """
        assert self._confirm is not None
        try:
            await self._acknowledge_when(self._confirm)
        except Exception as error:
            self._on_failure(f"{self._stage.name}'s acknowledgements", error)
            raise

    async def _acknowledge_when(self, confirm: Callable[[], Awaitable[None]]) -> None:
        while not is_cancelled():
            batch = [await self._unconfirmed.get()]
            if self._held < AT_ONCE:
                await asyncio.sleep(GATHER)
            while not self._unconfirmed.empty():
                batch.append(self._unconfirmed.get_nowait())
            chunk = batch[-1][1]
            try:
                await keep_trying(lambda _: confirm(), None, chunk=chunk, what="confirm")
            except ReleasedError:
                self._let_go([event for event, _ in batch])
            else:
                self._on_step(self._stage.name, "confirmed")
                for event, _ in batch:
                    event.ack()
                self._on_step(self._stage.name, "acknowledged")
            self._held -= sum(len(one) for _, one in batch)
            self._fewer_held.set()


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
