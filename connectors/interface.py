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

    ``line`` counts from 1. ``original`` holds the bytes as they came, those of UTF-16 as UTF-8.
    """

    line: int
    reason: str
    original: bytes


Reading = Headline | Unreadable


def _keep_to_oneself(_note: str) -> None:
    """Nobody wants to hear."""


def _leave_out(_line: int, _text: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about input beside the input itself.

    ``source`` is the name of the outlet, ``date`` the day of the newest headline, ``zone`` that of times which name
    none, or None if nobody said: then it is what a page says of itself, or else UTC. ``now`` is the time at which reading
    began, aware; ``clock`` tells the time again, for input that lasts, such as a stream of lines; without it, it stays
    ``now``. ``note`` hears, in a sentence for a person, of a guess made in reading, and ``left_out`` of each line (from
    1) of a page that is no part of what is read from it, and yet may be a headline.
    """

    source: str | None
    date: date | None
    zone: tzinfo | None
    now: datetime
    clock: Callable[[], datetime] | None = None
    note: Callable[[str], None] = _keep_to_oneself
    left_out: Callable[[int, str], None] = _leave_out

    @property
    def outlet(self) -> str:
        """The name of the outlet, ``unknown`` if it is."""
        return self.source or "unknown"

    def time(self) -> datetime:
        """What the time is while reading, aware."""
        return self.clock() if self.clock else self.now


class Source(Protocol):
    """A kind of input. It has no state: one object reads any number of inputs.

    ``name`` is what a user calls it by, ``description`` says in a few words what it reads, and ``example`` is a small
    input of the kind, empty where that is no text; help and reference are made of them.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def example(self) -> str: ...

    def recognises(self, head: str) -> bool:
        """Whether input that begins with ``head`` looks to be of this kind."""
        ...

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """The headlines in ``data`` in its order, and what could not be read.

        ``data`` are as :func:`connectors.stored.plain` gives them: neither compressed nor in UTF-16.

        Raises:
            SourceError: ``data`` is not of this kind, holds nothing, or ends in the middle.
        """
        ...
