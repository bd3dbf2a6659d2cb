"""Alerts on standard output, one line each, for a look and for pipes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TextIO

from pydantic import Field
from rich.console import Console
from rich.text import Text

from alerts import render
from alerts.notify.interface import Attempt, ChannelSettings, Result, Retry, Sent
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

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        try:
            if self._as_json:
                self._stream.write(render.webhook_body(alert).decode() + "\n")
            elif self._stream.isatty():
                self._console.print(_styled(alert))
            else:
                self._stream.write(render.line(alert) + "\n")
            self._stream.flush()
        except OSError as error:
            return Retry(f"standard output: {error.strerror}")
        return Sent()

    async def probe(self) -> str:
        """There is always a standard output."""
        return "standard output of the worker"

    async def close(self) -> None:
        """The stream is not ours to close."""


def _styled(alert: Alert) -> Text:
    before, after = render.line_parts(alert)
    when, severity, rule = before
    line = Text().append(when, style="dim").append(severity, style=_STYLES[alert.rule.severity]).append(rule)
    for piece, matched in render.segments(alert.headline.headline.headline, alert.rule.matched):
        line.append(render.one_line(piece), style="bold" if matched else "")
    return line.append(after, style="dim")
