"""Files that a command writes where the user says, and what keeps them from taking the place of what it reads."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import typer

from streams.cli.common import UnreachableError


@contextmanager
def writing(file: Path, way_out: str = "choose another place") -> Iterator[None]:
    """What keeps ``file`` from being written within the block is told plainly, with the way out.

    Raises:
        UnreachableError: it cannot be written there.
    """
    try:
        yield
    except OSError as error:
        raise UnreachableError(f"{file} cannot be written: {error.strerror or error}", way_out) from None


@contextmanager
def alone_at(file: Path) -> Iterator[None]:
    """Commands that read ``file`` and then write it do so one after the other within the block, and none undoes another's.

    The folder is what is locked, for the file is replaced. Where it cannot be, as on some file systems of a network, it is not.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            folder = os.open(file.resolve().parent, os.O_RDONLY)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def spare(inputs: Iterable[Path], outputs: Mapping[str, Path | None]) -> None:
    """Refuse ``outputs``, each by the option that names it, where one would be written over a file that is read.

    An output in a folder that is read is refused if it is there already, for then it is read, too.

    Raises:
        typer.BadParameter: an output is an input.
    """
    read = list(inputs)
    for option, file in outputs.items():
        if file is None:
            continue
        with writing(file):
            if not file.exists():
                continue
            for one in read:
                if one.is_dir() and not file.is_dir() and file.resolve().is_relative_to(one.resolve()):
                    raise typer.BadParameter(f"{option} {file} lies in {one}, which is read: name a file elsewhere")
                if one.exists() and file.samefile(one):
                    raise typer.BadParameter(f"{option} {file} would be written over what is read: name another file")


def writable(file: Path) -> Path:
    """``file``, if it can be written; asked before the work, not after it.

    Raises:
        UnreachableError: it cannot, with the reason.
    """
    parent = file.parent
    if file.is_dir():
        what = "it is a folder"
    elif not parent.is_dir():
        what = f"there is no folder {parent}"
    elif not os.access(file if file.exists() else parent, os.W_OK):
        what = "no permission"
    else:
        return file
    raise UnreachableError(f"{file} cannot be written: {what}", "choose another place")


def named(file: Path, suffix: str, option: str) -> Path:
    """``file``, if it can be written and is named as it should be.

    Raises:
        typer.BadParameter: its name ends otherwise.
        UnreachableError: it cannot be written.
    """
    if file.suffix != suffix:
        raise typer.BadParameter(f"{option} writes {suffix}: name a file that ends in {suffix}, not {file}")
    return writable(file)


def write_file(file: Path, content: bytes, way_out: str = "choose another place") -> None:
    """Write a file that the user asked for: whole, or not at all. What is no plain file, such as a pipe, is written to.

    A link stays one, and a file that was there keeps its mode and, as far as we may, its owner.

    Raises:
        UnreachableError: it cannot be written there; ``way_out`` is its hint.
    """
    with writing(file, way_out):
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        place = file.resolve()
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        before = place.stat() if place.exists() else None
        try:
            beside.touch(0o600 if before else 0o666)
            beside.write_bytes(content)
            if before:
                with suppress(PermissionError):
                    os.chown(beside, before.st_uid, before.st_gid)
                beside.chmod(stat.S_IMODE(before.st_mode))
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
