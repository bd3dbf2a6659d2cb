"""What holds an alert back though its rule fires: throttle and repeat. One class a kind, registered in `RESTRAINTS`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from streams.core.conditions import By, Repeat, Throttle
from streams.core.correlate.counting import milliseconds
from streams.core.duration import written


class Restraint(Protocol):
    """Whether alerts are held back, by those that were not."""

    #: How far back it looks, milliseconds.
    span: int

    def holds(self, keys: Sequence[str], at: int) -> str | None:
        """Why an alert at a time is held back; None if it may go. It notes that it asked."""

    def passed(self, keys: Sequence[str], at: int) -> None:
        """An alert has gone."""

    def forget(self, before: int) -> None:
        """Nothing that was before this time is needed any more."""


class Throttling:
    """At most so many in any period. What comes late counts as of now: its alert would go out now."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self.span = milliseconds(throttle.per)
        self._gone: dict[str, list[int]] = {}

    def holds(self, keys: Sequence[str], at: int) -> str | None:
        """Held back if one of the keys has had as many as it may."""
        throttle = self._throttle
        for key in keys:
            gone = self._gone.get(key)
            if gone and len(gone) - bisect_right(gone, max(at, gone[-1]) - self.span) >= throttle.count:
                following = gone[-throttle.count] + self.span
                return (
                    f"throttled: {throttle.count} in {written(throttle.per)}{_for_this(throttle.by)}, "
                    f"the next from {_clock(following)} UTC on"
                )
        return None

    def passed(self, keys: Sequence[str], at: int) -> None:
        """Note when it went, for each key."""
        for key in keys:
            gone = self._gone.setdefault(key, [])
            gone.append(max(at, gone[-1]) if gone else at)
            del gone[: bisect_right(gone, gone[-1] - self.span)]

    def forget(self, before: int) -> None:
        """Drop the keys that had none since."""
        for key in [key for key, gone in self._gone.items() if gone[-1] < before]:
            del self._gone[key]


class _Last(NamedTuple):
    """When a key last had an alert, how long the pause after it is, and whether that held anything back."""

    at: int
    pause: int
    held: bool = False


class Repeating:
    """A pause after each alert, longer each time that something was held back in it if that is asked for."""

    def __init__(self, repeat: Repeat) -> None:
        self._repeat = repeat
        self._first, self._longest = milliseconds(repeat.after), milliseconds(repeat.up_to or repeat.after)
        self.span = self._longest
        self._last: dict[str, _Last] = {}

    def holds(self, keys: Sequence[str], at: int) -> str | None:
        """Held back if one of the keys has a pause."""
        for key in keys:
            last = self._last.get(key)
            if last is not None and at - last.at < last.pause:
                self._last[key] = last._replace(held=True)
                return f"repeated{_for_this(self._repeat.by)}: the next from {_clock(last.at + last.pause)} UTC on"
        return None

    def passed(self, keys: Sequence[str], at: int) -> None:
        """Begin a pause, for each key."""
        for key in keys:
            last = self._last.get(key)
            if last is None or at - last.at >= 2 * self.span:  # whether it is forgotten by now or not
                last = _Last(at, 0)
            pause = min(last.pause * 2, self._longest) if last.held else self._first
            self._last[key] = _Last(max(at, last.at), pause)

    def forget(self, before: int) -> None:
        """Drop the keys that had none since."""
        for key in [key for key, last in self._last.items() if last.at < before]:
            del self._last[key]


#: How each kind of restraint is kept.
RESTRAINTS: Mapping[type, Callable[[Any], Restraint]] = {Repeat: Repeating, Throttle: Throttling}


def _for_this(by: By) -> str:
    return "" if by == "rule" else f" for this {by}"


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
