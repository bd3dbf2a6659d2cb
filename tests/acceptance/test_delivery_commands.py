"""``wirewatch deliveries``, ``channels enable`` and ``channels test``, in this process, with a real Kafka and Redis."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from alerts.health import Disabled, RedisHealth
from alerts.outbox import RedisOutbox
from alerts.receiver import Answer, Receiver
from streams.cli import app
from streams.core.records import Alert, Classified, Delivery, FiredRule, Headline
from streams.worker.topics import Topics, create_topics

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)

TOPIC = """topic: ships
title: Ships
threshold: 0.5
words: {those: [tanker]}
conditions: [{name: it is named, weight: 0.8, any: [those]}]
"""


def alert(name: str, channel: str = "desk", rule: str = "oil", ago: timedelta = HOUR) -> Alert:
    received = NOW - ago
    return Alert(
        alert_id=f"al_{name}",
        channel=channel,
        rule=FiredRule(name=rule, title="Oil", severity="low", revision="1"),
        headline=Classified(
            id=f"h-{name}",
            seq=1,
            position="t:0:1",
            received=received,
            headline=Headline(headline=f"Tanker {name} [held]", published=received, source="wire"),
            story_id="s",
        ),
    )


def attempt(name: str, outcome: Any, channel: str = "desk", ago: timedelta = HOUR, number: int = 1) -> Delivery:
    reason = None if outcome == "delivered" else "answered [503]"
    return Delivery(
        alert_id=f"al_{name}",
        channel=channel,
        rule="oil",
        outcome=outcome,
        attempt=number,
        at=NOW - ago,
        status_code=503 if reason else 200,
        reason=reason,
    )


@dataclass
class Desk:
    """A pipeline of its own whose workers do not run, and the commands for it."""

    name: str
    folder: Path
    kafka: dict[str, str]
    redis_url: str

    def call(self, *arguments: str) -> Result:
        runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
        return runner.invoke(app, [*arguments, "--config", str(self.folder / "wirewatch.yaml")])

    def told(self, *arguments: str, code: int = 0) -> Any:
        result = self.call(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def redis(self, ask: Callable[[Redis], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with Redis.from_url(self.redis_url) as redis:
                return await ask(redis)

        return asyncio.run(asked())

    def died(self, *alerts: Alert) -> None:
        async def die(redis: Redis) -> None:
            outbox = RedisOutbox(redis, prefix=self.name)
            await outbox.schedule(alerts, NOW)
            for channel in {one.channel for one in alerts}:
                for leased in await outbox.lease(channel, NOW, HOUR, len(alerts)):
                    await outbox.finish(leased, [attempt(leased.alerts[0].alert_id.removeprefix("al_"), "dead")])

        self.redis(die)

    def disable(self, channel: str) -> None:
        gone = Disabled(channel=channel, since=NOW, reason="answered 410")
        self.redis(lambda redis: RedisHealth(redis, prefix=self.name).disable(gone))

    def publish(self, *records: Alert | Delivery) -> None:
        async def put() -> None:
            topics = Topics(f"{self.name}.")
            await create_topics(self.kafka, topics, partitions=2)
            async with AIOKafkaProducer(**self.kafka) as producer:
                for one in records:
                    at = one.at if isinstance(one, Delivery) else one.headline.received
                    await producer.send_and_wait(
                        topics.deliveries if isinstance(one, Delivery) else topics.alerts,
                        msgspec.json.encode(one),
                        key=one.alert_id.encode(),
                        timestamp_ms=int(at.timestamp() * 1000),
                    )

        asyncio.run(put())


@pytest.fixture
def desk(tmp_path: Path, kafka_client: dict[str, str], redis_url: str) -> Desk:
    name = f"d{secrets.token_hex(3)}"
    (tmp_path / "ships.yaml").write_text(TOPIC, "utf-8")
    (tmp_path / "rules.yaml").write_text("rules: [{name: oil, when: tanker, channels: [desk]}]", "utf-8")
    (tmp_path / "channels.yaml").write_text("channels: {desk: {type: stdout}, log: {type: stdout}}", "utf-8")
    (tmp_path / "wirewatch.yaml").write_text(
        "rules: [rules.yaml]\ntaxonomy: [ships.yaml]\n"
        f"kafka: {{bootstrap_servers: '{kafka_client['bootstrap_servers']}', topic_prefix: '{name}.'}}\n"
        f"redis: {{url: '{redis_url}', prefix: '{name}'}}\n",
        "utf-8",
    )
    return Desk(name, tmp_path, kafka_client, redis_url)


def test_attempts_are_listed_and_chosen(desk: Desk) -> None:
    minute = timedelta(minutes=1)
    first = attempt("a", "retry", ago=HOUR)
    desk.publish(
        attempt("old", "delivered", ago=5 * HOUR),
        attempt("c", "dead", "log", ago=10 * minute),
        first,
        first,
        attempt("a", "delivered", ago=30 * minute, number=2),
    )
    listed = desk.told("deliveries", "list")
    assert [(one["alert_id"], one["outcome"], one["attempt"]) for one in listed] == [
        ("al_a", "retry", 1),
        ("al_a", "delivered", 2),
        ("al_c", "dead", 1),
    ], "in the order of time, what is there twice once, what is old not at all"
    assert len(desk.told("deliveries", "list", "--since", (NOW - 6 * HOUR).isoformat())) == 4
    assert [one["alert_id"] for one in desk.told("deliveries", "list", "--channel", "log")] == ["al_c"]
    assert [one["alert_id"] for one in desk.told("deliveries", "list", "--outcome", "delivered")] == ["al_a"]
    assert desk.told("deliveries", "list", "--rule", "gas") == []
    shown = desk.call("deliveries", "list", "--channel", "log").stdout
    assert "al_c" in shown
    assert "answered [503]" in shown


def test_one_alert_is_shown_with_its_attempts(desk: Desk) -> None:
    desk.publish(alert("a"), alert("b"), attempt("a", "retry"), attempt("a", "delivered", ago=HOUR / 2, number=2))
    told = desk.told("deliveries", "show", "al_a")
    assert told["alert"]["headline"] == "Tanker a [held]"
    assert [one["attempt"] for one in told["attempts"]] == [1, 2]
    shown = desk.call("deliveries", "show", "al_a").stdout
    assert "Tanker a [held]" in shown
    assert "#1 retry 503: answered [503]" in shown
    assert "no attempt yet" in desk.call("deliveries", "show", "al_b").stdout
    unknown = desk.call("deliveries", "show", "al_none")
    assert unknown.exit_code == 1
    assert "no alert al_none since" in unknown.stderr


def test_the_beginning_of_an_id_does_where_only_one_begins_so(desk: Desk) -> None:
    desk.publish(alert("peach"), alert("pear"), attempt("plum", "delivered"))
    assert "Tanker peach" in desk.call("deliveries", "show", "al_peac").stdout
    assert desk.told("deliveries", "show", "al_pl…")["attempts"][0]["alert_id"] == "al_plum"
    several = desk.call("deliveries", "show", "al_pea")
    assert several.exit_code == 2
    assert "al_pea is the beginning of 2 alerts: al_peach, al_pear" in several.stderr
    desk.died(alert("peach"), alert("pear"), alert("pea"))
    told = desk.told("deliveries", "retry", "al_peac", "al_pe", "al_pea", code=1)
    assert told["problems"] == ["al_pe is the beginning of 3 alerts: al_pea, al_peach, al_pear"]
    assert {one["alert_id"] for one in desk.told("deliveries", "dead")} == {"al_pear"}


def test_dead_alerts_are_listed_and_put_back(desk: Desk) -> None:
    desk.died(alert("a"), alert("b", rule="gas"), alert("c", ago=3 * HOUR), alert("d", "log"))
    assert {one["alert_id"] for one in desk.told("deliveries", "dead")} == {"al_a", "al_b", "al_c", "al_d"}
    assert "Tanker a [held]" in desk.call("deliveries", "dead", "--rule", "oil", "--since", "2h").stdout
    assert desk.told("deliveries", "retry", "al_a", "al_d")["retried"] == 2
    assert desk.call("deliveries", "retry", "--all", "--since", "2h").stdout == "1 alert put back into the outbox\n"
    assert [one["alert_id"] for one in desk.told("deliveries", "dead")] == ["al_c"]
    counts = desk.redis(lambda redis: RedisOutbox(redis, prefix=desk.name).counts("desk", datetime.now(UTC)))
    assert (counts.due, counts.dead) == (2, 1)


def test_what_cannot_be_put_back_is_told(desk: Desk) -> None:
    desk.died(alert("a"), alert("old", ago=6 * 24 * HOUR), alert("b", "log"))
    desk.disable("log")
    told = desk.told("deliveries", "retry", "al_none", "al_a", "al_old", "al_b", code=1)
    assert told["retried"] == 1
    assert told["problems"] == [
        "al_none is not among the dead",
        "1 alert left: older than delivery.max_age",
        "1 alert left: the channel log is disabled; `wirewatch channels enable log` first",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry"], "name the alerts, or say --all"),
        (["retry", "al_1", "--all"], "name the alerts, or say --all"),
        (["list", "--since", "yesterday"], "a span of time is written like"),
        (["dead", "--channel", "dsk"], "did you mean `desk`?"),
        (["list", "--channel", "dsk"], "there is no channel `dsk`"),
    ],
)
def test_a_command_line_that_is_wrong_is_told(desk: Desk, arguments: list[str], said: str) -> None:
    result = desk.call("deliveries", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_disabled_channel_is_shown_and_brought_back(desk: Desk) -> None:
    desk.disable("desk")
    assert "disabled since" in desk.call("channels", "list").stdout
    standing = {one["channel"]: one["disabled"] for one in desk.told("channels", "list")}
    assert standing == {"desk": {"since": NOW.isoformat(), "reason": "answered 410"}, "log": False}
    findings = {one["what"]: one for one in desk.told("doctor", code=1)["findings"]}
    assert findings["channel desk"]["detail"].endswith("answered 410")
    assert desk.call("channels", "enable", "desk").stdout == "desk is enabled\n"
    assert desk.told("channels", "enable", "desk") == {"channel": "desk", "was_disabled": False}
    assert {one["disabled"] for one in desk.told("channels", "list")} == {False}
    assert desk.call("channels", "enable", "dsk").exit_code == 2


def test_a_test_alert_is_sent_and_what_came_back_is_told(desk: Desk) -> None:
    with Receiver() as receiver:
        text = f"channels:\n  desk: {{type: webhook, url: '{receiver.url}', allow_private: true}}\n"
        (desk.folder / "channels.yaml").write_text(text, "utf-8")
        told = desk.told("channels", "test", "desk")
        assert (told["ok"], told["result"], told["status_code"]) == (True, "sent", 200)
        assert 0 < told["seconds"] < 15
        receiver.otherwise = Answer(503)
        failed = desk.call("channels", "test", "desk")
        first, second = receiver.received
    assert failed.exit_code == 1
    assert failed.stdout.startswith("desk: not taken, a worker would try again: 127.0.0.1 answered 503 after ")
    assert first.json()["data"]["headline"]["headline"]["headline"].startswith("TEST: ")
    assert first.id != second.id, "no receiver takes it for a repeat"


def test_a_test_goes_nowhere_that_a_worker_would_not(desk: Desk) -> None:
    text = "channels:\n  desk: {type: webhook, url: 'http://127.0.0.1:1/'}\n  log: {type: slack, url: env:NONE}\n"
    (desk.folder / "channels.yaml").write_text(text, "utf-8")
    refused = desk.call("channels", "test", "desk")
    assert refused.exit_code == 3
    assert "127.0.0.1 is a private address" in refused.stderr
    missing = desk.call("channels", "test", "log")
    assert missing.exit_code == 3
    assert "the environment variable NONE is not set" in missing.stderr
    assert desk.call("channels", "test", "dsk").exit_code == 2
