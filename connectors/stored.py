"""Input as it is stored: compressed or not, in UTF-8 or UTF-16, in lines or as a whole."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from connectors.interface import SourceError

#: As much of an input may be looked at before it is read, bytes.
HEAD = 262_144
#: A longer line is no headline, bytes: Kafka takes no message of more than a megabyte.
LONGEST_LINE = 1_000_000
#: A longer input is no page, bytes.
LONGEST_PAGE = 10_000_000
#: As much of a line that is too long is kept, bytes.
KEPT = 100_000
#: What reading raises where compressed data end early or are damaged. Zstandard is read so that it raises the last.
DAMAGED = (gzip.BadGzipFile, zlib.error, EOFError)

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Compressed input is read by so much, bytes: what stands in one piece with damaged data cannot be had.
_PIECE = 65_536


def plain(data: BinaryIO) -> io.BufferedReader:
    """``data``, buffered, so that its beginning can be looked at; gzip and Zstandard decompressed, UTF-16 as UTF-8.

    Each is known by its first bytes.

    Raises:
        gzip.BadGzipFile, zlib.error, EOFError: the beginning is damaged; reading on may raise the same.
        SourceError: it is compressed by Zstandard, and pyarrow, which reads that, is not installed.
    """
    buffered = data if isinstance(data, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", data), HEAD)
    if buffered.peek(2)[:2] == _GZIP:
        buffered = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered)), _PIECE)
    elif buffered.peek(4)[:4] == _ZSTANDARD:
        buffered = io.BufferedReader(_Zstandard(buffered), _PIECE)
    if buffered.peek(2)[:2] in _UTF_16_MARKS:
        buffered = io.BufferedReader(_Utf16(buffered), HEAD)
    return buffered


def arrow(what: str) -> Any:
    """The module pyarrow, which reads ``what``.

    Raises:
        SourceError: it is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise SourceError(f"pyarrow reads {what}, and is not installed", "pip install 'wirewatch[parquet]'") from None
    return pa


class _Zstandard(io.RawIOBase):
    """What was compressed by Zstandard, in one frame or several, as it was."""

    def __init__(self, data: io.BufferedReader) -> None:
        pa = arrow("what is compressed by Zstandard")
        self._stream = pa.CompressedInputStream(pa.PythonFile(data, mode="r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase has a wider buffer
        try:
            piece = self._stream.read(len(buffer))
        except OSError as error:
            raise EOFError(str(error)) from None
        buffer[: len(piece)] = piece
        return len(piece)


class _Utf16(io.RawIOBase):
    """UTF-16 that begins with its mark, as UTF-8, as soon as it comes. What is no character becomes U+FFFD."""

    def __init__(self, data: io.BufferedReader) -> None:
        self._data = data
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase has a wider buffer
        while not self._ready:
            piece = self._data.read1(len(buffer))
            self._ready = self._decoder.decode(piece, final=not piece).encode()
            if not piece:
                break
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def read_lines(data: BinaryIO) -> Iterator[bytes]:
    """The lines of ``data`` as they come; of one longer than `LONGEST_LINE`, one byte more than that."""
    while line := data.readline(LONGEST_LINE + 1):
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = data.readline(LONGEST_LINE + 1)
        yield line


def read_page(data: BinaryIO) -> str:
    """All of ``data`` as text.

    Raises:
        SourceError: it is longer than `LONGEST_PAGE`.
    """
    whole = data.read(LONGEST_PAGE + 1)
    if len(whole) > LONGEST_PAGE:
        raise SourceError(f"it is longer than {LONGEST_PAGE:,} bytes, which no page is", "give its headlines as lines")
    return decode(whole)


def decode(data: bytes) -> str:
    """Text in UTF-8, or else in Windows-1252, which gives every byte a character."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def beginning(head: bytes) -> str:
    """The text at the beginning of an input, of which ``head``, if it is long, may end within a line or a character."""
    whole = len(head) < _PIECE
    if not whole and (end := head.rfind(b"\n")) > 0:
        head = head[:end]
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=whole)
    except UnicodeDecodeError:
        return head.decode("cp1252", "replace")
