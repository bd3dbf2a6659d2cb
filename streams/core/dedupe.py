"""Deduplication: whether a headline says something new, decided from what was decided before it.

Decisions are made one after the other, in the order of their sequence numbers; each depends on the headline and on
the entries remembered before it, and on nothing else. So a recorded stream that is replayed in that order decides the
same, whoever decided and wherever. Time is event time throughout: the system clock has no say.

Here two headlines are the same if they are equal after normalising (:func:`fingerprint_of`) and were published within
the window of each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from streams.core.records import Headline, Status
from streams.core.text import clean
from streams.core.wire import Wire, may_tell_status, read_wire

Verdict = Literal["first", "update", "duplicate"]

#: The reason of an exact duplicate.
EQUAL = "equal after normalising"

#: Entries that are remembered however old they are: those of an archive that is read into a stream of today, and those
#: of records that are delivered again.
KEEP = 20_000

#: Signs that carry meaning beside letters and digits: money, per cent, degrees, a sign before a figure, a question.
_NOISE = re.compile(r"(?![$€£¥₽₹%°?])[^\w]|_")
# Each begins with the sign itself, which is searched for fast, and looks behind it then.
_SIGN = re.compile(r"[-\u2212\u2013](?<![\w.,][-\u2212\u2013])(?=[$€£]?\d)")
_FIGURE_SEPARATOR = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_POINT = re.compile(r"\.(?<=\d\.)(?=\d)")
_POSSESSIVE = re.compile(r"['\u2019](?:(?=s\b)|(?<=s['\u2019])(?!\w))")
_APOSTROPHES = re.compile(r"['\u2019](?<=\w['\u2019])(?=\w)")
#: What newsrooms set, and an ASCII character that comes to the same below: only an apostrophe and a minus count.
_TYPOGRAPHY = (("\u2019", "'"), ("\u2018", '"'), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", " "))
#: Parts of an address that say how a reader came, not what is there.
_TRACKING = ("utm_", "ftag", "cmp", "cid", "ref", "smid", "at_", "ns_", "mod", "src")
#: For `bytes.translate`: `_NOISE` in ASCII.
_SPACED = bytes(ord(c) if c.isascii() and (c.isalnum() or c in "$%?") else 32 for c in map(chr, range(256)))


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A headline to decide on. ``position`` is ``topic:partition:offset`` of its raw record."""

    id: str
    position: str
    received: datetime
    headline: Headline


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One decision, as the ledger keeps it. Times are milliseconds since 1970; ``seq`` orders all decisions.

    ``related_to`` is the id of the headline that this one repeats or updates, ``reason`` says why. What is told of a
    headline is kept to compare others with: its ``text`` without wire marks, its ``source`` and its ``address``. ``sources``
    have told its story so far, this one included, which ``began`` when its first headline was published; 0 is now.
    """

    seq: int
    position: str
    id: str
    published: int
    received: int
    verdict: Verdict
    story_id: str
    key: str
    related_to: str = ""
    reason: str = ""
    text: str = ""
    source: str = ""
    address: str = ""
    sources: int = 1
    began: int = 0

    @property
    def event_time(self) -> int:
        """When the headline came out, milliseconds; never after it was received, whatever its source says."""
        return min(self.published, self.received)


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


def read_saying(headline: Headline) -> Wire:
    """What a headline says, without what wires and outlets set around it."""
    text = headline.headline
    # What is printable ASCII with single spaces is clean already.
    tidy = text.isascii() and text.isprintable() and "  " not in text
    return read_wire(text.strip() if tidy else clean(text), headline.source)


def fingerprint_of(wire: Wire, status: Status) -> str:
    """What two headlines that say the same have in common: 22 hexadecimal digits. ``wire`` is what one says (`read_saying`).

    Case, diacritics, punctuation, invisible characters, wire prefixes and outlet tails do not count; figures, money,
    per cent, signs and a question mark do. A correction or withdrawal repeats only another of its kind.
    """
    nature = nature_of(wire) if status == "usable" and wire.marks else status
    return blake2b(f"{nature}\0{_said(wire.text)}".encode(), digest_size=11).hexdigest()


def nature_of(wire: Wire) -> Status:
    """What the wire's marks say of a headline: that it is sound, corrects another, or withdraws it."""
    if "withdrawal" in wire.marks:
        return "canceled"
    return "corrected" if "correction" in wire.marks else "usable"


