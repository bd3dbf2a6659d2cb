"""The outbox is rebuilt from real Kafka into a real Redis that was emptied: what had no end, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from redis.asyncio import Redis

from alerts.delivery import Dispatcher, RetrySchedule
from alerts.notify.interface import Attempt, Result, Sent
from alerts.outbox import RedisOutbox
from alerts.outbox.interface import REVIVED
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline
from streams.worker.clients import admin_client
from streams.worker.recovery import Keeper
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def alert(name: str, *, ago: timedelta = timedelta(0), channel: str = "desk") -> Alert:
    received = now() - ago
    headline = Headline(headline=f"Harbour {name} reopens", published=received, source="wire")
    return Alert(
        alert_id=f"al_{name}",
        channel=channel,
        rule=FiredRule(name="harbours", title="Harbours", severity="low", revision="1"),
        headline=Classified(id=name, seq=1, position="t:0:1", received=received, headline=headline, story_id="s"),
    )


@dataclass
class Stage:
    """The topics of delivery, an outbox that can be emptied, and a keeper."""

    client: dict[str, str]
    topics: Topics
    producer: AIOKafkaProducer
    redis: Redis
    outbox: RedisOutbox
    prefix: str

    async def publish(self, *alerts: Alert) -> None:
        """Put alerts onto their topic, at the times at which their headlines were received."""
        for one in alerts:
            await self._write(self.topics.alerts, one, one.headline.received)

    async def record(
        self, alert_id: str, outcome: Any, *, ago: timedelta = timedelta(0), reason: str | None = None
    ) -> None:
        at = now() - ago
        delivery = Delivery(
            alert_id=alert_id, channel="desk", rule="harbours", outcome=outcome, attempt=1, at=at, reason=reason
        )
        await self._write(self.topics.deliveries, delivery, at)

    async def _write(self, topic: str, record: Any, at: datetime) -> None:
        value = record if isinstance(record, bytes) else msgspec.json.encode(record)
        await self.producer.send_and_wait(topic, value, partition=0, timestamp_ms=int(at.timestamp() * 1000))

    async def lose(self) -> None:
        """Empty Redis."""
        keys = [key async for key in self.redis.scan_iter(f"{self.prefix}:*")]
        if keys:
            await self.redis.delete(*keys)

    async def waiting(self, channel: str = "desk") -> list[str]:
        """The alerts that the outbox would send, in their order."""
        leased = await self.outbox.lease(channel, now(), timedelta(seconds=30), 1000)
        return [one.alerts[0].alert_id for one in leased]

    @asynccontextmanager
    async def keeper(self, *channels: str) -> AsyncIterator[None]:
        """A keeper at work, until it has declared the outbox complete."""
        keeper = Keeper(self.outbox, channels or ("desk",), self.client, self.topics, clock=now)
        task = asyncio.create_task(keeper.run())
        try:
            async with asyncio.timeout(20):
                while None in [await self.outbox.epoch(channel) for channel in channels or ("desk",)]:
                    assert not task.done(), task.exception()
                    await asyncio.sleep(0.02)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stage(kafka_client: dict[str, str], redis_url: str) -> AsyncIterator[Stage]:
    name = f"recovery-{secrets.token_hex(3)}"
    topics = Topics(f"{name}.")
    await create_topics(kafka_client, topics, partitions=2)
    async with AIOKafkaProducer(**kafka_client, acks="all") as producer, Redis.from_url(redis_url) as redis:
        yield Stage(kafka_client, topics, producer, redis, RedisOutbox(redis, prefix=name), name)


@dataclass
class Desk:
    """A notifier that takes everything."""

    concurrency: int = 4
    timeout: float = 1.0
    sent: list[str] = field(default_factory=list)

    async def probe(self) -> str:
        return "a desk"

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        self.sent.append(alert.alert_id)
        return Sent(200)

    async def close(self) -> None:
        """Nothing is open."""


async def test_an_emptied_outbox_gets_back_what_had_not_ended_in_its_order(stage: Stage) -> None:
    alerts = [alert(name) for name in ("delivered", "first", "dead", "tried", "suppressed", "last")]
    await stage.publish(*alerts)
    await stage.outbox.schedule(alerts, now())
    await stage.outbox.begin_epoch("desk")
    for name in ("delivered", "dead", "suppressed"):
        await stage.record(f"al_{name}", name)
    await stage.record("al_tried", "retry")
    await stage.lose()
    async with stage.keeper():
        assert await stage.waiting() == ["al_first", "al_tried", "al_last"]


async def test_what_was_dead_and_put_back_has_not_ended_however_late_that_is_told(stage: Stage) -> None:
    alerts = [alert(name) for name in ("back", "arrived", "dead")]
    await stage.publish(*alerts)
    for one in alerts:
        await stage.record(one.alert_id, "dead", ago=timedelta(minutes=3))
    await stage.record("al_back", "retry", ago=timedelta(minutes=2), reason=REVIVED)
    await stage.record("al_dead", "retry", ago=timedelta(minutes=4))
    await stage.record("al_arrived", "delivered", ago=timedelta(minutes=1))
    await stage.record("al_arrived", "retry", ago=timedelta(minutes=2), reason=REVIVED)
    async with stage.keeper():
        assert await stage.waiting() == ["al_back"]


async def test_it_is_remembered_of_the_others_that_they_ended(stage: Stage) -> None:
    """Kafka delivers an alert again whose acknowledgement was lost together with the outbox."""
    alerts = [alert(str(number)) for number in range(700)]
    await stage.publish(*alerts)
    for one in alerts:
        await stage.record(one.alert_id, "delivered")
    async with stage.keeper():
        assert await stage.outbox.schedule(alerts, now()) == 0
        assert await stage.waiting() == []


async def test_an_outbox_that_has_its_data_is_left_alone(stage: Stage) -> None:
    await stage.publish(alert("a"))
    await stage.outbox.begin_epoch("desk")
    async with stage.keeper():
        await asyncio.sleep(0.2)
        assert await stage.waiting() == []


async def test_it_is_rebuilt_again_after_each_loss_while_the_keeper_runs(stage: Stage) -> None:
    await stage.publish(alert("a"))
    async with stage.keeper():
        assert await stage.waiting() == ["al_a"]
        await stage.lose()
        await stage.publish(alert("b"))
        async with asyncio.timeout(10):
            while await stage.outbox.epoch("desk") is None:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)
        assert await stage.waiting() == ["al_a", "al_b"]


async def test_only_the_channels_that_lost_their_data_are_rebuilt(stage: Stage) -> None:
    await stage.publish(alert("a"), alert("b", channel="archive"), alert("c", channel="elsewhere"))
    await stage.outbox.begin_epoch("archive")
    async with stage.keeper("desk", "archive"):
        assert await stage.waiting("desk") == ["al_a"]
        assert await stage.waiting("archive") == []
        assert await stage.waiting("elsewhere") == []


async def test_two_keepers_restore_nothing_twice(stage: Stage) -> None:
    await stage.publish(*[alert(str(number)) for number in range(50)])
    async with stage.keeper(), stage.keeper():
        assert len(await stage.waiting()) == 50


async def test_what_is_no_record_of_ours_is_passed_over(stage: Stage) -> None:
    for topic in (stage.topics.alerts, stage.topics.deliveries):
        for value in (b"", b"\xff", b"{}", b"[" * 5000):
            await stage._write(topic, value, now())
    await stage.publish(alert("a"))
    async with stage.keeper():
        assert await stage.waiting() == ["al_a"]


async def test_what_ended_longer_ago_than_redis_remembers_is_not_sent_again(stage: Stage) -> None:
    await stage.publish(alert("old", ago=20 * DAY), alert("a"))
    await stage.record("al_old", "delivered", ago=20 * DAY)
    async with stage.keeper():
        assert await stage.waiting() == ["al_a"]


async def test_an_alert_that_is_too_old_ends_with_a_record_and_is_not_sent(stage: Stage) -> None:
    await stage.publish(alert("ancient", ago=20 * DAY), alert("late", ago=5 * DAY), alert("new"))
    desk = Desk()
    recorded: list[Delivery] = []

    async def record(deliveries: Sequence[Delivery]) -> None:
        recorded.extend(deliveries)

    async with stage.keeper():
        dispatcher = Dispatcher(stage.outbox, {"desk": desk}, record, clock=now, retries=RetrySchedule(max_age=4 * DAY))
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(10):
            while len(recorded) < 3:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        await dispatcher.stop()
        await running
    assert desk.sent == ["al_new"]
    outcomes = {one.alert_id: one.outcome for one in recorded}
    assert outcomes == {"al_ancient": "suppressed", "al_late": "suppressed", "al_new": "delivered"}
    assert all("too old" in (one.reason or "") for one in recorded if one.outcome == "suppressed")


async def test_alerts_whose_ends_kafka_may_have_deleted_are_not_brought_back(stage: Stage) -> None:
    """Where the size of ``deliveries`` is limited, an alert may outlive the record of its end."""
    await stage.publish(alert("ended", ago=timedelta(hours=3)), alert("waits", ago=timedelta(hours=1)))
    await stage.record("al_ended", "delivered", ago=timedelta(hours=3))
    await stage.record("al_other", "delivered", ago=timedelta(hours=2))
    async with admin_client(stage.client) as admin:
        limit = ConfigResource(
            ConfigResourceType.TOPIC, stage.topics.deliveries, configs={"retention.bytes": "1000000"}
        )
        await admin.alter_configs([limit])
        await admin.delete_records({TopicPartition(stage.topics.deliveries, 0): RecordsToDelete(1)})
    async with stage.keeper():
        assert await stage.waiting() == ["al_waits"]
