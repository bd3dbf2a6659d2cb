"""Standard input, which may be silent for hours, so that whoever waits for it can be told to stop."""

from __future__ import annotations

import io
import os
import select


class LetGoError(Exception):
    """Nobody waits for input any longer."""


class StandardInput(io.RawIOBase):
    """The bytes of a file descriptor as they come, until :meth:`let_go`.

    A thread that waits in ``read`` of an ordinary file cannot be woken. What was read before can still be had from the
    buffer around this; after it, and not before, reading raises :class:`LetGoError`.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._told, self._tell = os.pipe()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase has a wider buffer
        ready, _, _ = select.select([self._told, self._descriptor], [], [])
        if self._told in ready:
            raise LetGoError
        piece = os.read(self._descriptor, len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def let_go(self) -> None:
        """Make reading raise :class:`LetGoError`, now and from now on. May be called from any thread."""
        os.write(self._tell, b"\0")
