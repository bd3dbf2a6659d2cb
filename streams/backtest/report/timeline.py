"""Counts over time in bars that grow with the period, so that a minute and ten years take the same memory."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

#: How wide a bar may be, seconds: a minute, then five, up to a day, a week and four. Beyond that, it doubles.
WIDTHS = (60, 300, 900, 3_600, 10_800, 21_600, 86_400, 7 * 86_400, 28 * 86_400)
#: So many bars at most: more than that are narrower than a line on a laptop.
MOST_BARS = 160
#: 1 January 1970 was a Thursday; weeks begin on Mondays.
_MONDAY = 4 * 86_400


class Timeline:
    """How often each thing came, by bars of time. Things are counted under a name, such as that of a rule."""

    def __init__(self, most: int = MOST_BARS) -> None:
        self.width = WIDTHS[0]
        self._most = most
        self._bars: dict[int, Counter[tuple[str, str]]] = {}

    def add(self, at: datetime, kind: str, name: str, count: int = 1) -> None:
        """Count ``name``, one of its ``kind``, at an aware time."""
        start = self._start(int(at.timestamp()))
        bar = self._bars.get(start)
        if bar is None:
            bar = self._bars[start] = Counter()
            while self._span() > self._most:
                self._widen()
            bar = self._bars[self._start(start)]
        bar[kind, name] += count

    def starts(self) -> list[datetime]:
        """When each bar begins, from the first to the last, without a gap; aware, in UTC."""
        if not self._bars:
            return []
        first, last = min(self._bars), max(self._bars)
        return [datetime.fromtimestamp(start, UTC) for start in range(first, last + 1, self.width)]

    def counts(self, kind: str, name: str) -> list[int]:
        """How often ``name`` came in each of the bars that :meth:`starts` gives."""
        nothing = Counter[tuple[str, str]]()
        return [self._bars.get(int(start.timestamp()), nothing)[kind, name] for start in self.starts()]

    def totals(self, kind: str) -> Counter[str]:
        """How often each of a kind came in all."""
        found: Counter[str] = Counter()
        for bar in self._bars.values():
            for (of, name), count in bar.items():
                if of == kind:
                    found[name] += count
        return found

    def _start(self, second: int) -> int:
        shift = _MONDAY if self.width >= 7 * 86_400 else 0
        return (second - shift) // self.width * self.width + shift

    def _span(self) -> int:
        return (max(self._bars) - min(self._bars)) // self.width + 1

    def _widen(self) -> None:
        self.width = next((width for width in WIDTHS if width > self.width), self.width * 2)
        before, self._bars = self._bars, {}
        for start, bar in before.items():
            self._bars.setdefault(self._start(start), Counter()).update(bar)
