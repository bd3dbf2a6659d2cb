"""Who looks at slices: processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class HandsError(Exception):
    """A slice cannot be looked at. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Errand(Protocol):
    """One slice in the hands of a worker."""

    def give(self, batch: bytes) -> None:
        """Hand over the next headlines of it."""

    def end(self) -> None:
        """There are no more."""

    def results(self) -> Iterator[bytes]:
        """First the flags of what came before the slice, then for each batch what was found of it, as soon as it is.

        Raises:
            HandsError: the worker has died, or cannot do it.
        """


class Hands(Protocol):
    """Workers; ``width`` slices are looked at at a time."""

    @property
    def width(self) -> int: ...

    def begin(self, number: int, warm_up: bytes, trusted: int) -> Errand:
        """Begin with slice ``number``, from 1, before which these headlines came."""

    def drop(self) -> None:
        """Give up all slices that were begun; others will be."""

    def close(self) -> None:
        """Let go of the workers, whatever they are at."""
