"""``wirewatch replay kafka:…`` reads what a real Kafka has recorded, and leaves no trace there."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from connectors.recorded import Recording
from streams.cli import app
from streams.core.headline import received_at
from streams.core.records import Correlated, Dropped, Headline, Place, Unique
from streams.worker.topics import Topics, create_topics
from tests.integration.rig import TAXONOMY

pytestmark = pytest.mark.services

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Desk:
    """A project of its own, and what is put onto its topics."""

    client: dict[str, str]
    topics: Topics

    def produce(self, topic: str, values: Sequence[tuple[int, int, bytes, str | None]]) -> None:
        """Put (partition, minutes after `START`, value, id) onto a topic, as if Kafka had received it then."""
        asyncio.run(self._produce(topic, values))

    async def _produce(self, topic: str, values: Sequence[tuple[int, int, bytes, str | None]]) -> None:
        producer = AIOKafkaProducer(**self.client, acks="all", linger_ms=1)
        await producer.start()
        for partition, minutes, value, name in values:
            at = int((START + timedelta(minutes=minutes)).timestamp() * 1000)
            headers = [("id", name.encode())] if name else []
            await producer.send(topic, value, partition=partition, timestamp_ms=at, headers=headers)
        await producer.stop()

    def replay(self, *arguments: str) -> Result:
        command = ["replay", *arguments, "--rules", "rules.yaml", "--decisions", "d.jsonl", "--json"]
        return CliRunner().invoke(app, command)

    def decided(self) -> list[dict[str, Any]]:
        return [json.loads(line)["headline"] for line in Path("d.jsonl").read_text("utf-8").splitlines()]

    async def groups(self) -> set[str]:
        admin = AIOKafkaAdminClient(**self.client)
        await admin.start()
        try:
            return {group[0] for group in await admin.list_consumer_groups()}
        finally:
            await admin.close()


@pytest.fixture
def desk(kafka_client: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    topics = Topics(f"r{secrets.token_hex(3)}.")
    kafka = {**kafka_client, "topic_prefix": topics.prefix}
    (tmp_path / "ships.yaml").write_text(TAXONOMY, "utf-8")  # it is read sooner than that which comes along
    settings = {"kafka": kafka, "taxonomy": ["ships.yaml"]}
    (tmp_path / "wirewatch.yaml").write_text(json.dumps(settings), "utf-8")
    (tmp_path / "rules.yaml").write_text("rules: [{name: tanker, when: tanker, channels: [desk]}]", "utf-8")
    asyncio.run(create_topics(kafka_client, topics, partitions=4, replication=1))
    return Desk(kafka_client, topics)


def raw(text: str, minutes: int) -> bytes:
    published = START + timedelta(minutes=minutes)
    return msgspec.json.encode(Headline(headline=text, published=published, source="a.example"))


def test_raw_headlines_are_replayed_by_event_time_with_their_ids_and_no_group_is_joined(desk: Desk) -> None:
    desk.produce(
        desk.topics.raw,
        [
            (0, 10, raw("Ferry strike ends", 10), None),
            (1, 12, raw("Tanker seized off Hormuz", 5), "named"),
            (2, 13, b"{broken", None),
            (3, 14, raw("Tanker seized off Hormuz", 14), None),
        ],
    )
    before = asyncio.run(desk.groups())
    done = desk.replay("kafka:headlines.raw")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["headlines"], told["alerts"], told["unreadable"]) == (3, {"tanker": 1}, 1)
    assert told["unreadable_shown"][0]["file"] == f"{desk.topics.raw}:2:0"
    assert [one["id"] for one in desk.decided()] == ["named", f"{desk.topics.raw}:0:0", f"{desk.topics.raw}:3:0"]
    assert desk.decided()[2]["duplicate_of"] == "named"
    assert asyncio.run(desk.groups()) == before


def test_from_and_to_are_by_when_kafka_received_a_record(desk: Desk) -> None:
    values = [(n % 4, n, raw(f"Port {n} reopens", n), str(n)) for n in range(12)]
    desk.produce(desk.topics.raw, values)
    span = ("--from", "2026-03-01T12:03:00Z", "--to", "2026-03-01T12:07:00Z")
    done = desk.replay("kafka:headlines.raw", *span)
    assert done.exit_code == 0, done.output
    assert [one["id"] for one in desk.decided()] == ["3", "4", "5", "6"]
    assert json.loads(desk.replay("kafka:headlines.raw", "--from", "2027-01-01").stdout)["headlines"] == 0


def test_decided_headlines_are_replayed_in_the_order_of_their_decisions_each_once(desk: Desk) -> None:
    texts = ["Tanker seized off Hormuz", "Ferry strike ends", "Tanker seized off Hormuz", "Lock reopens"]
    records: list[Unique | Dropped] = []
    for seq, text in enumerate(texts):
        common: dict[str, Any] = {
            "id": f"h{seq}",
            "seq": seq,
            "position": f"r:0:{seq}",
            "received": START,
            "headline": Headline(headline=text, published=START - timedelta(minutes=seq), source="a.example"),
            "story_id": "h0",
        }
        records.append(Dropped(**common, duplicate_of="h0", reason="same") if seq == 2 else Unique(**common))
    # Partitions and topics have them in another order, and one is there twice, as after a crash.
    unique = [(3 - seq, seq, msgspec.json.encode(records[seq]), None) for seq in (3, 1, 0, 1)]
    desk.produce(desk.topics.unique, unique)
    desk.produce(desk.topics.dropped, [(0, 0, msgspec.json.encode(records[2]), None)])
    done = desk.replay("kafka:headlines.unique", f"kafka:{desk.topics.dropped}")
    assert done.exit_code == 0, done.output
    assert [one["id"] for one in desk.decided()] == ["h0", "h1", "h2", "h3"]
    assert desk.decided()[2]["duplicate_of"] == "h0"


def test_rules_that_remember_see_decided_headlines_in_the_order_of_the_log(desk: Desk) -> None:
    rule = "{name: first-only, when: tanker, channels: [desk], throttle: {count: 1, per: 4h}}"
    Path("rules.yaml").write_text(f"rules: [{rule}]", "utf-8")
    for seq, text in enumerate(("Tanker seized off Hormuz", "Ferry strike ends in tanker port", "Tanker crew freed")):
        headline = Headline(headline=text, published=START, source="a.example")
        unique = Unique(
            id=f"h{seq}", seq=seq, position=f"r:0:{seq}", received=START, headline=headline, story_id=f"h{seq}"
        )
        desk.produce(desk.topics.unique, [(0, seq, msgspec.json.encode(unique), None)])
    places = [Place(number=f"{7 + n}-0", position=f"r:0:{seq}") for n, seq in enumerate((2, 0, 1))]
    told = msgspec.json.encode(Correlated(log="a", places=tuple(places)))
    desk.produce(desk.topics.correlated, [(1, 3, told, None), (1, 4, told, None), (2, 5, b"{broken", None)])
    done = desk.replay("kafka:headlines.unique")
    assert done.exit_code == 0, done.output
    counted = json.loads(done.stdout)
    assert (counted["in_log_order"], counted["alerts"], counted["unreadable"]) == (3, {"first-only": 1}, 1)
    alerts = [json.loads(line)["alerts"] for line in Path("d.jsonl").read_text("utf-8").splitlines()]
    assert ["suppressed" in alert for (alert,) in alerts] == [True, True, False]
    assert desk.replay("kafka:headlines.correlated").exit_code == 2


def test_what_comes_while_it_reads_is_left_out_and_how_much_there_is_is_known(desk: Desk) -> None:
    desk.produce(desk.topics.raw, [(n % 4, n, raw(f"Port {n} reopens", n), None) for n in range(6)])
    recording = Recording(desk.client, [desk.topics.raw])
    records = recording.records()
    first = next(records)
    assert (recording.total, received_at(first.timestamp)) == (6, START)
    desk.produce(desk.topics.raw, [(0, 9, raw("Lock reopens", 9), None)])
    assert [received_at(record.timestamp) for record in records] == [START + timedelta(minutes=n) for n in range(1, 6)]


def test_a_topic_that_is_not_there_and_sources_that_do_not_go_together_are_refused(desk: Desk) -> None:
    with pytest.raises(UnknownTopicOrPartitionError, match=r"there is no topic gone"):
        next(Recording(desk.client, ["gone"]).records())
    done = desk.replay("kafka:gone")
    assert done.exit_code == 4
    assert "there is no topic gone" in done.output
    for sources in (["kafka:alerts"], ["kafka:headlines.raw", "kafka:headlines.dropped"], ["kafka:gone", "rules.yaml"]):
        assert desk.replay(*sources).exit_code == 2
    assert desk.replay("kafka:headlines.raw", "--zone", "Europe/Paris").exit_code == 2
    assert desk.replay("kafka:headlines.raw", "--from", "yesterday").exit_code == 2


def test_ctrl_c_ends_a_slow_replay_and_tells_how_far_it_came(desk: Desk, tmp_path: Path) -> None:
    desk.produce(desk.topics.raw, [(n % 4, 60 * n, raw(f"Port {n} reopens", 60 * n), None) for n in range(6)])
    command = [sys.executable, "-m", "streams", "replay", "kafka:headlines.raw", "--rules", "rules.yaml"]
    command += ["--speed", "1", "--json", "--decisions", "d.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (tmp_path / "d.jsonl").exists():
            time.sleep(0.05)
        time.sleep(1.0)  # it is most likely to wait for its second headline by now; what is true is true at any time
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert (json.loads(out)["ok"], json.loads(out)["headlines"] <= 1) == (False, True)
    assert "Traceback" not in err
    assert "Unclosed" not in err


async def left_behind(desk: Desk, redis_url: str) -> list[str]:
    """Topics and keys of a copy of the pipeline."""
    admin = AIOKafkaAdminClient(**desk.client)
    await admin.start()
    try:
        topics = [topic for topic in await admin.list_topics() if f"{desk.topics.prefix}replay-" in topic]
    finally:
        await admin.close()
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        return topics + [key async for key in redis.scan_iter(match="*replay-*")]


@pytest.fixture
def piped(desk: Desk, redis_url: str, tmp_path: Path) -> Desk:
    """A desk with a Redis and a channel whose secret nobody has set."""
    settings = json.loads((tmp_path / "wirewatch.yaml").read_text("utf-8"))
    (tmp_path / "wirewatch.yaml").write_text(json.dumps({**settings, "redis": {"url": redis_url}}), "utf-8")
    channel = {"type": "webhook", "url": "http://127.0.0.1:9/", "secret": "env:NOT_SET"}
    (tmp_path / "channels.yaml").write_text(json.dumps({"channels": {"desk": channel}}), "utf-8")
    rows = [raw("Tanker seized off Hormuz", 0), raw("TANKER SEIZED OFF HORMUZ", 1), raw("Ferry strike ends", 2)]
    (tmp_path / "wire.jsonl").write_bytes(b"\n".join(rows))
    return desk


THROUGH = [sys.executable, "-m", "streams", "replay", "wire.jsonl", "--rules", "rules.yaml", "--through-kafka"]
THROUGH += ["--decisions", "d.jsonl", "--json", "--speed"]


def test_through_a_copy_of_the_pipeline_nobody_is_told_and_nothing_is_left(piped: Desk, redis_url: str) -> None:
    process = subprocess.run([*THROUGH, "600"], capture_output=True, text=True, timeout=90, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    told = json.loads(process.stdout)
    assert told["decisions"] == {"first": 2, "duplicate": 1}
    assert told["alerts"] == {"tanker": 1}
    assert told["not_simulated"] == ["silences", "channels"]
    assert [one["headline"]["published"][14:16] for one in piped.decided()] == ["00", "01", "02"]
    assert asyncio.run(left_behind(piped, redis_url)) == []


def test_ctrl_c_removes_the_copy_of_the_pipeline(piped: Desk, redis_url: str) -> None:
    process = subprocess.Popen([*THROUGH, "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not asyncio.run(left_behind(piped, redis_url)):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert json.loads(out)["ok"] is False
    assert "Traceback" not in err
    assert asyncio.run(left_behind(piped, redis_url)) == []
