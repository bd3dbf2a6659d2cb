"""Plain text, one headline a line, for ``some-program | wirewatch ingest -``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from connectors.compressed import plain
from connectors.interface import Context, Reading, Unreadable, decode
from streams.core.headline import tidy
from streams.core.records import Headline


class Lines:
    """Every line that is not blank is a headline, published now."""

    name = "lines"
    description = "plain text, one headline a line, published now"
    example = "Tanker held off Malta"

    def recognises(self, head: bytes) -> bool:
        """Any text is lines; so this source is asked last."""
        return b"\0" not in head

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a line that is not blank."""
        for number, raw in enumerate(iter(plain(data).readline, b""), start=1):
            line = raw.rstrip(b"\r\n")
            if not line.strip():
                continue
            text = tidy(decode(line))
            if text:
                yield Headline(headline=text, published=context.time(), source=context.source or "unknown")
            else:
                yield Unreadable(number, "the line holds no visible character", line)
