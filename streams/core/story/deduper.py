"""Deduplication by story: first of a story, update of one, or duplicate of what was told already.

A headline is compared with the few remembered ones that share its rare words (`WordIndex`), is measured against the
closest of them (`measure`), and the model judges (`judge`). Guards stand above the model: equal after normalising is
always a duplicate; a correction or withdrawal is never one of anything but its like; and where figures contradict
each other, a name stands in another's place, or the story has moved on, nothing is dropped. When in doubt a headline is
told, for a lost update costs a desk more than a repeat.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from streams.core.dedupe import EQUAL, KEEP, Candidate, Entry, Memory, Tellers, nature_of, related, undecided
from streams.core.records import Status
from streams.core.story.compare import SERIES, Measured, measure
from streams.core.story.explain import reason
from streams.core.story.index import WordIndex
from streams.core.story.lexicon import weigh
from streams.core.story.model import Judgement, judge
from streams.core.story.reading import Reading, rare_words
from streams.core.wire import Wire

#: How many remembered headlines are measured against one, the closest first.
MEASURED: Final = 3
#: What share of the words' weight the poorer headline must find in the other to be measured at all.
SHARED: Final = 0.34
#: Weight, in thousandths, that may be missing from what two headlines should share for the time between them (`_FADING`).
#: Of 1,800 labelled pairs that tell one story within 72 hours, 11 miss more and are not measured; so are half of all
#: those that the model would take for different.
MISSING: Final = 8_000
#: The next best are measured too if they share this much of what the best one shares.
NEARLY: Final = 0.75
#: From this probability on, a duplicate is certain enough to measure no others.
CERTAIN: Final = 0.8
#: Readings kept for comparing; what is older is read again.
READINGS: Final = 4_000
_HOUR: Final = 3_600_000
#: The weight that two headlines should share, by the hours between them: a story fades.
_FADING: Final = tuple([round(34_500 * math.log1p(hours) / math.log1p(200)) for hours in range(201)])


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From which probability on a headline counts as a duplicate, and as one of the same story."""

    duplicate: float = 0.68
    same_story: float = 0.65


class _Told(msgspec.Struct, frozen=True, gc=False):
    """A remembered headline, the numbers of its words, the rarest first, and what they weigh together.

    ``equal`` and ``addressed`` number the headlines that its key and its address stood for before it; 0 for none.
    """

    entry: Entry
    published: int
    words: tuple[int, ...]
    total: int
    equal: int
    addressed: int


class _Match(NamedTuple):
    """A remembered headline, measured against the one in question."""

    entry: Entry
    measured: Measured
    judgement: Judgement

    @property
    def may_repeat(self) -> bool:
        """Whether no guard stands against dropping one of the two."""
        return not self.measured.contradicts


