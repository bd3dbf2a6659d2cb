"""Alerts appended to a file as JSON lines, each on disk before it counts as delivered."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from alerts import render
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Result, Retry, Sent
from alerts.userfile import expanded
from streams.core.records import Alert


class FileSettings(ChannelSettings):
    """A file of JSON lines."""

    type: Literal["file"]
    path: Annotated[str, Field(min_length=1)]

    def open(self, environ: Mapping[str, str], folder: Path) -> FileNotifier:
        path = folder / expanded(Path(self.path))
        try:
            os.close(_open(path))
        except OSError as error:
            raise ChannelError(
                f"`path`: {path} cannot be written: {error.strerror}", "make its folder, or name another"
            ) from None
        return FileNotifier(path)


class FileNotifier:
    """Appends to one file, which is opened for each alert, so that it can be moved away at any time."""

    concurrency = 1
    timeout = 15.0

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        try:
            await asyncio.to_thread(_append, self._path, render.webhook_body(alert))
        except OSError as error:
            return Retry(f"{self._path}: {error.strerror}")
        return Sent()

    async def probe(self) -> str:
        """The file could be opened when the channel was."""
        return f"{self._path} can be written"

    async def close(self) -> None:
        """Nothing stays open."""


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)


def _append(path: Path, line: bytes) -> None:
    """Write one line and see it on disk. A line that an earlier crash left unfinished is ended first."""
    file = _open(path)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        unfinished = end > 0 and os.pread(file, 1, end - 1) != b"\n"
        data = (b"\n" if unfinished else b"") + line + b"\n"
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)
