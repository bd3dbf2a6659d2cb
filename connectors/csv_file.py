"""CSV: a table as text, its columns parted by commas, semicolons or tabs, their names in the first line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.rows import read_row
from connectors.stored import DAMAGED, KEPT, LONGEST_LINE, decode, read_lines
from streams.core.headline import FIELD_NAMES, HEADLINE_NAMES, plain_name

_SEPARATORS = ",;\t"


class Csv:
    """Reads row by row, so that a file may be of any size. A row may go on over several lines, within quotes."""

    name = "csv"
    description = "a table with the names of its columns above: headline, published, source, url"
    example = 'published,source,headline\n2026-02-11T18:50:00Z,example.com,"Tanker held, off Malta"\n'

    def recognises(self, head: str) -> bool:
        """Whether its first line names columns, the headline's among them, and most of them are known."""
        lines = (line for line in head.splitlines() if line.strip())
        found = _header(next(lines, ""))
        if found is None:
            return False
        _, names = found
        known = sum(plain_name(name) in FIELD_NAMES for name in names)
        return known > 1 or known == len(names)

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a row; a row that cannot be read has the number of its first line."""
        lines = _Lines(read_lines(data))
        try:
            first = next(filter(str.strip, lines), "")
            found = _header(first)
            if found is None:
                raise SourceError(
                    "the first line of a table names its columns, and none of these is the headline's",
                    "name them: headline,published,source,url",
                    line=lines.number,
                )
            separator, names = found
            header = lines.number
            yield from _rows(lines, separator, names, context)
            if lines.number == header:
                context.note("the table has a first line with the names of its columns, and no rows below it")
        except DAMAGED as error:
            raise SourceError(f"the compressed data end or are damaged after line {lines.number}: {error}") from None


class _UnendingError(Exception):
    """A row takes more than `LONGEST_LINE` bytes."""


class _Lines:
    """Lines as text, those that a row has taken, and a way to give them back.

    A quote that nobody closed would take the rest of the file into one row: it costs its own line.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._again: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self._size = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size > LONGEST_LINE:
            raise _UnendingError
        return decode(line)

    def begin(self) -> None:
        """A new row begins with the next line."""
        self.taken.clear()
        self._size = 0

    def give_back(self) -> None:
        """All but the first line of this row are to be read again."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1
        del self.taken[1:]


def _header(line: str) -> tuple[str, Sequence[str]] | None:
    """The separator and the names of the columns, if one is the headline's."""
    for separator in _SEPARATORS:
        try:
            names = [name.strip() for name in next(csv.reader([line.lstrip("\ufeff")], delimiter=separator), [])]
        except csv.Error:
            continue
        if any(plain_name(name) in HEADLINE_NAMES for name in names):
            return separator, names
    return None


def _rows(lines: _Lines, separator: str, names: Sequence[str], context: Context) -> Iterator[Reading]:
    # Of all readers of the process, a cell of more than 131,072 characters is refused otherwise: a long body is none to us.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _UnendingError:
            lines.give_back()
            yield _unreadable(lines, f"a quote is not closed within {LONGEST_LINE:,} bytes, or the line is longer")
        except csv.Error as error:
            lines.give_back()
            yield _unreadable(lines, f"not a row of CSV: {error}")
        else:
            if cells:
                yield _row(cells, names, lines, context)


def _row(cells: Sequence[str], names: Sequence[str], lines: _Lines, context: Context) -> Reading:
    if len(cells) != len(names):
        return _unreadable(lines, f"the row has {len(cells)} columns, and the first line names {len(names)}")
    row = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    first = lines.number - len(lines.taken) + 1
    return read_row(row, first, context, b"".join(lines.taken).rstrip(b"\r\n"))


def _unreadable(lines: _Lines, reason: str) -> Unreadable:
    return Unreadable(lines.number - len(lines.taken) + 1, reason, b"".join(lines.taken).rstrip(b"\r\n")[:KEPT])
