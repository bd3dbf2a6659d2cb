"""Decisions as Parquet: the records of ``--decisions`` as columns, for notebooks and databases."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import typer

from streams.backtest.decided import Decided, Message
from streams.cli.common import UnreachableError
from streams.cli.outputs import named
from streams.cli.replay_report import extra

ParquetOption = Annotated[
    Path | None, typer.Option(metavar="FILE.parquet", help="Write every decision there, one a row.")
]

#: Rows that are held before they are written together as a row group.
ROWS: Final = 10_000


class Columns:
    """A consumer that writes each decision as a row; it holds one row group at a time."""

    def __init__(self, writer: Any, schema: Any, table_of: Callable[..., Any]) -> None:
        self._writer = writer
        self._schema = schema
        self._table_of = table_of
        self._rows: list[Any] = []

    @classmethod
    def opened(cls, file: Path, stack: ExitStack) -> Columns:
        """A file to write rows to, which ``stack`` closes.

        Raises:
            UnreachableError: pyarrow is not installed, or the file cannot be written.
        """
        named(file, ".parquet", "--parquet")
        pyarrow, parquet = extra("pyarrow", "parquet", "--parquet"), extra("pyarrow.parquet", "parquet", "--parquet")
        schema = pyarrow.schema(list(_column(Decided, pyarrow)))
        try:
            writer = stack.enter_context(parquet.ParquetWriter(file, schema, compression="zstd"))
        except OSError as error:
            raise UnreachableError(
                f"{file} cannot be written: {error.strerror or error}", "choose another place"
            ) from None
        return cls(writer, schema, pyarrow.Table.from_pylist)

    def take(self, one: Decided | Message) -> None:
        """Write a decision. Messages have other columns, and are left out."""
        if isinstance(one, Decided):
            self._rows.append(_plain(one))
            if len(self._rows) >= ROWS:
                self._write()

    def finish(self) -> None:
        """Write what is held."""
        if self._rows:
            self._write()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        try:
            self._writer.write_table(self._table_of(rows, schema=self._schema))
        except OSError as error:
            raise UnreachableError(f"--parquet cannot be written: {error.strerror or error}", "make room") from None


def _column(hint: Any, pyarrow: Any) -> Any:
    """The Arrow type of what a record holds. Of records that may stand in one place, it has the fields of all."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return pyarrow.struct([(name, _column(inner, pyarrow)) for name, inner in get_type_hints(hint).items()])
    origin, given = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        kinds = [_column(kind, pyarrow) for kind in given if kind is not type(None)]
        fields = {field.name: field for kind in kinds for field in kind} if len(kinds) > 1 else {}
        return pyarrow.struct(fields.values()) if fields else kinds[0]
    if origin is tuple:
        return pyarrow.list_(_column(given[0], pyarrow))
    if origin is dict:
        return pyarrow.map_(_column(given[0], pyarrow), _column(given[1], pyarrow))
    return _simple(pyarrow)[str if origin is Literal else hint]


def _simple(pyarrow: Any) -> Mapping[type, Any]:
    return {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        datetime: pyarrow.timestamp("us", tz="UTC"),
    }


def _plain(value: Any) -> Any:
    """A record as pyarrow takes it, with all its defaults."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return list(value.items()) if isinstance(value, dict) else value
