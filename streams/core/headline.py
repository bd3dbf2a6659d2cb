"""How one raw record is read: the JSON that somebody put on ``headlines.raw``, or a line of a JSONL file.

Our own producers write the fields of :class:`streams.core.records.Headline`, and such a record takes a fast way.
Everybody else writes what their feed or API gave them; :func:`read_headline` reads that too, as long as there is no
doubt what is meant, and says why where there is. ``docs/reference/sources.md`` lists what is understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from streams.core.markup import without_markup
from streams.core.records import Headline, Status
from streams.core.text import clean

#: The longest headline that is kept, code points; a longer one is cut at a word and ends in " …".
HEADLINE_LIMIT = 2_000
#: The longest body that is kept, code points.
BODY_LIMIT = 100_000
#: The longest name of an outlet or an author that is kept, code points.
NAME_LIMIT = 200
#: The longest name of a language that is kept, code points; tags such as "en-GB" have up to 35 (RFC 5646, 4.4.1).
LANGUAGE_LIMIT = 100
#: The longest address of a headline that is read, code points: what servers should take at least (RFC 9110, 4.1).
URL_LIMIT = 8_000
#: The longest identifier that is read, code points.
ID_LIMIT = 1_000
#: A headline that claims to be published later than this after it was received has a wrong clock or zone.
FUTURE_LIMIT = timedelta(days=1)

#: What a field may be called, best first. Names are compared as :func:`plain_name` gives them.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "headline": ("headline", "title", "text"),
    "published": ("published", "publishedat", "pubdate", "datepublished", "date", "datetime", "timestamp", "time"),
    "source": ("source", "outlet", "publisher", "feed"),
    "url": ("url", "link", "href"),
    "id": ("id", "guid", "uuid"),
    "author": ("author", "byline", "creator"),
    "body": ("body", "content", "description", "summary"),
    "language": ("language", "lang"),
    "status": ("status", "pubstatus"),
}
#: Every name that a field may have, in small letters, without ``_`` and ``-``.
FIELD_NAMES = frozenset(name for names in _NAMES.values() for name in names)
#: Those of the headline itself.
HEADLINE_NAMES = frozenset(_NAMES["headline"])
_FIELDS = {name: (field, rank) for field, names in _NAMES.items() for rank, name in enumerate(names)}

_CORRECTED = {"corrected", "correction", "correct", "corrects"}
_CANCELED = {"canceled", "cancelled", "withdrawn", "withdrawal", "killed", "kill", "retracted", "retraction", "deleted"}
_UNRELEASED = {"withheld", "embargoed"}

_TIME_FORMS = (
    "write ISO 8601 such as 2026-02-11T18:50:00Z, RFC 2822 such as Wed, 11 Feb 2026 18:50:00 +0000, "
    "or seconds or milliseconds since 1970"
)
_RFC_2822 = re.compile(
    r"(?:[a-z]{3,9},? )?\d{1,2}[ -][a-z]{3,9}[ -]\d{4} \d{1,2}:\d\d(?::\d\d)?(?: (?P<zone>[+-]\d{4}|[a-z]+))?",
    re.IGNORECASE,
)
# The zones that RFC 2822 knows by name; other names, such as BST or IST, mean different things to different people.
_NAMED_ZONES = frozenset(["UT", "GMT", "UTC", "Z", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"])
_LOOSE_ZONE = re.compile(r"\s+(?:UTC|GMT|(?=[+-]\d\d:?\d\d$))$", re.IGNORECASE)
# Seconds since 1970 from 1973 on: smaller numbers are 0 and other marks for "not known". Milliseconds from 1973 on, too.
_EPOCH_SECONDS = range(100_000_000, 100_000_000_000)
_EPOCH_MILLISECONDS = range(100_000_000_000, 100_000_000_000_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


class UnreadableError(Exception):
    """A record cannot be read as a headline; the text says why, to a person."""


#: The times that a `datetime` can hold, milliseconds since 1970, with a day at either end to reckon with.
_TIMES = range(-62_135_510_400_000, 253_402_214_400_000)


def received_at(milliseconds: int) -> datetime:
    """When Kafka received a record, by the timestamp that it has.

    Raises:
        UnreadableError: that is no time. A producer may have set it, in microseconds for instance.
    """
    if milliseconds not in _TIMES:
        raise UnreadableError(f"its timestamp in Kafka, {milliseconds}, is no time in milliseconds since 1970")
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def nearest_time(milliseconds: int) -> datetime:
    """The same, and for what is no time the nearest that is one."""
    return received_at(min(max(milliseconds, _TIMES[0]), _TIMES[-1]))


def given_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """The id that a producer gave to a record in Kafka, by its headers; empty where it gave none."""
    for key, value in headers:
        if key == "id" and value:
            return str(value, "utf-8", "replace")[:200]
    return ""


class _Exact(Headline, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record with our own field names and no others."""


