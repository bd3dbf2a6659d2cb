"""``wirewatch worker``: one Faust worker."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import logs
from streams.cli.common import ConfigOption, clock, settings, told_plainly
from streams.cli.services import reach


def worker(
    config: ConfigOption = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="text, json, or auto: text on a terminal.")] = "auto",
) -> None:
    """Run one worker: the four agents and the delivery of alerts, until Ctrl-C or SIGTERM.

    Start as many as you like, on as many machines: they share the work. A worker that stops finishes what it has in
    hand, or leaves it to the others.

    Example: WIREWATCH_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 WIREWATCH_REDIS__URL=redis://redis wirewatch worker
    """
    with told_plainly():
        logs.configure(log_level, log_format)  # type: ignore[arg-type]
        run(settings(config).file)


def run(config: Path | None) -> None:
    """Run a worker with the settings of ``config`` until it is told to stop."""
    # Imported here, because Faust takes its time and no other command needs it.
    from streams.cli.plan import make_plan  # noqa: PLC0415
    from streams.worker.app import Worker, run_until_signal  # noqa: PLC0415
    from streams.worker.topics import create_topics  # noqa: PLC0415

    loaded = settings(config)

    async def main() -> None:
        plan = make_plan(loaded, await reach(loaded), clock)
        kafka = loaded.settings.kafka
        await create_topics(plan.kafka, plan.topics, partitions=kafka.partitions, replication=kafka.replication)
        await run_until_signal(Worker(plan))

    # What is here by now stays, and what comes and goes with a chunk is too much to look through every 700 objects.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    if sys.platform == "win32":
        asyncio.run(main())
    else:
        import uvloop  # noqa: PLC0415

        uvloop.run(main())
