"""The protocol as a model: its steps in any order that concurrency allows, a crash between any two, Redis lost, and time.

What decides is the real thing (`ExactDeduper`, `pipeline`, `fire`, `Progress`, `MemoryOutbox`); Kafka is a list a
partition, and the ledger a list with compare-and-append. At the end of each run nothing fails any more, everything drains,
and nothing may be missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.outbox import Leased
from alerts.outbox.memory import MemoryOutbox
from streams.core import pipeline
from streams.core.decide import RuleChannels, fire
from streams.core.dedupe import Candidate, Entry, ExactDeduper
from streams.core.match import Matcher
from streams.core.records import Alert, Classified, Delivery, Dropped, Headline, Unique
from streams.worker.chunks import Progress
from tests.faults.history import rules

T = TypeVar("T")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
WORKERS, PARTITIONS = 2, 2
TEXTS = ("Tanker waits", "Refinery reopens", "Ceasefire moves north")

workers = st.integers(0, WORKERS - 1)
partitions = st.integers(0, PARTITIONS - 1)


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waited")


@dataclass
class SharedLedger:
    """What Redis has of deduplication: the entries of one epoch, in order."""

    epoch: int = 0
    entries: list[Entry] = field(default_factory=list)
    last: int = 0


class View:
    """One worker's copy of the ledger."""

    def __init__(self) -> None:
        self.epoch = -1
        self.forget()

    def forget(self) -> None:
        self.deduper = ExactDeduper(timedelta(hours=1))
        self.by_position: dict[str, Entry] = {}
        self.read = 0

    def catch_up(self, ledger: SharedLedger) -> None:
        if self.epoch != ledger.epoch:
            self.forget()
            self.epoch = ledger.epoch
        for entry in ledger.entries[self.read :]:
            self.deduper.remember(entry)
            self.by_position[entry.position] = entry
        self.deduper.settle()
        self.read = len(ledger.entries)

    def decide(self, candidates: Sequence[Candidate], ledger: SharedLedger) -> list[Entry]:
        self.catch_up(ledger)
        for candidate in candidates:
            if candidate.position not in self.by_position:
                ledger.last += 1
                entry = msgspec.structs.replace(self.deduper.decide(candidate), seq=ledger.last)
                ledger.entries.append(entry)
                self.catch_up(ledger)
        return [self.by_position[candidate.position] for candidate in candidates]


@dataclass(eq=False)
class InHand:
    """A chunk between two steps."""

    first: int
    end: int
    outputs: list[Unique | Dropped] | list[Alert] | None = None
    published: bool = False


@dataclass(eq=False)
class Partition:
    """A partition of a topic: its log, what the group has committed, and how far its owner has come."""

    log: list[Any] = field(default_factory=list)
    committed: int = 0
    position: int = 0
    owner: int = 0
    progress: Progress = field(default_factory=Progress)
    chunk: InHand | None = None

    def reassign(self, owner: int) -> None:
        """Go on with another owner from what is committed."""
        self.owner, self.position, self.progress = owner, self.committed, Progress()
        self.chunk = None

    def take(self, size: int) -> None:
        """Hand out a chunk."""
        end = min(self.position + size, len(self.log))
        self.chunk = InHand(self.position, end)
        self.progress.handed_out(self.position, end)
        self.position = end

    def acknowledge(self) -> None:
        """Acknowledge the chunk in hand, and commit what may be."""
        assert self.chunk is not None
        assert self.progress.acknowledged(self.chunk.first)
        self.committed = self.progress.committable or self.committed
        self.chunk = None