_decode_exactly = msgspec.json.Decoder(_Exact).decode


def read_headline(value: bytes, *, received: datetime, zone: tzinfo = UTC, source: str = "unknown") -> Headline:
    """Read one JSON object as a headline.

    ``received`` (aware) stands in for a missing time of publication, and for one more than `FUTURE_LIMIT` after it,
    because the windows of deduplication and of rules move with event time and one wrong clock must not empty them.
    ``zone`` is that of times which name none; of a time that the zone has twice the first is meant, and one that it
    leaves out in spring is taken by the offset before the change (PEP 495, ``fold=0``). ``source`` is the outlet of
    records that name none.

    Raises:
        UnreadableError: no headline can be had from it.
    """
    try:
        exact = _decode_exactly(value)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return _read_leniently(value, received, zone, source)
    published, headline = exact.published, tidy(exact.headline)
    if (
        headline
        and exact.body is None
        and _is_tidy(exact.source, NAME_LIMIT)
        and exact.source != "unknown"
        and published.tzinfo is UTC
        and _EARLIEST <= published <= received + FUTURE_LIMIT
        and (exact.url is None or _is_address(exact.url, URL_LIMIT))
        and (exact.id is None or _is_address(exact.id, ID_LIMIT))
        and exact.author is None
        and exact.language is None
    ):
        return Headline(
            headline=headline,
            published=published,
            source=exact.source,
            url=exact.url,
            id=exact.id,
            status=exact.status,
        )
    return _read_leniently(value, received, zone, source)


def _is_tidy(text: str, limit: int) -> bool:
    """Whether `tidy` would leave ``text`` as it is, told from signs that are quick to look for."""
    return (
        text.isascii()
        and text.isprintable()
        and len(text) <= limit
        and "  " not in text
        and "<" not in text
        and "&" not in text
        and text[:1] not in ("", " ")
        and text[-1] != " "
    )


def _is_address(text: str, limit: int) -> bool:
    return text != "" and len(text) <= limit and text.isascii() and text.isprintable() and " " not in text


def tidy(text: str, limit: int = HEADLINE_LIMIT) -> str:
    """``text`` as it is shown and kept: one clean line, no HTML, at most ``limit`` code points long.

    Feeds escape HTML, sometimes twice; entities are decoded, and tags that are clearly markup (known names) taken
    out. "AT&T" and "2 < 3" stay. What is too long is cut at a word, and ends in " …".
    """
    return text if _is_tidy(text, limit) else _cut(clean(without_markup(_whole_characters(text))), limit)


def tidy_body(text: str) -> str:
    """``text`` as a body is kept: clean paragraphs, an empty line between, at most `BODY_LIMIT` code points."""
    lines = (clean(line) for line in without_markup(_whole_characters(text), "\n\n").splitlines())
    return _cut("\n\n".join(line for line in lines if line), BODY_LIMIT)


