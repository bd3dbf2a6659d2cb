"""The command line: one module a command, thin; each is registered here."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from streams.cli import (
    channels,
    deliveries,
    demo,
    doctor,
    evaluate,
    explain,
    ingest,
    init,
    label,
    logs,
    replay,
    routes,
    rules,
    silence,
    slack,
    topics,
    up,
    worker,
)
from streams.cli.common import Exit, PlainGroup, tell_error

app = typer.Typer(
    name="wirewatch",
    cls=PlainGroup,
    help="Headlines in, the few alerts that matter out, once each.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.command("ingest")(ingest.ingest)
app.add_typer(rules.app, name="rules")
app.add_typer(topics.app, name="topics")
app.add_typer(channels.app, name="channels")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(routes.app, name="routes")
app.add_typer(silence.app, name="silence")
app.add_typer(slack.app, name="slack")
app.add_typer(evaluate.app, name="evaluate")
app.command("replay")(replay.replay)
app.command("label")(label.label)
app.command("explain")(explain.explain)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wirewatch {version('wirewatch')}")
        raise typer.Exit


@app.callback()
def _top(
    show_version: Annotated[
        bool, typer.Option("--version", metavar=" ", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Headlines in, the few alerts that matter out, once each."""
    logs.hush()


#: How the system says that nothing more can be written: a full disk, or quota.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """The command ``wirewatch``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without the letter is no reason to end
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        # What is in the buffer would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        tell_error(f"the output cannot be written: {error.strerror}", "make room, or send it elsewhere")
        sys.exit(Exit.UNREACHABLE)
