"""The conditions that take several headlines: burst, spike and sequence. One class a kind, registered in `CONDITIONS`.

Each keeps, for every key (a story, a topic, …), what it has counted within its span of event time. Headlines may come in any
order of their times; a window ends with the latest that has come.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from operator import itemgetter
from typing import Any, Protocol

from streams.core.conditions import Burst, Sequence, Spike
from streams.core.duration import written
from streams.core.records import Classified

_AT: Callable[[Any], int] = itemgetter(0)


class Counting(Protocol):
    """Whether a rule fires, by what came before."""

    #: How far back it looks, milliseconds.
    span: int

    def fires(self, key: str, at: int, headline: Classified) -> str | None:
        """Take a headline that the rule matched, and say why the rule fires by it; None if it does not."""

    def forget(self, before: int) -> None:
        """Nothing that was before this time is needed any more."""


class _Seen:
    """What was seen of each key: pairs of a time and a word, by time. Each costs the same however many there are."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._of: dict[str, list[tuple[int, str]]] = {}
        self._words: dict[str, Counter[str]] = {}

    def add(self, key: str, at: int, word: str) -> None:
        """Note what was seen, and drop what is older than the span by now."""
        seen = self._of.setdefault(key, [])
        insort(seen, (at, word))
        self._words.setdefault(key, Counter())[word] += 1
        self.trim(key, seen[-1][0])

    def trim(self, key: str, latest: int) -> None:
        """Drop what is older than the span at a time."""
        seen = self._of.get(key, [])
        old = bisect_right(seen, latest - self._span, key=_AT)
        if old:
            words = self._words[key]
            for _, word in seen[:old]:
                words[word] -= 1
                if not words[word]:
                    del words[word]
            del seen[:old]

    def latest(self, key: str, at: int) -> int:
        """The latest time of a key, ``at`` included."""
        seen = self._of.get(key)
        return max(at, seen[-1][0]) if seen else at

    def number(self, key: str, after: int, until: int) -> int:
        """How many were seen later than ``after`` and not after ``until``."""
        seen = self._of.get(key, [])
        return bisect_right(seen, until, key=_AT) - bisect_right(seen, after, key=_AT)

    def words(self, key: str) -> int:
        """How many different words were seen."""
        return len(self._words.get(key, ()))

    def between(self, key: str, after: int, until: int) -> list[tuple[int, str]]:
        """What was seen later than ``after`` and not after ``until``."""
        seen = self._of.get(key, [])
        return seen[bisect_right(seen, after, key=_AT) : bisect_right(seen, until, key=_AT)]

    def forget(self, before: int) -> list[str]:
        """Drop the keys of which nothing was seen since; their names."""
        gone = [key for key, seen in self._of.items() if not seen or seen[-1][0] < before]
        for key in gone:
            del self._of[key], self._words[key]
        return gone


class _Reached:
    """Fires where something is reached, and not again until it was not."""

    def __init__(self, span: int) -> None:
        self.span = span
        self._seen = _Seen(span)
        self._high: set[str] = set()

    def fires(self, key: str, at: int, headline: Classified) -> str | None:
        """Take a headline, and say what has been reached by it, if that was not so before."""
        latest = self._seen.latest(key, at)
        if key in self._high and not self._reached(key, latest):
            self._high.discard(key)
        self._seen.add(key, at, headline.headline.source)
        if key in self._high or not self._reached(key, latest):
            return None
        self._high.add(key)
        return self._because(key, latest)

    def _reached(self, key: str, latest: int) -> bool:
        raise NotImplementedError

    def _because(self, key: str, latest: int) -> str:
        raise NotImplementedError

    def forget(self, before: int) -> None:
        """Drop the keys of which nothing was seen since ``before``."""
        self._high.difference_update(self._seen.forget(before))


class BurstCounting(_Reached):
    """So many headlines, of so many sources, within a span."""

    def __init__(self, burst: Burst) -> None:
        super().__init__(milliseconds(burst.within))
        self._burst = burst

    def _reached(self, key: str, latest: int) -> bool:
        count, sources = self._counted(key, latest)
        return count >= self._burst.count and sources >= self._burst.sources

    def _because(self, key: str, latest: int) -> str:
        count, sources = self._counted(key, latest)
        return f"{_headlines(count)} of {_sources(sources)} in {written(self._burst.within)}"

    def _counted(self, key: str, latest: int) -> tuple[int, int]:
        """The headlines and the sources within the span before a time."""
        self._seen.trim(key, latest)
        return self._seen.number(key, latest - self.span, latest), self._seen.words(key)


class SpikeCounting(_Reached):
    """Many more headlines within a span than usual."""

    def __init__(self, spike: Spike) -> None:
        self._within, self._reference = milliseconds(spike.within), milliseconds(spike.reference)
        super().__init__(self._within + self._reference)
        self._spike = spike

    def _reached(self, key: str, latest: int) -> bool:
        now, usual = self._counted(key, latest)
        return now >= self._spike.at_least and now >= self._spike.factor * usual

    def _because(self, key: str, latest: int) -> str:
        now, usual = self._counted(key, latest)
        return f"{_headlines(now)} in {written(self._spike.within)}, {usual:.2g} is usual"

    def _counted(self, key: str, latest: int) -> tuple[int, float]:
        """The headlines within the span before a time, and how many are usual."""
        start = latest - self._within
        usual = self._seen.number(key, start - self._reference, start) * self._within / self._reference
        return self._seen.number(key, start, latest), usual


class SequenceCounting:
    """Something that must have come before. What came is told by `came`."""

    def __init__(self, sequence: Sequence) -> None:
        self.span = milliseconds(sequence.within)
        self._sequence = sequence
        self._seen = _Seen(self.span)

    def came(self, key: str, at: int, headline: Classified) -> None:
        """Take a headline that is what must come before."""
        self._seen.add(key, at, f"{headline.position}\0{headline.headline.headline}")

    def fires(self, key: str, at: int, headline: Classified) -> str | None:
        """Take a headline that the rule matched; it fires if what must come before has, in another headline."""
        before = [
            (earlier, word.partition("\0")[2])
            for earlier, word in self._seen.between(key, at - self.span - 1, at)
            if word.partition("\0")[0] != headline.position
        ]
        if not before:
            return None
        earlier, text = before[-1]
        return f"{written(timedelta(seconds=(at - earlier) // 1000))} after “{text}”"

    def forget(self, before: int) -> None:
        """Drop what came before that time."""
        self._seen.forget(before)


#: How each kind of condition is counted. `Absence` counts nothing: it is of time alone.
CONDITIONS: Mapping[type, Callable[[Any], Counting]] = {
    Burst: BurstCounting,
    Spike: SpikeCounting,
    Sequence: SequenceCounting,
}


def milliseconds(span: timedelta) -> int:
    """A span as events count time."""
    return round(span.total_seconds() * 1000)


def _headlines(count: int) -> str:
    return f"{count} headline{'s' * (count != 1)}"


def _sources(count: int) -> str:
    return f"{count} source{'s' * (count != 1)}"
