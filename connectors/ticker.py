"""The source ``ticker``: headlines with the time before each, the newest first, as news sites run them in a strip.

How times that begin a headline are told from those inside one is written down in :mod:`connectors.marks`; this module
finds the ticker in its page, and gives each time its day.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import accumulate, pairwise
from typing import BinaryIO

from connectors.dates import find_date, find_dateline, parse_zone
from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.marks import Chain, Mark, best_chain, is_label, starts_headline, times
from connectors.page import is_html, parse_page, published_on, seen_text
from connectors.prose import BULLET, WRAPPED, may_be_headline, words
from connectors.stored import read_page
from streams.core.headline import tidy
from streams.core.records import Headline
from streams.core.text import clean

_ZONE = re.compile(r"\b(?:UTC|GMT)(?:\s?[+-]\d{1,2}(?::?\d{2})?)?\b")
_SHORT_LABEL = re.compile(r"\D{0,40}")
_EDGES = re.compile(r"^[\s|:\u2013\u2014\u2022\u00b7*-]+|(?:\s*[|\u2022\u00b7*]|\s[\u2013\u2014-])+\s*$")


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class _Strip:
    """The lines of a page that are its ticker, and the times in them.

    ``text`` is the lines, one after the other; ``ends`` are the places where each of them ends in it.
    """

    lines: tuple[_Line, ...]
    text: str
    ends: tuple[int, ...]
    chain: Chain

    def number_at(self, place: int) -> int:
        """Which of the lines stands at a place in ``text``, from 0."""
        return bisect_left(self.ends, place)


@dataclass(frozen=True, slots=True)
class Item:
    """One headline of a ticker, and the clock time before it."""

    clock: time
    text: str


class Ticker:
    """Reads "Breaking 18:50 headline 18:00 headline …", in one line or in many, in a text or in an HTML page.

    The newest headline comes first and the times go down, over midnight if need be; a ticker whose times all go up is
    read, too. A label before the first time ("Breaking", "LIVE:") is left out, and so is the rest of the page.

    The day is that of ``context.date``, or else the page's own (its dateline or metadata), or else the last one on which
    the newest headline was not in the future. The page's own day is that of its article, which may be older than the
    ticker beside it: give the date of an old page. The zone is ``context.zone``; where that is UTC and the page's
    dateline names another, that one. A time that the zone has twice is the first of the two; one that it leaves out in
    spring is taken by the offset before the change (PEP 495, ``fold=0``).
    """

    name = "ticker"
    description = "headlines with the time before each, newest first, as news sites run them in a strip"
    example = "Breaking 18:50 Ferry service resumes after storm 18:00 Central bank holds rates"

    def recognises(self, head: str) -> bool:
        """Whether it has two headlines with their times, or more, and no more that stand there without one."""
        lines = _lines(seen_text(parse_page(head)) if is_html(head) else head)
        strip = _strip(lines)
        pieces = list(_cut(strip))
        headlines = sum(words(text) > 1 for _, text, _ in pieces)
        if headlines < 2 or 2 * headlines < len(pieces) or (_lead(strip) and len(pieces) < 3):
            return False
        in_strip = [line.text for _, _, more in pieces for line in more]
        others = [*in_strip, *(line.text for line in _beside(lines, strip))]
        return sum(map(may_be_headline, others)) <= headlines

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """The headlines in the order of the ticker. What stands in it without a time comes out as unreadable.

        Raises:
            SourceError: there is no ticker.
        """
        text = read_page(data)
        published = None
        if is_html(text):
            tree = parse_page(text)
            published = published_on(tree, context.zone or UTC)
            text = seen_text(tree)
        lines = _lines(text)
        strip = _strip(lines)
        if not strip.chain.marks:
            raise SourceError(
                "no ticker stands here" if text.strip() else "it is empty",
                "a ticker is a line such as: Breaking 18:50 headline 18:00 headline",
            )
        day, named = _said(lines, strip)
        zone = context.zone or named or UTC
        if published and not day:
            day = published.astimezone(zone).date()
        yield from _readings(strip, _newest_day(strip, context, zone, day), zone, context.outlet)
        for line in _beside(lines, strip):
            if may_be_headline(line.text):
                context.left_out(line.number, BULLET.sub("", line.text))


def read_ticker(text: str) -> list[Item]:
    """The headlines of the ticker in ``text``, in its order; none where there is no ticker."""
    strip = _strip(_lines(text))
    return [Item(_clock(mark), headline) for mark, headline, _ in _cut(strip) if headline]


def _lines(text: str) -> list[_Line]:
    return [_Line(number, clean(line)) for number, line in enumerate(text.splitlines(), 1)]


def _strip(lines: Sequence[_Line]) -> _Strip:
    """The ticker in a page: the blocks of lines that begin with a time, or else the lines that have several."""
    blocks = [kept for block in _blocks(lines) if (kept := _without_page_text(block))]
    if any(len(times(line.text)) >= 3 for block in blocks for line in block):
        blocks = [block for block in blocks if any(len(times(line.text)) > 1 for line in block)]
    chosen = [line for block in blocks for line in block] or [line for line in lines if len(times(line.text)) > 1]
    text = "\n".join(line.text for line in chosen)
    ends = accumulate((len(line.text) + 1 for line in chosen), initial=-1)
    return _Strip(tuple(chosen), text, tuple(ends)[1:], best_chain(text, times(text)))


def _blocks(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """The lines between empty ones, where the first begins with a time.

    A time that stands alone has its headline in the next line, also after an empty one.
    """
    block: list[_Line] = []
    for line in lines:
        if line.text:
            if block or _begins_with_time(line.text):
                block.append(line)
        elif block and not _is_time_alone(block[-1].text):
            yield block
            block = []
    if block:
        yield block


def _begins_with_time(line: str) -> bool:
    marks = times(line)
    if not marks:
        return _is_time_alone(line)
    if marks[0].leads:
        return True
    before = line[: marks[0].start]
    return len(marks) > 1 and _SHORT_LABEL.fullmatch(before) is not None and len(before.split()) <= 4


def _is_time_alone(line: str) -> bool:
    marks = times(line)
    return len(marks) == 1 and marks[0].leads and not starts_headline(line, marks[0])


def _without_page_text(block: Sequence[_Line]) -> list[_Line]:
    """A block up to the end of its last headline: as many lines after the last time as others have after theirs.

    A line that begins with a small letter goes on with the one before.
    """
    marked = [index for index, line in enumerate(block) if times(line.text)]
    if not marked:
        return []
    between = max((following - index - 1 for index, following in pairwise(marked)), default=0)
    if _is_time_alone(block[marked[-1]].text):
        between = max(between, 1)
    end = marked[-1] + 1 + between
    while end < len(block) and block[end].text[:1].islower():
        end += 1
    return list(block[:end])


def _cut(strip: _Strip) -> Iterator[tuple[Mark, str, list[_Line]]]:
    """Each time with its headline, which may be empty, and the lines after it that belong to none."""
    marks = strip.chain.marks
    ends = [mark.start for mark in marks[1:]] + [len(strip.text)] * bool(marks)
    for mark, end in zip(marks, ends, strict=True):
        first, *more = strip.text[mark.end : end].split("\n")
        kept = [first]
        while more and _goes_on(kept[-1], more[0]):
            kept.append(more.pop(0))
        number = strip.number_at(mark.end) + len(kept)
        left_over = [_Line(strip.lines[number + n].number, text) for n, text in enumerate(more) if text]
        yield mark, tidy(_EDGES.sub("", " ".join(kept))), left_over


def _goes_on(text: str, following: str) -> bool:
    """Whether a headline whose last line is ``text`` goes on in the line after it."""
    return not _EDGES.sub("", text) or len(text) >= WRAPPED or following[:1].islower()


def _readings(strip: _Strip, newest: date, zone: tzinfo, source: str) -> Iterator[Reading]:
    yield from _before_first(strip)
    for (mark, headline, left_over), days in zip(_cut(strip), strip.chain.days_back(), strict=True):
        line = strip.lines[strip.number_at(mark.start)]
        if headline:
            yield Headline(headline=headline, published=_moment(newest, days, mark, zone), source=source)
        else:
            yield Unreadable(line.number, f"no headline stands after the time {mark}", line.text.encode())
        for other in left_over:
            yield Unreadable(other.number, "no time stands before it", other.text.encode())


def _before_first(strip: _Strip) -> Iterator[Unreadable]:
    """What stands before the first time and is no label."""
    if lead := _lead(strip):
        yield Unreadable(strip.lines[0].number, "no time stands before it", lead.encode())


def _lead(strip: _Strip) -> str:
    """The text before the first time, if it is too long to be a label."""
    before = strip.text[: strip.chain.marks[0].start].strip()
    return before if len(before.split()) > 4 and not is_label(before) else ""


def _beside(lines: Sequence[_Line], strip: _Strip) -> Iterator[_Line]:
    """The lines of the page that are not its ticker."""
    of_ticker = {line.number for line in strip.lines}
    return (line for line in lines if line.number not in of_ticker)


def _newest_day(strip: _Strip, context: Context, zone: tzinfo, said: date | None) -> date:
    if context.date:
        return context.date
    if said:
        context.note(f"the day of the newest headline was taken from the page: {said}")
        return said
    newest = strip.chain.marks[-1 if strip.chain.rises else 0]
    now = context.time()
    day = now.astimezone(zone).date()
    if _moment(day, 0, newest, zone) > now:
        day -= timedelta(days=1)
    context.note(f"no date was given: the newest headline, at {newest}, was taken to be of {day}")
    return day


def _said(lines: Sequence[_Line], strip: _Strip) -> tuple[date | None, tzinfo | None]:
    """The day and the zone that the label of the ticker names, or a line beside the ticker that is a dateline."""
    label = find_date(strip.text[: strip.chain.marks[0].start])
    if label:
        return label.day, label.zone
    for line in _beside(lines, strip):
        if dateline := find_dateline(line.text):
            zone = _ZONE.search(line.text)
            return dateline.day, dateline.zone or parse_zone(zone[0] if zone else None)
    return None, None


def _clock(mark: Mark) -> time:
    return time(*divmod(mark.minutes, 60))


def _moment(newest: date, days_back: int, mark: Mark, zone: tzinfo) -> datetime:
    return datetime.combine(newest - timedelta(days=days_back), _clock(mark), zone).astimezone(UTC)
