"""What all commands share: options, exit codes, and how a mistake is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from typer.core import TyperGroup

from connectors.embedded import EmbeddedError
from streams.core.document import Problem, RefusedError
from streams.core.duration import parse_duration
from streams.settings import Loaded, above, load


def _width() -> int | None:
    """How wide a table may be: as the terminal; and where none shows it, wide enough that nothing is cut."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return None if terminal or "COLUMNS" in os.environ else 10_000


out = Console(highlight=False, soft_wrap=True, width=_width())
err = Console(stderr=True, highlight=False, soft_wrap=True)


#: How often a progress bar hears of it, in headlines.
TOLD_EVERY = 500


class Exit(IntEnum):
    """Exit codes of every command; ``docs/reference/commands.md`` explains them."""

    OK = 0
    FOUND = 1  # what was checked is not in order
    USAGE = 2  # the command line is wrong
    REFUSED = 3  # a file of the user's is refused
    UNREACHABLE = 4  # Kafka, Redis or the disk cannot be had
    CRASHED = 70  # a fault of ours, as sysexits(3) has it: start it again
    INTERRUPTED = 130  # by Ctrl-C, as a shell has it: 128 and the number of the signal
    TERMINATED = 143  # by SIGTERM


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came. The end is as orderly as after Ctrl-C, and has an exit code of its own."""


class UnreachableError(Exception):
    """A service cannot be reached. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


#: What stands after an option that takes no value, in the help: nothing, rather than the name of a type.
FLAG = " "

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The settings file.", show_default="wirewatch.yaml, if there is one"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print JSON, for programs.")]

#: How pydantic, which typer asks, says that a value is none, and how it is said here.
_IN_PLAIN_WORDS = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be greater than or equal to (.+)"), r"it is \1 or more"),
    (re.compile(r"Input should be less than or equal to (.+)"), r"it is \1 or less"),
    (re.compile(r"Input should be a valid integer.*"), "it is a whole number"),
    (re.compile(r"Input should be a valid number.*"), "it is a number"),
)


class PlainGroup(TyperGroup):
    """The commands, whose users hear in plain words that the value of an option is none."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for theirs, ours in _IN_PLAIN_WORDS:
                error.message = theirs.sub(ours, error.message)
            raise


def clock() -> datetime:
    """The time, aware, in UTC. The one clock of the command line; everything below takes it as an argument."""
    return datetime.now(UTC)  # noqa: TID251 - the outermost place, where time comes in


def settings(config: Path | None) -> Loaded:
    """The settings that a command runs with."""
    if config is None:
        _tell_of_settings_above()
    return load(config, os.environ)


@cache
def _tell_of_settings_above() -> None:
    """Say so, once, where a command runs in a folder of a project instead of its own, for it goes by no settings there."""
    here = Path.cwd()
    try:
        file = above(here)
    except OSError:  # a folder above may not be looked into
        return
    if file is not None:
        there = os.path.relpath(file, here)
        err.print(
            f"[yellow]no wirewatch.yaml here, but there is one above: use `-c {escape(there)}`, or go there[/yellow]"
        )


def print_json(value: Any) -> None:
    """One JSON document on standard output, times as in ISO 8601."""
    out.print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain), markup=False)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)  # a datetime is a date, too


def print_problems(problems: Sequence[Problem], more: int = 0) -> None:
    """Each problem on a line, on standard error; ``more`` are those that are only counted."""
    for problem in problems:
        place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
        err.print(f"[bold]{escape(place)}[/bold]: {escape(problem.message)}")
        if problem.hint:
            err.print(f"    [dim]{escape(problem.hint)}[/dim]")
    if more:
        err.print(f"and {more:,} more")
    err.print(f"[red]{several(len(problems) + more, 'problem')}[/red]")


def typed(folder: Path = Path()) -> str:
    """How this command is typed in ``folder``: by its name, or by its path where the shell does not find it so."""
    called = sys.argv[0]
    if Path(called).name != "wirewatch" or os.sep not in called or shutil.which("wirewatch"):
        return "wirewatch"
    return os.path.relpath(called, folder)


def since_when(text: str) -> datetime:
    """A moment as ``--since`` has it: how long ago, or when.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return clock() - parse_duration(text)
        except (ValueError, OverflowError) as error:
            hint = f"{error}, and a time like 2026-03-01T22:00Z; not {text!r}"
            raise typer.BadParameter(hint, param_hint="--since") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def several(number: int, noun: str) -> str:
    """A number and what it counts: "1 pair", "2,000 pairs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def uncut(name: str, values: Iterable[str]) -> Column:
    """A column of a table that is never narrower than ``values``, because these are copied into other commands."""
    return Column(name, no_wrap=True, min_width=max(map(len, values), default=0))


def tell_error(message: str, hint: str = "") -> None:
    """What went wrong and what to do about it, on standard error."""
    err.print(f"[red]{escape(message)}[/red]")
    if hint:
        err.print(f"    [dim]{escape(hint)}[/dim]")


@contextmanager
def told_plainly(*, as_json: bool = False) -> Iterator[None]:
    """Turn a user's mistake, or a service that is away, into a message and an exit code."""
    try:
        yield
    except RefusedError as error:
        if as_json:
            told = [problem.as_dict() for problem in error.problems]
            print_json({"ok": False, "problems": told, "count": len(told) + error.more})
        else:
            print_problems(error.problems, error.more)
        raise typer.Exit(Exit.REFUSED) from None
    except (EmbeddedError, UnreachableError) as error:
        if as_json:
            print_json({"ok": False, "error": error.message, "hint": error.hint})
        else:
            tell_error(error.message, error.hint)
        raise typer.Exit(Exit.UNREACHABLE) from None
    except KeyboardInterrupt as interrupt:
        err.print("interrupted")
        ending = Exit.TERMINATED if isinstance(interrupt, TerminatedError) else Exit.INTERRUPTED
        raise typer.Exit(ending) from None


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """SIGTERM raises :class:`TerminatedError` within the block, as Ctrl-C raises KeyboardInterrupt."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def progress() -> Callable[[str], None]:
    """Lines for people about what takes its time, on standard error."""
    return lambda line: err.print(f"[dim]{escape(line)}[/dim]")


@contextmanager
def counted(total: int | None) -> Iterator[Callable[[int], None]]:
    """Says on a terminal how many headlines are done."""
    columns = [SpinnerColumn(), TextColumn("{task.completed:,.0f} headlines"), TimeElapsedColumn()]
    with Progress(
        *columns, *([BarColumn()] if total else []), console=err, transient=True, disable=not err.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.update(task, completed=count)
