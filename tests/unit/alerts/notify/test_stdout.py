from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts import render
from alerts.notify.interface import Attempt, Retry, Sent
from alerts.notify.stdout import StdoutNotifier, StdoutSettings
from streams.core.records import Alert

ATTEMPT = Attempt(1, datetime(2025, 3, 3, 12, tzinfo=UTC))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


async def test_a_pipe_gets_plain_lines(make_alert: Callable[..., Alert]) -> None:
    stream = io.StringIO()
    notifier = StdoutNotifier(stream)
    long = make_alert("Ferries resume after storm " + "and on " * 100 + "[bold]x[/bold] :smile:")
    for alert in (make_alert(), long):
        assert await notifier.send(alert, ATTEMPT) == Sent()
    await notifier.close()
    assert stream.getvalue() == render.line(make_alert()) + "\n" + render.line(long) + "\n"


async def test_a_terminal_gets_colours_and_matched_words_in_bold(
    make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    await StdoutNotifier(stream).send(make_alert("Ferries [x] after storm \x1b[2J"), ATTEMPT)
    printed = stream.getvalue()
    assert "\x1b[1mFerries\x1b[0m [x] after \x1b[1mstorm\x1b[0m" in printed
    assert "\x1b[2J" not in printed, "a headline cannot steer the terminal"


async def test_what_a_terminal_shows_is_what_a_pipe_gets(
    make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    alert = make_alert("Ferries [x] after storm \x1b[2J", severity="critical")
    stream = Terminal()
    await StdoutNotifier(stream).send(alert, ATTEMPT)
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == render.line(alert) + "\n"


@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
async def test_colours_are_for_terminals_that_want_them(
    make_alert: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        await StdoutNotifier(stream).send(make_alert(severity="critical"), ATTEMPT)
    assert pipe.getvalue() == render.line(make_alert(severity="critical")) + "\n"
    coloured = re.search(r"\x1b\[[0-9;]*[349][0-7]m", terminal.getvalue())
    assert bool(coloured) == (variable == "FORCE_COLOR")
    assert "\x1b[1mFerries\x1b[0m" in terminal.getvalue(), "bold is no colour"


async def test_json_lines(make_alert: Callable[..., Alert]) -> None:
    stream = io.StringIO()
    await StdoutNotifier(stream, as_json=True).send(make_alert(), ATTEMPT)
    assert json.loads(stream.getvalue())["data"]["alert_id"] == "al_1"
    assert stream.getvalue().count("\n") == 1


async def test_a_closed_pipe_is_a_failure_to_try_again(make_alert: Callable[..., Alert]) -> None:
    result = await StdoutNotifier(Broken()).send(make_alert(), ATTEMPT)
    assert result == Retry("standard output: Broken pipe")


async def test_the_setting_json(make_alert: Callable[..., Alert], capsys: pytest.CaptureFixture[str]) -> None:
    await StdoutSettings.model_validate({"type": "stdout", "json": True}).open({}, Path()).send(make_alert(), ATTEMPT)
    assert capsys.readouterr().out.startswith('{"type":"alert"')


async def test_a_pipe_that_nobody_reads_holds_up_nothing_else(make_alert: Callable[..., Alert]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    with os.fdopen(writing, "w", encoding="utf-8") as stream, os.fdopen(reading, "rb") as reader:
        notifier = StdoutNotifier(stream)
        notifier.timeout = 0.2
        started, turns = asyncio.get_running_loop().time(), 0
        sending = asyncio.create_task(notifier.send(make_alert(), ATTEMPT))
        while not sending.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 1
        assert asyncio.get_running_loop().time() - started < 20
        assert await sending == Retry("standard output takes nothing within 0.2 s")
        assert await notifier.send(make_alert(), ATTEMPT) == Retry(
            "standard output takes nothing: a line of before waits"
        )
        line = render.line(make_alert()).encode() + b"\n"
        assert (await asyncio.to_thread(reader.readline)).endswith(line)
        while notifier._thread.busy:  # noqa: ASYNC110 - a thread tells no event of ours
            await asyncio.sleep(0.01)
        assert await notifier.send(make_alert(), ATTEMPT) == Sent()
        assert await asyncio.to_thread(reader.readline) == line


def test_a_program_ends_though_nobody_reads_what_it_prints() -> None:
    program = """
import asyncio, sys
from datetime import UTC, datetime
from alerts.notify.interface import Attempt
from alerts.notify.stdout import StdoutNotifier
from alerts.template import _sample

async def main():
    notifier = StdoutNotifier(sys.stdout)
    notifier.timeout = 0.2
    for number in range(10_000):
        result = await notifier.send(_sample(full=True), Attempt(1, datetime(2025, 3, 3, 12, tzinfo=UTC)))
        if "Retry" in repr(result):
            print(result, file=sys.stderr)
            return

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert b"takes nothing within" in said
    assert b"Fatal" not in said