def _whole_characters(text: str) -> str:
    """``text`` with halves of surrogate pairs joined, and lone ones replaced: they cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = text[: limit - 2]
    if not text[limit - 2].isspace():
        space = head.rfind(" ", limit - 100)  # a script without spaces is cut between two characters
        head = head[:space] if space > 0 else head
    return head.rstrip() + " …"


def read_time(value: str | float, zone: tzinfo) -> datetime:
    """A moment as feeds and APIs write it, in UTC: ISO 8601, RFC 2822, seconds or milliseconds since 1970.

    A date alone is the midnight that begins it.

    Raises:
        ValueError: it is none of these, or names a zone that is not known for sure; the text says what to write.
    """
    moment = _moment(value)
    try:
        moment = moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"is not a date of our calendar in UTC: {_TIME_FORMS}") from None
    if moment < _EARLIEST:
        raise ValueError("lies before 1900")
    return moment


def _moment(value: str | float) -> datetime:
    if not isinstance(value, str):
        return _since_1970(value)
    text = clean(value)
    if text.isdecimal() and text.isascii() and 9 <= len(text) <= 14:
        return _since_1970(int(text))
    try:
        return datetime.fromisoformat(_LOOSE_ZONE.sub(_offset, text))
    except ValueError:
        pass
    form = _RFC_2822.fullmatch(text)
    if form is None:
        raise ValueError(f"is not a time: {_TIME_FORMS}")
    name = form["zone"]
    if name and name.isalpha() and name.upper() not in _NAMED_ZONES:
        raise ValueError(f"names the zone {name}, which is not known for sure: write an offset such as +01:00")
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        raise ValueError(f"is not a time: {_TIME_FORMS}") from None
    # "-0000" is UTC from somebody who does not tell where (RFC 2822, 3.3); the library leaves it without a zone.
    return moment.replace(tzinfo=UTC) if name and moment.tzinfo is None else moment


def _offset(zone: re.Match[str]) -> str:
    return "+00:00" if zone[0].strip() else ""


def _since_1970(number: float) -> datetime:
    if _EPOCH_SECONDS.start <= number < _EPOCH_SECONDS.stop:
        return _EPOCH + timedelta(seconds=number)
    if _EPOCH_MILLISECONDS.start <= number < _EPOCH_MILLISECONDS.stop:
        return _EPOCH + timedelta(milliseconds=number)
    raise ValueError(f"is not a time: {_TIME_FORMS}")


def _read_leniently(value: bytes, received: datetime, zone: tzinfo, source: str) -> Headline:
    record = _fields(_object(value))
    headline = tidy(_string(record, "headline", required=True))
    if not headline:
        raise UnreadableError("the headline is empty")
    return Headline(
        headline=headline,
        published=_published(record, received, zone),
        source=tidy(_source(record), NAME_LIMIT) or source,
        url=_address(record, "url", _string(record, "url"), URL_LIMIT).replace(" ", "%20") or None,
        id=_address(record, "id", _identifier(record), ID_LIMIT) or None,
        author=tidy(_author(record), NAME_LIMIT) or None,
        body=tidy_body(_string(record, "body")) or None,
        language=tidy(_string(record, "language"), LANGUAGE_LIMIT) or None,
        status=_status(record),
    )


def _object(value: bytes) -> dict[str, Any]:
    """The JSON object in ``value``.

    The standard library's decoder has the second word: it reads lone surrogates and raw control characters, which
    are cleaned away later.
    """
    value = value.removeprefix(b"\xef\xbb\xbf")
    if not value.strip():
        raise UnreadableError("the record is empty")
    try:
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = json.loads(value.decode(), strict=False)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8: byte 0x{value[error.start]:02x} at {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError as error:  # a number beyond what Python reads
        raise UnreadableError(f"not JSON that can be read: {error}") from None
    except RecursionError:
        raise UnreadableError("not JSON that can be read: nested too deeply") from None
    if not isinstance(found, dict):
        raise UnreadableError(f"not a JSON object but {_shown(found)}")
    return found


def _fields(record: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Our fields that ``record`` has a value for, each with the name it has there; an empty text is the last choice."""
    found: dict[str, tuple[str, Any]] = {}
    ranks: dict[str, int] = {}
    for name, value in record.items():
        known = _FIELDS.get(name) or _FIELDS.get(plain_name(name))
        if known is None or value is None:
            continue
        field, rank = known
        if value == "":
            rank = len(_FIELDS)
        if rank < ranks.get(field, len(_FIELDS) + 1):
            ranks[field] = rank
            found[field] = (name, value)
    return found