class Protocol(RuleBasedStateMachine):
    """Steps 1 to 9 of ``docs/reference/delivery-guarantees.md``; ``raw`` is deduplicated, ``unique`` matched and sent."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.raw = [Partition() for _ in range(PARTITIONS)]
        self.unique = [Partition() for _ in range(PARTITIONS)]
        self.alerts = Partition()
        self.dropped: list[Dropped] = []
        self.deliveries: list[Delivery] = []
        self.posts: list[tuple[str, bytes]] = []
        self.ledger = SharedLedger()
        self.views = [View() for _ in range(WORKERS)]
        self.outbox = MemoryOutbox()
        done(self.outbox.begin_epoch("desk"))
        done(self.outbox.begin_epoch("archive"))
        self.leased: list[list[Leased]] = [[] for _ in range(WORKERS)]
        self.posted: list[list[Leased]] = [[] for _ in range(WORKERS)]
        self.zombies: list[tuple[Partition, InHand]] = []
        self.ended: Counter[str] = Counter()
        self.redis_fell = False
        #: Positions whose decision was on its way when Redis fell: it may be made anew (docs/adr/0002-ledger.md).
        self.exposed: set[str] = set()
        self.matcher = Matcher(rules())

    # What comes in

    @rule(partition=partitions, texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
    def say(self, partition: int, texts: list[str]) -> None:
        self.raw[partition].log += [Headline(headline=text, published=self.now) for text in texts]

    # Steps 1 to 5: consume, decide, publish or schedule, acknowledge

    @rule(number=st.integers(0, 2 * PARTITIONS), size=st.integers(1, 3), steps=st.integers(1, 4))
    def go_on(self, number: int, size: int, steps: int) -> None:
        """The owner of a partition does what comes next with the chunk in hand."""
        for _ in range(steps):
            self._step(self._partitions()[number], size)

    def _step(self, tp: Partition, size: int) -> None:
        if tp.chunk is None:
            if tp.position < len(tp.log):
                tp.take(size)
        elif tp.chunk.outputs is None:
            tp.chunk.outputs = self._work(tp, tp.chunk)
        elif not tp.chunk.published:
            self._publish(tp, tp.chunk)
        else:
            tp.acknowledge()

    def _work(self, tp: Partition, chunk: InHand) -> list[Unique | Dropped] | list[Alert]:
        if tp is self.alerts:
            return []
        if tp in self.raw:
            return self._deduplicated(tp, chunk)
        headlines = [pipeline.classified(unique, ()) for unique in tp.log[chunk.first : chunk.end]]
        return [alert for one in headlines for alert in self._alerts_of(one)]

    def _alerts_of(self, headline: Classified) -> list[Alert]:
        firings = fire(headline, self.matcher.match(headline))
        return [alert for firing in firings for alert in RuleChannels().alerts(firing)]

    def _deduplicated(self, tp: Partition, chunk: InHand) -> list[Unique | Dropped]:
        number = self.raw.index(tp)
        candidates = [
            Candidate(f"id-{number}-{offset}", f"raw:{number}:{offset}", NOON, tp.log[offset])
            for offset in range(chunk.first, chunk.end)
        ]
        entries = self.views[tp.owner].decide(candidates, self.ledger)
        return [pipeline.decided(candidate, entry) for candidate, entry in zip(candidates, entries, strict=True)]

    def _publish(self, tp: Partition, chunk: InHand) -> None:
        if tp is self.alerts:
            done(self.outbox.schedule(tp.log[chunk.first : chunk.end], self.now))
        for output in chunk.outputs or ():
            if isinstance(output, Unique):
                self.unique[self.raw.index(tp)].log.append(output)
            elif isinstance(output, Dropped):
                self.dropped.append(output)
            else:
                self.alerts.log.append(output)
        chunk.published = True

    # Steps 6 to 8: lease, post, finish

    @rule(worker=workers, channel=st.sampled_from(("desk", "archive")))
    def lease(self, worker: int, channel: str) -> None:
        self.leased[worker] += done(self.outbox.lease(channel, self.now, LEASE, 2))

    @rule(worker=workers)
    def post(self, worker: int) -> None:
        if self.leased[worker]:
            leased = self.leased[worker].pop(0)
            self.posts.append((leased.alerts[0].alert_id, msgspec.json.encode(leased.alerts[0])))
            self.posted[worker].append(leased)

    @rule(worker=workers)
    def finish(self, worker: int) -> None:
        if not self.posted[worker]:
            return
        leased = self.posted[worker].pop(0)
        delivery = Delivery(
            alert_id=leased.alerts[0].alert_id,
            channel=leased.alerts[0].channel,
            rule=leased.alerts[0].rule.name,
            outcome="delivered",
            attempt=leased.attempt,
            at=self.now,
        )
        if done(self.outbox.finish(leased, [delivery])):
            self.ended[leased.alerts[0].alert_id] += 1
        self.deliveries.append(delivery)

    @rule(seconds=st.sampled_from((1, 31)))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # What fails

    @rule(worker=workers)
    def crash(self, worker: int) -> None:
        self.views[worker] = View()
        self.leased[worker].clear()
        self.posted[worker].clear()
        for tp in self._partitions():
            if tp.owner == worker:
                tp.reassign(1 - worker)

    @rule(number=st.integers(0, 2 * PARTITIONS), worker=workers)
    def rebalance(self, number: int, worker: int) -> None:
        """A partition changes hands; who had it may not know, and goes on with its chunk."""
        tp = self._partitions()[number]
        if tp.chunk is not None and tp.chunk.outputs is not None and not tp.chunk.published:
            self.zombies.append((tp, tp.chunk))
        tp.reassign(worker)

    @precondition(lambda self: self.zombies)
    @rule()
    def zombie_publishes(self) -> None:
        self._publish(*self.zombies.pop(0))

    @rule(worker=workers)
    def redis_loses_everything(self, worker: int) -> None:
        """Step 9 of the ledger and the outbox: one worker lays both anew from what it and Kafka have."""
        self.redis_fell = True
        on_their_way = [(tp, tp.chunk) for tp in self.raw if tp.chunk is not None] + self.zombies
        for tp, chunk in on_their_way:
            if tp in self.raw:
                offsets = range(chunk.first, chunk.end)
                self.exposed.update(f"raw:{self.raw.index(tp)}:{offset}" for offset in offsets)
        known = {entry.seq: entry for entry in self.views[worker].by_position.values()}
        for record in [*(one for tp in self.unique for one in tp.log), *self.dropped]:
            known[record.seq] = pipeline.restored(record)
        entries = [known[seq] for seq in sorted(known)]
        self.ledger = SharedLedger(self.ledger.epoch + 1, entries, self.ledger.last + 1)
        self.outbox.lose_everything()

    @rule()
    def outbox_is_kept(self) -> None:
        """The keeper looks: an outbox without an epoch is rebuilt from the alerts, less those that came to an end."""
        for channel in ("desk", "archive"):
            if done(self.outbox.epoch(channel)) is None:
                ended = {delivery.alert_id for delivery in self.deliveries}
                alerts = [alert for alert in self.alerts.log if alert.channel == channel]
                done(self.outbox.restore(alerts, ended, self.now))
                done(self.outbox.begin_epoch(channel))

    # What must hold

    @invariant()
    def no_headline_has_two_fates(self) -> None:
        fates: dict[str, set[object]] = defaultdict(set)
        for record in [*(one for tp in self.unique for one in tp.log), *self.dropped]:
            fates[record.position].add((record.seq, type(record)))
        assert not [place for place, said in fates.items() if len(said) > 1 and place not in self.exposed]

    @invariant()
    def no_alert_comes_to_its_end_twice(self) -> None:
        assert self.redis_fell or all(times == 1 for times in self.ended.values())

    @invariant()
    def no_alert_is_posted_with_two_bodies(self) -> None:
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for name, body in self.posts:
            bodies[name].add(body)
        assert self.exposed or all(len(said) == 1 for said in bodies.values())

    def teardown(self) -> None:
        """Nothing fails any more: in the end all that came in has come out."""
        while any(tp.committed < len(tp.log) for tp in self._partitions()):
            for number in range(2 * PARTITIONS + 1):
                self.go_on(number, 3, 4)
        self.outbox_is_kept()
        self.time_passes(31)
        for channel in ("desk", "archive"):
            while done(self.outbox.counts(channel, self.now)).due:
                self.lease(0, channel)
                while self.leased[0]:
                    self.post(0)
                while self.posted[0]:
                    self.finish(0)
        self._check_the_sum()

    def _check_the_sum(self) -> None:
        unique = [record for tp in self.unique for record in tp.log]
        fates = {record.position for record in [*unique, *self.dropped]}
        assert fates == {f"raw:{n}:{offset}" for n, tp in enumerate(self.raw) for offset in range(len(tp.log))}
        told = Counter(text for text in {(one.headline.headline, one.id) for one in unique})
        said = {headline.headline for tp in self.raw for headline in tp.log}
        assert {text for text, _ in told} == said
        assert self.redis_fell or len(told) == len(said)
        classified = [pipeline.classified(one, ()) for one in unique]
        expected = {alert.alert_id for one in classified for alert in self._alerts_of(one)}
        assert expected == {name for name, _ in self.posts}
        assert expected == {delivery.alert_id for delivery in self.deliveries}

    def _partitions(self) -> list[Partition]:
        return [*self.raw, *self.unique, self.alerts]


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
