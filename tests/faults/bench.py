"""What a run of faults runs on: real Kafka and Redis, workers in processes of their own, receivers, and the load."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from alerts.receiver import Receiver
from connectors.embedded import Kafka, Redis
from connectors.embedded.process import Process, choose_port
from streams.worker.clients import reader
from streams.worker.history import partitions_of
from streams.worker.tally import Tally, count
from streams.worker.topics import NAMES, Topics, create_topics
from tests.faults.checker import Observed, posts_of
from tests.faults.history import CHANNELS, PARTITIONS, History, Record
from tests.faults.worker import POST_TIMEOUT, Mutant, Orders

ROOT = Path(__file__).parents[2]

#: What a process ends with that was killed by SIGKILL, as a shell says it.
KILLED = 128 + signal.SIGKILL
#: Seconds within which a worker that is asked to end must have ended.
STOP_WITHIN = 30.0


class WorkerProcess:
    """One worker, started anew whenever it has ended."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.starts = 0
        #: It was killed, or told to stop, or may have killed itself: its end is no finding.
        self.killed = False
        self.armed = False
        self._folder = Path(orders.folder)
        self._folder.mkdir(parents=True)
        (self._folder / "orders.json").write_bytes(msgspec.json.encode(orders))
        self._process: Process | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self._folder.name

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._running.exit_code

    @property
    def log(self) -> Path:
        """What the process that runs now, or ran last, has printed."""
        assert self._running.log is not None
        return self._running.log

    def start(self) -> None:
        """Start a process, with no failpoint armed."""
        if self._process is not None:
            self._process.kill()  # it has ended; this closes what led to it
        self.starts += 1
        self.killed = self.armed = False
        self.orders.failpoint.unlink(missing_ok=True)
        self.orders.pid.unlink(missing_ok=True)  # another process may have that id by now
        self._process = Process(
            [sys.executable, "-m", "tests.faults.worker", self._folder / "orders.json"],
            log=self._folder / f"run-{self.starts}.log",
            directory=ROOT,
            environment=os.environ,
        )

    def kill(self) -> None:
        """End it by SIGKILL, if it was started."""
        self.killed = True
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Ask it to end, as a deployment does, and wait until it has.

        Raises:
            TimeoutError: it had to be killed.
        """
        self.killed = True
        self._running.stop(STOP_WITHIN)
        if self.exit_code == KILLED:
            raise TimeoutError(f"{self.name} did not end within {STOP_WITHIN:g} s of SIGTERM: see {self.log}")

    def arm(self, failpoint: str) -> None:
        """Have it kill itself at ``agent:step:count``."""
        part = self.orders.failpoint.with_suffix(".part")
        part.write_text(failpoint, "utf-8")
        part.replace(self.orders.failpoint)
        self.armed = True

    def disarm(self) -> None:
        """Take the failpoint back."""
        self.orders.failpoint.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker itself, if it runs and has begun."""
        if self.exit_code is None and self.orders.pid.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.orders.pid.read_text("utf-8")), number)

    @property
    def _running(self) -> Process:
        assert self._process is not None, "the worker was not started"
        return self._process


