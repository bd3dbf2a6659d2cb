"""``wirewatch doctor`` as a user runs it, on real Kafka and Redis, with a pipeline that works, and without one."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from alerts.receiver import Answer, Receiver
from streams.core.records import Alert, Classified, FiredRule, Headline
from streams.worker.clients import admin_client
from streams.worker.survey import read_group
from streams.worker.tally import Tally, count
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services

_CHANNELS = """
channels:
  archive: {type: file, path: alerts.jsonl}
  desk: {type: webhook, url: "%s", allow_private: true, timeout: 2s}
"""
_RULES = """
rules:
  - {name: harbours, when: harbour, channels: [archive, desk]}
"""
_ROOT = Path(__file__).parents[2]


@dataclass
class Project:
    """A folder with settings and rules, and topics of its own."""

    folder: Path
    client: dict[str, str]
    name: str
    redis_url: str

    @property
    def topics(self) -> Topics:
        return Topics(f"{self.name}.")

    def environ(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
        return clean | {
            "PYTHONPATH": str(_ROOT),
            "COLUMNS": "200",
            "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": self.client["bootstrap_servers"],
            "WIREWATCH_KAFKA__TOPIC_PREFIX": f"{self.name}.",
            "WIREWATCH_KAFKA__GROUP": self.name,
            "WIREWATCH_REDIS__URL": self.redis_url,
            "WIREWATCH_REDIS__PREFIX": self.name,
            "WIREWATCH_DEDUPE__STORIES": "false",  # its reports are much alike
            **more,
        }

    async def doctor(self, *arguments: str, **environ: str) -> tuple[int, Mapping[str, Any]]:
        """The exit code of ``wirewatch doctor``, and its findings by what they are about."""
        command = [sys.executable, "-m", "streams", "doctor", "--json", *arguments]
        ended = await asyncio.to_thread(
            lambda: subprocess.run(
                command,
                cwd=self.folder,
                env=self.environ(**environ),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        report = json.loads(ended.stdout)
        assert report["ok"] == (ended.returncode == 0)
        return ended.returncode, {finding["what"]: finding for finding in report["findings"]}

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """A worker in a process of its own that has joined its group."""
        log = self.folder / "worker.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams", "worker"),
                cwd=self.folder,
                env=self.environ(WIREWATCH_KAFKA__SESSION_TIMEOUT="15s"),
                stdout=file,
                stderr=file,
            )
        try:
            async with asyncio.timeout(40):
                while not await self._joined():
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.1)
            yield process
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)

    async def _joined(self) -> bool:
        try:
            return (await read_group(self.client, self.name)).state == "Stable"
        except KafkaError:
            return False

    async def produce(self, number: int, *, at: datetime | None = None) -> None:
        """Put headlines onto headlines.raw; every tenth is about a harbour, every seventh unreadable."""
        async with AIOKafkaProducer(**self.client, acks="all", linger_ms=2) as producer:
            for index in range(number):
                text = f"{'Harbour' if index % 10 == 0 else 'Weather'} report {index}, {secrets.token_hex(4)}"
                value = b"no headline" if index % 7 == 0 else json.dumps({"headline": text}).encode()
                milliseconds = int(at.timestamp() * 1000) if at else None
                await producer.send(self.topics.raw, value, partition=index % 4, timestamp_ms=milliseconds)

    async def counted(self) -> Tally:
        """The count once everything came out."""
        async with asyncio.timeout(40):
            while not (tally := await self.count()).finished:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.2)
        return tally

    async def count(self, reach: timedelta | None = None) -> Tally:
        return await count(self.client, self.topics, self.name, now=datetime.now(UTC), reach=reach)

    async def write(self, topic: str, record: Any) -> None:
        async with AIOKafkaProducer(**self.client, acks="all") as producer:
            await producer.send_and_wait(topic, msgspec.json.encode(record), partition=0)

    async def acknowledge(self) -> None:
        """Say as the group that all topics have been worked off."""
        consumer = AIOKafkaConsumer(**self.client, group_id=self.name, enable_auto_commit=False)
        await consumer.start()
        partitions = [TopicPartition(topic, number) for topic in self.topics.all() for number in range(4)]
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))
        await consumer.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def bare(kafka_client: dict[str, str], redis_url: str, tmp_path: Path, receiver: Receiver) -> Project:
    """A project without topics."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(_RULES)
    (tmp_path / "channels.yaml").write_text(_CHANNELS % receiver.url)
    return Project(tmp_path, kafka_client, f"doctor-{secrets.token_hex(3)}", redis_url)


