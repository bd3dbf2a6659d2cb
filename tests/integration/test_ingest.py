"""``wirewatch ingest`` as a process of its own, on real Kafka and Redis: what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pty
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors import embedded
from connectors.interface import Reading
from streams.cli.common import UnreachableError
from streams.cli.sending import Sent, send
from streams.core.records import Headline
from streams.worker.history import read_tail
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services

FOREVER = 10**12
LINE = '{{"headline": "Ferry {number} resumes service", "source": "gazette.example", "published": "2026-02-11T18:50:00Z"}}\n'


def lines(*numbers: int) -> str:
    return "".join(LINE.format(number=number) for number in numbers)


@dataclass
class Desk:
    """A project of its own in a folder, on the session's Kafka and Redis or on others."""

    folder: Path
    kafka: str
    redis_url: str
    prefix: str = field(default_factory=lambda: f"ingest-{secrets.token_hex(4)}.")
    replication: int = 1

    def __post_init__(self) -> None:
        settings = {
            "kafka": {
                "bootstrap_servers": self.kafka,
                "topic_prefix": self.prefix,
                "partitions": 1,
                "replication": self.replication,
            },
            "redis": {"url": self.redis_url},
        }
        (self.folder / "wirewatch.yaml").write_text(json.dumps(settings))

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix)

    @contextlib.contextmanager
    def ingesting(self, *arguments: str, stdin: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "ingest", *arguments],
            cwd=self.folder,
            env={**clean, "COLUMNS": "200", "PYTHONFAULTHANDLER": "1"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGABRT)  # should a test wait for it in vain, it says where it is
                print(process.communicate()[1])
            process.communicate()

    def ingest(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        with self.ingesting(*arguments) as process:
            out, err = process.communicate(given, timeout=60)
            return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    async def records(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) async for _, value in read_tail({"bootstrap_servers": self.kafka}, [topic], FOREVER)]

    async def arrived(self, count: int) -> None:
        """Wait until so many headlines are on ``headlines.raw``."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):  # until the topic is there
                if len(await self.records(self.topics.raw)) >= count:
                    return
        raise AssertionError(f"{count} headlines did not arrive")

    async def make_topic(self, name: str, largest: int) -> None:
        """Make a topic that takes no larger message, bytes."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": str(largest)})])
        await admin.close()


@pytest.fixture
def desk(tmp_path: Path, services: embedded.Services) -> Desk:
    return Desk(tmp_path, services.bootstrap_servers, services.redis_url)


async def test_files_and_standard_input_go_onto_the_topic_in_their_order(desk: Desk) -> None:
    (desk.folder / "one.jsonl").write_text(lines(1, 2) + "nonsense\n")
    ended = desk.ingest("file", "one.jsonl", "-", "--json", given=lines(3))
    assert ended.returncode == 1, ended.stderr
    report = json.loads(ended.stdout)
    assert report["headlines"] == 3
    assert [(bad["file"], bad["line"]) for bad in report["unreadable"]] == [("one.jsonl", 3)]
    assert report["unreadable_count"] == 1
    told = [record["headline"] for record in await desk.records(desk.topics.raw)]
    assert told == [f"Ferry {number} resumes service" for number in (1, 2, 3)]
    (invalid,) = await desk.records(desk.topics.invalid)
    assert invalid["position"] == "one.jsonl:3"
    assert base64.b64decode(invalid["original"]) == b"nonsense"


async def test_a_feed_goes_onto_the_topic_while_redis_is_away(tmp_path: Path, services: embedded.Services) -> None:
    desk = Desk(tmp_path, services.bootstrap_servers, f"redis://127.0.0.1:{_free_port()}/0")
    ended = desk.ingest("-", given=lines(1))
    assert ended.returncode == 0, ended.stderr
    assert [record["headline"] for record in await desk.records(desk.topics.raw)] == ["Ferry 1 resumes service"]


