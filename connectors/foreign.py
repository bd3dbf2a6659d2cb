"""What desks have that no source reads: nameless tables, feeds, mails, logs and binary files, told by how they begin.

Any of them is text, or bytes, that could be taken for lines of headlines; so they are refused with the way out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice

from connectors.interface import SourceError
from connectors.marks import times
from connectors.page import is_html
from streams.core.headline import FIELD_NAMES

#: As many lines are looked at.
_LOOKED_AT = 50
_CONTROL = frozenset((*range(9), *range(14, 27), *range(28, 32)))
_FEED = re.compile(r"<(?:rss|feed|rdf:RDF)[\s>]", re.IGNORECASE)
_MAIL_FIELD = re.compile(
    r"(from|to|cc|subject|date|sent|message-id|received|reply-to|return-path|delivered-to|mime-version|x-[\w-]+):\s",
    re.IGNORECASE,
)
_MBOX = re.compile(r"From \S+@\S+ ")
_CLOCK = r"\d\d:\d\d(?::\d\d)?"
# A moment as programs write it before each line that they log.
_STAMP = re.compile(
    rf"""\W{{0,2}}(?:
        \d{{4}}[-/.]\d\d[-/.]\d\d[T\s,]+{_CLOCK}                 # 2026-02-11 18:50
      | \d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}[T\s,]+{_CLOCK}     # 11.02.2026 18:50
      | \d\d:\d\d:\d\d\b                                         # 18:50:30
      | [A-Z][a-z]{{2}}\s+\d{{1,2}}\s+\d\d:\d\d:\d\d             # Feb 11 18:50:30
      | \d{{10}}(?:\d{{3}}|\.\d+)?\s                             # 1770835830
      | \S+\s\S+\s\S+\s\[\d{{1,2}}/[A-Z][a-z]{{2}}/\d{{4}}:      # ::1 - - [11/Feb/2026:18:50:30
    )""",
    re.VERBOSE,
)
# What a column of a table holds, and no part of a headline between two commas: a number, a date, an address.
_DATUM = re.compile(r"\s*(?:[\d.:/TZ+-]*\d[\d.:/TZ +-]*|https?://\S+)\s*")


def refuse_foreign(head: bytes, text: str, name: str) -> None:
    """Raise if what begins with ``head``, which reads as ``text``, is of a kind that no source reads.

    ``name`` is what the user calls the input by, for the way out.

    Raises:
        SourceError: it is; the hint says what to do with it.
    """
    if b"\0" in head or 20 * sum(byte in _CONTROL for byte in head[:4096]) > len(head[:4096]):
        raise SourceError(
            "it is not text",
            "give the text of it; what was packed otherwise than with gzip or Zstandard, unpacked; UTF-16 without a "
            f"byte-order mark as UTF-8: `iconv -f UTF-16LE -t UTF-8 {name}`",
        )
    if text.startswith("%PDF-"):
        raise SourceError("it is a PDF", f"give its text: `pdftotext {name} - | wirewatch ingest article -`")
    if _FEED.search(text[:2_000]):
        raise SourceError(
            "it is an RSS or Atom feed, which no source reads",
            "make each entry one line of JSON; the fields of feeds are understood: "
            f"`xq -c '.rss.channel.item[] | {{title, link, pubDate}}' {name} | wirewatch ingest jsonl -`",
        )
    if text.lstrip().startswith("<?xml") and not is_html(text):
        raise SourceError("it is XML, which no source reads", _as_json())
    lines = list(islice((line for line in text.splitlines() if line.strip()), _LOOKED_AT))
    if _is_mail(lines):
        raise SourceError("it is an e-mail, which no source reads", f"save the text of its message, and {_say(name)}")
    if _is_log(lines):
        raise SourceError("each line begins with a date or a time to the second", f"{_as_json()}; or {_say(name)}")
    if separator := _separator(lines):
        by = {"\t": "tabs", ",": "commas", ";": "semicolons"}[separator]
        raise SourceError(
            f"it is a table, its columns parted by {by}, and its first line does not name the headline's",
            f"name the columns in a first line, such as `{separator.join(('headline', 'published', 'source'))}`; or "
            f"{_say(name)}",
        )


def _as_json() -> str:
    return 'make each headline one line of JSON, such as {"headline": "...", "published": "2026-02-11T18:50:00Z"}'


def _say(name: str) -> str:
    return f"if each line is a headline as it stands, say so: `wirewatch ingest lines {name}`"


def _is_mail(lines: Sequence[str]) -> bool:
    """Whether two fields of a mail's head or more come first; one may be folded over lines of its own."""
    fields = {found[1].lower() for line in lines[:12] if (found := _MAIL_FIELD.match(line))}
    return bool(lines) and len(fields) >= 2 and bool(_MAIL_FIELD.match(lines[0]) or _MBOX.match(lines[0]))


def _is_log(lines: Sequence[str]) -> bool:
    """Whether most lines begin with a moment; one with more times in it may be a ticker with its date before."""
    stamped = sum(bool(_STAMP.match(line)) and len(times(line)) < 2 for line in lines)
    return 2 * stamped > len(lines)


def _separator(lines: Sequence[str]) -> str:
    """What parts the columns, if there are any: their names stand above, or one holds dates, numbers or addresses."""
    for separator in "\t;,":
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            continue
        named = sum(cell.strip().lower().replace("_", "") in FIELD_NAMES for cell in rows[0]) if rows else 0
        if named > 1:
            return separator
        if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
            continue
        if separator == "\t" or (len(rows) > 2 and _has_data(rows)):
            return separator
    return ""


def _has_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column holds nothing but dates, numbers or addresses below its first row, which may be its name."""
    return any(all(map(_DATUM.fullmatch, column)) for column in zip(*rows[1:], strict=True))
