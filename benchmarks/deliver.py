"""Delivery under load: how much later healthy channels are told because others are dead, slow, or many.

200 channels with the dispatcher, the outbox in Redis and the webhooks that workers have; the receiver is another process
on the loopback. Of the channels five are dead (nobody listens) and five slow (an answer takes ten seconds). The time of an
alert runs from the call that schedules it to its receipt. *Idle* is a trickle over the same healthy channels, with no others;
it is the peer of the load, which is 1,000 alerts a second over all channels, for a minute. Nothing may be lost: every alert was
received, or still waits for a channel that is dead or slow. Kafka takes no part.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from alerts.channels import open_channels, read_channels
from alerts.delivery import Dispatcher
from alerts.outbox import RedisOutbox
from benchmarks.receiving import receiving
from benchmarks.report import Row, row
from connectors import embedded
from connectors.embedded.process import choose_port
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline
from streams.worker.clients import open_redis

CHANNELS, DEAD, SLOW = 200, 5, 5
RATE, SECONDS = 1_000, int(os.environ.get("BENCH_DELIVER_SECONDS", "60"))
IDLE_RATE, IDLE_SECONDS = 20, 20
#: Alerts are scheduled in batches, as an agent does that takes what waits.
TICK = 0.01
#: Seconds that healthy channels have to take what is left when the load ends.
PATIENCE = 60.0


@dataclass(slots=True)
class Load:
    """Alerts at a rate over some channels: what was scheduled, when, and what came."""

    channels: Sequence[str]
    rate: int
    seconds: int
    name: str
    scheduled: dict[str, tuple[str, float]]

    def due(self, spent: float) -> list[Alert]:
        """The alerts that are to be scheduled after some seconds, less those that were."""
        chance = random.Random(len(self.scheduled))
        wanted = min(int(spent * self.rate), self.rate * self.seconds) - len(self.scheduled)
        return [alert(f"{self.name}_{len(self.scheduled) + n}", chance.choice(self.channels)) for n in range(wanted)]


def alert(name: str, channel: str) -> Alert:
    """An alert of the usual size."""
    now = datetime.now(UTC)
    text = f"Tanker {name} carrying crude held near the Strait of Hormuz, officials say"
    headline = Headline(headline=text, published=now, source="wire.example", url=f"https://wire.example/{name}")
    return Alert(
        alert_id=name,
        channel=channel,
        rule=FiredRule(name="tankers", title="Tankers at risk", severity="high", revision="1"),
        headline=Classified(id=name, seq=1, position="raw:0:0", received=now, headline=headline, story_id=name),
    )


def run() -> Iterator[Row]:
    """Idle, then the load."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        tempfile.TemporaryDirectory(prefix="wirewatch-bench-") as folder,
        embedded.Redis(Path(folder) / "redis") as redis,
    ):
        healthy = [f"healthy-{n}" for n in range(CHANNELS - DEAD - SLOW)]
        others = [f"dead-{n}" for n in range(DEAD)] + [f"slow-{n}" for n in range(SLOW)]
        idle = Load(healthy, IDLE_RATE, IDLE_SECONDS, "idle", {})
        load = Load([*healthy, *others], RATE, SECONDS, "load", {})
        came = {}
        for one in (idle, load):
            with receiving(Path(folder) / one.name) as (port, arrivals):
                left = uvloop.run(deliver(one, port, redis.url))
            came[one.name] = arrivals()
            yield from rows(one, came, left, idle)


