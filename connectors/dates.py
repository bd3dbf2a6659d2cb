"""Dates as pages print them: "Monday 02 June 2025 - 11:34", "June 2, 2025 11:34 AM", "2025-06-02T11:34+03:00"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_NAMES = {name[:length]: number for number, name in enumerate(_MONTHS, start=1) for length in (3, 4, len(name))}
_MONTH = "|".join(sorted(_NAMES, key=len, reverse=True))
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_CLOCK = r"(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?\s*(?P<half>[ap]\.?m\b\.?)?"
_ZONE = r"(?P<zone>Z\b|(?:UTC|GMT)?\s?[+-]\d{1,2}(?::?\d{2})?\b|UTC\b|GMT\b)"
_WHEN = rf"(?:\s*(?:[-\u2013\u2014|,@]|at|T)?\s*{_CLOCK}(?:\s*{_ZONE})?)?"
_FORMS = tuple(
    re.compile(form + _WHEN, re.IGNORECASE)
    for form in (
        r"\b(?P<year>\d{4})-(?P<number>0\d|1[0-2])-(?P<day>[0-2]\d|3[01])",
        rf"\b(?:{_DAY}\.?,?\s+)?(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\s+(?P<month>{_MONTH})\.?,?\s+(?P<year>\d{{4}})",
        rf"\b(?:{_DAY}\.?,?\s+)?(?P<month>{_MONTH})\.?\s+(?P<day>[0-3]?\d)(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
    )
)


#: What a dateline holds beside its date, at most, code points.
DATELINE_SPARE = 40
_LONGEST_DATELINE = DATELINE_SPARE + len("Wednesday, 30th September, 2026 at 10:30:00 p.m. UTC +01:00") + 20
#: The years that pages are of. Others are mistakes, such as the year 1 of a time that was never set.
_YEARS = range(1900, 2200)


@dataclass(frozen=True, slots=True)
class Dateline:
    """A date in a text, with the clock and the zone where they are given: it was cut from ``text[start:end]``."""

    day: date
    clock: time | None
    zone: tzinfo | None
    start: int
    end: int

    def moment(self, zone: tzinfo) -> datetime:
        """The moment in UTC; without a clock, the day's noon; without a zone of its own, in ``zone``."""
        return datetime.combine(self.day, self.clock or time(12), self.zone or zone).astimezone(UTC)


def find_date(text: str) -> Dateline | None:
    """The first date in ``text``, in whatever of the forms. A weekday that does not fit the date is overlooked."""
    found = [line for form in _FORMS for match in form.finditer(text) if (line := _dateline(match))]
    return min(found, key=lambda line: line.start, default=None)


def find_dateline(line: str) -> Dateline | None:
    """The date in ``line`` if there is little beside it, and no sentence: "Published: Mon, 2 June 2025 at 11:34"."""
    found = find_date(line) if len(line) <= _LONGEST_DATELINE else None
    if found is None or len(line) - (found.end - found.start) > DATELINE_SPARE:
        return None
    return None if line.endswith((".", "?", "!")) and found.end < len(line.rstrip(".?!")) else found


def _dateline(match: re.Match[str]) -> Dateline | None:
    parts = match.groupdict()
    if int(parts["year"]) not in _YEARS:
        return None
    month = int(parts["number"]) if parts.get("number") else _NAMES[parts["month"].lower()]
    try:
        day = date(int(parts["year"]), month, int(parts["day"]))
    except ValueError:
        return None
    return Dateline(day, _clock(parts), parse_zone(parts["zone"]), match.start(), match.end())


def _clock(parts: dict[str, str | None]) -> time | None:
    if parts["hour"] is None or parts["minute"] is None:
        return None
    hour = int(parts["hour"])
    half = (parts["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return time(hour, int(parts["minute"]), int(parts["second"] or 0))


def parse_zone(text: str | None) -> tzinfo | None:
    """ "Z", "UTC", "GMT", "+03:00" or "GMT+1" as a zone; None for anything else."""
    if not text:
        return None
    name = text.upper().replace(" ", "")
    if name in ("Z", "UTC", "GMT"):
        return UTC
    match = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", name)
    if not match or int(match[2]) > 14:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return timezone(offset if match[1] == "+" else -offset)
