"""In = out: what became of every headline and every alert, counted from the topics themselves.

A record that an agent has acknowledged must have come out somewhere: a raw headline as unique, dropped or invalid, a
unique one as classified, an alert as delivered, suppressed or dead, or else it waits in the outbox. What was
acknowledged is asked before what came out, so that whatever happens in between can only make the count late, never
wrong. A record that was published twice, as may happen after a crash, counts once, and as a repeat.

What is counted is what Kafka received, or an agent decided, since one moment; what came out is looked for from an hour
before it on, for no two clocks agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from alerts.outbox import Outbox
from alerts.outbox.interface import REVIVED
from streams.worker.clients import reader
from streams.worker.history import committed_offsets, partitions_of
from streams.worker.lookback import SKEW_MS, kept_since, offsets_at, records
from streams.worker.topics import Topics

#: What is known of one raw record, a bit each.
_UNIQUE, _DROPPED, _INVALID, _CLASSIFIED, _TO_CLASSIFY = 1, 2, 4, 8, 16
_FATES = _UNIQUE | _DROPPED | _INVALID
_MARKS = {"unique": _UNIQUE, "dropped": _DROPPED, "invalid": _INVALID, "classified": _CLASSIFIED}
_ALERTS_AT_ONCE = 1000
_EPOCH = datetime.fromtimestamp(0, UTC)


class _Brief(msgspec.Struct):
    """As much of any record as counting needs."""

    position: str = ""
    stage: str = ""
    alert_id: str = ""
    channel: str = ""
    outcome: str = ""
    reason: str | None = None


@dataclass(slots=True)
class Tally:
    """What the topics say since a moment; ``since`` is None where that is all of their past.

    ``read`` are the raw records that were acknowledged; ``unique``, ``dropped`` and ``invalid`` what became of them.
    ``refused`` counts the other records of ``headlines.invalid`` by the stage that put them there. ``outcomes`` counts
    alerts by their ends; ``channels`` are those that alerts are for. ``repeats`` are records that say again what another
    one says. ``lag`` is in records by topic. ``missing`` and ``twofold`` name what came out nowhere, and in more ways
    than one. ``rebuilding`` are the channels whose part of the outbox has lost its data, and is not restored yet.
    """

    since: datetime | None = None
    read: int = 0
    unique: int = 0
    dropped: int = 0
    invalid: int = 0
    classified: int = 0
    alerts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    channels: frozenset[str] = frozenset()
    repeats: int = 0
    lag: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    twofold: list[str] = field(default_factory=list)
    rebuilding: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Every acknowledged headline and alert came out, in one way."""
        return not self.missing and not self.twofold

    @property
    def finished(self) -> bool:
        """Balanced, and nothing is on its way."""
        return self.balanced and not any(self.lag.values()) and self.pending == 0

    @property
    def pending(self) -> int:
        """Alerts that have not come to an end yet."""
        return self.alerts - self.outcomes.total()


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where the topics begin and end, and how far the group has acknowledged them. ``done`` was asked first."""

    firsts: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    done: Mapping[TopicPartition, int]

    def of(self, *topics: str) -> dict[TopicPartition, int]:
        """The ends of the partitions of some topics."""
        return {tp: end for tp, end in self.ends.items() if tp.topic in topics}

    def lag(self, topic: str) -> int:
        """The records of a topic that wait to be taken."""
        return sum(end - self.done[tp] for tp, end in self.of(topic).items())


async def count(
    client: Mapping[str, Any],
    topics: Topics,
    group: str,
    *,
    now: datetime,
    reach: timedelta | None = None,
    outbox: Outbox | None = None,
) -> Tally:
    """Count what the topics say of the time since ``now - reach``, or of all the time that they remember.

    With an ``outbox``, an alert that has not come to an end must be in it.

    Raises:
        KafkaError: Kafka cannot be asked.
        OutboxError: the outbox cannot be asked.
    """
    done = await committed_offsets(client, group)
    partitions = await partitions_of(client, topics.all())
    async with reader(client, partitions) as consumer:
        offsets = await _offsets(consumer, partitions, done)
        since_ms = await _since(client, consumer, topics, offsets, now, reach)
        counting = _Counting(consumer, topics, offsets, since_ms)
        await counting.read()
        tally = await counting.tally()
    if outbox is not None:
        await _compare(tally, counting.acknowledged - counting.ends.keys(), counting.channels, outbox)
    return tally


async def read_offsets(client: Mapping[str, Any], topics: Topics, group: str) -> Offsets:
    """How far the group has come, at this moment.

    Raises:
        KafkaError: Kafka cannot be asked.
    """
    done = await committed_offsets(client, group)
    partitions = await partitions_of(client, topics.all())
    async with reader(client, partitions) as consumer:
        return await _offsets(consumer, partitions, done)


async def stuck(client: Mapping[str, Any], topics: Topics, before: Offsets, after: Offsets) -> Counter[str]:
    """The topics of which a partition did not move from ``before`` to ``after``, and how many records wait there.

    Raises:
        KafkaError: Kafka cannot be asked.
    """
    unmoved = {
        tp: end
        for tp, end in before.of(topics.raw, topics.unique, topics.classified, topics.alerts).items()
        if before.done[tp] == after.done.get(tp) and before.done[tp] < end
    }
    # Offsets without a record, such as the ends of transactions, wait for nobody: what is there has to be read.
    async with reader(client, list(unmoved)) as consumer:
        return Counter([r.topic async for r in records(consumer, {tp: before.done[tp] for tp in unmoved}, unmoved)])


async def _offsets(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], done: Mapping[TopicPartition, int]
) -> Offsets:
    firsts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    return Offsets(firsts, ends, {tp: min(max(done.get(tp, 0), firsts[tp]), ends[tp]) for tp in partitions})


async def _since(
    client: Mapping[str, Any],
    consumer: AIOKafkaConsumer,
    topics: Topics,
    offsets: Offsets,
    now: datetime,
    reach: timedelta | None,
) -> int:
    """The moment to count from, milliseconds; 0 for the beginning.

    What came out of a record may be an hour older than it, by their clocks, and must be there still.
    """
    outputs = offsets.of(topics.unique, topics.dropped, topics.invalid, topics.classified, topics.deliveries)
    kept = await kept_since(client, consumer, {tp: offsets.firsts[tp] for tp in outputs}, _ms(now))
    wanted = _ms(now - reach) if reach is not None and reach < now - _EPOCH else 0
    return max(wanted, kept + SKEW_MS if kept else 0)


class _Counting:
    """One count, as it proceeds. A byte for each raw record that Kafka has holds what is known of it."""

    def __init__(self, consumer: AIOKafkaConsumer, topics: Topics, offsets: Offsets, since_ms: int) -> None:
        self._consumer = consumer
        self._topics = topics
        self._offsets = offsets
        self._since_ms = since_ms
        self._tally = Tally(since=_moment(since_ms) if since_ms else None)
        self._raw = offsets.of(topics.raw)
        self._known = {tp: bytearray(end - offsets.firsts[tp]) for tp, end in self._raw.items()}
        self._starts: dict[TopicPartition, int] = {}
        self._refused: set[str] = set()
        #: What is known of the alerts: the channel of each, those that were acknowledged, and how they ended.
        self.channels: dict[str, str] = {}
        self.acknowledged: set[str] = set()
        self.ends: dict[str, str] = {}

    async def read(self) -> None:
        """Read what came out, the refusals first, because those that refused nothing must know of them."""
        topics, offsets = self._topics, self._offsets
        self._starts = await self._first_offsets(offsets.of(topics.raw, topics.unique, topics.alerts), self._since_ms)
        outputs = offsets.of(topics.invalid, topics.unique, topics.dropped, topics.classified, topics.deliveries)
        since = await self._first_offsets(outputs, self._since_ms - SKEW_MS)
        alerts = offsets.of(topics.alerts)
        since |= {tp: self._starts[tp] for tp in alerts}
        names = {getattr(topics, name): name for name in (*_MARKS, "alerts", "deliveries")}
        decode = msgspec.json.Decoder(_Brief).decode
        for chosen in (offsets.of(topics.invalid), (outputs | alerts).keys() - offsets.of(topics.invalid).keys()):
            async for record in records(self._consumer, {tp: since[tp] for tp in chosen}, offsets.ends):
                try:
                    brief = decode(record.value or b"")
                except (ValueError, RecursionError):
                    continue  # not ours; the agents put it to headlines.invalid
                self._take(names[record.topic], record, brief)

    async def _first_offsets(self, ends: Mapping[TopicPartition, int], moment_ms: int) -> dict[TopicPartition, int]:
        if not self._since_ms:
            return {tp: self._offsets.firsts[tp] for tp in ends}
        return await offsets_at(self._consumer, ends, moment_ms)

    def _take(self, name: str, record: ConsumerRecord[bytes, bytes], brief: _Brief) -> None:
        counts = record.timestamp >= self._since_ms
        if name == "alerts":
            self._take_alert(record, brief)
        elif name == "deliveries":
            self._take_delivery(brief, counts=counts)
        elif name == "invalid" and brief.stage != "deduplicate":
            self._tally.refused[brief.stage] += counts
            self._refused.add(brief.position)
        else:
            self._mark(brief.position, _MARKS[name], counts=counts)
            if name == "unique":
                self._expect_classified(record, brief)

    def _take_delivery(self, brief: _Brief, *, counts: bool) -> None:
        """An alert that was dead may have been put back by hand, and then ends anew."""
        before = self.ends.get(brief.alert_id)
        if brief.outcome == "retry":
            if before == "dead" and brief.reason == REVIVED:
                del self.ends[brief.alert_id]
        elif before == "dead" and brief.outcome == "delivered":
            self.ends[brief.alert_id] = brief.outcome
        else:
            self._tally.repeats += counts and before is not None
            self.ends.setdefault(brief.alert_id, brief.outcome)

    def _take_alert(self, record: ConsumerRecord[bytes, bytes], brief: _Brief) -> None:
        if _place(record) in self._refused:
            return
        self._tally.repeats += brief.alert_id in self.channels
        self.channels[brief.alert_id] = brief.channel
        if record.offset < self._offsets.done[_partition(record)]:
            self.acknowledged.add(brief.alert_id)

    def _mark(self, position: str, mark: int, *, counts: bool) -> None:
        tp, offset = _read_place(position)
        index = offset - self._offsets.firsts.get(tp, 0)
        known = self._known.get(tp, b"")
        if not 0 <= index < len(known):
            return  # Kafka does not have the raw record any more, or never had it
        assert isinstance(known, bytearray)
        self._tally.repeats += counts and bool(known[index] & mark)
        known[index] |= mark
        if counts and mark & _FATES:
            # A record may be older by its own time than it has been here: then the decision tells.
            self._starts[tp] = min(self._starts[tp], offset)

    def _expect_classified(self, record: ConsumerRecord[bytes, bytes], brief: _Brief) -> None:
        tp = _partition(record)
        if self._starts[tp] <= record.offset < self._offsets.done[tp] and _place(record) not in self._refused:
            self._mark(brief.position, _TO_CLASSIFY, counts=False)

    async def tally(self) -> Tally:
        """The sums of what was read."""
        tally, offsets = self._tally, self._offsets
        unaccounted: dict[TopicPartition, list[int]] = {}
        for tp, known in self._known.items():
            first, start = offsets.firsts[tp], self._starts[tp]
            window = bytes(known[start - first : max(offsets.done[tp] - first, start - first)])
            sums = Counter(window)
            tally.unique += _having(sums, _UNIQUE)
            tally.dropped += _having(sums, _DROPPED)
            tally.invalid += _having(sums, _INVALID)
            tally.classified += _having(sums, _CLASSIFIED)
            tally.read += len(window) - _having(sums, 0, of=_FATES)
            unaccounted[tp] = [start + index for index in _find(window, _IS_NOWHERE)]
            tally.twofold += [f"{tp.topic}:{tp.partition}:{start + index}" for index in _find(window, _IS_TWOFOLD)]
            tally.missing += [
                f"{tp.topic}:{tp.partition}:{first + index} (unique, never classified)"
                for index in _find(bytes(known), _IS_UNCLASSIFIED)
            ]
        lost = await self._records_at({tp: places for tp, places in unaccounted.items() if places})
        tally.read += len(lost)
        tally.missing = lost + tally.missing
        tally.alerts, tally.channels = len(self.channels), frozenset(self.channels.values())
        tally.outcomes = Counter(end for alert_id, end in self.ends.items() if alert_id in self.channels)
        topics = self._topics
        tally.lag = {
            topic: offsets.lag(topic) for topic in (topics.raw, topics.unique, topics.classified, topics.alerts)
        }
        return tally

    async def _records_at(self, places: Mapping[TopicPartition, Sequence[int]]) -> list[str]:
        """Those of some offsets that hold a record; the end of a transaction, for instance, is none."""
        wanted = {tp: set(offsets) for tp, offsets in places.items()}
        starts = {tp: offsets[0] for tp, offsets in places.items()}
        ends = {tp: offsets[-1] + 1 for tp, offsets in places.items()}
        return [
            _place(record)
            async for record in records(self._consumer, starts, ends)
            if record.offset in wanted[_partition(record)]
        ]


async def _compare(tally: Tally, alerts: Collection[str], channels: Mapping[str, str], outbox: Outbox) -> None:
    """Look for acknowledged alerts, of which no end is known, in the outbox."""
    of_channel: dict[str, list[str]] = defaultdict(list)
    for alert_id in sorted(alerts):
        of_channel[channels[alert_id]].append(alert_id)
    for channel, ids in sorted(of_channel.items()):
        if await outbox.epoch(channel) is None:
            tally.rebuilding.append(channel)
            continue
        for start in range(0, len(ids), _ALERTS_AT_ONCE):
            some = ids[start : start + _ALERTS_AT_ONCE]
            held = await outbox.holds(channel, some)
            tally.missing += [f"alert {i} for {channel} (neither ended nor waiting)" for i in some if i not in held]


def _table(test: Callable[[int], bool]) -> bytes:
    """A table for ``bytes.translate`` that gives 1 for what passes a test."""
    return bytes(test(known) for known in range(256))


_IS_NOWHERE = _table(lambda known: not known & _FATES)
_IS_TWOFOLD = _table(lambda known: (known & _FATES).bit_count() > 1)
_IS_UNCLASSIFIED = _table(lambda known: known & (_CLASSIFIED | _TO_CLASSIFY) == _TO_CLASSIFY)


def _find(known: bytes, table: bytes) -> Iterator[int]:
    """Where what is known passes the test of a table."""
    passing = known.translate(table)
    index = passing.find(1)
    while index >= 0:
        yield index
        index = passing.find(1, index + 1)


def _having(sums: Mapping[int, int], bits: int, of: int | None = None) -> int:
    """How many have some bits set, or, ``of`` some bits, exactly these."""
    of = bits if of is None else of
    return sum(n for known, n in sums.items() if known & of == bits)


def _partition(record: ConsumerRecord[bytes, bytes]) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _place(record: ConsumerRecord[bytes, bytes]) -> str:
    return f"{record.topic}:{record.partition}:{record.offset}"


def _read_place(position: str) -> tuple[TopicPartition, int]:
    topic, _, rest = position.partition(":")
    partition, _, offset = rest.partition(":")
    try:
        return TopicPartition(topic, int(partition)), int(offset)
    except ValueError:
        return TopicPartition("", 0), 0


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
