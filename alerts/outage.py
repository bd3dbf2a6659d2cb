"""Says once that something is away, and once that it is back."""

from __future__ import annotations

from typing import Literal

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Level = Literal["warning", "info"]


class Outage:
    """Tells the log of one thing, where it goes away, at ``level``, and where it comes back, at ``back``."""

    def __init__(self, what: str, level: Level = "warning", back: Level | None = None) -> None:
        self._what = what
        self._level = level
        self._back = back or level
        #: Whether it is away now.
        self.away = False

    def begins(self, error: Exception, **told: object) -> None:
        """It does not work."""
        if not self.away:
            self.away = True
            getattr(log, self._level)("away, waiting", what=self._what, **told, error=repr(error))

    def ends(self) -> None:
        """It works."""
        if self.away:
            self.away = False
            getattr(log, self._back)("back", what=self._what)
