"""The order in which live workers' rules that remember saw headlines, for a replay to see them so, too.

Deduplication decides in the order of ``seq``, and what it decided comes to the log of what rules remember (the topic
``headlines.correlated``) in nearly that order, and not quite. An `Order` is asked of each headline, in the order of ``seq``,
and says when rules that remember are to consider it: at once, or in a later `Step`. ``docs/adr/0007-the-order-of-the-log.md``
has what crashes and a Redis that lost its data do to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from streams.backtest.sorting import LOOK_AHEAD, in_place
from streams.core.dedupe import milliseconds
from streams.core.records import Correlated


class Consider(NamedTuple):
    """Rules that remember consider the headline of a ``position``, which has been decided on."""

    position: str


class Tick(NamedTuple):
    """Nothing had come up to ``at``, milliseconds of event time."""

    at: int


class Forget(NamedTuple):
    """The log was lost: rules begin anew with nothing remembered."""


Step: TypeAlias = Consider | Tick | Forget


class Order(Protocol):
    """When rules that remember consider headlines. Each is told of once, in the order of the decisions."""

    @property
    def absences(self) -> Collection[str]:
        """The revisions of rules for which time has come only where a `Tick` says so."""

    def waits(self, position: str) -> bool:
        """Whether the headline that is decided on now is considered in a later step, and not at once."""

    def due(self) -> Iterator[Step]:
        """What is to be done after the headlines that have been decided on."""

    def rest(self) -> Iterator[Step]:
        """What is left to be done after the last headline."""


class AsTheyCome:
    """One order: every headline is considered when it is decided on, and time goes by the headlines."""

    absences: Collection[str] = ()

    def waits(self, _position: str) -> bool:
        """Never."""
        return False

    def due(self) -> Iterator[Step]:
        """Nothing."""
        return iter(())

    def rest(self) -> Iterator[Step]:
        """Nothing."""
        return iter(())


class _Placed(NamedTuple):
    """One place of the log; ``at`` is that of a tick, which has no position."""

    number: int
    position: str
    at: int | None
    told: Correlated


class LogOrder:
    """The order of a log, as ``records`` tell of it; those of one partition in its order, at most ``ahead`` out of place.

    Up to three times ``ahead`` places are held. A headline without a place, as no rule of then matched it, is considered at
    once. A place whose headline is not among those that are replayed is passed over: one later of its partition tells, or
    ``ahead`` others. ``until`` is when the recording ends, milliseconds; ticks from then on are left out.
    """

    def __init__(self, records: Iterable[Correlated], *, ahead: int = LOOK_AHEAD, until: int | None = None) -> None:
        self.absences: Collection[str] = ()
        #: The headlines that were considered in this order so far.
        self.considered = 0
        self._ahead = ahead
        self._until = until
        self._unread = in_place(_places(records), ahead)
        self._last = -1
        self._logs: set[str] = set()
        #: Places that have been read and are not done, in their order, and the positions among them.
        self._places: deque[_Placed] = deque()
        self._known: set[str] = set()
        #: The positions of headlines that have been decided on and wait, and how far each partition has come.
        self._here: set[str] = set()
        self._reached: dict[str, int] = {}
        #: Partitions of which nothing has come for long, and how long the first place has waited for its headline.
        self._gone: set[str] = set()
        self._waited = 0

    def waits(self, position: str) -> bool:
        """Whether the headline has a place in the log."""
        partition, offset = _split(position)
        self._read()
        self._reached[partition] = max(offset, self._reached.get(partition, -1))
        self._gone.discard(partition)
        self._waited += 1
        if position not in self._known or position in self._here:
            return False
        self._here.add(position)
        return True

    def due(self) -> Iterator[Step]:
        """What comes first in the log, as long as it is here."""
        while self._places and self._is_next(self._places[0]):
            yield from self._done(self._places.popleft())

    def rest(self) -> Iterator[Step]:
        """All that is here, and the ticks."""
        while True:
            self._read()
            if not self._places or (self._is_over(self._places[0]) and not self._here):
                return
            while self._places:
                yield from self._done(self._places.popleft())

    def _read(self) -> None:
        """Have ``ahead`` places of headlines to come, as far as there are any."""
        while len(self._places) - len(self._here) < self._ahead:
            following = next(self._unread, None)
            if following is None:
                return
            _, placed, _ = following
            if placed.number == self._last:  # told again, after a crash
                continue
            self._last = placed.number
            if placed.at is None:
                if placed.position in self._known or self._is_past(placed):
                    continue
                self._known.add(placed.position)
            self._places.append(placed)

    def _is_past(self, placed: _Placed) -> bool:
        """Whether its headline does not come any more, or has been considered already."""
        partition, offset = _split(placed.position)
        return offset <= self._reached.get(partition, -1)

    def _is_next(self, first: _Placed) -> bool:
        """Whether the first place can be done, or passed over."""
        if first.at is not None or first.position in self._here or self._is_past(first):
            return True
        partition, _ = _split(first.position)
        if self._waited > self._ahead:
            self._gone.add(partition)
        return partition in self._gone

    def _is_over(self, placed: _Placed) -> bool:
        return self._until is not None and placed.number >> _COUNT_BITS >= self._until

    def _done(self, placed: _Placed) -> Iterator[Step]:
        self._waited = 0
        self._known.discard(placed.position)
        if placed.at is None and placed.position not in self._here:
            return
        if placed.told.log not in self._logs:
            self._logs.add(placed.told.log)
            if len(self._logs) > 1:
                yield Forget()
        self.absences = placed.told.absences
        if placed.at is None:
            self._here.remove(placed.position)
            self.considered += 1
            yield Consider(placed.position)
        elif not self._is_over(placed):
            yield Tick(placed.at)


#: Events of one millisecond are told apart by so many bits.
_COUNT_BITS = 32


def _places(records: Iterable[Correlated]) -> Iterator[tuple[int, _Placed]]:
    for told in records:
        for place in told.places:
            moment, _, count = place.number.partition("-")
            number = (int(moment) << _COUNT_BITS) + int(count)
            at = milliseconds(place.at) if place.at is not None else None
            if place.position is not None or at is not None:
                yield number, _Placed(number, place.position or "", at, told)


def _split(position: str) -> tuple[str, int]:
    """The partition of a raw record, with its topic, and the offset."""
    partition, _, offset = position.rpartition(":")
    return (partition, int(offset)) if offset.isdecimal() else (position, 0)