@pytest.fixture
async def project(bare: Project) -> Project:
    await create_topics(bare.client, bare.topics, partitions=4)
    return bare


async def test_a_pipeline_at_work_is_in_order_however_often_it_is_looked_at(project: Project) -> None:
    async with project.worker():
        load = asyncio.create_task(_load(project, seconds=5))
        looks = 0
        while not load.done() or looks <= 4:
            reach = (None, timedelta(days=1), timedelta(seconds=4), timedelta(seconds=1))[looks % 4]
            tally = await project.count(reach)
            assert tally.balanced, (reach, tally)
            if looks % 12 == 3:
                code, findings = await project.doctor("--since", "5s")
                assert code == 0, findings
            looks += 1
        sent = await load
        tally = await project.counted()
        assert tally.read == sent
        code, findings = await project.doctor()
    assert code == 0, findings
    assert {finding["state"] for finding in findings.values()} == {"ok"}
    assert findings["in = out"]["detail"].startswith(f"{sent} headlines since ")
    assert f" {tally.invalid} invalid" in findings["in = out"]["detail"]
    # Those of the archive were received long ago, by the times that their records have.
    late = tally.outcomes["suppressed"]
    assert 0 < late < tally.alerts
    assert findings["alerts"]["detail"] == (
        f"{tally.alerts} = {tally.alerts - late} delivered + {late} suppressed + 0 dead + 0 waiting"
    )


async def _load(project: Project, *, seconds: float) -> int:
    loop, sent = asyncio.get_running_loop(), 0
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        # Some come from an archive, with the times that they had in it.
        await project.produce(140, at=datetime(2020, 3, 1, tzinfo=UTC) if sent % 700 == 560 else None)
        sent += 140
        await asyncio.sleep(0.1)
    return sent


async def test_a_decision_that_is_missing_is_named_and_nothing_is_in_order(project: Project) -> None:
    await project.produce(4)
    await project.produce(4)
    for partition in range(4):
        await project.write(project.topics.dropped, {"position": f"{project.topics.raw}:{partition}:0"})
        if partition != 2:
            await project.write(project.topics.dropped, {"position": f"{project.topics.raw}:{partition}:1"})
    await project.acknowledge()
    code, findings = await project.doctor()
    assert code == 1
    balance = findings["in = out"]
    assert balance["state"] == "failed"
    assert f"1 came out nowhere: {project.topics.raw}:2:1" in balance["detail"]
    assert "report" in balance["hint"]
    assert findings["workers"]["state"] == "failed"


async def test_an_alert_that_is_nowhere_is_named(project: Project) -> None:
    now = datetime.now(UTC)
    headline = Headline(headline="Harbour shut", published=now, source="wire")
    alert = Alert(
        alert_id="al_lost",
        channel="desk",
        rule=FiredRule(name="harbours", title="Harbours", severity="low", revision="1"),
        headline=Classified(id="h", seq=1, position="p", received=now, headline=headline, story_id="h"),
    )
    async with project.worker():
        await project.produce(8)
        await project.counted()
    await project.write(project.topics.alerts, alert)
    await project.acknowledge()
    code, findings = await project.doctor()
    assert code == 1
    assert "al_lost for desk (neither ended nor waiting)" in findings["in = out"]["detail"]


async def test_a_worker_that_takes_nothing_is_told_of(project: Project) -> None:
    async with project.worker() as worker:
        await project.produce(8)
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            await project.produce(8)
            _, findings = await project.doctor()
        finally:
            os.kill(worker.pid, signal.SIGCONT)
    assert findings["lag"]["state"] == "warning"
    assert project.topics.raw in findings["lag"]["detail"]


