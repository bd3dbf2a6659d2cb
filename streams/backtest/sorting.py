"""What comes nearly in order, in order: a heap of bounded size."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: So many headlines are looked at ahead to bring them into order, which takes a few hundred megabytes.
LOOK_AHEAD = 100_000


def in_place(placed: Iterable[tuple[int, T]], ahead: int) -> Iterator[tuple[int, T, bool]]:
    """Things by their place, those of one place as they came, and whether each came too late for that.

    Holds ``ahead`` of them, at most.
    """
    waiting: list[tuple[int, int, T]] = []
    reached = -(2**63)
    late: set[int] = set()
    for number, (at, thing) in enumerate(placed):
        if at < reached:
            late.add(number)
        heapq.heappush(waiting, (at, number, thing))
        if len(waiting) > ahead:
            place, which, earliest = heapq.heappop(waiting)
            reached = max(reached, place)
            yield place, earliest, which in late
    while waiting:
        place, which, earliest = heapq.heappop(waiting)
        yield place, earliest, which in late
