"""Delivery over a real Redis to a real receiver: crashes, outages and two workers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as RedisRetry
from redis.backoff import NoBackoff

from alerts.channels import Channel, read_channels
from alerts.delivery import Dispatcher, RetrySchedule, Timing
from alerts.health import Health, Limits
from alerts.notify.interface import Notifier
from alerts.outbox import Counts, Durability, Outbox, OutboxError, RedisOutbox
from alerts.receiver import Answer, Receiver
from connectors import embedded
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
QUICK = RetrySchedule(waits=(timedelta(milliseconds=50),) * 9)
#: Leases end half a second after the time-out of their channel.
SHORT = Timing(poll=0.05, lease_margin=0.5)


def now() -> datetime:
    return datetime.now(UTC)


def alert(index: int, channel: str = "archive") -> Alert:
    headline = Headline(headline=f"Bridge {index} reopens", published=now(), source="wire")
    return Alert(
        alert_id=f"al_{index}_{channel}",
        channel=channel,
        rule=FiredRule(name="bridges", title="Bridges", severity="low", revision="1"),
        headline=Classified(
            id=f"h{index}", seq=index, position=f"t:0:{index}", received=now(), headline=headline, story_id="s"
        ),
    )


def webhook(receiver: Receiver, name: str = "archive", more: str = "timeout: 500ms") -> Channel:
    text = f"""
channels:
  {name}: {{type: webhook, url: "{receiver.url}", secret: env:S, allow_private: true, {more}}}
"""
    return read_channels(text, "channels.yaml")[name]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("delivery")) as running:
        yield running


@pytest.fixture
async def client(server: embedded.Redis) -> AsyncIterator[Redis]:
    if not server.alive:
        server.restart()
    async with connected(server) as opened:
        await opened.flushall()
        yield opened


def connected(server: embedded.Redis) -> Redis:
    return Redis.from_url(server.url, retry=RedisRetry(NoBackoff(), 0))


@dataclass
class Worker:
    """What one worker process has."""

    outbox: RedisOutbox
    dispatcher: Dispatcher
    recorded: list[Delivery]
    running: asyncio.Task[None]

    async def alert(self, alerts: Sequence[Alert]) -> None:
        await self.outbox.schedule(alerts, now())
        for channel in {one.channel for one in alerts}:
            self.dispatcher.kick(channel)

    async def die(self) -> None:
        """End as a killed process does: nothing is finished, nothing is said."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@asynccontextmanager
async def worker(client: Redis, *channels: Channel, timing: Timing = SHORT) -> AsyncIterator[Worker]:
    recorded: list[Delivery] = []

    async def record(deliveries: Sequence[Delivery]) -> None:
        recorded.extend(deliveries)

    notifiers: dict[str, Notifier] = {one.name: one.open({"S": SECRET}) for one in channels}
    outbox = RedisOutbox(client)
    breaker = Limits(first_pause=timedelta(milliseconds=20), longest_pause=timedelta(milliseconds=100))
    dispatcher = Dispatcher(outbox, notifiers, record, clock=now, retries=QUICK, timing=timing, health=Health(breaker))
    running = asyncio.create_task(dispatcher.run())
    try:
        yield Worker(outbox, dispatcher, recorded, running)
    finally:
        if not running.done():
            await dispatcher.stop()
            await running
        for notifier in notifiers.values():
            await notifier.close()


async def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - conditions of all sorts
            await asyncio.sleep(0.01)


def bodies(receiver: Receiver) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for post in receiver.received:
        found.setdefault(post.id, set()).add(post.body)
    return found


async def test_every_alert_arrives_once_signed_and_is_recorded(client: Redis) -> None:
    alerts = [alert(index) for index in range(200)]
    with Receiver(secret=SECRET) as receiver:
        async with worker(client, webhook(receiver)) as at:
            await at.alert(alerts)
            assert await at.outbox.durable() is Durability.SYNCED
            await until(lambda: len(at.recorded) == 200)
            counts = await at.outbox.counts("archive", now())
            left = await at.outbox.unpublished("archive", now() + timedelta(hours=1))
        assert sorted(post.id for post in receiver.received) == sorted(one.alert_id for one in alerts)
        assert all(post.verified for post in receiver.received)
    assert counts == Counts(queued=0, due=0, leased=0, done=200, dead=0)
    assert left == []


async def test_an_unreliable_receiver_gets_every_alert_with_one_body(client: Redis) -> None:
    trouble = [Answer(500), Answer(reset=True), Answer(503), Answer(delay=0.8), Answer(404)] * 8
    with Receiver(secret=SECRET, answers=trouble) as receiver:
        async with worker(client, webhook(receiver)) as at:
            await at.alert([alert(index) for index in range(40)])
            await until(lambda: [one.outcome for one in at.recorded].count("delivered") == 40, within=20)
        found = bodies(receiver)
        assert all(post.verified for post in receiver.received)
    assert len(found) == 40
    assert {len(of_one) for of_one in found.values()} == {1}
    assert receiver.repeats, "there was trouble"


