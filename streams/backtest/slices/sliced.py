"""Cutting a stream into slices, and bringing what was found of them back into its order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from streams.backtest.replay import event_time
from streams.backtest.slices.finding import decode_found, encode
from streams.backtest.slices.handed import SEEN, Hand, HandedDeduper
from streams.backtest.slices.hands import Errand, Hands
from streams.core.dedupe import Candidate, milliseconds

#: Headlines that are handed to a worker at once.
BATCH = 200
#: Headlines of a slice at the most, unless warming up for it would take too large a part of the work.
MOST = 100_000
#: A slice is so many times as long as what a worker looks at before it, at the least.
WORTH = 2.0
#: Windows before what a slice sees that are looked at roughly, so that it is known what is repeated there.
ROUGHLY = 0.75

_decode_flags = msgspec.msgpack.Decoder(list[bytes]).decode


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a stream is cut: into ``slices``, or as it suits the workers; then one has ``most`` headlines at the most.

    ``batch`` headlines are handed to a worker at once. ``expected`` tells about how many there are, None where nobody knows.
    """

    expected: Callable[[], int | None]
    slices: int | None = None
    most: int = MOST
    batch: int = BATCH

    def ends(self, before: int, length: int, context: int, width: int) -> bool:
        """Whether a slice ends after ``length`` headlines, which has ``before`` headlines before it.

        ``context`` headlines lie behind its end that whoever takes the next slice has to look at first.
        """
        total = self.expected()
        if not length:
            return False
        if self.slices is not None and total is not None:
            return length >= total / self.slices
        if length < WORTH * context:
            return False
        if total is None:
            return length >= self.most
        rest = max(total - before, 1)
        in_all = width * math.ceil(total / (self.most * width))  # so that all workers have as many of them
        return length >= rest / max(round(rest * in_all / max(total, 1)), 1)