def with_told_status(headline: Headline) -> Headline:
    """A headline with the status that its text tells, where its source gave none: "CORRECTED-…", "… (withdrawn)"."""
    if headline.status != "usable" or not may_tell_status(headline.headline):
        return headline
    nature = nature_of(read_saying(headline))
    return headline if nature == "usable" else msgspec.structs.replace(headline, status=nature)


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


def undecided(candidate: Candidate) -> tuple[Entry, Wire]:
    """The entry of a headline that is the first of its story as far as it says itself, and how its text was read."""
    headline = candidate.headline
    wire = read_saying(headline)
    return unread(candidate, fingerprint_of(wire, headline.status), wire.text, _address(headline.url)), wire


def unread(candidate: Candidate, key: str = "", text: str = "", address: str = "") -> Entry:
    """The entry of a headline that is the first of its story, with what it is compared by as far as that is given."""
    return Entry(
        seq=0,
        position=candidate.position,
        id=candidate.id,
        published=milliseconds(candidate.headline.published),
        received=milliseconds(candidate.received),
        verdict="first",
        story_id=candidate.id,
        key=key,
        text=text,
        source=candidate.headline.source,
        address=address,
    )


def related(entry: Entry, other: Entry, verdict: Verdict, reason: str) -> Entry:
    """The entry of a headline that repeats or updates another."""
    return msgspec.structs.replace(entry, verdict=verdict, story_id=other.story_id, related_to=other.id, reason=reason)


def _address(url: str | None) -> str:
    """An address as it names an article: without scheme, fragment and what tells how the reader came.

    Empty for none, and for the front page of a site.
    """
    if not url:
        return ""
    address = url.partition("#")[0].partition("://")[2].rstrip("/").removeprefix("www.")
    if "?" in address:
        address, _, query = address.partition("?")
        kept = "&".join(part for part in query.split("&") if not part.startswith(_TRACKING))
        address = f"{address.rstrip('/')}?{kept}" if kept else address.rstrip("/")
    return address if "/" in address or "?" in address else ""


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """An entry and its number among all that were remembered."""

    number: int
    entry: Entry


class Memory:
    """The entries that decisions are made from: those of the last two windows of event time, and the newest ``keep``.

    The newest count however old they are, so that an archive that is read into a stream of today is deduplicated in
    itself. Both limits are said by the entries alone: whoever has the same entries decides the same, whatever else
    happens to be in memory still. Only firsts and updates are kept; a duplicate leaves the window as it was.
    """

    def __init__(self, window: timedelta, keep: int = KEEP) -> None:
        self.window = round(window.total_seconds() * 1000)
        self._keep = keep
        self._kept: dict[int, Remembered] = {}  # by number; the garbage collector passes over it, as over no deque
        self._oldest = 1
        self._watermark = 0
        self._count = 0
        self._tentative: list[tuple[Entry, int]] = []

    @property
    def newest(self) -> int:
        """The number from which on every entry counts, however old it is."""
        return self._count - self._keep + 1

    def holds(self, number: int, entry: Entry) -> bool:
        """Whether an entry still counts: said by what was remembered since, not by what memory happens to hold."""
        return number >= self.newest or entry.event_time >= self._watermark - 2 * self.window

    def add(self, entry: Entry) -> Remembered | None:
        """Take up an entry, tentatively. Returns what is kept of it: nothing of a duplicate."""
        self._tentative.append((entry, self._watermark))
        self._watermark = max(self._watermark, entry.event_time)
        self._count += 1
        if entry.verdict == "duplicate":
            return None
        remembered = Remembered(self._count, entry)
        self._kept[self._count] = remembered
        return remembered

    def settle(self) -> list[Remembered]:
        """All that was added stands. Returns what does not count any more, and is forgotten."""
        self._tentative.clear()
        forgotten = []
        while self._oldest <= self._count:
            oldest = self._kept.get(self._oldest)
            if oldest:
                if self.holds(oldest.number, oldest.entry):
                    break
                forgotten.append(self._kept.pop(self._oldest))
            self._oldest += 1
        return forgotten

    def rollback(self) -> list[Remembered]:
        """Forget all that was added since the last `settle`. Returns what was kept of it, newest first."""
        forgotten = []
        while self._tentative:
            entry, self._watermark = self._tentative.pop()
            if entry.verdict != "duplicate":
                forgotten.append(self._kept.pop(self._count))
            self._count -= 1
        return forgotten


