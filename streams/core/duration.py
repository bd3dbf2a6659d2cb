"""Spans of time as people write them: ``15s``, ``30m``, ``72h``, ``7d``, ``1h30m``.

The one grammar for settings, channels and options: figures with the units ``w``, ``d``, ``h``, ``m``, ``s`` and ``ms``,
the largest first and each once. A figure may have a fraction.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

#: The units in their order, with what ``timedelta`` calls them.
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_SPAN = re.compile(r"\s*".join(rf"(?:([0-9]{{1,12}}(?:\.[0-9]{{1,6}})?){unit})?" for unit in _UNITS))
_WRITTEN_OUT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\.?", re.IGNORECASE)
_WORDS = {
    "w": ("week",),
    "d": ("day",),
    "h": ("hour", "hr"),
    "m": ("minute", "min"),
    "s": ("second", "sec"),
    "ms": ("millisecond", "msec"),
}


def parse_duration(value: Any) -> timedelta:
    """``value`` as a span of time; a pydantic validator.

    Raises:
        ValueError: it is not one, with what was probably meant, or examples of what is.
    """
    if isinstance(value, timedelta):
        return value
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        meant = _meant(value)
        raise ValueError(
            "a span of time is written like 15s, 30m, 72h or 7d" + (f" (did you mean {meant}?)" if meant else "")
        )
    figures = zip(_UNITS.values(), match.groups(), strict=True)
    try:
        return timedelta(**{unit: float(figure) for unit, figure in figures if figure})
    except OverflowError:
        raise ValueError("a span of time is shorter than that") from None


def _meant(value: Any) -> str:
    """The span that somebody wrote in words, or without a unit, or an empty text."""
    match = _WRITTEN_OUT.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        return ""
    figure, word = match[1], match[2].lower()
    if not word:
        return f"{figure}s"
    singular = word.removesuffix("s") if len(word) > 2 else word
    return next((f"{figure}{unit}" for unit, names in _WORDS.items() if singular in (unit, *names)), "")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def written(span: timedelta) -> str:
    """A span in the form in which it is read: ``1h30m``. What is shorter than a millisecond is left out."""
    rest = round(span / timedelta(milliseconds=1))
    found = []
    for unit, name in _UNITS.items():
        count, rest = divmod(rest, round(timedelta(**{name: 1}) / timedelta(milliseconds=1)))
        if count:
            found.append(f"{count}{unit}")
    return "".join(found) or "0s"
