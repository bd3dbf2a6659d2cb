"""How long after a story began its alerts came: sums of fixed size that still have a median."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

#: The steps in which delays are shown: up to how many seconds, and what it is called.
STEPS: tuple[tuple[float, str], ...] = (
    (0, "at once"),
    (60, "under 1 min"),
    (300, "1 to 5 min"),
    (900, "5 to 15 min"),
    (3_600, "15 to 60 min"),
    (21_600, "1 to 6 h"),
    (86_400, "6 to 24 h"),
    (259_200, "1 to 3 days"),
    (math.inf, "over 3 days"),
)
#: Each class of the histogram behind the quantiles is so much wider than the one before: they are right to 1 %.
_GROWTH = math.log(1.02)


@dataclass(slots=True)
class Delays:
    """Delays in seconds, none below 0. The memory is that of a few hundred classes, however many come."""

    steps: Counter[str] = field(default_factory=Counter)
    _classes: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Take one."""
        if seconds <= 0:
            self.steps[STEPS[0][1]] += 1
            self._classes[-1] += 1
            return
        place = bisect_right([limit for limit, _ in STEPS[1:]], seconds) + 1
        self.steps[STEPS[place][1]] += 1
        self._classes[int(math.log(max(1.0, seconds)) / _GROWTH)] += 1

    @property
    def count(self) -> int:
        """How many came."""
        return self.steps.total()

    def quantile(self, share: float) -> float:
        """The delay in seconds that ``share`` of them do not exceed, to 1 %; 0 where there are none."""
        wanted, seen = share * self.count, 0
        for number in sorted(self._classes):
            seen += self._classes[number]
            if seen >= wanted:
                return 0.0 if number < 0 else math.exp((number + 0.5) * _GROWTH)
        return 0.0


def in_words(seconds: float) -> str:
    """A delay for a person, in its two largest units: ``3 min``, ``2 h 10 min``, ``1 d 4 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
