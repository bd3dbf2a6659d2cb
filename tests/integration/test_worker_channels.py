"""Channels that no rule names, or that are not configured any more: their alerts do not wait for ever, nor unsaid."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis
from structlog.testing import capture_logs

from alerts.outbox import RedisOutbox
from streams.cli.plan import load_rulebook
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline
from streams.settings import load
from streams.worker.caretaker import Caretaker
from tests.integration.rig import Pipeline

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alert(name: str, channel: str, received: datetime = NOW) -> Alert:
    headline = Headline(headline=f"Headline of {name}", published=received)
    return Alert(
        alert_id=name,
        channel=channel,
        rule=FiredRule(name="any", title="Any", severity="low", revision="1"),
        headline=Classified(id=name, seq=1, position="t:0:1", received=received, headline=headline, story_id=name),
    )


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    """An outbox in Redis, with caretakers of several workers over it."""

    def __init__(self, outbox: RedisOutbox) -> None:
        self.outbox = outbox
        self.clock = Clock()
        self.recorded: list[Delivery] = []

    def caretaker(self, *channels: str, unopened: Sequence[str] = ()) -> Caretaker:
        return Caretaker(self.outbox, channels, unopened, self.record, clock=self.clock, every=30)

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        self.recorded += deliveries


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    async with Redis.from_url(redis_url) as client:
        yield Desk(RedisOutbox(client, prefix=f"channels-{secrets.token_hex(3)}[*]"))


async def test_alerts_of_a_channel_that_is_gone_are_suppressed_after_the_log_has_said_so(desk: Desk) -> None:
    await desk.outbox.schedule([alert("a", "gone"), alert("b", "gone"), alert("c", "kept")], NOW)
    one = desk.caretaker("kept")
    with capture_logs() as logs:
        await one.look()
    (warning,) = logs
    assert (warning["channel"], warning["alerts"]) == ("gone", 2)
    assert desk.recorded == []
    desk.clock.forward(30)
    with capture_logs() as logs:
        await one.look()
        await one.look()
    assert [entry["event"] for entry in logs] == ["suppressed the alerts of a channel that is not configured"]
    assert [(told.alert_id, told.outcome) for told in desk.recorded] == [("a", "suppressed"), ("b", "suppressed")]
    assert {told.reason for told in desk.recorded} == {"its channel is not configured any more"}
    assert (await desk.outbox.counts("gone", desk.clock())).queued == 0
    assert (await desk.outbox.counts("kept", desk.clock())).queued == 1
    assert await desk.outbox.schedule([alert("a", "gone")], desk.clock()) == 0, "it came to its end"


async def test_a_worker_with_other_files_takes_no_alert_from_one_that_has_the_channel(desk: Desk) -> None:
    await desk.outbox.schedule([alert("a", "new")], NOW)
    behind, ahead = desk.caretaker("old"), desk.caretaker("old", "new")
    for _ in range(4):
        await ahead.look()
        await behind.look()
        desk.clock.forward(30)
    assert desk.recorded == []
    # The one that had it is gone: what nobody heard of for three looks is warned of, then suppressed.
    for _ in range(4):
        await behind.look()
        desk.clock.forward(30)
    assert [told.alert_id for told in desk.recorded] == ["a"]


async def test_alerts_of_a_channel_that_cannot_be_opened_wait_and_the_log_says_so_once(desk: Desk) -> None:
    await desk.outbox.schedule([alert("a", "secret")], NOW)
    one = desk.caretaker(unopened=["secret"])
    with capture_logs() as logs:
        for _ in range(5):
            await one.look()
            desk.clock.forward(30)
    assert [(entry["channel"], entry["alerts"]) for entry in logs] == [("secret", 1)]
    assert "cannot be opened" in logs[0]["event"]
    assert desk.recorded == []


async def test_what_another_worker_left_unrecorded_of_a_channel_that_is_gone_is_recorded(desk: Desk) -> None:
    await desk.outbox.schedule([alert("a", "gone")], NOW)
    (leased,) = await desk.outbox.lease("gone", NOW, timedelta(seconds=30), 1)
    sent = Delivery(alert_id="a", channel="gone", rule="any", outcome="delivered", attempt=1, at=NOW)
    await desk.outbox.finish(leased, [sent])
    one = desk.caretaker()
    await one.look()
    await one.look()
    assert desk.recorded == [sent]


async def test_an_alert_on_the_topic_for_a_channel_that_is_gone_ends_on_deliveries(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.worker.caretaker.EVERY", 0.3)
    producer = AIOKafkaProducer(**pipeline.client)
    await producer.start()
    await producer.send(pipeline.topics.alerts, msgspec.json.encode(alert("a", "gone", datetime.now(UTC))), key=b"a")
    await producer.stop()
    async with pipeline.workers():
        await pipeline.drained(0)
    found = await pipeline.records(pipeline.topics.deliveries)
    assert [(told["alert_id"], told["outcome"]) for told in found] == [("a", "suppressed")]


def test_every_channel_is_opened_and_only_one_that_a_rule_names_must_open(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(
        "channels:\n"
        "  named: {type: stdout}\n"
        "  of_before: {type: stdout}\n"
        "  sealed: {type: slack, url: env:NOT_SET_YET}\n"
    )
    (tmp_path / "rules.yaml").write_text("rules:\n  - {name: any, when: tanker, channels: [named]}\n")
    (tmp_path / "wirewatch.yaml").write_text("channels: channels.yaml\nrules: [rules.yaml]\n")
    book = load_rulebook(load(tmp_path / "wirewatch.yaml", {}))
    notifiers, unopened = book.open_channels({})
    assert sorted(notifiers) == ["named", "of_before"]
    assert unopened == ("sealed",)
