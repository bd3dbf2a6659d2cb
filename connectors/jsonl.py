"""JSON lines: one headline an object, one object a line. The form that wirewatch itself writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from typing import BinaryIO

from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.stored import DAMAGED, KEPT, LONGEST_LINE, read_lines
from streams.core.headline import UnreadableError, read_headline

_BEGINS = re.compile(r"\s*(?:\{|\[\s*\{)")
# The first line of objects over several lines, or of an array of them.
_ONE_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:[\[{]\s*|\[\s*\{.*)", re.DOTALL)


class JsonLines:
    """Reads line by line, so that a file may be of any size and standard input never end."""

    name = "jsonl"
    description = "one JSON object a line: headline, published, source, url"
    example = '{"headline": "Tanker held off Malta", "published": "2026-02-11T18:50:00Z", "source": "example.com"}'

    def recognises(self, head: str) -> bool:
        """Whether it begins as an object does, or as an array of objects, which is told from lines when it is read."""
        return _BEGINS.match(head) is not None

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a line that is not blank."""
        number = 0
        try:
            for number, line in enumerate(read_lines(data), start=1):
                if number == 1 and _ONE_DOCUMENT.fullmatch(line):
                    hint = (
                        "make each object one line: `jq -c .[] FILE`, or `jq -c . FILE` for objects over several lines"
                    )
                    raise SourceError("this is JSON, but not one object a line", hint, line=1)
                if line.strip():
                    yield _reading(line, number, context)
        except DAMAGED as error:
            raise SourceError(f"the compressed data end or are damaged after line {number}: {error}") from None


def _reading(line: bytes, number: int, context: Context) -> Reading:
    if len(line) > LONGEST_LINE:
        return Unreadable(number, f"the line is longer than {LONGEST_LINE:,} bytes", line[:KEPT])
    try:
        return read_headline(line.strip(), received=context.time(), zone=context.zone or UTC, source=context.outlet)
    except UnreadableError as error:
        return Unreadable(number, str(error), line.rstrip(b"\r\n"))