async def test_what_a_page_has_beside_its_article_is_told_and_not_sent(desk: Desk) -> None:
    (desk.folder / "page.txt").write_text(
        "Breaking 18:50 Ferry resumes service 18:00 Bank holds rates again\n\nMayor opens the second lock\n\n"
        "Monday 02 June 2025 - 11:34\n\nThe mayor opened the lock on Monday.\n"
    )
    ended = desk.ingest("page.txt", "--json")
    assert ended.returncode == 0, ended.stderr
    (left,) = json.loads(ended.stdout)["left_out"]
    assert (left["file"], left["count"]) == ("page.txt", 2)
    assert left["examples"][0] == {"line": 1, "text": "Ferry resumes service"}
    assert [record["headline"] for record in await desk.records(desk.topics.raw)] == ["Mayor opens the second lock"]
    told = desk.ingest("page.txt", "--dry-run").stderr
    assert "page.txt: 2 texts were left out that stand beside the article and may be headlines" in told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_the_waiting_on_a_silent_standard_input(desk: Desk, number: int, code: int) -> None:
    with desk.ingesting("-") as process:
        assert process.stdin is not None
        process.stdin.write(lines(1))
        process.stdin.flush()
        await desk.arrived(1)
        process.send_signal(number)
        assert process.wait(5) == code
        assert process.stderr is not None
        told = process.stderr.read()
    assert "1 headline sent to headlines.raw" in told
    assert "interrupted" in told
    assert "Traceback" not in told


