"""Replay: recorded headlines through the pipeline, by event time, with what was decided told to consumers.

What hears of the decisions (a summary, a report, a file) is a `Consumer`. Nothing here can deliver anything.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol

from streams.backtest.decided import Decided, Message, delay, held_for, span_days
from streams.backtest.order import AsTheyCome, Consider, Order, Step, Tick
from streams.backtest.report.delays import Delays
from streams.backtest.sorting import LOOK_AHEAD, in_place
from streams.core.dedupe import Candidate, milliseconds
from streams.core.records import Alert, Classified, Dropped, Unique


class Consumer(Protocol):
    """Hears of all that is decided, in order."""

    def take(self, one: Decided | Message) -> None:
        """Hear of one headline, or of alerts that came of time alone, or of a message."""

    def finish(self) -> None:
        """There is nothing more. Also called where replay was interrupted."""


class Decider(Protocol):
    """What decides on headlines: `streams.core.pipeline.Engine`, or two of them side by side."""

    def feed(self, candidate: Candidate, *, later: bool = False) -> tuple[Classified | Dropped, list[Alert]]:
        """Decide on a headline; ``later`` leaves what rules that remember say of it to `consider`."""

    def consider(self, position: str) -> list[Alert]:
        """The alerts of rules that remember on a headline that was left for later."""

    def advance(self, at: int, but: Collection[str] = ()) -> list[Alert]:
        """The alerts that come because event time has come to ``at``, milliseconds, but those of some revisions."""

    def forget(self) -> None:
        """Let rules begin anew with nothing remembered."""


def event_time(candidate: Candidate) -> int:
    """When it happened, milliseconds: when it was published, and never after it was received."""
    return milliseconds(min(candidate.headline.published, candidate.received))


@dataclass(slots=True)
class InOrder:
    """Candidates in the order of event time, those of one time as they came.

    ``late`` counts those that came more than ``ahead`` headlines too late to be put in their place. They are replayed where
    they stand, as they would be live.
    """

    ahead: int = LOOK_AHEAD
    late: int = 0
    listener: Callable[[Candidate], None] | None = None

    def of(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Bring them into order; holds ``ahead`` of them, at most. Who listens hears of each as it comes."""
        for _, candidate, late in in_place(((event_time(one), one) for one in self._heard(candidates)), self.ahead):
            self.late += late
            yield candidate

    def _heard(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        for candidate in candidates:
            if self.listener is not None:
                self.listener(candidate)
            yield candidate


@dataclass(slots=True)
class AsDecided:
    """The headlines of records that a pipeline decided on, in the order in which it did, by their ``seq``; each once.

    ``late`` counts those that came more than ``ahead`` records too late to be put in their place.
    """

    ahead: int = LOOK_AHEAD
    late: int = 0

    def of(self, records: Iterable[Unique | Dropped | Classified]) -> Iterator[Candidate]:
        """Bring them into order. Of a record that is there twice, after a crash, the second is left out."""
        last = ""
        for _, record, late in in_place(((one.seq, one) for one in records), self.ahead):
            if record.position != last:
                last = record.position
                self.late += late
                yield Candidate(record.id, record.position, record.received, record.headline)


def replay(candidates: Iterable[Candidate], engine: Decider, order: Order | None = None) -> Iterator[Decided]:
    """What is decided on each, and in between what time alone brings. Time never goes back.

    With an ``order``, rules that remember consider the headlines in it; what is decided is told when all of it is.
    """
    order = order or AsTheyCome()
    waiting = _Waiting(engine)
    now = -(2**63)
    for candidate in candidates:
        now = max(now, event_time(candidate))
        later = order.waits(candidate.position)
        waiting.advance(now, order.absences)
        waiting.feed(now, candidate, later=later)
        for step in order.due():
            waiting.take(now, step)
        yield from waiting.ready()
    for step in order.rest():
        waiting.take(now, step)
    yield from waiting.ready()


@dataclass(slots=True)
class _Undone:
    """A decision; ``position`` is that of a headline which rules that remember have still to consider."""

    at: int
    record: Classified | Dropped | None
    alerts: list[Alert]
    position: str | None = None


class _Waiting:
    """Decisions in their order, until all is known of the first."""

    def __init__(self, engine: Decider) -> None:
        self._engine = engine
        self._decided: deque[_Undone] = deque()
        self._undone: dict[str, _Undone] = {}

    def feed(self, now: int, candidate: Candidate, *, later: bool) -> None:
        """Decide on a headline."""
        record, alerts = self._engine.feed(candidate, later=later)
        undone = _Undone(now, record, alerts, candidate.position if later else None)
        self._decided.append(undone)
        if later:
            self._undone[candidate.position] = undone

    def advance(self, now: int, but: Collection[str] = ()) -> None:
        """Let event time come to ``now``."""
        if alerts := self._engine.advance(now, but):
            self._decided.append(_Undone(now, None, alerts))

    def take(self, now: int, step: Step) -> None:
        """Do what an order says."""
        if isinstance(step, Consider):
            undone = self._undone.pop(step.position)
            undone.alerts += self._engine.consider(step.position)
            undone.position = None
        elif isinstance(step, Tick):
            if alerts := self._engine.advance(step.at):
                self._decided.append(_Undone(max(now, step.at), None, alerts))
        else:
            self._engine.forget()

    def ready(self) -> Iterator[Decided]:
        """Those of which all is known, and of those before them."""
        while self._decided and self._decided[0].position is None:
            done = self._decided.popleft()
            at = datetime.fromtimestamp(done.at / 1000, UTC)
            yield Decided(at=at, headline=done.record, alerts=tuple(done.alerts))


@dataclass(slots=True)
class Summary:
    """The sums that the terminal shows: a consumer whose memory does not grow with the stream.

    ``suppressed`` counts alerts that were held back by the reason, ``held`` by their rule.
    """

    rules: Sequence[str]
    first: datetime | None = None
    last: datetime | None = None
    decisions: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    days: Counter[date] = field(default_factory=Counter)
    delays: Delays = field(default_factory=Delays)

    def take(self, one: Decided | Message) -> None:
        """Add it."""
        if isinstance(one, Message):
            self.messages[one.channel] += 1
            return
        if one.headline is not None:
            self.first, self.last = self.first or one.at, one.at
            self.decisions["duplicate" if isinstance(one.headline, Dropped) else one.headline.kind] += 1
        for alert in one.alerts:
            if alert.suppressed is None:
                self.alerts[alert.rule.name] += 1
                self.days[one.at.date()] += 1
                if one.headline is not None:
                    self.delays.add(delay(one.at, alert))
            else:
                self.suppressed[held_for(alert.suppressed)] += 1
                self.held[alert.rule.name] += 1

    def finish(self) -> None:
        """Nothing is left to do."""

    @property
    def headlines(self) -> int:
        """The headlines that were decided on."""
        return self.decisions.total()

    @property
    def span_days(self) -> float:
        """How long the stream is in days, 1 at least."""
        return span_days(self.first, self.last)

    @property
    def worst_day(self) -> tuple[date, int] | None:
        """The day with most alerts, and how many; None where there were none."""
        return max(self.days.items(), key=lambda day: day[1], default=None)

    @property
    def silent(self) -> list[str]:
        """The rules that never fired."""
        return [name for name in self.rules if not self.alerts[name] and not self.held[name]]

    @property
    def held_back_only(self) -> list[str]:
        """The rules that fired, and of which no alert would have gone out."""
        return [name for name in self.rules if self.held[name] and not self.alerts[name]]
