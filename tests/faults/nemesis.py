"""The faults: each is brought about by ``start`` and taken back by ``stop``, at a moment that the seed chooses."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.health import RedisHealth
from alerts.receiver import Answer
from tests.faults.bench import Bench, WorkerProcess

#: Every place between two steps of the protocol, where a worker may die.
STEPS = (
    *(f"{agent}:{step}" for agent in ("deduplicate", "classify", "alert")
      for step in ("consumed", "decided", "published", "acknowledged")),
    *(f"deliver:{step}" for step in ("consumed", "decided", "published", "confirmed", "acknowledged")),
    *(f"outbox:{step}" for step in ("leased", "posted", "finished", "recorded")),
)  # fmt: skip

#: What a receiver may do instead of taking an alert.
ANSWERS = {
    "slow": Answer(delay=0.4),
    "too slow": Answer(delay=1.5),
    "500": Answer(500),
    "429": Answer(429, headers={"retry-after": "1"}),
    "hangs": Answer(hang=True),
    "resets": Answer(reset=True),
    "gone": Answer(410),
}


class Fault(Protocol):
    """Something that goes wrong. ``name`` is its kind in the table, ``seconds`` how long it lasts."""

    name: str
    seconds: float

    async def start(self, bench: Bench) -> str:
        """Bring it about, and say what exactly in a few words."""
        ...

    async def stop(self) -> None:
        """Take it back."""
        ...


class KillAtStep:
    """kill -9 of a worker between two steps of the protocol. It lasts until one died there, or for ``seconds``."""

    name = "kill -9 at a step"

    def __init__(self, step: str, times: int = 1, seconds: float = 15.0) -> None:
        self._failpoint = f"{step}:{times}"
        self._workers: Sequence[WorkerProcess] = ()
        self.seconds = seconds

    async def start(self, bench: Bench) -> str:
        """Arm all workers, since the seed cannot know which of them gets there, and kill the first that does."""
        self._workers = bench.workers
        starts = [worker.starts for worker in self._workers]
        for worker in self._workers:
            worker.arm(self._failpoint)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                while starts == [worker.starts for worker in self._workers]:  # noqa: ASYNC110 - processes set no events
                    await asyncio.sleep(0.02)
        reached = starts != [worker.starts for worker in self._workers]
        bench.counts["steps at which a worker died"] += reached
        self.seconds = 0.0
        return self._failpoint if reached else f"{self._failpoint} (not reached)"

    async def stop(self) -> None:
        """Take the failpoints back."""
        for worker in self._workers:
            worker.disarm()


class KillWorker:
    """kill -9 of a worker at any moment."""

    name = "kill -9"
    seconds = 0.5

    async def start(self, bench: Bench) -> str:
        """Kill one; it is started anew at once."""
        worker = bench.random.choice(bench.workers)
        await asyncio.to_thread(worker.kill)
        return worker.name

    async def stop(self) -> None:
        """Nothing is left to take back."""


class RestartWorker(KillWorker):
    """A worker is asked to end, as in a deployment."""

    name = "SIGTERM"

    async def start(self, bench: Bench) -> str:
        """Stop one; it is started anew at once."""
        worker = bench.random.choice(bench.workers)
        await stopped(bench, worker)
        return worker.name


async def stopped(bench: Bench, worker: WorkerProcess) -> None:
    """Ask a worker to end; that it does not is a finding."""
    try:
        await asyncio.to_thread(worker.stop)
    except TimeoutError as error:
        bench.found(str(error))


class Pause:
    """SIGSTOP of a worker, longer than its session lasts: it wakes up as one whose partitions others have."""

    name = "SIGSTOP"

    def __init__(self) -> None:
        self._worker: WorkerProcess | None = None
        self.seconds = 0.0

    async def start(self, bench: Bench) -> str:
        """Stop one in the middle of what it does."""
        self._worker = bench.random.choice(bench.workers)
        self.seconds = self._worker.orders.session_timeout + bench.random.uniform(1.0, 3.0)
        self._worker.signal(signal.SIGSTOP)
        return self._worker.name

    async def stop(self) -> None:
        """Let it go on."""
        assert self._worker is not None
        self._worker.signal(signal.SIGCONT)


class KillBroker:
    """kill -9 of a broker, and its restart."""

    name = "broker kill -9"

    def __init__(self, seconds: float = 1.5) -> None:
        self.seconds = seconds
        self._restart: Callable[[], None] = lambda: None

    async def start(self, bench: Bench) -> str:
        """Kill one."""
        kafka = bench.kafka
        assert kafka is not None, "the brokers are shared"
        number = bench.random.randrange(bench.brokers)
        self._restart = lambda: kafka.restart(number)
        await asyncio.to_thread(kafka.kill, number)
        return f"broker {number}"

    async def stop(self) -> None:
        """Start it again, and wait until it serves."""
        await asyncio.to_thread(self._restart)


class KillRedis:
    """kill -9 of Redis, which may lose the last second, and its restart."""

    name = "Redis kill -9"

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self._restart: Callable[[], None] = lambda: None

    async def start(self, bench: Bench) -> str:
        """Kill it."""
        assert bench.redis is not None, "Redis is shared"
        bench.redis_fell = True
        self._restart = bench.redis.restart
        await asyncio.to_thread(bench.redis.kill)
        return "Redis"

    async def stop(self) -> None:
        """Start it again, and wait until it serves."""
        await asyncio.to_thread(self._restart)


class EmptyRedis:
    """Redis loses all that it had."""

    name = "Redis emptied"
    seconds = 1.0

    async def start(self, bench: Bench) -> str:
        """Empty it."""
        bench.redis_fell = True
        client = Redis.from_url(bench.orders.redis_url)
        try:
            await client.flushall()
        except RedisError:
            return "Redis (which is away)"
        finally:
            await client.aclose()
        return "Redis"

    async def stop(self) -> None:
        """What is lost is lost."""


class RebalanceStorm:
    """More workers come and go, so that the group is rebalanced again and again."""

    name = "rebalance storm"
    seconds = 0.0

    def __init__(self, times: int = 2) -> None:
        self._times = times

    async def start(self, bench: Bench) -> str:
        """Have one join, do its share for a moment, and leave; a few times."""
        for _ in range(self._times):
            guest = bench.new_worker()
            guest.start()
            await asyncio.sleep(bench.random.uniform(1.0, 4.0))
            if bench.random.random() < 0.5:
                await stopped(bench, guest)
            else:
                await asyncio.to_thread(guest.kill)
        return f"{self._times} times"

    async def stop(self) -> None:
        """They are gone."""


class BadReceiver:
    """A receiver that is slow, fails, hangs, or breaks off."""

    def __init__(self, how: str, seconds: float = 2.0) -> None:
        self.name = f"receiver {how}"
        self.seconds = seconds
        self._answer = ANSWERS[how]
        self._back: Callable[[], None] = lambda: None
        self._enable: Callable[[], Awaitable[None]] | None = None

    async def start(self, bench: Bench) -> str:
        """From now on one receiver answers so."""
        channel = bench.random.choice(list(bench.receivers))
        receiver = bench.receivers[channel]
        receiver.otherwise = self._answer
        self._back = lambda: setattr(receiver, "otherwise", Answer())
        if self._answer.status == 410:
            self._enable = lambda: _enabled(bench, channel)
        return channel

    async def stop(self) -> None:
        """It takes alerts again."""
        self._back()
        if self._enable:
            await self._enable()


async def _enabled(bench: Bench, channel: str) -> None:
    """Bring back a channel that was disabled by its 410, once all workers have said what they saw."""
    await asyncio.sleep(2.0)
    async with Redis.from_url(bench.orders.redis_url, socket_timeout=1) as redis:
        for _ in range(100):
            try:
                await RedisHealth(redis, prefix=bench.orders.name).enable(channel)
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
            else:
                return


def at_random(chance: random.Random) -> list[Fault]:
    """One fault, or two at the same time."""
    kinds: list[tuple[int, Callable[[], Fault]]] = [
        (10, lambda: KillAtStep(chance.choice(STEPS), chance.randint(1, 5))),
        (2, KillWorker),
        (2, RestartWorker),
        (3, Pause),
        (2, lambda: KillBroker(chance.uniform(0.0, 4.0))),
        (2, lambda: KillRedis(chance.uniform(0.0, 3.0))),
        (1, EmptyRedis),
        (2, lambda: RebalanceStorm(chance.randint(1, 3))),
        (5, lambda: BadReceiver(chance.choice(list(ANSWERS)), chance.uniform(1.0, 4.0))),
    ]
    several = chance.choices(kinds, [weight for weight, _ in kinds], k=chance.choice((1, 1, 2)))
    faults = [make() for _, make in several]
    return faults if len({fault.name for fault in faults}) == len(faults) else faults[:1]


async def bring_about(bench: Bench, fault: Fault) -> None:
    """One fault from its start to its end, noted."""
    bench.counts[fault.name] += 1
    try:
        bench.note(f"{fault.name}: {await fault.start(bench)}")
        await asyncio.sleep(fault.seconds)
    finally:
        await fault.stop()
    if fault.seconds:
        bench.note(f"{fault.name}: over")