def plain_name(name: str) -> str:
    """A field's name as it is compared: "published_at", "publishedAt" and "Published-At" are one."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _string(record: Mapping[str, tuple[str, Any]], field: str, *, required: bool = False) -> str:
    if field not in record:
        if required:
            names = ", ".join(_NAMES[field][1:])
            raise UnreadableError(f"there is no {field} (nor {names})")
        return ""
    name, value = record[field]
    if not isinstance(value, str):
        raise _wrong(name, value, "is not a text")
    return value


def _address(record: Mapping[str, tuple[str, Any]], field: str, text: str, limit: int) -> str:
    """``text`` in a clean line. It is never cut: a part of an address or an identifier leads elsewhere, or nowhere."""
    line = clean(_whole_characters(text))
    if len(line) > limit:
        raise UnreadableError(f"`{tidy(record[field][0], 40)}` is longer than {limit:,} characters: {_shown(line)}")
    return line


def _wrong(name: str, value: Any, complaint: str) -> UnreadableError:
    return UnreadableError(f"`{tidy(name, 40)}` {complaint}: {_shown(value)}")


def _shown(value: Any) -> str:
    """``value`` as an error quotes it, at most 80 characters long."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = _whole_characters(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 80 else text[:79] + "…"


def _published(record: Mapping[str, tuple[str, Any]], received: datetime, zone: tzinfo) -> datetime:
    if "published" not in record:
        return received.astimezone(UTC)
    name, value = record["published"]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(name, value, "is not a time")
    if isinstance(value, str) and not clean(value):
        return received.astimezone(UTC)
    try:
        published = read_time(value, zone)
    except ValueError as error:
        complaint, _, advice = str(error).partition(": ")
        raise UnreadableError(f"{_wrong(name, value, complaint)}" + (f" ({advice})" if advice else "")) from None
    return published if published <= received + FUTURE_LIMIT else received.astimezone(UTC)


def _source(record: Mapping[str, tuple[str, Any]]) -> str:
    """The outlet; many news APIs give it as an object with a name."""
    name, value = record.get("source", ("source", ""))
    if isinstance(value, dict):
        value = value.get("name") or value.get("title") or ""
    if not isinstance(value, str):
        raise _wrong(name, value, "is not a text")
    return value


def _author(record: Mapping[str, tuple[str, Any]]) -> str:
    name, value = record.get("author", ("author", ""))
    authors = value if isinstance(value, list) else [value]
    names = [author.get("name") if isinstance(author, dict) else author for author in authors]
    texts = [author for author in names if isinstance(author, str)]
    if len(texts) < len(names):
        raise _wrong(name, value, "is not a text")
    return ", ".join(texts)


def _identifier(record: Mapping[str, tuple[str, Any]]) -> str:
    name, value = record.get("id", ("id", ""))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _wrong(name, value, "is not a text")
    return value


def _status(record: Mapping[str, tuple[str, Any]]) -> Status:
    """What became of the headline. A word that is not known ("published", "final") says nothing against it."""
    word = clean(_string(record, "status")).lower()
    if word in _UNRELEASED:
        raise UnreadableError(f"its status is {word}: its source has not released it")
    if word in _CORRECTED:
        return "corrected"
    return "canceled" if word in _CANCELED else "usable"
