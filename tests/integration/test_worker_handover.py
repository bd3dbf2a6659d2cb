"""Work in hand when a partition is taken away, or a worker is told to stop: left to the next owner, and said once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from streams.core.dedupe import Candidate, Entry, ExactDeduper
from streams.worker.app import Worker, run_until_signal
from streams.worker.history import read_tail
from streams.worker.topics import Topics
from tests.integration.rig import FOREVER, WINDOW, Pipeline, raw, until

pytestmark = pytest.mark.services


async def said_once(pipeline: Pipeline, number: int) -> None:
    """Every one of so many different headlines came out as one decision, and as one alert."""
    unique = await pipeline.records(pipeline.topics.unique)
    assert {record["id"] for record in unique} == {f"id{n}" for n in range(number)}
    assert len({record["seq"] for record in unique}) == number
    assert await pipeline.records(pipeline.topics.dropped) == []
    assert Counter(Counter(post.id for post in pipeline.receiver.received).values()) == {1: number}


class Stranded(ExactDeduper):
    """What a worker decides with whose Redis went away after it had begun."""

    def __init__(self) -> None:
        super().__init__(WINDOW)

    def decide(self, candidate: Candidate) -> Entry:
        raise RedisConnectionError("away")


async def test_chunks_in_hand_when_their_partition_is_taken_go_to_the_next_owner_and_are_not_doubled(
    pipeline: Pipeline,
) -> None:
    steps: Counter[str] = Counter()

    def observe(agent: str, step: str) -> None:
        steps[f"{agent} {step}"] += 1

    with capture_logs() as logs:
        # A worker that cannot reach its Redis holds what it has consumed, and tries again.
        stranded = dataclasses.replace(pipeline.plan(), deduper=Stranded, on_step=observe)
        stop = asyncio.Event()
        holding = asyncio.create_task(Worker(stranded).run(stop=stop))
        await pipeline.produce([(n, b"not a headline", None) for n in range(4)])
        await pipeline.produce([(n % 4, raw(f"Tanker {n} held off Malta"), f"id{n}") for n in range(40)])
        await until(lambda: steps["deduplicate consumed"] > 0)
        async with pipeline.workers():
            await until(lambda: bool(pipeline.receiver.received))
            # Some of the partitions are the other worker's now; the rest comes to it when this one leaves.
            stop.set()
            await holding
            await pipeline.drained(44)
    assert not steps["deduplicate decided"]
    assert not steps["deduplicate acknowledged"]
    await said_once(pipeline, 40)
    told = [entry["position"] for entry in logs if entry["event"] == "a record is invalid"]
    assert len(told) == len(set(told)) == 4, "told by who published it, however often it was tried before"


async def test_a_worker_that_gets_sigterm_finishes_or_leaves_what_it_has_in_hand(pipeline: Pipeline) -> None:
    decided = 0

    def terminate_in_the_middle(agent: str, step: str) -> None:
        nonlocal decided
        if (agent, step) == ("deduplicate", "decided"):
            decided += 1
            if decided == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    plan = dataclasses.replace(pipeline.plan(), on_step=terminate_in_the_middle)
    running = asyncio.create_task(run_until_signal(Worker(plan)))
    for start in range(0, 2000, 100):
        values = [(n % 4, raw(f"Ferry {n} held in Rhodes"), f"id{n}") for n in range(start, start + 100)]
        await pipeline.produce(values)
    async with asyncio.timeout(90):
        await running
    assert decided >= 2
    async with pipeline.workers():
        await pipeline.drained(2000)
    await said_once(pipeline, 2000)


async def all_decided(client: dict[str, str], topic: str, number: int) -> None:
    async with asyncio.timeout(20):
        while len([None async for _ in read_tail(client, [topic], FOREVER)]) < number:  # noqa: ASYNC110 - Kafka is asked
            await asyncio.sleep(0.2)


@pytest.mark.long
async def test_the_log_of_workers_that_start_share_and_stop_has_our_own_words_only(
    kafka_client: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [sys.executable, "-m", "streams", "init", "."], cwd=tmp_path, check=True, capture_output=True
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")} | {
        "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": kafka_client["bootstrap_servers"],
        "WIREWATCH_KAFKA__TOPIC_PREFIX": "quiet.",
        "WIREWATCH_KAFKA__GROUP": "quiet",
        "WIREWATCH_REDIS__URL": redis_url,
        "WIREWATCH_REDIS__PREFIX": "quiet",
    }
    topics = Topics("quiet.")

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams", "worker", "--log-format", "json"),
            cwd=tmp_path,
            env=environ,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )

    workers = [await start()]
    await asyncio.sleep(4)
    workers.append(await start())
    await asyncio.sleep(6)
    producer = AIOKafkaProducer(**kafka_client)
    await producer.start()
    for n in range(50):
        await producer.send(topics.raw, raw(f"Ferry {n} held in Rhodes"))
    await producer.stop()
    logs = []
    for worker in workers:  # the second takes over what the first leaves
        worker.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(worker.communicate(), timeout=30)
        assert worker.returncode == 0
        logs += [json.loads(line) for line in said.splitlines()]
        await all_decided(kafka_client, topics.unique, 50)
    assert {entry["event"] for entry in logs} <= {
        *("working", "stopping", "silences are in force", "joined the ledger", "rebuilt the ledger"),
        "rebuilt the outbox from Kafka",
    }
