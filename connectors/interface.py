"""What a source is: something that was got, a file, a page or a stream, read as headlines.

A new source is one module with a class that has what :class:`Source` asks for, one line in :mod:`connectors.registry`,
its test, and its section in ``docs/reference/sources.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import BinaryIO, Protocol

from streams.core.records import Headline

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class SourceError(Exception):
    """Input cannot be read at all. ``line`` counts from 1, or is None for the input as a whole; ``hint`` is the way out.

    The name of the file is known to who opened it, and is added there.
    """

    def __init__(self, message: str, hint: str = "", line: int | None = None) -> None:
        self.message = message
        self.hint = hint
        self.line = line
        super().__init__(f"{message} ({hint})" if hint else message)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of the input that could not be read, for ``headlines.invalid``, so that nothing is lost.

    ``line`` counts from 1. ``original`` holds the bytes as they came.
    """

    line: int
    reason: str
    original: bytes


Reading = Headline | Unreadable


def _keep_to_oneself(_note: str) -> None:
    """Nobody wants to hear."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about input beside the input itself.

    ``source`` is the name of the outlet, ``date`` the day of the newest headline, ``zone`` that of times which name
    none, ``now`` the time at which reading began, aware. ``clock`` tells the time again, for input that lasts, such as
    a stream of lines; without it, it stays ``now``. ``note`` hears, in a sentence for a person, of a guess made in
    reading.
    """

    source: str | None
    date: date | None
    zone: tzinfo
    now: datetime
    clock: Callable[[], datetime] | None = None
    note: Callable[[str], None] = _keep_to_oneself

    def time(self) -> datetime:
        """What the time is while reading, aware."""
        return self.clock() if self.clock else self.now


class Source(Protocol):
    """A kind of input. It has no state: one object reads any number of inputs.

    ``name`` is what a user calls it by, ``description`` says in a few words what it reads, and ``example`` is a small
    input of the kind; help and reference are made of them.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def example(self) -> str: ...

    def recognises(self, head: bytes) -> bool:
        """Whether input that begins with ``head`` looks to be of this kind."""
        ...

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """The headlines in ``data`` in its order, and what could not be read.

        Raises:
            SourceError: ``data`` is not of this kind, holds nothing, or ends in the middle.
        """
        ...


def decode(data: bytes) -> str:
    """Text in UTF-8, in UTF-16 with a byte-order mark, or else in Windows-1252, which gives every byte a character."""
    if data.startswith(_UTF_16_MARKS):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
