"""JSON lines: one headline an object, one object a line. The form that wirewatch itself writes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from connectors.compressed import DAMAGED, plain
from connectors.interface import Context, Reading, SourceError, Unreadable
from streams.core.headline import UnreadableError, read_headline

#: A longer line is no headline, bytes: Kafka takes no message of more than a megabyte.
LONGEST_LINE = 1_000_000
#: As much of a line that is too long is kept, bytes.
_KEPT = 100_000


class JsonLines:
    """Reads line by line, so that a file may be of any size and standard input never end."""

    name = "jsonl"
    description = "one JSON object a line: headline, published, source, url"
    example = '{"headline": "Tanker held off Malta", "published": "2026-02-11T18:50:00Z", "source": "example.com"}'

    def recognises(self, head: bytes) -> bool:
        """Whether it begins as an object does, or as an array of objects, which is told from lines when it is read."""
        begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return begin.startswith(b"{") or (begin.startswith(b"[") and begin[1:].lstrip().startswith(b"{"))

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a line that is not blank."""
        number = 0
        try:
            for number, line in enumerate(_lines(plain(data)), start=1):
                if number == 1 and line.removeprefix(b"\xef\xbb\xbf").strip() in (b"[", b"{"):
                    hint = (
                        "make each object one line: `jq -c .[] FILE`, or `jq -c . FILE` for objects over several lines"
                    )
                    raise SourceError("this is JSON, but not one object a line", hint, line=1)
                if line.strip():
                    yield _reading(line, number, context)
        except DAMAGED as error:
            raise SourceError(f"the compressed data end or are damaged after line {number}: {error}") from None


def _lines(data: io.BufferedReader) -> Iterator[bytes]:
    while line := data.readline(LONGEST_LINE + 1):
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = data.readline(LONGEST_LINE + 1)
        yield line


def _reading(line: bytes, number: int, context: Context) -> Reading:
    if len(line) > LONGEST_LINE:
        return Unreadable(number, f"the line is longer than {LONGEST_LINE:,} bytes", line[:_KEPT])
    try:
        return read_headline(
            line.strip(), received=context.time(), zone=context.zone, source=context.source or "unknown"
        )
    except UnreadableError as error:
        return Unreadable(number, str(error), line.rstrip(b"\r\n"))
