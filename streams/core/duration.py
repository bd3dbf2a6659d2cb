"""Spans of time as people write them: ``15s``, ``30m``, ``72h``, ``7d``, ``1h30m``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: Any) -> timedelta:
    """``value`` as a span of time; a pydantic validator.

    Raises:
        ValueError: it is not one, with examples of what is.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _WHOLE.fullmatch(value.replace(" ", "")):
        raise ValueError("a span of time is written like 15s, 30m, 72h or 7d")
    return timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in _PARTS.findall(value)))


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
