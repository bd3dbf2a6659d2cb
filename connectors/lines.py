"""Plain text, one headline a line, for ``some-program | wirewatch ingest -``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from connectors.dates import find_date
from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.page import is_html
from connectors.prose import is_running_text
from connectors.stored import DAMAGED, KEPT, LONGEST_LINE, decode, read_lines
from streams.core.headline import HEADLINE_LIMIT, tidy
from streams.core.records import Headline

# What stands before a headline in a list, in Markdown too.
_LIST_MARK = re.compile(r"^(?:[-*+\u2022\u00b7\u25aa\u25cf\u2023\u2013\u2014]|#{1,6}) +(?=\S)")


class Lines:
    """Every line that is not blank is a headline, published now. The bullet before it in a list is left out."""

    name = "lines"
    description = "plain text, one headline a line, published now"
    example = "Tanker held off Malta"

    def recognises(self, head: str) -> bool:
        """Whether it is neither HTML nor running text. All other text may be lines; so this source is asked last."""
        return not is_html(head) and not is_running_text(head.splitlines())

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a line that is not blank."""
        number = 0
        try:
            for number, line in enumerate(read_lines(data), start=1):
                if line.strip():
                    yield _reading(line.rstrip(b"\r\n"), number, context)
        except DAMAGED as error:
            raise SourceError(f"the compressed data end or are damaged after line {number}: {error}") from None


def _reading(line: bytes, number: int, context: Context) -> Reading:
    if len(line) > LONGEST_LINE:
        return Unreadable(number, f"the line is longer than {LONGEST_LINE:,} bytes", line[:KEPT])
    if b"\0" in line:
        return Unreadable(number, "the line is not text: it holds a NUL", line[:KEPT])
    text = _LIST_MARK.sub("", tidy(decode(line), limit=LONGEST_LINE))
    if not text:
        return Unreadable(number, "the line holds no visible character", line)
    if len(text) > HEADLINE_LIMIT:
        return Unreadable(number, f"the line is longer than {HEADLINE_LIMIT:,} characters, as no headline is", line)
    if _is_date(text):
        return Unreadable(number, "the line is a date, and no headline", line)
    return Headline(headline=text, published=context.time(), source=context.outlet)


def _is_date(text: str) -> bool:
    """Whether ``text`` is what stands above the headlines of a day."""
    found = find_date(text)
    return found is not None and not any(map(str.isalnum, text[: found.start] + text[found.end :]))
