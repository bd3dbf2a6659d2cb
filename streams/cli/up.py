"""``wirewatch up``: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from connectors.embedded import EmbeddedError
from connectors.embedded.process import Process
from streams.cli.common import ConfigOption, Exit, ending_on_sigterm, err, out, settings, tell_error, told_plainly
from streams.cli.crew import PATIENCE, Crew, GivenUpError, WorkerProcess, command
from streams.cli.plan import Rulebook, load_rulebook
from streams.cli.services import reach, serve
from streams.settings import Loaded

_LOOK_EVERY = 0.2


def up(
    config: ConfigOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers to run.")] = 1,
) -> None:
    """Run Kafka, Redis and the workers on this machine, until Ctrl-C.

    What the settings say is elsewhere (kafka.bootstrap_servers, redis.url) is used and not started. A worker that ends
    by itself is started again. Feed it from another terminal with `wirewatch ingest`, and look at it with
    `wirewatch doctor`.

    Example: wirewatch init desk && cd desk && wirewatch up
    """
    with told_plainly():
        loaded = settings(config)
        book = load_rulebook(loaded)
        asyncio.run(_try_channels(book, loaded))
        with stopping_on_ctrl_c(), serve(loaded) as check:
            where = asyncio.run(reach(loaded))
            with Crew(workers, lambda: _start(loaded.file), tell=_tell) as crew:
                running = f"{_count(workers, 'worker')}, {_count(len(book.rules.rules), 'rule')}"
                servers = where.kafka["bootstrap_servers"]
                out.print(f"[green]up[/green]: Kafka at {servers}, {running}. Stop with Ctrl-C.")
                _watch(crew, check)


async def _try_channels(book: Rulebook, loaded: Loaded) -> None:
    """Open the channels as each worker will, and close them: what a worker would refuse is told before anything starts.

    Raises:
        RefusedError: one cannot be opened, for want of a secret perhaps.
    """
    with contextlib.suppress(OSError):  # a channel may write to it; where it cannot be made, who needs it says why
        loaded.path(loaded.settings.data_dir).mkdir(parents=True, exist_ok=True)
    notifiers, _ = book.open_channels(loaded.environ)
    for notifier in notifiers.values():
        await notifier.close()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _start(config: Path | None) -> WorkerProcess:
    terminal = sys.stderr.isatty()
    environ = {"CLICOLOR_FORCE": "1"} if terminal else {}  # what passes through us is for the terminal all the same
    chosen = command(config, "--log-format", "text" if terminal else "json")
    return WorkerProcess(chosen, environ=environ, pass_on=sys.stderr.buffer)


def _tell(what: str, words: str) -> None:
    err.print(f"[yellow]{escape(what)}[/yellow]")
    if words:
        err.print(f"    [dim]its last words:\n{escape(words)}[/dim]")


def _watch(crew: Crew, check: Callable[[], None]) -> None:
    """Keep the crew at work until Ctrl-C.

    Raises:
        typer.Exit: Kafka or Redis has ended; or no worker lives long, or one refuses to start, and then for the reason
            that its exit code gives. It was told.
    """
    try:
        while True:
            check()
            crew.look()
            time.sleep(_LOOK_EVERY)
    except EmbeddedError as error:
        crew.hurry()
        tell_error(error.message, error.hint)
        raise typer.Exit(Exit.UNREACHABLE) from None
    except GivenUpError as error:
        tell_error(error.message, error.hint)
        known = (Exit.USAGE, Exit.REFUSED, Exit.UNREACHABLE)
        raise typer.Exit(error.exit_code if error.exit_code in known else Exit.CRASHED) from None


@contextlib.contextmanager
def worker_process(
    config: Path | None, *, environ: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[Process]:
    """A worker in a process of its own, which ends with us; asked to stop, and waited for, at the end."""
    process = Process(command(config), log=log, directory=Path.cwd(), environment={**os.environ, **(environ or {})})
    try:
        yield process
    finally:
        process.stop(PATIENCE)


@contextlib.contextmanager
def stopping_on_ctrl_c() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block quietly: it is how it is meant to end.

    SIGINT does so too where we were started with `&` by a script, whose shell has it ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ending_on_sigterm():
            yield
    except KeyboardInterrupt:
        err.print("[dim]stopped[/dim]")
    finally:
        signal.signal(signal.SIGINT, before)
