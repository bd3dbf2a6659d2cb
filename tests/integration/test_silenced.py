"""Whole workers keep what is silenced to themselves, say so, and hear of a silence while they run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from alerts.silence import RedisSilences, add_silence
from tests.integration.rig import Pipeline, raw, until

pytestmark = pytest.mark.services

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_workers_hear_of_a_silence_and_of_its_end(pipeline: Pipeline, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, pipeline.workers(2):
        await pipeline.produce([(0, raw("Tanker Alma held at port"), "a")])
        await until(lambda: len(pipeline.receiver.received) == 1)
        silence = await add_silence(
            redis,
            "rule:vessels AND topic:ships",
            starts=NOON - timedelta(hours=1),
            ends=NOON + timedelta(hours=1),
            comment="drill",
            by="ann",
            now=NOON,
            prefix=pipeline.group,
        )
        await asyncio.sleep(1.2)  # a worker looks every half second
        await pipeline.produce(
            [
                (0, raw("Ferry Berta held in the bay"), "b"),
                (1, raw("Ferry line sold for $2 billion"), "c"),
                (2, raw("Tanker Clara held off the coast", "2026-03-01T13:30:00Z"), "d"),
            ]
        )
        await pipeline.drained(4)
        await until(lambda: len(pipeline.receiver.received) == 3)
    alerts = {
        alert["headline"]["id"]: alert.get("suppressed") for alert in await pipeline.records(pipeline.topics.alerts)
    }
    reason = f"silenced by {silence.id} until 2026-03-01 13:00 UTC: drill"
    assert alerts == {"a": None, "b": reason, "c": None, "d": None}
    ends = [end for end in await pipeline.records(pipeline.topics.deliveries) if end["outcome"] == "suppressed"]
    assert [(end["rule"], end["attempt"], end["reason"]) for end in ends] == [("vessels", 0, reason)]


async def test_a_worker_that_starts_knows_the_silences(pipeline: Pipeline, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        silences = {"starts": NOON - timedelta(hours=1), "ends": NOON + timedelta(hours=1), "now": NOON}
        await add_silence(redis, "held", comment="x", by="ann", prefix=pipeline.group, **silences)
        await pipeline.produce([(0, raw("Tanker Alma held at port"), "a")])
        async with pipeline.workers():
            await pipeline.drained(1)
        assert len(await RedisSilences(redis, prefix=pipeline.group).all()) == 1
    assert not pipeline.receiver.received
