"""The headlines that show best what a rule fires on, from a sample of fixed size."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from streams.core.records import Alert

#: Headlines that are kept of each rule.
SAMPLE = 64
#: Words that are counted of each rule; a rule whose query is a wildcard may match any number.
_MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A headline as a page shows it, cut into pieces: each with whether it is of the words that matched."""

    at: datetime
    source: str
    pieces: tuple[tuple[str, bool], ...]
    words: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The whole headline."""
        return "".join(piece for piece, _ in self.pieces)


def shown(alert: Alert) -> Shown:
    """The headline of an alert, with the words that fired the rule marked."""
    headline = alert.headline.headline
    text, pieces, end = headline.headline, list[tuple[str, bool]](), 0
    for span in sorted(alert.rule.matched):
        if span.start > end:
            pieces.append((text[end : span.start], False))
        if span.end > max(span.start, end):
            pieces.append((text[max(span.start, end) : span.end], True))
        end = max(end, span.end)
    if end < len(text):
        pieces.append((text[end:], False))
    words = frozenset(span.text.casefold() for span in alert.rule.matched)
    return Shown(headline.published, headline.source, tuple(pieces), words)


@dataclass(slots=True)
class Typical:
    """A sample of the headlines of one rule, each as likely to be in it as any other, and how often its words came.

    Which are kept is decided by hashes of their ids, so that the same stream gives the same sample.
    """

    size: int = SAMPLE
    words: Counter[str] = field(default_factory=Counter)
    _kept: list[tuple[int, int, Shown]] = field(default_factory=list)
    _taken: int = 0

    def add(self, alert: Alert) -> None:
        """Take a headline that fired the rule."""
        for word in {span.text.casefold() for span in alert.rule.matched}:
            if word in self.words or len(self.words) < _MOST_WORDS:
                self.words[word] += 1
        self._taken += 1
        digest = hashlib.blake2b(alert.headline.id.encode(), digest_size=8).digest()
        rank = -int.from_bytes(digest)  # a heap has its smallest on top, and the largest hash is to go first
        if len(self._kept) < self.size:
            heapq.heappush(self._kept, (rank, self._taken, shown(alert)))
        elif rank > self._kept[0][0]:
            heapq.heapreplace(self._kept, (rank, self._taken, shown(alert)))

    def best(self, count: int) -> list[Shown]:
        """The headlines of the sample that share most of their words with the others, each set of words once if it can be."""
        ranked = sorted(self._kept, key=lambda kept: (-self._shared(kept[2]), -kept[0]))
        found: dict[frozenset[str], Shown] = {}
        rest: list[Shown] = []
        for _, _, one in ranked:
            if one.words in found:
                rest.append(one)
            else:
                found[one.words] = one
        return [*found.values(), *rest][:count]

    def _shared(self, one: Shown) -> int:
        return sum(self.words[word] for word in one.words)