async def test_a_channel_that_hangs_delays_no_other(client: Redis) -> None:
    with Receiver(otherwise=Answer(hang=True)) as dead, Receiver() as alive:
        channels = webhook(dead, "dead", "timeout: 30s"), webhook(alive)
        async with worker(client, *channels) as at:
            await at.alert([alert(index, channel) for index in range(50) for channel in ("dead", "archive")])
            await until(lambda: len(alive.received) == 50, within=25)  # the others hang for longer
            assert len(dead.received) == 8, "as many as may be on their way at once"
            await at.die()


async def test_a_worker_that_dies_leaves_nothing_behind(client: Redis) -> None:
    """Killed with posts on their way: the next worker sends them again, with the same ids and bodies."""
    slow = [Answer(delay=5)] * 8
    with Receiver(secret=SECRET, answers=slow) as receiver:
        async with worker(client, webhook(receiver)) as first:
            await first.alert([alert(index) for index in range(20)])
            await until(lambda: len(receiver.received) == 8)
            await first.die()
        async with worker(client, webhook(receiver)) as second:
            await until(lambda: len(second.recorded) == 20)
            counts = await second.outbox.counts("archive", now())
        assert len(receiver.received) == 28
        assert sum(receiver.repeats.values()) == 8
        assert {len(of_one) for of_one in bodies(receiver).values()} == {1}
    assert counts.done == 20


async def test_two_workers_share_the_work_and_send_nothing_twice(server: embedded.Redis, client: Redis) -> None:
    alerts = [alert(index) for index in range(300)]
    with Receiver(otherwise=Answer(delay=0.005)) as receiver:
        async with connected(server) as other:
            channel = webhook(receiver)
            async with worker(client, channel) as one, worker(other, channel) as two:
                await asyncio.gather(one.alert(alerts), two.alert(alerts))
                await until(lambda: len(one.recorded) + len(two.recorded) == 300)
                assert one.recorded
                assert two.recorded
        assert receiver.repeats == {}
        assert len(receiver.received) == 300


async def _counts(outbox: Outbox) -> Counts:
    """What the archive's outbox counts; connections from before Redis died fail once each."""
    while True:
        with suppress(OutboxError):
            return await outbox.counts("archive", now())
        await asyncio.sleep(0.05)


async def test_redis_that_is_killed_and_comes_back_loses_nothing_that_was_durable(
    server: embedded.Redis, client: Redis
) -> None:
    with Receiver(secret=SECRET, otherwise=Answer(delay=0.05)) as receiver:
        async with worker(client, webhook(receiver)) as at:
            await at.alert([alert(index) for index in range(100)])
            assert await at.outbox.durable() is Durability.SYNCED
            server.kill()
            with pytest.raises(OutboxError):
                await at.outbox.schedule([alert(1000)], now())
            await asyncio.sleep(0.5)
            server.restart()
            await until(lambda: len({post.id for post in receiver.received}) == 100, within=20)
            await until(lambda: not at.running.done() and len({one.alert_id for one in at.recorded}) == 100)
            counts = await _counts(at.outbox)
        assert {len(of_one) for of_one in bodies(receiver).values()} == {1}
    assert (counts.queued, counts.leased, counts.dead) == (0, 0, 0)


async def test_redis_that_lost_everything_is_restored_from_the_topic(server: embedded.Redis, client: Redis) -> None:
    topic = [alert(index) for index in range(50)]
    with Receiver() as receiver:
        async with worker(client, webhook(receiver)) as at:
            await at.outbox.begin_epoch("archive")
            await at.alert(topic[:30])
            await until(lambda: len(at.recorded) == 30)
            await client.flushall()
            assert await at.outbox.epoch("archive") is None
            terminal = {one.alert_id for one in at.recorded}
            assert await at.outbox.restore(topic, terminal, now()) == 20
            await at.outbox.begin_epoch("archive")
            at.dispatcher.kick("archive")
            await until(lambda: len(at.recorded) == 50)
        assert receiver.repeats == {}
        assert len(receiver.received) == 50


async def test_alerts_are_posted_when_they_come_and_not_when_somebody_looks(client: Redis) -> None:
    with Receiver() as receiver:
        async with worker(client, webhook(receiver), timing=Timing(poll=3600)) as at:
            for index in range(100):
                await at.alert([alert(index)])
                await asyncio.sleep(0.005)
            await until(lambda: len(receiver.received) == 100)


async def test_slack_and_a_file_take_part(client: Redis, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    with Receiver(answers=[Answer(429, headers={"retry-after": "1"})]) as receiver:
        channels = read_channels(
            "channels:\n"
            "  desk: {type: slack, url: env:SLACK, allow_private: true}\n"
            f"  log: {{type: file, path: {path}}}\n",
            "channels.yaml",
        )
        opened = {name: one.open({"SLACK": receiver.url}) for name, one in channels.items()}
        recorded: list[Delivery] = []

        async def record(deliveries: Sequence[Delivery]) -> None:
            recorded.extend(deliveries)

        outbox = RedisOutbox(client)
        dispatcher = Dispatcher(outbox, opened, record, clock=now, timing=SHORT)
        running = asyncio.create_task(dispatcher.run())
        await outbox.schedule([alert(1, "desk"), alert(2, "desk"), alert(1, "log")], now())
        await until(lambda: [one.outcome for one in recorded].count("delivered") == 3)
        await dispatcher.stop()
        await running
        for notifier in opened.values():
            await notifier.close()
        assert len(receiver.received) == 3
    assert path.read_text().count("\n") == 1