async def deliver(load: Load, port: int, redis_url: str) -> int:
    """Schedule the alerts of a load and deliver them; gives how many wait for a dead or slow channel in the end."""
    nobody = choose_port(None, (), service="nobody")
    lines = ["channels:"]
    for channel in load.channels:
        kind, at = channel.partition("-")[0], nobody if channel.startswith("dead") else port
        url = f"http://127.0.0.1:{at}/{kind}/{channel}"
        lines.append(f'  {channel}: {{type: webhook, url: "{url}", allow_private: true, concurrency: 4}}')
    notifiers = open_channels(read_channels("\n".join(lines), "channels.yaml").values(), {})

    async def record(_: Sequence[Delivery]) -> None:
        """Kafka takes no part."""

    async with open_redis(redis_url, {}) as redis:
        outbox = RedisOutbox(redis, prefix=load.name)
        dispatcher = Dispatcher(outbox, notifiers, record, clock=lambda: datetime.now(UTC))
        running = asyncio.create_task(dispatcher.run())
        await asyncio.sleep(1.0)  # connections to Redis, scripts
        await _schedule(load, outbox, dispatcher)
        left = await _drained(load, outbox)
        await dispatcher.stop(grace=0.5)
        await running
    for notifier in notifiers.values():
        await notifier.close()
    return left


async def _schedule(load: Load, outbox: RedisOutbox, dispatcher: Dispatcher) -> None:
    began = time.perf_counter()
    while len(load.scheduled) < load.rate * load.seconds:
        alerts = load.due(time.perf_counter() - began)
        now = time.time()
        load.scheduled |= {one.alert_id: (one.channel, now) for one in alerts}
        await outbox.schedule(alerts, datetime.now(UTC))
        for channel in {one.channel for one in alerts}:
            dispatcher.kick(channel)
        await asyncio.sleep(TICK)


async def _drained(load: Load, outbox: RedisOutbox) -> int:
    """Wait until healthy channels have taken all; gives how many alerts wait for the others."""
    deadline = time.perf_counter() + PATIENCE
    while True:
        now = datetime.now(UTC)
        counts = {channel: await outbox.counts(channel, now) for channel in load.channels}
        waiting = {channel: count.queued + count.leased for channel, count in counts.items()}
        if not any(n for channel, n in waiting.items() if channel.startswith("healthy")):
            return sum(waiting.values())
        if time.perf_counter() > deadline:
            raise TimeoutError(f"healthy channels still wait: {sum(waiting.values())} alerts")
        await asyncio.sleep(0.2)


def rows(load: Load, came: dict[str, dict[str, float]], left: int, idle: Load) -> Iterator[Row]:
    """The figures of a load; of the minute, beside those of the trickle."""
    arrived = came[load.name]
    delays = _delays(load, arrived)
    quiet = _delays(idle, came["idle"])
    title = f"{load.rate}/s over {len(load.channels)} channels"
    for share in (50, 95, 99):
        peer, named = (None, "") if load is idle else (_quantile(quiet, share), "idle")
        yield row(f"{title}: healthy channels, p{share}", _quantile(delays, share), "ms", peer=peer, peer_name=named)
    if load is not idle:
        above = _quantile(delays, 99) - _quantile(quiet, 99)
        yield row(f"{title}: p99 above idle (bar: 250)", above, "ms")
    yield row(f"{title}: alerts", len(load.scheduled), "alerts")
    yield row(f"{title}: wait for a dead or slow channel in the end", left, "alerts")
    yield row(f"{title}: lost", _lost(load, arrived, left), "alerts")


def _delays(load: Load, arrived: dict[str, float]) -> list[float]:
    return [
        (arrived[name] - at) * 1000
        for name, (channel, at) in load.scheduled.items()
        if channel.startswith("healthy") and name in arrived
    ]


def _quantile(values: Sequence[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


def _lost(load: Load, arrived: dict[str, float], left: int) -> int:
    """Alerts that neither came nor wait. One that a slow channel was sent, and has not answered, came and waits."""
    healthy = sum(
        channel.startswith("healthy") and name not in arrived for name, (channel, _) in load.scheduled.items()
    )
    others = sum(
        not channel.startswith("healthy") and name not in arrived for name, (channel, _) in load.scheduled.items()
    )
    return healthy + max(others - left, 0)
