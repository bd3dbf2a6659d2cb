"""Deduplication: whether a headline says something new, decided from what was decided before it.

Decisions are made one after the other, in the order of their sequence numbers; each depends on the headline and on
the entries remembered before it, and on nothing else. So a recorded stream that is replayed in that order decides the
same, whoever decided and wherever. Time is event time throughout: the system clock has no say.

Here two headlines are the same if they are equal after normalising (:func:`fingerprint`) and were published within
the window of each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from streams.core.records import Headline
from streams.core.text import clean
from streams.core.wire import read_wire

Verdict = Literal["first", "update", "duplicate"]

#: Entries that are remembered however old they are: those of an archive that is read into a stream of today, and those
#: of records that are delivered again.
KEEP = 20_000

#: Signs that carry meaning beside letters and digits: money, per cent, degrees, a sign before a figure, a question.
_NOISE = re.compile(r"(?![$€£¥₽₹%°?])[^\w]|_")
_SIGN = re.compile(r"(?<![\w.,])[-\u2212\u2013](?=[$€£]?\d)")
_FIGURE_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_POSSESSIVE = re.compile(r"['\u2019](?=s\b)|(?<=s)['\u2019](?!\w)")
_APOSTROPHES = re.compile(r"(?<=\w)['\u2019](?=\w)")
#: What newsrooms set, and an ASCII character that comes to the same below: only an apostrophe and a minus count.
_TYPOGRAPHY = (("\u2019", "'"), ("\u2018", '"'), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", " "))
#: For `bytes.translate`: `_NOISE` in ASCII.
_SPACED = bytes(ord(c) if c.isascii() and (c.isalnum() or c in "$%?") else 32 for c in map(chr, range(256)))


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A headline to decide on. ``position`` is ``topic:partition:offset`` of its raw record."""

    id: str
    position: str
    received: datetime
    headline: Headline


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One decision, as the ledger keeps it. Times are milliseconds since 1970; ``seq`` orders all decisions."""

    seq: int
    position: str
    id: str
    published: int
    received: int
    verdict: Verdict
    story_id: str
    key: str
    duplicate_of: str = ""
    reason: str = ""

    @property
    def event_time(self) -> int:
        """When the headline came out, milliseconds; never after it was received, whatever its source says."""
        return min(self.published, self.received)


class _Remembered(msgspec.Struct, frozen=True, gc=False):
    """An entry and its number among all that were remembered."""

    number: int
    entry: Entry


class Deduper(Protocol):
    """Decides on one headline after the other, tentatively until told that the decisions stand."""

    def decide(self, candidate: Candidate) -> Entry:
        """The decision on ``candidate``, with ``seq`` still 0. Changes nothing."""

    def remember(self, entry: Entry) -> None:
        """Take up an entry that was decided here or elsewhere."""

    def settle(self) -> None:
        """All that was remembered stands; what no decision can reach any more may go."""

    def rollback(self) -> None:
        """Forget all that was remembered since the last ``settle``."""


def milliseconds(moment: datetime) -> int:
    """A moment as Kafka and the ledger count it."""
    return round(moment.timestamp() * 1000)


def fingerprint(headline: Headline) -> str:
    """What two headlines that say the same have in common: 22 hexadecimal digits.

    Case, diacritics, punctuation, invisible characters, wire prefixes and outlet tails do not count; figures, money,
    per cent, signs and a question mark do. A correction or withdrawal repeats only another of its kind.
    """
    text = headline.headline
    # What is printable ASCII with single spaces is clean already.
    tidy = text.isascii() and text.isprintable() and "  " not in text
    wire = read_wire(text.strip() if tidy else clean(text), headline.source)
    said = _said(wire.text)
    nature = headline.status if headline.status != "usable" else _nature(wire.marks)
    return blake2b(f"{nature}\0{said}".encode(), digest_size=11).hexdigest()


def _said(text: str) -> str:
    """The words, figures and signs of ``text``, with one space between."""
    plain = text
    if not plain.isascii():
        for typographic, ascii_form in _TYPOGRAPHY:
            plain = plain.replace(typographic, ascii_form)
    if plain.isascii():
        said = " ".join(_joined(plain.lower()).encode().translate(_SPACED).decode().split())
        if said:
            return said
    plain = unicodedata.normalize("NFKC", text)
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    joined = _joined(plain.casefold())
    return " ".join(_NOISE.sub(" ", joined).split()) or joined


def _joined(text: str) -> str:
    """``text`` with signs and points in words, and without the separators and apostrophes that join."""
    if "-" in text or "\u2212" in text or "\u2013" in text:
        text = _SIGN.sub(" minus", text)
    if "," in text:
        text = _FIGURE_SEPARATOR.sub("", text)
    if "." in text:
        text = _POINT.sub("point", text)
    if "'" in text or "\u2019" in text:
        text = _APOSTROPHES.sub("", _POSSESSIVE.sub("", text))
    return text


def _nature(marks: frozenset[str]) -> str:
    if "withdrawal" in marks:
        return "canceled"
    return "corrected" if "correction" in marks else "usable"


class ExactDeduper:
    """Drops a headline that equals, after normalising, one that was published within ``window`` of it.

    The window reaches both ways, because sources are late. Remembered are the entries of the last two windows of event
    time, and the ``keep`` newest however old they are: so an archive that is read into a stream of today is
    deduplicated in itself. Both are said by the entries alone, so that whoever has the same entries decides the same.
    """

    def __init__(self, window: timedelta, keep: int = KEEP) -> None:
        self._window = round(window.total_seconds() * 1000)
        self._keep = keep
        self._firsts: dict[str, list[_Remembered]] = {}
        self._order: deque[_Remembered] = deque()
        self._watermark = 0
        self._count = 0
        self._tentative: list[tuple[Entry, int]] = []

    def decide(self, candidate: Candidate) -> Entry:
        """The decision on ``candidate``: first of its story, or duplicate of the first one remembered."""
        headline = candidate.headline
        key = fingerprint(headline)
        published = milliseconds(headline.published)
        earlier = self._find(key, published)
        return Entry(
            seq=0,
            position=candidate.position,
            id=candidate.id,
            published=published,
            received=milliseconds(candidate.received),
            key=key,
            verdict="duplicate" if earlier else "first",
            story_id=earlier.story_id if earlier else candidate.id,
            duplicate_of=earlier.id if earlier else "",
            reason="equal after normalising" if earlier else "",
        )

    def _find(self, key: str, published: int) -> Entry | None:
        for remembered in self._firsts.get(key, ()):
            if abs(published - remembered.entry.published) <= self._window and self._holds(remembered):
                return remembered.entry
        return None

    def _holds(self, remembered: _Remembered) -> bool:
        """Whether an entry still counts: said by what was remembered since, not by what memory happens to hold."""
        recent = self._count - remembered.number < self._keep
        return recent or remembered.entry.event_time >= self._watermark - 2 * self._window

    def remember(self, entry: Entry) -> None:
        """Take up an entry that was decided here or elsewhere."""
        self._tentative.append((entry, self._watermark))
        self._watermark = max(self._watermark, entry.event_time)
        self._count += 1
        if entry.verdict != "duplicate":
            remembered = _Remembered(self._count, entry)
            self._firsts.setdefault(entry.key, []).append(remembered)
            self._order.append(remembered)

    def settle(self) -> None:
        """All that was remembered stands; what does not count any more goes."""
        self._tentative.clear()
        while self._order and not self._holds(self._order[0]):
            self._discard(self._order.popleft())

    def rollback(self) -> None:
        """Forget all that was remembered since the last ``settle``."""
        while self._tentative:
            entry, self._watermark = self._tentative.pop()
            self._count -= 1
            if entry.verdict != "duplicate":
                self._discard(self._order.pop())

    def _discard(self, remembered: _Remembered) -> None:
        same = self._firsts[remembered.entry.key]
        same.remove(remembered)
        if not same:
            del self._firsts[remembered.entry.key]