class Recent:
    """The headlines that may be in memory: those of the last two windows and the newest ones, as ``Memory`` has it."""

    def __init__(self, span: int, keep: int) -> None:
        self._span = span
        self._keep = keep
        self._held: deque[tuple[int, Candidate]] = deque()
        self._near: deque[int] = deque()
        self._now = 0

    @property
    def near(self) -> int:
        """About how many headlines :meth:`before` gives."""
        return len(self._near)

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Some more."""
        for candidate in candidates:
            self._add(candidate)

    def _add(self, candidate: Candidate) -> None:
        at = event_time(candidate)
        self._now = max(self._now, at)
        self._held.append((at, candidate))
        while len(self._held) > self._keep and self._held[0][0] < self._now - 2 * self._span:
            self._held.popleft()
        self._near.append(at)
        while self._near[0] < self._now - (SEEN + ROUGHLY) * self._span:
            self._near.popleft()

    def before(self) -> tuple[list[Candidate], int]:
        """What whoever goes on from here has to look at, and how many of them, the first, roughly is enough for."""
        since, roughly = (self._now - round(windows * self._span) for windows in (SEEN, SEEN + ROUGHLY))
        published = [milliseconds(candidate.headline.published) for _, candidate in self._held]
        first = next((place for place, at in enumerate(published) if at >= roughly), len(published))
        seen = next((place for place, at in enumerate(published) if at >= since), len(published))
        return [candidate for _, candidate in islice(self._held, first, None)], seen - first


@dataclass(slots=True)
class _Slice:
    """A slice that is being looked at, and the positions of its headlines, batch by batch, of which no result was taken."""

    errand: Errand
    trusted: int
    follows: bool
    length: int = 0
    batches: deque[list[str]] = field(default_factory=deque)
    ended: bool = False


class _Feed:
    """Cuts headlines into slices as they come, and hands them to workers."""

    def __init__(self, hands: Hands, cut: Cut, recent: Recent, done: int) -> None:
        self.slices: deque[_Slice] = deque()
        self.begun = 0
        self._hands, self._cut, self._recent, self._done = hands, cut, recent, done
        self._batch: list[Candidate] = []

    def push(self, candidate: Candidate) -> None:
        """The next headline."""
        self._batch.append(candidate)
        if len(self._batch) >= self._cut.batch:
            self._give()

    def finish(self) -> None:
        """There are no more."""
        if self._batch:
            self._give()
        if self.slices:
            self._end(self.slices[-1])

    def stop(self) -> None:
        """What comes now is not for these slices, and neither is what was not given yet."""
        self._batch = []
        self.finish()

    def _give(self) -> None:
        last = self.slices[-1] if self.slices else None
        if last and self._cut.ends(self._done - last.length, last.length, self._recent.near, self._hands.width):
            self._end(last)
        if last is None or last.ended:
            before, trusted = self._recent.before()
            self.begun += 1
            last = _Slice(self._hands.begin(self.begun, encode(before), trusted), trusted, follows=self._done > 0)
            self.slices.append(last)
        last.errand.give(encode(self._batch))
        last.batches.append([candidate.position for candidate in self._batch])
        last.length += len(self._batch)
        self._done += len(self._batch)
        self._recent.add(self._batch)
        self._batch = []

    @staticmethod
    def _end(slice_: _Slice) -> None:
        if not slice_.ended:
            slice_.errand.end()
            slice_.ended = True


class Sliced:
    """A stream that workers look at in slices, for one that decides. Before it is given a headline, what was found is at hand.

    It may be heard of before it is in order (`hear`). As long as it comes in order, workers look at it at once; where it turns
    out not to, what they have begun is given up, once. Memory is that of what is looked at, and of one slice more.
    """

    def __init__(self, hand: Hand, dedupers: Sequence[HandedDeduper], hands: Hands, cut: Cut) -> None:
        span, keep = max(deduper.span for deduper in dedupers), max(deduper.keep for deduper in dedupers)
        self._hand = hand
        self._dedupers = dedupers
        self._hands = hands
        self._cut = cut
        self._given = Recent(span, keep)
        self._count = 0
        self._feed = _Feed(hands, cut, Recent(span, keep), 0)
        self._heard_at = -(2**63)
        self._exhausted = False
        #: Whether workers are given what is heard of, rather than what is in order.
        self._early = False
        #: Whether what is heard of has turned out not to be in order.
        self._misheard = False
        #: Slices of which something was taken.
        self.slices = 0
        #: Whether slices were given up.
        self.given_up = False

    def hear(self, candidate: Candidate) -> None:
        """Hear of a headline before it is in its place."""
        if self.given_up or self._misheard or self._cut.slices is not None:  # how long one of so many is, the end tells
            return
        self._early = True
        at = event_time(candidate)
        if at < self._heard_at:
            self._misheard = True
            self._feed.stop()
            return
        self._heard_at = at
        self._feed.push(candidate)

    def of(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates, in order, each when all is at hand for it.

        Raises:
            HandsError: a worker has died.
        """
        ordered, pending = self._pulled(iter(candidates)), deque[Candidate]()
        while True:
            while len(self._feed.slices) <= self._hands.width and not self._misheard:
                candidate = next(ordered, None)
                if candidate is None:
                    break
                pending.append(candidate)
            if self._feed.slices:
                yield from self._first_slice(ordered, pending)
            elif self._misheard:
                self._start_again(pending)
            else:
                return

    def _pulled(self, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
        """The candidates. Workers hear of them here, unless they have before."""
        for candidate in candidates:
            if not self._early:
                self._feed.push(candidate)
            yield candidate
        self._exhausted = True
        if not self._misheard:
            self._feed.finish()

    def _first_slice(self, ordered: Iterator[Candidate], pending: deque[Candidate]) -> Iterator[Candidate]:
        """The headlines of the first slice that is looked at, as far as workers got them in order."""
        slice_ = self._feed.slices[0]
        results = slice_.errand.results()
        flags = _decode_flags(next(results))
        self.slices += 1
        if slice_.follows:
            for deduper, flagged in zip(self._dedupers, flags, strict=True):
                deduper.begin(flagged[slice_.trusted :])
        while slice_.batches:
            positions = slice_.batches.popleft()
            for position, found in zip(positions, decode_found(next(results)), strict=True):
                candidate = pending.popleft() if pending else next(ordered)
                if candidate.position != position:
                    pending.appendleft(candidate)
                    self._start_again(pending)
                    return
                self._hand.found = found
                self._count += 1
                if self._early:
                    self._given.add((candidate,))
                yield candidate
        self._feed.slices.popleft()

    def _start_again(self, pending: Iterable[Candidate]) -> None:
        """Give up what was begun: workers go on with what is ``pending``, and get the rest when it is in order."""
        self._hands.drop()
        self.given_up = True
        self._early = self._misheard = False
        self._feed = _Feed(self._hands, self._cut, self._given, self._count)
        for candidate in pending:
            self._feed.push(candidate)
        if self._exhausted:
            self._feed.finish()
