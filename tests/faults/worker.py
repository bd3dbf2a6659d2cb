"""The entry point of a worker under test: the real worker, with an observer that kills it where it is told to.

``python -m tests.faults.worker ORDERS.json``. A failpoint is armed by writing ``agent:step:count`` to the file that
the orders name: at the ``count``-th time from then on that the worker reaches the step, it sends itself SIGKILL. The
observer is an argument that production code takes anyway; nothing in it knows of faults.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
import uvloop

from alerts.channels import open_channels, read_channels
from alerts.delivery import RetrySchedule, Timing
from alerts.health import Limits
from alerts.route import Routing
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Entry, ExactDeduper
from streams.core.match import Matcher
from streams.core.taxonomy import compile_taxonomy
from streams.worker import app as production
from streams.worker.agents import ReleasedError, Runner, keep_trying
from streams.worker.app import Plan, Worker, run_until_signal
from streams.worker.chunks import Chunk
from streams.worker.ledger import Ledger
from streams.worker.reload import Current
from streams.worker.rules import InForce
from streams.worker.topics import Topics
from tests.faults.history import CHANNELS, rules

Mutant = Literal["", "ack-first", "forgets-positions"]

#: Twenty attempts within seconds, where a desk has ten in three days.
RETRIES = RetrySchedule(waits=(timedelta(milliseconds=200),) * 5 + (timedelta(seconds=1),) * 15)
#: Seconds within which a receiver must answer; a lease lasts a second and a half longer.
POST_TIMEOUT = 1.0
TIMING = Timing(poll=0.2, lease_margin=1.5, abandoned=3.0, sweep=2.0)
#: What comes faster to the archive is collected into messages of several alerts.
PAUSES = {"archive": timedelta(milliseconds=500)}
#: As short as the retries, or an alert would be given up after fewer of them.
BREAKER = Limits(first_pause=timedelta(milliseconds=200), longest_pause=timedelta(seconds=1))

_LOG: Sequence[structlog.typing.Processor] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
)


class Orders(msgspec.Struct, frozen=True):
    """What a worker is told. ``receivers`` has the URL of each channel, ``session_timeout`` is in seconds."""

    bootstrap_servers: str
    redis_url: str
    name: str
    receivers: dict[str, str]
    folder: str
    session_timeout: float
    mutant: Mutant = ""

    @property
    def failpoint(self) -> Path:
        """Where a failpoint is armed."""
        return Path(self.folder) / "failpoint"

    @property
    def pid(self) -> Path:
        """Where the worker says which process it is."""
        return Path(self.folder) / "pid"


class Failpoints:
    """Hears of every step, and kills this process at the one that is armed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._armed = ""
        self._left = 0

    def __call__(self, agent: str, step: str) -> None:
        try:
            armed = self._file.read_text("utf-8")
        except FileNotFoundError:
            armed = ""
        if armed != self._armed:
            self._armed = armed
            self._left = int(armed.rpartition(":")[2]) if armed else 0
        if armed.startswith(f"{agent}:{step}:"):
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class AckFirst(Runner):
    """The mutant that the checker must catch: it acknowledges, and commits, before it publishes."""

    async def _take(self, events: Sequence[Any]) -> None:
        chunk: Chunk = events[-1].value
        records = [record for event in events for record in event.value.records]
        try:
            outputs = await keep_trying(self._stage.work, records, chunk=chunk, what=self._stage.name)
            for event in events:
                event.ack()
            await self._app.consumer.force_commit()
            self._on_step(self._stage.name, "acknowledged")
            if outputs:
                await keep_trying(self._publish, outputs, chunk=chunk, what="publish")
        except ReleasedError:
            for event in events:
                self._app.consumer.let_go(event.message)


class ForgetsPositions(Ledger):
    """The mutant that takes a headline that is delivered again for a repeat of itself."""

    async def decide(self, candidates: Sequence[Candidate]) -> list[Entry]:
        self._window.by_position.clear()
        return await super().decide(candidates)

    async def _join(self) -> None:
        await super()._join()
        self._window.by_position.clear()


def plan(orders: Orders) -> Plan:
    """What the worker runs: the rules of the generated headlines, and every wait short."""
    channels = read_channels(
        "channels:\n"
        + "".join(
            f'  {name}: {{type: webhook, url: "{orders.receivers[name]}", timeout: {POST_TIMEOUT}s, allow_private: true}}\n'
            for name in CHANNELS
        ),
        "channels.yaml",
    )
    return Plan(
        kafka={"bootstrap_servers": orders.bootstrap_servers},
        group=orders.name,
        topics=Topics(f"{orders.name}."),
        redis_url=orders.redis_url,
        redis_prefix=orders.name,
        window=timedelta(hours=1),
        deduper=lambda: ExactDeduper(timedelta(hours=1)),
        classifier=Current(Classifier(compile_taxonomy([]))),
        rules=Current(InForce(Matcher(rules()), Routing(pauses=PAUSES))),
        notifiers=open_channels(channels.values(), {}),
        clock=lambda: datetime.now(UTC),
        data_dir=Path(orders.folder),
        session_timeout=orders.session_timeout,
        retries=RETRIES,
        timing=TIMING,
        breaker=BREAKER,
        on_step=Failpoints(orders.failpoint),
    )


def main() -> None:
    """Run until told to stop, or killed."""
    orders = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Orders)
    orders.pid.write_text(str(os.getpid()), "utf-8")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), processors=_LOG)
    if orders.mutant == "ack-first":
        setattr(production, "Runner", AckFirst)  # noqa: B010 - a class that takes the place of another
    elif orders.mutant == "forgets-positions":
        setattr(production, "Ledger", ForgetsPositions)  # noqa: B010

    uvloop.run(run_until_signal_in(orders))


async def run_until_signal_in(orders: Orders) -> None:
    """Make the worker where its loop runs, and run it."""
    await run_until_signal(Worker(plan(orders)))


if __name__ == "__main__":
    main()
