"""Parquet: a table in columns, as data warehouses write it. Needs pyarrow, the extra ``parquet``."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from connectors.interface import Context, Reading, SourceError
from connectors.rows import read_row
from connectors.stored import DAMAGED, arrow
from streams.core.headline import FIELD_NAMES, HEADLINE_NAMES, plain_name

#: Rows that are in memory at once, beside the pages of a row group.
_AT_ONCE = 2_000


class Parquet:
    """Reads by a few thousand rows. What cannot be jumped in, such as standard input, is kept in a temporary file."""

    name = "parquet"
    description = "a table in columns: headline, published, source, url"
    example = ""  # it is no text

    def recognises(self, head: str) -> bool:
        """Whether it begins with the mark of the format."""
        return head.startswith("PAR1")

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """One reading a row; what cannot be read is told with the row's place, from 1."""
        pa = arrow("a Parquet file")
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        number = 0
        with _whole(data) as file:
            try:
                table = pq.ParquetFile(file)
                names = _columns(table.schema_arrow.names)
                for batch in table.iter_batches(_AT_ONCE, columns=names):
                    for row in _plain(batch, pa).to_pylist():
                        number += 1
                        yield read_row(_filled(row), number, context)
            except (pa.ArrowException, OSError) as error:
                where = f" after row {number:,}" if number else ""
                raise SourceError(f"it is no Parquet that can be read{where}: {_first_line(error)}") from None


@contextmanager
def _whole(data: BinaryIO) -> Iterator[BinaryIO]:
    """``data`` as a file in which one can jump: the end of Parquet says where its parts are."""
    if isinstance(data, io.BufferedReader) and isinstance(data.raw, io.FileIO) and data.seekable():
        yield data
        return
    with tempfile.TemporaryFile() as file:
        try:
            shutil.copyfileobj(data, file)
        except DAMAGED as error:
            raise SourceError(f"the compressed data are damaged: {error}") from None
        file.seek(0)
        yield file


def _columns(names: list[str]) -> list[str]:
    if not any(plain_name(name) in HEADLINE_NAMES for name in names):
        raise SourceError(
            f"none of its columns is the headline's: {', '.join(names[:20])}",
            f"name one {', '.join(sorted(HEADLINE_NAMES))}",
        )
    return [name for name in names if plain_name(name) in FIELD_NAMES]


def _plain(batch: Any, pa: Any) -> Any:
    """A batch with times that Python can hold, and bytes, which old writers mean by text, as text."""
    fields = []
    for field in batch.schema:
        kind = field.type
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            kind = pa.timestamp("us", kind.tz)
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            kind = pa.string()
        fields.append(field.with_type(kind))
    schema = pa.schema(fields)
    return batch if schema == batch.schema else batch.cast(schema, safe=False)


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")