async def test_alerts_that_wait_for_a_receiver_are_in_the_outbox(project: Project, receiver: Receiver) -> None:
    receiver.otherwise = Answer(503)
    async with project.worker():
        await project.produce(41)
        async with asyncio.timeout(30):
            while True:
                tally = await project.count()
                if tally.alerts == 8 and tally.outcomes["delivered"] == 4 and not any(tally.lag.values()):
                    break
                await asyncio.sleep(0.2)
        code, findings = await project.doctor()
    assert code == 0, findings
    assert findings["alerts"]["detail"] == (
        "8 = 4 delivered + 0 suppressed + 0 dead + 4 waiting; in the outbox: desk 4"
    )


async def test_topics_that_keep_less_than_two_windows_are_named_unless_they_are_made_for_these(bare: Project) -> None:
    window = timedelta(days=30)
    await create_topics(bare.client, bare.topics, partitions=1)
    _, findings = await bare.doctor(WIREWATCH_DEDUPE__WINDOW="30d")
    assert findings["retention"]["state"] == "warning"
    assert f"{bare.topics.unique} 14 days, {bare.topics.dropped} 14 days" in findings["retention"]["detail"]
    async with admin_client(bare.client) as admin:
        await admin.delete_topics([bare.topics.unique, bare.topics.dropped])
    await asyncio.sleep(1.0)
    await create_topics(bare.client, bare.topics, partitions=1, window=window)
    _, findings = await bare.doctor(WIREWATCH_DEDUPE__WINDOW="30d")
    assert "retention" not in findings


async def test_without_topics_it_says_who_makes_them(bare: Project) -> None:
    code, findings = await bare.doctor()
    assert code == 1
    assert findings["topics"]["detail"] == "missing: all 10"
    assert "wirewatch worker" in findings["topics"]["hint"]
    assert findings["workers"]["state"] == "failed"
    assert "in = out" not in findings


async def test_one_topic_that_is_missing_is_named(bare: Project) -> None:
    topics = bare.topics
    await create_topics(bare.client, topics, partitions=1)
    async with admin_client(bare.client) as admin:
        await admin.delete_topics([topics.dead])
    _, findings = await bare.doctor()
    assert findings["topics"]["detail"] == f"missing: {topics.dead}"


async def test_services_that_are_away_are_named_with_what_to_look_at(bare: Project) -> None:
    code, findings = await bare.doctor(
        WIREWATCH_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1", WIREWATCH_REDIS__URL="redis://127.0.0.1:2"
    )
    assert code == 1
    assert findings["Kafka"]["detail"] == "no Kafka answers at 127.0.0.1:1"
    assert "kafka.tls" in findings["Kafka"]["hint"]
    assert "127.0.0.1:2" in findings["Redis"]["detail"]
    assert "topics" not in findings
    assert findings["channel archive"]["state"] == "ok"


async def test_without_redis_headlines_are_counted_all_the_same(project: Project) -> None:
    code, findings = await project.doctor(WIREWATCH_REDIS__URL="redis://127.0.0.1:2")
    assert code == 1
    assert findings["Redis"]["state"] == "failed"
    assert findings["in = out"]["state"] == "ok"


async def test_a_channel_that_cannot_be_reached_is_named_and_the_others_looked_at(
    project: Project, receiver: Receiver
) -> None:
    (project.folder / "channels.yaml").write_text(_CHANNELS % "http://127.0.0.1:1/hook")
    code, findings = await project.doctor()
    assert code == 1
    assert findings["channel desk"]["state"] == "failed"
    assert "127.0.0.1" in findings["channel desk"]["detail"]
    assert findings["channel archive"]["state"] == "ok"


async def test_a_span_that_is_none_is_a_wrong_command_line(bare: Project) -> None:
    ended = await asyncio.to_thread(
        lambda: subprocess.run(
            [sys.executable, "-m", "streams", "doctor", "--since", "soon"],
            cwd=bare.folder,
            env=bare.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert ended.returncode == 2
    assert "soon" in ended.stderr
