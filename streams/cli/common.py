"""What all commands share: options, exit codes, and how a mistake is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from connectors.embedded import EmbeddedError
from streams.core.document import Problem, RefusedError
from streams.settings import Loaded, load

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes of every command; ``docs/reference/commands.md`` explains them."""

    OK = 0
    FOUND = 1  # what was checked is not in order
    USAGE = 2  # the command line is wrong
    REFUSED = 3  # a file of the user's is refused
    UNREACHABLE = 4  # Kafka, Redis or the disk cannot be had
    INTERRUPTED = 130


class UnreachableError(Exception):
    """A service cannot be reached. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The settings file.", show_default="wirewatch.yaml, if there is one"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def clock() -> datetime:
    """The time, aware, in UTC. The one clock of the command line; everything below takes it as an argument."""
    return datetime.now(UTC)  # noqa: TID251 - the outermost place, where time comes in


def settings(config: Path | None) -> Loaded:
    """The settings that a command runs with."""
    return load(config, os.environ)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    out.print(json.dumps(value, ensure_ascii=False, indent=2, default=str), markup=False)


def print_problems(problems: Sequence[Problem]) -> None:
    """Each problem on a line, on standard error."""
    for problem in problems:
        place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
        err.print(f"[bold]{escape(place)}[/bold]: {escape(problem.message)}")
        if problem.hint:
            err.print(f"    [dim]{escape(problem.hint)}[/dim]")
    count = len(problems)
    err.print(f"[red]{count} problem{'s' if count != 1 else ''}[/red]")


@contextmanager
def told_plainly(*, as_json: bool = False) -> Iterator[None]:
    """Turn a user's mistake, or a service that is away, into a message and an exit code."""
    try:
        yield
    except RefusedError as error:
        if as_json:
            print_json({"ok": False, "problems": [problem.as_dict() for problem in error.problems]})
        else:
            print_problems(error.problems)
        raise typer.Exit(Exit.REFUSED) from None
    except (EmbeddedError, UnreachableError) as error:
        if as_json:
            print_json({"ok": False, "error": error.message, "hint": error.hint})
        else:
            err.print(f"[red]{escape(error.message)}[/red]")
            if error.hint:
                err.print(f"    [dim]{escape(error.hint)}[/dim]")
        raise typer.Exit(Exit.UNREACHABLE) from None
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None


def progress() -> Callable[[str], None]:
    """Lines for people about what takes its time, on standard error."""
    return lambda line: err.print(f"[dim]{escape(line)}[/dim]")
