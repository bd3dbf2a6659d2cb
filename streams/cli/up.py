"""``wirewatch up``: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from connectors.embedded.process import Process
from streams.cli.common import ConfigOption, UnreachableError, err, out, settings, told_plainly
from streams.cli.plan import load_rulebook
from streams.cli.services import addresses, serve

#: How long a worker may take to finish what it has in hand, seconds.
PATIENCE = 20.0


def up(
    config: ConfigOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers to run.")] = 1,
) -> None:
    """Run Kafka, Redis and the workers on this machine, until Ctrl-C.

    What the settings say is elsewhere (kafka.bootstrap_servers, redis.url) is used and not started. Feed it from
    another terminal with `wirewatch ingest`, and look at it with `wirewatch doctor`.

    Example: wirewatch init desk && cd desk && wirewatch up
    """
    with told_plainly():
        loaded = settings(config)
        book = load_rulebook(loaded)
        with stopping_on_sigterm(), serve(loaded):
            where = addresses(loaded)
            with contextlib.ExitStack() as stack:
                processes = [stack.enter_context(worker_process(loaded.file)) for _ in range(workers)]
                running = f"{_count(workers, 'worker')}, {_count(len(book.rules.rules), 'rule')}"
                servers = where.kafka["bootstrap_servers"]
                out.print(f"[green]up[/green]: Kafka at {servers}, {running}. Stop with Ctrl-C.")
                watch(processes)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def watch(processes: Sequence[Process]) -> None:
    """Wait until Ctrl-C, or until a worker ends by itself.

    Raises:
        UnreachableError: a worker ended; the others go too.
    """
    while True:
        for process in processes:
            if not process.alive:
                raise UnreachableError(f"a worker ended with exit code {process.exit_code}", "its last words are above")
        time.sleep(0.2)


@contextlib.contextmanager
def worker_process(
    config: Path | None, *, environ: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[Process]:
    """A worker in a process of its own, which ends with us; asked to stop, and waited for, at the end."""
    command = [sys.executable, "-P", "-m", "streams.cli", "worker", "--log-level", "warning"]
    if config is not None:
        command += ["--config", str(config)]
    process = Process(command, log=log, directory=Path.cwd(), environment={**os.environ, **(environ or {})})
    try:
        yield process
    finally:
        process.stop(PATIENCE)


@contextlib.contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does; a Ctrl-C ends it quietly."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        err.print("[dim]stopped[/dim]")
    finally:
        signal.signal(signal.SIGTERM, before)
