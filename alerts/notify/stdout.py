"""Alerts on standard output, one line each, for a look and for pipes."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TextIO

from pydantic import Field
from rich.console import Console
from rich.text import Text

from alerts import render
from alerts.notify.interface import Attempt, ChannelSettings, Result, Retry, Sent
from alerts.notify.thread import OneAtATime
from streams.core.records import Alert, Severity

_STYLES: dict[Severity, str] = {
    "info": "dim",
    "low": "cyan",
    "medium": "yellow",
    "high": "bright_red",
    "critical": "bold white on red",
}


class StdoutSettings(ChannelSettings):
    """Standard output. ``json: true`` prints the body that a webhook would get, one alert a line."""

    type: Literal["stdout"]
    as_json: bool = Field(default=False, alias="json")

    def open(self, environ: Mapping[str, str], folder: Path) -> StdoutNotifier:
        return StdoutNotifier(sys.stdout, as_json=self.as_json)


class StdoutNotifier:
    """Prints alerts to a stream, one line each; where that is a terminal, in colour, with the matched words in bold.

    The text is the same in both. NO_COLOR in the environment (https://no-color.org) leaves the bold alone.
    """

    concurrency = 1
    timeout = 5.0

    def __init__(self, stream: TextIO, *, as_json: bool = False) -> None:
        self._console = Console(file=stream, soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._stream = stream
        self._as_json = as_json
        self._thread = OneAtATime("stdout")

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Print the alert, in a thread, for whoever reads may hold it up. What is not through in time may come all the same."""
        if self._thread.busy:
            return Retry("standard output takes nothing: a line of before waits")
        line = self._line(alert)
        try:
            async with asyncio.timeout(self.timeout):
                await self._thread.do(lambda: _write(self._stream, line))
        except TimeoutError:
            return Retry(f"standard output takes nothing within {self.timeout:g} s")
        except OSError as error:
            return Retry(f"standard output: {error.strerror}")
        return Sent()

    def _line(self, alert: Alert) -> str:
        if self._as_json:
            return render.webhook_body(alert).decode() + "\n"
        if not self._stream.isatty():
            return render.line(alert) + "\n"
        with self._console.capture() as printed:
            self._console.print(_styled(alert))
        return printed.get()

    async def probe(self) -> str:
        """There is always a standard output."""
        return "standard output of the worker"

    async def close(self) -> None:
        """The stream is not ours to close."""


def _write(stream: TextIO, line: str) -> None:
    """Write a line to the file below a stream; where there is none, to the stream.

    A thread that hangs in a stream holds its lock, and Python, which flushes the stream when it ends, aborts on that.
    """
    try:
        file = stream.fileno()
    except io.UnsupportedOperation:
        stream.write(line)
        stream.flush()
        return
    stream.flush()
    data = line.encode(stream.encoding or "utf-8", "backslashreplace")
    while data:
        data = data[os.write(file, data) :]


def _styled(alert: Alert) -> Text:
    before, after = render.line_parts(alert)
    when, severity, rule = before
    line = Text().append(when, style="dim").append(severity, style=_STYLES[alert.rule.severity]).append(rule)
    for piece, matched in render.segments(alert.headline.headline.headline, alert.rule.matched):
        line.append(render.one_line(piece), style="bold" if matched else "")
    return line.append(after, style="dim")
