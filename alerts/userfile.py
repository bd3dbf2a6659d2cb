"""Text files that a user wrote: which there are in a folder, and every reason why one cannot be read, with what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from streams.core.document import Problem, RefusedError, did_you_mean

#: The most bytes of a file. YAML is read at a few hundred kB a second, and 5 MB are some 80,000 rules.
LARGEST = 5_000_000


def files_below(folder: Path) -> list[Path]:
    """The ``*.yaml`` and ``*.yml`` of a folder and the folders in it, in order.

    What begins with a dot is left alone: the locks of editors, and the folders in which Kubernetes keeps a ConfigMap,
    whose files stand in the mounted folder already. So is what is neither a file nor a link to nowhere, for whoever reads
    a pipe waits. A folder that goes while it is read, or may not be read, has no files.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if name.endswith((".yaml", ".yml")) and not name.startswith(".")]
    return sorted(file for file in found if _is_file_or_dead_link(file))


def _is_file_or_dead_link(file: Path) -> bool:
    try:
        return file.is_file() or not file.exists()
    except OSError:  # who reads it tells why it cannot be read
        return True


def read_text(path: Path, hint: str = "", *, fits: Callable[[Path], bool] = lambda _: True) -> str:
    """The text of a file in UTF-8, without a byte order mark. ``hint`` says what to do where there is no such file, and
    none beside it of nearly its name, which ``fits`` what was wanted.

    Raises:
        RefusedError: it cannot be read, is not UTF-8, or is longer than :data:`LARGEST` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _refused(path, "cannot be read: No such file or directory", _neighbour(path, fits) or hint) from None
    except IsADirectoryError:
        raise _refused(path, "is a folder", "name a file") from None
    except PermissionError:
        raise _refused(path, "cannot be read: Permission denied", f"`chmod u+r {path}`, or run as its owner") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _refused(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST:
        raise _refused(path, f"is larger than {LARGEST // 1_000_000} MB", "is it the right file? If so, make several")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise _refused(path, "is not UTF-8 text but UTF-16", "save it as UTF-8") from None
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise RefusedError([Problem(str(path), line, column, "is not UTF-8 text", "save it as UTF-8")]) from None


def expanded(path: Path) -> Path:
    """``path`` with the home of a user in the place of ``~``, if there is such a user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _neighbour(path: Path, fits: Callable[[Path], bool]) -> str:
    """A hint where a file beside the missing one has nearly its name, and ``fits``."""
    try:
        names = [item.name for item in path.parent.iterdir() if item.is_file()]
    except OSError:
        return ""
    hint = did_you_mean(path.name, names)
    near = next((name for name in names if hint == f"did you mean `{name}`?"), None)
    return hint if near is not None and fits(path.parent / near) else ""


def _refused(path: Path, message: str, hint: str = "") -> RefusedError:
    return RefusedError([Problem(str(path), 0, 0, message, hint)])
