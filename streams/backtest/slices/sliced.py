"""Cutting a stream into slices, and bringing what was found of them back into its order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from streams.backtest.replay import event_time
from streams.backtest.slices.finding import Found, decode_candidates, decode_found, encode
from streams.backtest.slices.handed import SEEN, Hand, HandedDeduper
from streams.backtest.slices.hands import Errand, Hands
from streams.core.dedupe import Candidate, milliseconds

#: Headlines that are handed to a worker at once.
BATCH = 200
#: Headlines of a slice at the most, unless warming up for it would take too large a part of the work.
MOST = 50_000
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


@dataclass(slots=True)
class _Slice:
    """A slice that is being looked at: its headlines, encoded, and how far its results were taken."""

    errand: Errand
    trusted: int
    batches: deque[bytes] = field(default_factory=deque)


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


class Sliced:
    """A stream that workers look at in slices, for one that decides. Before a headline is given, all that was found is at hand.

    Memory is that of as many slices as are looked at, and one more.
    """

    def __init__(self, hand: Hand, dedupers: Sequence[HandedDeduper], hands: Hands, cut: Cut) -> None:
        self._hand = hand
        self._dedupers = dedupers
        self._hands = hands
        self._cut = cut
        self._span = max(deduper.span for deduper in dedupers)
        self._keep = max(deduper.keep for deduper in dedupers)
        #: Slices that were begun.
        self.slices = 0

    def of(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates, each when all is at hand for it.

        Raises:
            HandsError: a worker has died.
        """
        waiting: deque[Iterator[Candidate]] = deque()
        for results in self._begun(iter(candidates)):
            waiting.append(results)
            if len(waiting) > self._hands.width:
                yield from waiting.popleft()
        while waiting:
            yield from waiting.popleft()

    def _begun(self, candidates: Iterator[Candidate]) -> Iterator[Iterator[Candidate]]:
        """Begin slice after slice."""
        recent = Recent(self._span, self._keep)
        done = 0
        batch = list(islice(candidates, self._cut.batch))
        while batch:
            before, trusted = recent.before()
            self.slices += 1
            errand = self._hands.begin(self.slices, encode(before), trusted)
            slice_, length = _Slice(errand, trusted), 0
            while batch and not self._cut.ends(done, length, recent.near, self._hands.width):
                slice_.batches.append(encoded := encode(batch))
                errand.give(encoded)
                length += len(batch)
                recent.add(batch)
                batch = list(islice(candidates, self._cut.batch))
            errand.end()
            first, done = done == 0, done + length
            yield self._results(slice_, first=first)

    def _results(self, slice_: _Slice, *, first: bool) -> Iterator[Candidate]:
        """The headlines of a slice, each when what was found of it is at hand."""
        results = slice_.errand.results()
        flags = _decode_flags(next(results))
        if not first:
            for deduper, flagged in zip(self._dedupers, flags, strict=True):
                deduper.begin(flagged[slice_.trusted :])
        for found in map(decode_found, results):
            candidates = decode_candidates(slice_.batches.popleft())
            yield from self._at_hand(candidates, found)

    def _at_hand(self, candidates: Sequence[Candidate], found: Sequence[Found]) -> Iterator[Candidate]:
        for candidate, of_it in zip(candidates, found, strict=True):
            self._hand.found = of_it
            yield candidate
