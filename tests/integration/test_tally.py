"""In = out, counted on topics that are written by hand: what is there, what is missing, and what only looks so."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from alerts.outbox import MemoryOutbox, Outbox
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline
from streams.worker.clients import admin_client
from streams.worker.tally import Tally, count, read_offsets, stuck
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Scribe:
    """Writes the topics of a pipeline that does not run."""

    client: dict[str, str]
    topics: Topics
    group: str
    producer: AIOKafkaProducer

    async def write(self, topic: str, record: Any, *, partition: int = 0, ago: timedelta = MINUTE) -> str:
        """Put a record onto a topic, as if ``ago``; gives its place."""
        value = record if isinstance(record, bytes) else msgspec.json.encode(record)
        at = int((NOW - ago).timestamp() * 1000)
        stored = await self.producer.send_and_wait(topic, value, partition=partition, timestamp_ms=at)
        return f"{topic}:{partition}:{stored.offset}"

    async def raw(self, number: int, *, partition: int = 0, ago: timedelta = MINUTE) -> list[str]:
        return [
            await self.write(self.topics.raw, b'{"headline": "x"}', partition=partition, ago=ago) for _ in range(number)
        ]

    async def unique(self, place: str, *, partition: int = 0, ago: timedelta = MINUTE, classified: bool = True) -> str:
        if classified:
            await self.write(self.topics.classified, {"position": place}, partition=partition, ago=ago)
        return await self.write(self.topics.unique, {"position": place}, partition=partition, ago=ago)

    async def dropped(self, place: str, *, partition: int = 0, ago: timedelta = MINUTE) -> None:
        await self.write(self.topics.dropped, {"position": place}, partition=partition, ago=ago)

    async def invalid(self, place: str, stage: str = "deduplicate") -> None:
        await self.write(self.topics.invalid, {"position": place, "stage": stage})

    async def alert(self, alert_id: str) -> None:
        await self.write(self.topics.alerts, {"alert_id": alert_id, "channel": "desk"})

    async def delivery(self, alert_id: str, outcome: str) -> None:
        await self.write(self.topics.deliveries, {"alert_id": alert_id, "channel": "desk", "outcome": outcome})

    async def acknowledge(self, *, but: int = 0) -> None:
        """Say as the group that all topics have been worked off; of the raw one, all ``but`` the last of a partition."""
        consumer = AIOKafkaConsumer(**self.client, group_id=self.group, enable_auto_commit=False)
        await consumer.start()
        names = (self.topics.raw, self.topics.unique, self.topics.classified, self.topics.alerts)
        partitions = [TopicPartition(name, number) for name in names for number in (0, 1)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        left = {TopicPartition(self.topics.raw, number): but for number in (0, 1)}
        await consumer.commit({tp: max(0, end - left.get(tp, 0)) for tp, end in ends.items()})
        await consumer.stop()

    async def delete(self, topic: str, *, before: int, partition: int = 0) -> None:
        async with admin_client(self.client) as admin:
            await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})

    async def limit_size(self, topic: str) -> None:
        async with admin_client(self.client) as admin:
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.bytes": "1000000"})]
            )

    async def count(self, reach: timedelta | None = DAY, outbox: Outbox | None = None) -> Tally:
        return await count(self.client, self.topics, self.group, now=NOW, reach=reach, outbox=outbox)


@pytest.fixture
async def scribe(kafka_client: dict[str, str]) -> AsyncIterator[Scribe]:
    name = f"tally-{secrets.token_hex(3)}"
    topics = Topics(f"{name}.")
    await create_topics(kafka_client, topics, partitions=2)
    async with AIOKafkaProducer(**kafka_client, acks="all") as producer:
        yield Scribe(kafka_client, topics, name, producer)


async def test_every_headline_that_came_out_somewhere_is_counted_there(scribe: Scribe) -> None:
    first, second, third = await scribe.raw(3)
    (fourth,) = await scribe.raw(1, partition=1)
    await scribe.unique(first)
    await scribe.dropped(second)
    await scribe.invalid(third)
    await scribe.unique(fourth, partition=1)
    await scribe.invalid("page.txt:7", stage="ingest")
    await scribe.acknowledge()
    for reach in (None, DAY):
        tally = await scribe.count(reach)
        assert tally.finished, tally
        assert (tally.read, tally.unique, tally.dropped, tally.invalid) == (4, 2, 1, 1)
        assert (tally.classified, tally.repeats, tally.refused["ingest"]) == (2, 0, 1)


async def test_one_decision_that_is_missing_is_named(scribe: Scribe) -> None:
    places = await scribe.raw(5)
    for place in places[:2] + places[3:]:
        await scribe.unique(place)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.missing == [places[2]]
    assert not tally.balanced
    assert tally.read == 5


async def test_headlines_of_which_none_was_decided_are_all_missing(scribe: Scribe) -> None:
    places = await scribe.raw(3, partition=1)
    await scribe.acknowledge()
    assert (await scribe.count()).missing == places


async def test_the_first_and_the_last_decision_of_a_partition_are_missed_as_any_other(scribe: Scribe) -> None:
    places = await scribe.raw(4)
    for place in places[1:3]:
        await scribe.dropped(place)
    await scribe.acknowledge()
    assert (await scribe.count()).missing == [places[0], places[3]]


async def test_what_was_not_acknowledged_waits(scribe: Scribe) -> None:
    first, *_ = await scribe.raw(3)
    await scribe.unique(first)
    await scribe.acknowledge(but=2)
    tally = await scribe.count()
    assert tally.balanced
    assert not tally.finished
    assert (tally.read, tally.lag[scribe.topics.raw]) == (1, 2)


async def test_what_was_decided_and_not_acknowledged_yet_is_counted_later(scribe: Scribe) -> None:
    for place in await scribe.raw(3):
        await scribe.unique(place)
    await scribe.acknowledge(but=1)
    tally = await scribe.count()
    assert tally.balanced
    assert (tally.read, tally.unique) == (2, 2)


async def test_what_was_published_again_is_a_repeat_and_no_loss(scribe: Scribe) -> None:
    first, second = await scribe.raw(2)
    for _ in range(2):
        await scribe.unique(first)
        await scribe.dropped(second)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.finished
    assert (tally.read, tally.unique, tally.dropped, tally.repeats) == (2, 1, 1, 3)


async def test_a_headline_with_two_fates_is_named(scribe: Scribe) -> None:
    (place,) = await scribe.raw(1)
    await scribe.unique(place)
    await scribe.dropped(place)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.twofold == [place]
    assert not tally.balanced
    assert tally.missing == []


async def test_a_unique_headline_that_was_never_classified_is_named(scribe: Scribe) -> None:
    first, second, third = await scribe.raw(3)
    await scribe.unique(first)
    await scribe.unique(second, classified=False)
    refused = await scribe.unique(third, classified=False)
    await scribe.invalid(refused, stage="classify")
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.missing == [f"{second} (unique, never classified)"]
    assert tally.refused["classify"] == 1


async def test_the_count_has_one_moment_for_all_topics(scribe: Scribe) -> None:
    """Each topic and partition may have been silent for a time of its own."""
    for place in await scribe.raw(3, ago=30 * HOUR):
        await scribe.unique(place, ago=30 * HOUR)
    for place in await scribe.raw(3, ago=26 * HOUR, partition=1):
        await scribe.dropped(place, ago=26 * HOUR, partition=1)
    (fresh,) = await scribe.raw(1, partition=1)
    await scribe.unique(fresh, partition=1)
    await scribe.acknowledge()
    tally = await scribe.count(DAY)
    assert tally.finished
    assert (tally.read, tally.unique, tally.dropped) == (1, 1, 0)
    assert tally.since == NOW - DAY
    assert (await scribe.count(28 * HOUR)).read == 4
    assert (await scribe.count(None)).read == 7


async def test_records_of_an_archive_keep_their_times_and_are_not_missed(scribe: Scribe) -> None:
    """A mirrored topic has the times of the records it mirrors: years ago."""
    for place in await scribe.raw(3, ago=3000 * DAY):
        await scribe.unique(place)
    await scribe.raw(1, ago=2000 * DAY)
    (last,) = await scribe.raw(1, ago=1000 * DAY)
    await scribe.dropped(last)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert (tally.read, tally.unique, tally.dropped) == (5, 3, 1)
    assert tally.missing == [f"{scribe.topics.raw}:0:3"], "and what is missing among them is seen"


async def test_a_producer_whose_clock_is_ahead_causes_no_alarm(scribe: Scribe) -> None:
    (place,) = await scribe.raw(1, ago=DAY - 30 * MINUTE)
    await scribe.unique(place, ago=DAY + 20 * MINUTE)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.finished
    assert (tally.read, tally.unique) == (1, 1)


async def test_the_ends_of_transactions_are_no_headlines(scribe: Scribe) -> None:
    transactional = AIOKafkaProducer(**scribe.client, transactional_id=scribe.group)
    async with transactional:
        for _ in range(3):
            async with transactional.transaction():
                await transactional.send_and_wait(scribe.topics.raw, b"{}", partition=0)
    for offset in (0, 4):
        await scribe.unique(f"{scribe.topics.raw}:0:{offset}")
    await scribe.acknowledge()
    tally = await scribe.count()
    assert (tally.read, tally.missing) == (3, [f"{scribe.topics.raw}:0:2"])


async def test_old_refusals_that_expired_hide_nothing(scribe: Scribe) -> None:
    """Time deletes only what is old, so the rest of the count stands."""
    await scribe.write(scribe.topics.invalid, {"position": "x", "stage": "ingest"}, ago=40 * DAY)
    await scribe.delete(scribe.topics.invalid, before=1)
    first, second = await scribe.raw(2)
    await scribe.unique(first)
    await scribe.acknowledge()
    assert (await scribe.count()).missing == [second]
    assert (await scribe.count(None)).missing == [second]


async def test_what_a_topic_of_limited_size_forgot_is_not_missed(scribe: Scribe) -> None:
    for place in await scribe.raw(5, ago=5 * HOUR):
        await scribe.dropped(place, ago=5 * HOUR)
    for place in await scribe.raw(2):
        await scribe.dropped(place, ago=3 * HOUR)
    await scribe.limit_size(scribe.topics.dropped)
    await scribe.delete(scribe.topics.dropped, before=5)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.finished
    assert tally.since == NOW - 2 * HOUR, "an hour after the first decision that is left, for clocks differ"
    assert tally.read == 2


async def test_records_of_others_are_passed_over(scribe: Scribe) -> None:
    (place,) = await scribe.raw(1)
    await scribe.unique(place)
    for position in ("elsewhere:0:0", f"{scribe.topics.raw}:9:0", f"{scribe.topics.raw}:0:99", "nonsense", "a:b:c"):
        await scribe.dropped(position)
    await scribe.write(scribe.topics.dropped, b"\xff")
    await scribe.write(scribe.topics.dropped, b"[" * 5000)
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.finished
    assert (tally.read, tally.dropped) == (1, 0)


async def test_every_alert_has_an_end_or_waits_in_the_outbox(scribe: Scribe) -> None:
    outbox = MemoryOutbox()
    await outbox.begin_epoch("desk")
    await outbox.schedule([alert("al_waits"), alert("al_leased"), alert("al_sent")], NOW)
    # Of the last, the end is on its way to Kafka.
    (_, _, sent) = await outbox.lease("desk", NOW, MINUTE, 3)
    await outbox.finish(
        sent, [Delivery(alert_id="al_sent", channel="desk", rule="r", outcome="delivered", attempt=1, at=NOW)]
    )
    for name, outcome in (("al_1", "delivered"), ("al_2", "suppressed"), ("al_3", "dead")):
        await scribe.alert(name)
        await scribe.delivery(name, "retry")
        await scribe.delivery(name, outcome)
    for name in ("al_waits", "al_leased", "al_sent", "al_lost"):
        await scribe.alert(name)
    await scribe.delivery("al_lost", "retry")
    await scribe.acknowledge()
    tally = await scribe.count(outbox=outbox)
    assert tally.missing == ["alert al_lost for desk (neither ended nor waiting)"]
    assert (tally.alerts, tally.pending) == (7, 4)
    assert tally.outcomes == {"delivered": 1, "suppressed": 1, "dead": 1}
    assert tally.channels == {"desk"}
    assert tally.rebuilding == []


async def test_an_outbox_that_lost_its_data_is_told_and_not_its_alerts(scribe: Scribe) -> None:
    await scribe.alert("al_1")
    await scribe.acknowledge()
    tally = await scribe.count(outbox=MemoryOutbox())
    assert tally.rebuilding == ["desk"]
    assert tally.balanced
    assert not tally.finished


async def test_an_alert_that_was_published_or_ended_twice_is_a_repeat(scribe: Scribe) -> None:
    for _ in range(2):
        await scribe.alert("al_1")
        await scribe.delivery("al_1", "delivered")
    await scribe.acknowledge()
    tally = await scribe.count()
    assert tally.finished
    assert (tally.alerts, tally.outcomes["delivered"], tally.repeats) == (1, 1, 2)


async def test_a_dead_alert_that_was_put_back_ends_anew(scribe: Scribe) -> None:
    back = {"outcome": "retry", "reason": "put back by hand"}
    for name in ("al_waits", "al_arrived", "al_told_late"):
        await scribe.alert(name)
        await scribe.delivery(name, "dead")
    for name in ("al_waits", "al_arrived"):
        await scribe.write(scribe.topics.deliveries, {"alert_id": name, **back})
    for name in ("al_arrived", "al_told_late"):
        await scribe.delivery(name, "delivered")
    await scribe.write(scribe.topics.deliveries, {"alert_id": "al_told_late", **back})
    await scribe.acknowledge()
    tally = await scribe.count()
    assert (tally.outcomes, tally.pending, tally.repeats) == ({"delivered": 2}, 1, 0)


async def test_a_lag_that_does_not_move_is_told_from_one_that_does(scribe: Scribe) -> None:
    await scribe.raw(3)
    await scribe.raw(2, partition=1)
    before = await read_offsets(scribe.client, scribe.topics, scribe.group)
    assert await stuck(scribe.client, scribe.topics, before, before) == {scribe.topics.raw: 5}
    await scribe.acknowledge(but=1)
    after = await read_offsets(scribe.client, scribe.topics, scribe.group)
    assert await stuck(scribe.client, scribe.topics, before, after) == {}
    await scribe.acknowledge()
    done = await read_offsets(scribe.client, scribe.topics, scribe.group)
    assert await stuck(scribe.client, scribe.topics, done, done) == {}


def alert(name: str) -> Alert:
    headline = Headline(headline="Harbour reopens", published=NOW, source="wire")
    return Alert(
        alert_id=name,
        channel="desk",
        rule=FiredRule(name="r", title="R", severity="low", revision="1"),
        headline=Classified(id=name, seq=1, position="t:0:1", received=NOW, headline=headline, story_id="s"),
    )