async def test_what_cannot_be_read_is_told_while_the_input_goes_on(desk: Desk) -> None:
    with desk.ingesting("jsonl", "-") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("nonsense\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith("standard input:1: ")
        assert process.poll() is None
        _, told = process.communicate(lines(1), timeout=30)
    assert told == "1 headline sent to headlines.raw, 1 unreadable, kept on headlines.invalid\n"


async def test_ctrl_c_on_a_terminal_ends_it(desk: Desk) -> None:
    main, terminal = pty.openpty()
    with desk.ingesting("lines", "-", "--json", stdin=terminal) as process:
        os.close(terminal)
        os.write(main, b"Ferry service resumes\n")
        await desk.arrived(1)
        process.send_signal(signal.SIGINT)  # what the terminal of a shell does on Ctrl-C
        assert process.wait(5) == 130
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    os.close(main)
    assert (report["ok"], report["headlines"], report["error"]) == (False, 1, "interrupted")


async def test_all_that_had_come_when_the_signal_came_is_sent(desk: Desk) -> None:
    with desk.ingesting("-") as process:
        assert process.stdin is not None
        feed = threading.Thread(target=_feed, args=(process.stdin, [lines(*range(5000))]), daemon=True)
        feed.start()
        feed.join(30)
        await desk.arrived(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        told = process.stderr.read()
    raw = await desk.records(desk.topics.raw)
    assert f"{len(raw):,} headlines sent to headlines.raw" in told
    assert [record["headline"] for record in raw] == [f"Ferry {number} resumes service" for number in range(len(raw))]


def _feed(pipe: Any, texts: Sequence[str]) -> None:
    for text in texts:
        pipe.write(text)
        pipe.flush()


async def test_a_headline_that_the_broker_refuses_is_kept_and_the_others_arrive(desk: Desk) -> None:
    await desk.make_topic(desk.topics.raw, 2_000)
    await desk.make_topic(desk.topics.invalid, 3_000)
    large = json.dumps(
        {"headline": "Ferry 2 resumes service", "body": "".join(secrets.token_hex(8) for _ in range(500))}
    )
    (desk.folder / "h.jsonl").write_text(lines(0, 1) + large + "\n" + lines(*range(3, 60)))
    ended = desk.ingest("h.jsonl", "--json")
    assert ended.returncode == 1, ended.stderr
    report = json.loads(ended.stdout)
    assert report["headlines"] == 59
    assert "refuses it for its size" in report["unreadable"][0]["reason"]
    told = {record["headline"] for record in await desk.records(desk.topics.raw)}
    assert told == {f"Ferry {number} resumes service" for number in range(60) if number != 2}
    (invalid,) = await desk.records(desk.topics.invalid)
    assert invalid["position"] == "h.jsonl"
    assert b"Ferry 2 resumes service" in base64.b64decode(invalid["original"])


async def test_what_was_sent_before_a_file_that_is_refused_is_told(desk: Desk) -> None:
    (desk.folder / "one.jsonl").write_text(lines(1, 2))
    (desk.folder / "two.txt").write_text("")
    ended = desk.ingest("one.jsonl", "two.txt")
    assert ended.returncode == 3
    assert "2 headlines sent to headlines.raw" in ended.stderr
    assert "two.txt: it is empty" in ended.stderr
    report = json.loads(desk.ingest("one.jsonl", "two.txt", "--json").stdout)
    assert (report["ok"], report["headlines"], report["problems"][0]["message"]) == (False, 2, "it is empty")


def test_topics_that_kafka_does_not_make_are_told_plainly(tmp_path: Path, services: embedded.Services) -> None:
    desk = Desk(tmp_path, services.bootstrap_servers, services.redis_url, replication=3)
    ended = desk.ingest("lines", "-", given="Ferry service resumes\n")
    assert ended.returncode == 4
    assert "Kafka did not make the topics" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_broker_that_goes_away_is_told_with_what_it_had_confirmed(
    tmp_path: Path, services: embedded.Services
) -> None:
    with embedded.Kafka(tmp_path / "own", port=_free_port()) as kafka:
        desk = Desk(tmp_path, kafka.bootstrap_servers, services.redis_url)
        with desk.ingesting("jsonl", "-") as process:
            assert process.stdin is not None
            process.stdin.write(lines(1))
            process.stdin.flush()
            await desk.arrived(1)
            kafka.kill()
            process.stdin.write(lines(2, 3))
            process.stdin.flush()
            await asyncio.sleep(1.0)
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.5)
            assert process.poll() is None, "it waits for the broker, as long as nobody presses Ctrl-C again"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr is not None
            told = process.stderr.read()
        with pytest.raises(UnreachableError, match="KafkaConnectionError") as caught:
            await _send_one(kafka.bootstrap_servers)
    assert "1 headline sent to headlines.raw; not known of 2 headlines more" in told
    assert "The last that it did, of standard input, is: Ferry 1 resumes service" in told
    assert "Traceback" not in told
    assert "doctor" in caught.value.hint


async def _send_one(kafka: str) -> None:
    headline = Headline(headline="Ferry resumes service", published=datetime(2026, 2, 11, tzinfo=UTC))
    await send({"bootstrap_servers": kafka}, Topics(), iter([("a file", headline)]), patience=1.0)


async def test_a_broker_that_confirms_nothing_is_given_up(tmp_path: Path, services: embedded.Services) -> None:
    """It is alive when the sending begins, and gone after the first headline."""
    with embedded.Kafka(tmp_path / "own", port=_free_port()) as kafka:
        client = {"bootstrap_servers": kafka.bootstrap_servers}
        topics, sent = Topics(), Sent()
        await create_topics(client, topics, partitions=1, replication=1)

        def readings() -> Iterator[tuple[str, Reading]]:
            for number in range(3):
                while number == 1 and not sent.headlines:
                    time.sleep(0.01)
                if number == 1:
                    kafka.kill()
                yield "a file", Headline(headline=f"Ferry {number}", published=datetime(2026, 2, 11, tzinfo=UTC))

        with pytest.raises(UnreachableError, match="it has confirmed nothing for 2 seconds"):
            await send(client, topics, readings(), sent, patience=2.0)
    assert (sent.headlines, sent.last) == (1, ("a file", "Ferry 0"))
    assert sent.unconfirmed >= 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