class _Story(msgspec.Struct, gc=False):
    """Who has told a story, since when, and how many of its headlines are in memory."""

    began: int
    sources: tuple[str, ...] = ()
    kept: int = 0


class Tellers:
    """The sources that have told each story which is in memory, fed with what `Memory` is fed with."""

    def __init__(self) -> None:
        self._stories: dict[str, _Story] = {}
        self._tentative: list[tuple[Entry, bool]] = []

    def counted(self, entry: Entry) -> Entry:
        """The entry with what is known of its story."""
        story = self._stories.get(entry.story_id)
        if story is None:
            return entry
        count = len(story.sources) + (entry.source not in story.sources)
        return msgspec.structs.replace(entry, sources=count, began=story.began)

    def add(self, entry: Entry) -> None:
        """Take up an entry, tentatively."""
        story = self._stories.get(entry.story_id)
        if story is None:
            if entry.verdict == "duplicate":  # of what is forgotten already
                self._tentative.append((entry, False))
                return
            story = self._stories[entry.story_id] = _Story(entry.began or entry.published)
        new = entry.source not in story.sources
        if new:
            story.sources = (*story.sources, entry.source)
        story.kept += entry.verdict != "duplicate"
        self._tentative.append((entry, new))

    def settle(self, forgotten: Iterable[Remembered]) -> None:
        """All that was added stands, and these do not count any more."""
        self._tentative.clear()
        for remembered in forgotten:
            self._drop(remembered.entry.story_id)

    def rollback(self) -> None:
        """Forget all that was added since the last `settle`."""
        while self._tentative:
            entry, new = self._tentative.pop()
            story = self._stories.get(entry.story_id)
            if story is not None and new:
                story.sources = story.sources[:-1]
            if entry.verdict != "duplicate":
                self._drop(entry.story_id)

    def _drop(self, story_id: str) -> None:
        story = self._stories.get(story_id)
        if story is not None:
            story.kept -= 1
            if story.kept <= 0:
                del self._stories[story_id]


class ExactDeduper:
    """Drops a headline that equals, after normalising, one that was published within ``window`` of it.

    The window reaches both ways, because sources are late. How long an entry counts, `Memory` says.
    """

    def __init__(self, window: timedelta, keep: int = KEEP) -> None:
        self._memory = Memory(window, keep)
        self._firsts: dict[str, list[Remembered]] = {}
        self._tellers = Tellers()

    def decide(self, candidate: Candidate) -> Entry:
        """The decision on ``candidate``: first of its story, or duplicate of the first one remembered."""
        entry, _ = undecided(candidate)
        earlier = self._find(entry.key, entry.published)
        return self._tellers.counted(related(entry, earlier, "duplicate", EQUAL)) if earlier else entry

    def _find(self, key: str, published: int) -> Entry | None:
        for remembered in self._firsts.get(key, ()):
            near = abs(published - remembered.entry.published) <= self._memory.window
            if near and self._memory.holds(remembered.number, remembered.entry):
                return remembered.entry
        return None

    def remember(self, entry: Entry) -> None:
        """Take up an entry that was decided here or elsewhere."""
        self._tellers.add(entry)
        if remembered := self._memory.add(entry):
            self._firsts.setdefault(entry.key, []).append(remembered)

    def settle(self) -> None:
        """All that was remembered stands; what does not count any more goes."""
        forgotten = self._memory.settle()
        self._tellers.settle(forgotten)
        for remembered in forgotten:
            self._discard(remembered)

    def rollback(self) -> None:
        """Forget all that was remembered since the last ``settle``."""
        self._tellers.rollback()
        for remembered in self._memory.rollback():
            self._discard(remembered)

    def _discard(self, remembered: Remembered) -> None:
        same = self._firsts[remembered.entry.key]
        same.remove(remembered)
        if not same:
            del self._firsts[remembered.entry.key]