class StoryDeduper:
    """Decides by story. ``windows`` holds the windows of sources that differ from ``window``.

    Memory per headline is about two kilobytes. The work of a decision is bounded, whether thousand or a million headlines
    lie in the window; what grows is the time that memory takes to answer.
    """

    def __init__(
        self,
        window: timedelta,
        keep: int = KEEP,
        *,
        windows: Mapping[str, timedelta] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._memory = Memory(max([window, *(windows or {}).values()]), keep)
        self._window = _span(window)
        self._windows = {source: _span(span) for source, span in (windows or {}).items()}
        self._thresholds = thresholds or Thresholds()
        self._index = WordIndex(self._memory.window)
        self._told: dict[int, _Told] = {}
        self._by_key: dict[str, int] = {}
        self._by_address: dict[str, int] = {}
        self._readings: dict[str, Reading] = {}
        self._last: tuple[str, tuple[int, ...]] = ("", ())
        self._tellers = Tellers()

    def decide(self, candidate: Candidate) -> Entry:
        """The decision on ``candidate``, with ``seq`` still 0. Changes nothing."""
        entry = self._decide(candidate)
        return entry if entry.verdict == "first" else self._tellers.counted(entry)

    def _decide(self, candidate: Candidate) -> Entry:
        entry, wire = undecided(candidate)
        window = self._windows.get(entry.source, self._window)
        if equal := self._equal(entry.key, entry.published, window):
            return related(entry, equal, "duplicate", EQUAL)
        status = candidate.headline.status
        return self._by_story(entry, wire, window, nature=nature_of(wire) if status == "usable" else status)

    def _equal(self, key: str, published: int, window: int) -> Entry | None:
        found, number = None, self._by_key.get(key, 0)
        while told := self._told.get(number):
            if abs(published - told.published) <= window and self._memory.holds(number, told.entry):
                found = told.entry
            number = told.equal
        return found

    def _by_story(self, entry: Entry, wire: Wire, window: int, *, nature: Status) -> Entry:
        """The decision on a headline that equals no other."""
        words = self._words(entry.text)
        if renamed := self._renamed(entry, words, window):
            return renamed
        matches = self._matches(entry, words, window)
        if not matches:
            return entry
        closest = max(matches, key=lambda match: match.judgement.duplicate)
        if nature == "usable" and self._repeats(closest, wire):
            why = reason(closest.measured, closest.judgement, duplicate=True)
            return related(entry, closest.entry, "duplicate", why)
        closest = max(matches, key=_same_story)
        if _same_story(closest) >= self._thresholds.same_story:
            why = reason(closest.measured, closest.judgement, duplicate=False)
            return related(entry, closest.entry, "update", why)
        return entry

    def _repeats(self, match: _Match, wire: Wire) -> bool:
        """Whether a headline says nothing new. One that its wire calls a repeat need not be as near."""
        if not match.may_repeat:
            return False
        judgement = match.judgement
        if "repeat" in wire.marks and judgement.same_story >= self._thresholds.same_story:
            return True
        return judgement.duplicate >= self._thresholds.duplicate

    def _matches(self, entry: Entry, words: tuple[int, ...], window: int) -> list[_Match]:
        """The remembered headlines that share most with one, measured and judged."""
        published = entry.published
        found = self._index.search(
            words, published - window, published + window, certain=self._memory.newest, counts=self._counts
        )
        if not found:
            return []
        near = self._near(found, words, published, window)
        if not near:
            return []
        near.sort(reverse=True)
        least = NEARLY * near[0][0]
        matches, reading = [], self._read(entry.text)
        for shared, _, other in near[:MEASURED]:
            if shared < least:
                break
            match = self._measure(entry, reading, other)
            matches.append(match)
            if match.judgement.duplicate >= CERTAIN and match.may_repeat:
                break
        return matches

    def _counts(self, number: int) -> bool:
        """Whether a remembered headline still counts."""
        told = self._told.get(number)
        return told is not None and self._memory.holds(number, told.entry)

    def _near(
        self, found: Collection[int], words: tuple[int, ...], published: int, window: int
    ) -> list[tuple[int, int, Entry]]:
        """Those of the headlines found that are worth measuring: the weight that they share, their number and entry.

        They share enough of what the poorer one has, and the more the longer they are apart.
        """
        all_told, common_with, total = self._told, set(words).intersection, weigh(words)
        near = []
        for number in found:
            told = all_told[number]
            apart = abs(told.published - published)
            if apart > window:
                continue
            shared = weigh(common_with(told.words))
            if shared >= SHARED * min(told.total, total) and shared + MISSING >= _FADING[min(apart // _HOUR, 200)]:
                near.append((shared, number, told.entry))
        return near

    def _measure(self, entry: Entry, reading: Reading, other: Entry) -> _Match:
        hours = abs(entry.published - other.published) / _HOUR
        measured = measure(reading, self._read(other.text), hours, same_source=entry.source == other.source)
        return _Match(other, measured, judge(measured.values))

    def _renamed(self, entry: Entry, words: tuple[int, ...], window: int) -> Entry | None:
        """An update, if an article at the same address had another title. A page of many headlines has no say."""
        number = self._by_address.get(entry.address, 0) if entry.address else 0
        told = self._told.get(number)
        if told is None or abs(told.published - entry.published) > window or not self._memory.holds(number, told.entry):
            return None
        if set(words).isdisjoint(told.words):
            return None
        return related(entry, told.entry, "update", "the title at its address changed")

    def _words(self, text: str) -> tuple[int, ...]:
        """The words of a text. What was decided last is remembered next, and so not read twice."""
        if text != self._last[0]:
            self._last = (text, rare_words(text))
        return self._last[1]

    def _read(self, text: str) -> Reading:
        reading = self._readings.get(text)
        if reading is None:
            if len(self._readings) >= READINGS:
                for old in list(self._readings)[: READINGS // 2]:
                    del self._readings[old]
            reading = self._readings[text] = Reading(text)
        return reading

    def remember(self, entry: Entry) -> None:
        """Take up an entry that was decided here or elsewhere."""
        self._tellers.add(entry)
        remembered = self._memory.add(entry)
        if remembered is None:
            return
        number, address, words = remembered.number, entry.address, self._words(entry.text)
        equal, addressed = self._by_key.get(entry.key, 0), self._by_address.get(address, 0) if address else 0
        self._told[number] = _Told(entry, entry.published, words, weigh(words), equal, addressed)
        self._index.add(number, words, entry.published)
        self._by_key[entry.key] = number
        if address:
            self._by_address[address] = number

    def settle(self) -> None:
        """All that was remembered stands; what does not count any more goes."""
        self._index.settle()
        forgotten = self._memory.settle()
        self._tellers.settle(forgotten)
        for remembered in forgotten:
            told = self._told.pop(remembered.number)
            self._index.forget(told.published)
            _put_back(self._by_key, told.entry.key, remembered.number, 0)
            _put_back(self._by_address, told.entry.address, remembered.number, 0)

    def rollback(self) -> None:
        """Forget all that was remembered since the last ``settle``."""
        self._tellers.rollback()
        for remembered in self._memory.rollback():
            told = self._told.pop(remembered.number)
            self._index.undo(remembered.number, told.words, told.published)
            _put_back(self._by_key, told.entry.key, remembered.number, told.equal)
            _put_back(self._by_address, told.entry.address, remembered.number, told.addressed)


def _put_back(numbers: dict[str, int], name: str, number: int, before: int) -> None:
    """Let ``name`` stand for what it stood for ``before``, if it stands for ``number`` now."""
    if numbers.get(name) == number:
        if before:
            numbers[name] = before
        else:
            del numbers[name]


def _span(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def _same_story(match: _Match) -> float:
    """How probable one story is. What may not be a duplicate is an update or nothing."""
    judgement, measured = match.judgement, match.measured
    if measured.swapped or any(one.kind in SERIES for one, _ in measured.figures.conflicts):
        return judgement.update / (judgement.update + judgement.different)
    return judgement.same_story
