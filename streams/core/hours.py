"""Hours of the week as people write them: ``mon-fri 08:00-18:00 Europe/Paris``.

The one grammar for the hours of rules and of routes: days, times of day and an IANA zone, parted by spaces. Days are
``mon-fri``, ``sat,sun`` or ``daily``, every day without any; times are ``08:00-12:00,13:00-18:00``, the whole day without
any; the zone is UTC without one. Times are those of a clock on the wall there: in the night when clocks are put forward
the hour that there is not has no moments, and the one that comes twice when they are put back has all of both.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = 24 * 60
_TIMES = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_WAY = "hours are written like `mon-fri 08:00-18:00 Europe/Paris`"


@dataclass(frozen=True, slots=True)
class Hours:
    """Some days of the week, and times of these days, in one zone.

    ``days`` count from 0, Monday. ``times`` are minutes of the day, the first included and the last not; where the last is
    not after the first, it is of the next day, and the whole belongs to the day on which it begins.
    """

    days: frozenset[int]
    times: tuple[tuple[int, int], ...]
    zone: ZoneInfo

    def contain(self, moment: datetime) -> bool:
        """Whether an aware ``moment`` lies within."""
        local = moment.astimezone(self.zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        for start, end in self.times:
            if day in self.days and start <= minute < (end if end > start else _DAY):
                return True
            if end <= start and (day - 1) % 7 in self.days and minute < end:
                return True
        return False

    def __str__(self) -> str:
        """The hours in the form in which they are read."""
        times = ",".join(f"{_clock(start)}-{_clock(end)}" for start, end in self.times)
        return f"{_named(self.days)} {times} {self.zone.key}"


def within(hours: Sequence[Hours], moment: datetime) -> bool:
    """Whether an aware ``moment`` lies within any of several hours."""
    return any(some.contain(moment) for some in hours)


def parse_hours(value: Any) -> Hours:
    """``value`` as hours of the week; a pydantic validator.

    Raises:
        ValueError: it is none, with what is wrong with it and how it is written.
    """
    if isinstance(value, Hours):
        return value
    words = re.sub(r"\s*([,-])\s*", r"\1", value).split() if isinstance(value, str) else []
    if not words:
        raise ValueError(_WAY)
    days: set[int] = set()
    times: list[tuple[int, int]] = []
    zone: ZoneInfo | None = None
    for word in words:
        if word[0].isdigit():
            times += map(_time, word.split(","))
        elif _are_days(word):
            days.update(_days(word))
        elif zone is None:
            zone = _zone(word)
        else:
            raise ValueError(f"`{word}` is one zone too many: {_WAY}")
    return Hours(frozenset(days or range(7)), tuple(sorted(times)) or ((0, _DAY),), zone or ZoneInfo("UTC"))


def parse_several(value: Any) -> tuple[Hours, ...]:
    """``value`` as hours of the week, or a list of them; a pydantic validator.

    Raises:
        ValueError: it is neither.
    """
    return tuple(map(parse_hours, value if isinstance(value, list | tuple) and value else [value]))


#: One text, or a list of them.
WeeklyHours = Annotated[tuple[Hours, ...], BeforeValidator(parse_several)]


def _time(text: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text}` are no times of a day: write `08:00-18:00`, by 24 hours")
    first, first_minute, last, last_minute = map(int, found.groups())
    start, end = first * 60 + first_minute, last * 60 + last_minute
    if start >= _DAY or end > _DAY:
        raise ValueError(f"`{text}` goes beyond 24:00: a night is written `22:00-06:00`")
    if start == end:
        raise ValueError(f"`{text}` ends where it begins: the whole day is `00:00-24:00`")
    return start, end


def _are_days(word: str) -> bool:
    """Whether these are meant to be days: a zone has a slash, or is not near a day."""
    if "/" in word:
        return False
    known = (*DAYS, *_LONG, "daily")
    return any(part in known for part in re.split("[,-]", word.lower())) or bool(
        difflib.get_close_matches(word.lower(), _LONG, n=1)
    )


def _days(word: str) -> Iterator[int]:
    if word.lower() == "daily":
        yield from range(7)
        return
    for part in word.split(","):
        first, dash, last = part.partition("-")
        start = _day(first)
        yield from ((start + step) % 7 for step in range((_day(last) - start) % 7 + 1 if dash else 1))


def _day(name: str) -> int:
    lower = name.lower()
    for names in (DAYS, _LONG):
        if lower in names:
            return names.index(lower)
    near = difflib.get_close_matches(lower, (*DAYS, *_LONG), n=1)
    meant = f"did you mean `{DAYS[_day(near[0])]}`?" if near else f"days are {', '.join(DAYS)} and daily"
    raise ValueError(f"`{name}` is no day: {meant}")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {zone.lower(): zone for zone in available_timezones()}
        cities = {zone.rpartition("/")[2]: whole for zone, whole in known.items()}
        near = difflib.get_close_matches(name.lower(), [*known, *cities], n=1, cutoff=0.7)
        meant = known.get(near[0]) or cities[near[0]] if near else ""
        hint = f"did you mean `{meant}`?" if meant else "write one such as `Europe/Paris`"
        raise ValueError(f"`{name}` is no zone: {hint}") from None


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _named(days: frozenset[int]) -> str:
    if len(days) == 7:
        return "daily"
    first, last = min(days), max(days)
    if len(days) > 2 and days == frozenset(range(first, last + 1)):
        return f"{DAYS[first]}-{DAYS[last]}"
    return ",".join(DAYS[day] for day in sorted(days))