@dataclass
class Bench:
    """All parts of a run. ``kafka`` and ``redis`` are None where they are shared with others, and spared.

    The ``seed`` chooses what is said and what goes wrong; how the two meet is up to the machine.
    """

    seed: int
    orders: Orders
    receivers: Mapping[str, Receiver]
    kafka: Kafka | None = None
    redis: Redis | None = None
    brokers: int = 1
    #: Instants a second at which something is said.
    rate: float = 60.0
    began: float = field(default_factory=time.monotonic)
    workers: list[WorkerProcess] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    #: Workers that ended by themselves, or did not when asked to.
    misbehaviour: list[str] = field(default_factory=list)
    redis_fell: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.history = History(self.seed)
        self.confirmed: set[str] = set()
        self.name = self.orders.name
        self.topics = Topics(f"{self.name}.")
        self.client = {"bootstrap_servers": self.orders.bootstrap_servers}
        self._all: list[WorkerProcess] = []

    def new_worker(self) -> WorkerProcess:
        """One more worker, with a folder of its own, not started; it does not outlive the bench."""
        folder = Path(self.orders.folder) / f"worker-{len(self._all)}"
        self._all.append(WorkerProcess(msgspec.structs.replace(self.orders, folder=str(folder))))
        return self._all[-1]

    def end(self) -> None:
        """Kill every worker."""
        for worker in self._all:
            worker.kill()

    def note(self, text: str) -> None:
        """Print a line of the story of the run."""
        print(f"{time.monotonic() - self.began:7.2f} s  {text}", flush=True)

    def found(self, text: str) -> None:
        """Note something that no worker should do."""
        self.misbehaviour.append(text)
        self.note(text)

    async def supervise(self) -> None:
        """Start workers anew that have ended, and note those that were not made to."""
        while True:
            for worker in self.workers:
                code = worker.exit_code
                if code is None:
                    continue
                if worker.killed or (worker.armed and code == KILLED):
                    self.counts["workers killed"] += 1
                else:
                    self.found(f"{worker.name} ended by itself with exit code {code}: see {worker.log}")
                worker.start()
            await asyncio.sleep(0.1)

    async def speak(self) -> None:
        """Send what the history says, and each record again until the broker has confirmed it."""
        sender: AIOKafkaProducer | None = None
        try:
            while True:
                pause = asyncio.create_task(asyncio.sleep(1 / self.rate))
                waiting = self.history.next(datetime.now(UTC))
                while waiting:
                    try:
                        sender = sender or await self._sender()
                        await asyncio.gather(*[await self._send(sender, record) for record in waiting])
                    except (KafkaError, OSError):
                        if sender is not None:
                            await _closed(sender)
                        sender = None
                        await asyncio.sleep(0.2)
                    else:
                        self.confirmed.update(record.id for record in waiting)
                        waiting = []
                await pause
        finally:
            if sender is not None:
                await _closed(sender)

    async def _sender(self) -> AIOKafkaProducer:
        sender = AIOKafkaProducer(**self.client, acks="all", enable_idempotence=True, request_timeout_ms=10_000)
        await sender.start()
        return sender

    async def _send(self, sender: AIOKafkaProducer, record: Record) -> asyncio.Future[object]:
        future: asyncio.Future[object] = await sender.send(
            self.topics.raw, record.value, partition=record.partition, headers=[("id", record.id.encode())]
        )
        return future

    async def tally(self) -> Tally:
        """What ``wirewatch doctor`` would count."""
        return await count(self.client, self.topics, self.name, now=datetime.now(UTC))

    async def drained(self, within: float) -> tuple[float, Tally]:
        """Wait until nothing is on its way, ``within`` seconds at most; gives the seconds it took, and the last count."""
        began = time.monotonic()
        while True:
            tally = await self.tally()
            spent = time.monotonic() - began
            quiet = not any(tally.lag.values()) and tally.pending == 0
            if quiet or spent > within:
                return spent, tally
            await asyncio.sleep(0.5)

    async def observe(self) -> Observed:
        """All topics from their beginnings, and all posts."""
        observed = Observed(confirmed=set(self.confirmed), redis_fell=self.redis_fell)
        names = {getattr(self.topics, name): name for name in NAMES}
        partitions = await partitions_of(self.client, list(names))
        async with reader(self.client, partitions) as consumer:
            ends = await consumer.end_offsets(partitions)
            # Not by `seek_to_beginning`, which the reset of a new consumer to the end can overtake.
            for tp, first in (await consumer.beginning_offsets(partitions)).items():
                consumer.seek(tp, first)
            while behind := [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
                for tp, records in (await consumer.getmany(*behind, timeout_ms=1000)).items():
                    for record in records:
                        if names[tp.topic] == "raw":
                            place = f"{tp.topic}:{tp.partition}:{record.offset}"
                            observed.raw[place] = dict(record.headers)["id"].decode()
                        else:
                            observed.topics[names[tp.topic]].append(record.value or b"")
        for receiver in self.receivers.values():
            for post in receiver.received:
                answer = post.answered
                in_time = answer.delay < POST_TIMEOUT and not answer.hang and not answer.reset
                observed.posts += posts_of(post.body, taken=in_time and answer.status < 300)
                observed.messages[post.id].add(post.body)
        return observed


def free_port() -> int:
    """A port for a broker that dies and comes back: not the usual one, which another may take in the meantime."""
    return choose_port(None, (), service="Kafka")


@asynccontextmanager
async def bench(
    *,
    seed: int,
    folder: Path,
    bootstrap_servers: str,
    redis_url: str,
    kafka: Kafka | None = None,
    redis: Redis | None = None,
    brokers: int = 1,
    workers: int = 2,
    session_timeout: float = 2.0,
    mutant: Mutant = "",
) -> AsyncIterator[Bench]:
    """A bench with running workers, topics of its own, and nothing said yet; all processes end with the block."""
    name = f"faults-{seed}-{secrets.token_hex(3)}"
    client = {"bootstrap_servers": bootstrap_servers}
    await create_topics(client, Topics(f"{name}."), partitions=PARTITIONS, replication=brokers)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet(logging.getLogger("aiokafka")))  # that brokers are away is what is wanted
        receivers = {channel: stack.enter_context(Receiver()) for channel in CHANNELS}
        orders = Orders(
            bootstrap_servers=bootstrap_servers,
            redis_url=redis_url,
            name=name,
            receivers={channel: receiver.url for channel, receiver in receivers.items()},
            folder=str(folder),
            session_timeout=session_timeout,
            mutant=mutant,
        )
        parts = Bench(seed=seed, orders=orders, receivers=receivers, kafka=kafka, redis=redis, brokers=brokers)
        stack.callback(parts.end)
        for _ in range(workers):
            worker = parts.new_worker()
            parts.workers.append(worker)
            worker.start()
        yield parts


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _closed(sender: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(sender.stop(), timeout=2.0)
