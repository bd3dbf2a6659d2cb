"""What a worker read from files, and reads again when they change, without a restart.

A `Current` holds what is in force, and whoever uses it asks it anew for each batch. A `Watch` looks at the files every
few seconds, by time of change and size, for that needs nothing of the file system that a network drive or a container's
volume may lack. What changed is built anew in a thread, once the files have stayed as they are from one look to the
next, for an editor writes in several goes. Where that is refused, what is wrong is logged with file and line, and what
was in force stays so; it also does while a drive does not answer, which is logged too.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import structlog

from alerts.userfile import files_below
from streams.core.document import Problem, RefusedError

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: Seconds from one look at the files to the next.
EVERY = 2.0

#: So long may files be looked at or read until it is told that they cannot be, seconds. The largest taxonomies take five.
PATIENCE = 30.0

#: A file's path, its time of change in nanoseconds, and its size.
Stamp = tuple[tuple[str, int, int], ...]


class Current(Generic[T]):
    """Something that may be replaced while it is used: ``value`` is what is in force now."""

    def __init__(self, value: T) -> None:
        self.value = value


class Replaceable(Protocol[T]):
    """What has a ``value`` that is in force, and takes another: a `Current`, or several that are replaced together."""

    value: T


class Watch(Generic[T]):
    """Puts what ``build`` makes of the files of ``paths`` in force whenever they have changed.

    A path may be a folder; its `files_below` are then the files. ``name`` is for the log, and ``revision`` tells what is
    in force there. ``read_at`` is the stamp of the files from before ``current`` was read from them, so that a change in
    between is one.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        build: Callable[[], T],
        current: Replaceable[T],
        *,
        read_at: Stamp,
        revision: Callable[[T], str] = lambda _: "",
        every: float = EVERY,
    ) -> None:
        self._name = name
        self._paths = paths
        self._build = build
        self._current = current
        self._revision = revision
        self._every = every
        #: So long may files be looked at or read until it is told, seconds.
        self.patience = PATIENCE
        self._built = self._seen = read_at
        self._blind = False
        self._stamping: asyncio.Future[Stamp] | None = None
        self._building: asyncio.Future[T] | None = None

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def look(self) -> None:
        """Look at the files once, and build anew what has changed since the last time and stayed so since the last look."""
        now = await self._stamp()
        settled = now is not None and now == self._seen
        self._seen = self._seen if now is None else now
        if settled and self._seen != self._built:
            self._built = self._seen  # also where it is refused: once is enough to be told
            # A build that still waits for a file is forgotten: the file may have been taken away because of it.
            self._building = _aside(self._build)
            await self._wait_for(self._building)
        if self._building is not None and self._building.done():
            built, self._building = self._building, None
            self._put_in_force(built)

    async def _stamp(self) -> Stamp | None:
        """The stamp of the files now, or None where it cannot be had."""
        if self._stamping is None:
            self._stamping = _aside(lambda: stamp(self._paths))
            await self._wait_for(self._stamping)
        if not self._stamping.done():  # and none is taken beside it, which would hang as well
            return None
        taken, self._stamping = self._stamping, None
        try:
            found = taken.result()
        except OSError as error:
            if not self._blind:
                log.warning("the files cannot be looked at, trying again", what=self._name, error=repr(error))
            self._blind = True
            return None
        self._blind = False
        return found

    async def _wait_for(self, future: asyncio.Future[Any]) -> None:
        """Wait until something is done or patience ends, and tell in the log of the latter."""
        await asyncio.wait([future], timeout=self.patience)
        if not future.done():
            log.error(
                "reading the files takes too long, what was before stays in force until they can be read",
                what=self._name,
                paths=[str(path) for path in self._paths],
                revision=self._revision(self._current.value),
            )

    def _put_in_force(self, built: asyncio.Future[T]) -> None:
        try:
            value = built.result()
        except RefusedError as error:
            self._tell(error.problems)
            return
        self._current.value = value
        # No trouble, but `wirewatch up` shows nothing below a warning, and whoever saved a file waits for this line.
        log.warning("what changed is in force", what=self._name, revision=self._revision(value))

    def _tell(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
            log.error("refused", what=self._name, place=place, problem=problem.message, hint=problem.hint)
        kept = self._revision(self._current.value)
        log.error("what changed is refused, what was before stays in force", what=self._name, revision=kept)


def _aside(call: Callable[[], T]) -> asyncio.Future[T]:
    """Call in a thread of its own, which the worker does not wait for when it ends, unlike those of asyncio."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - for whoever asks the future
            settle = partial(future.set_exception, error)
        else:
            settle = partial(future.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has ended meanwhile
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return future


def stamp(paths: Sequence[Path]) -> Stamp:
    """What tells whether the files of ``paths`` have changed. One that is not there has neither time nor size.

    Raises:
        OSError: a path cannot be looked at.
    """
    found = []
    for path in paths:
        for file in files_below(path) if path.is_dir() else [path]:
            try:
                status = file.stat()
            except OSError:
                found.append((str(file), -1, -1))
            else:
                found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)
