"""Input that may be compressed: gzip is recognised by its first bytes and read as what it holds."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO, cast

_GZIP = b"\x1f\x8b"

#: What reading raises where compressed data end early or are damaged.
DAMAGED = (gzip.BadGzipFile, zlib.error, EOFError)


def plain(data: BinaryIO) -> io.BufferedReader:
    """``data``, decompressed if it is gzip, and buffered, so that its beginning can be looked at."""
    buffered = data if isinstance(data, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", data))
    if buffered.peek(2)[:2] != _GZIP:
        return buffered
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered)))
