"""``wirewatch worker``: one Faust worker."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from aiokafka.errors import KafkaError

from streams.cli import logs
from streams.cli.common import ConfigOption, Exit, UnreachableError, clock, settings, tell_error, told_plainly
from streams.cli.services import Addresses, make_topics, reach, stopped


def worker(
    config: ConfigOption = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="From which level on to log.")
    ] = "info",
    log_format: Annotated[logs.Format, typer.Option(help="For people or programs; auto: text on a terminal.")] = "auto",
) -> None:
    """Run one worker: the four agents and the delivery of alerts, until Ctrl-C or SIGTERM.

    Start as many as you like, on as many machines: they share the work. A worker that stops finishes what it has in
    hand, or leaves it to the others.

    Example: WIREWATCH_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 WIREWATCH_REDIS__URL=redis://redis wirewatch worker
    """
    with told_plainly():
        logs.configure(log_level, log_format)
        run(settings(config).file)


def run(config: Path | None) -> None:
    """Run a worker with the settings of ``config`` until it is told to stop."""
    # Imported here, because Faust takes its time and no other command needs it.
    import uvloop  # noqa: PLC0415

    from streams.cli.workplan import make_plan  # noqa: PLC0415
    from streams.worker.app import CrashedError, Worker, run_until_signal  # noqa: PLC0415

    loaded = settings(config)

    async def main() -> None:
        where = await reach(loaded)
        plan = make_plan(loaded, where, clock)
        _open_folder(plan.data_dir)
        await make_topics(loaded, where, plan.topics)
        ending = asyncio.create_task(_end_with_services(where))
        try:
            await run_until_signal(Worker(plan))
        finally:
            ending.cancel()

    # What is here by now stays, and what comes and goes with a chunk is too much to look through every 700 objects.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # A thread may be compiling rules that changed. The loop, which gives up the interpreter at every request, would wait
    # for its turn five milliseconds each time, as is the default.
    sys.setswitchinterval(0.0005)
    try:
        uvloop.run(main())
    except CrashedError:  # with its traceback in the log
        raise typer.Exit(Exit.CRASHED) from None
    except KafkaError as error:  # nothing of ours is on its way while a worker starts or ends
        raise UnreachableError(f"Kafka does not serve the worker: {error}", "`wirewatch doctor` shows more") from None


def _open_folder(data_dir: Path) -> None:
    """Make the folder where Faust keeps its own, before it fails of it with a traceback.

    Raises:
        UnreachableError: it cannot be made, or is not ours to write to.
    """
    folder = data_dir / "faust"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "set data_dir, or WIREWATCH_DATA_DIR, to a folder that this user may write to"
        raise UnreachableError(
            f"the data folder {data_dir} cannot be written: {error.strerror or error}", hint
        ) from None


async def _end_with_services(where: Addresses) -> None:
    """End at once when the embedded Kafka and Redis are gone.

    As if killed, for an orderly end would take seconds in which another project's Kafka may appear on the port, and
    Faust's client, once it has found that, cannot be stopped any more. What is in hand could not be recorded anyway;
    it is delivered again.
    """
    error = await stopped(where)
    tell_error(error.message, error.hint)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(Exit.UNREACHABLE)
