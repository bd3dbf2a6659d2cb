"""A circuit breaker: after some failures in a row nothing is sent for a while, then one alert to see. Pure: no clock.

M. Nygard, Release It!, 2nd edition, chapter 5: closed, open, half open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """After so many ``failures`` in a row comes a pause; each that ends in another failure is followed by one twice as long."""

    failures: int = 5
    first_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(minutes=5)


class Breaker:
    """The breaker of one channel."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._failures = 0
        self._pause = timedelta()
        self._until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the receiver has to show that it answers again."""
        return self._until is not None

    def room(self, now: datetime, sending: int, most: int) -> int:
        """How many more alerts may be sent, where ``sending`` are on their way and ``most`` may be at once.

        None during a pause; one after it, once nothing is on its way.
        """
        if self._until is None:
            return max(most - sending, 0)
        return 1 if now >= self._until and sending == 0 else 0

    def answered(self) -> bool:
        """Note that the receiver answers; whether that closed the breaker."""
        closed = self.open
        self._failures, self._pause, self._until = 0, timedelta(), None
        return closed

    def failed(self, now: datetime) -> bool:
        """Note a failure; whether that opened the breaker. One that began before a pause does not lengthen it."""
        self._failures += 1
        was_open = self.open
        if self._failures < self._limits.failures or (self._until is not None and now < self._until):
            return False
        self._pause = min(self._pause * 2, self._limits.longest_pause) if was_open else self._limits.first_pause
        self._until = now + self._pause
        return not was_open
