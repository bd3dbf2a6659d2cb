"""A channel that is gone, from its 410 to its return: whole workers, real Kafka and Redis."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from alerts.channels import open_channels, read_channels
from alerts.health import RULE, Disabled, RedisHealth, notice
from alerts.outbox import RedisOutbox
from alerts.receiver import Answer, Receiver
from streams.worker.app import Plan
from streams.worker.tally import count
from tests.integration.rig import SECRET, Pipeline, raw, until

pytestmark = pytest.mark.services


async def test_a_channel_that_is_gone_is_told_of_once_and_comes_back(pipeline: Pipeline, redis_url: str) -> None:
    desk, made = pipeline.receiver, pipeline.plan
    with Receiver() as ops:
        text = f"""channels:
  desk: {{type: webhook, url: "{desk.url}", secret: env:S, allow_private: true}}
  ops: {{type: webhook, url: "{ops.url}", allow_private: true}}
"""

        def plan() -> Plan:
            notifiers = open_channels(read_channels(text, "c.yaml").values(), {"S": SECRET})
            return dataclasses.replace(made(), notifiers=notifiers, on_failure={"desk": "ops"})

        pipeline.plan = plan
        desk.otherwise = Answer(410)
        async with Redis.from_url(redis_url) as redis:
            health, outbox = RedisHealth(redis, prefix=pipeline.group), RedisOutbox(redis, prefix=pipeline.group)
            async with pipeline.workers():
                await pipeline.produce([(0, raw("A tanker is held"), "h-1")])
                await until(lambda: len(ops.received) == 1)
                await pipeline.produce([(1, raw("A second ferry is held"), "h-2")])
                await pipeline.drained(2)
            desk.otherwise = Answer()
            await health.enable("desk")
            dead = [one async for one in outbox.dead("desk", datetime.now(UTC))]
            assert await outbox.revive("desk", dead, datetime.now(UTC)) == 2
            async with pipeline.workers():
                await until(lambda: len(desk.received) == 3)
                await until(lambda: len({post.id for post in desk.received}) == 2)
    (notice,) = ops.received
    assert notice.json()["data"]["rule"]["name"] == RULE
    assert "desk is disabled" in notice.json()["data"]["headline"]["headline"]["headline"]
    ended = [one for one in await pipeline.records(pipeline.topics.dead) if one["attempt"] == 0]
    assert [one["reason"].partition(" since")[0] for one in ended] == ["its channel is disabled"]
    tally = await count(pipeline.client, pipeline.topics, pipeline.group, now=datetime.now(UTC))
    assert tally.balanced
    assert (tally.alerts, tally.outcomes["delivered"]) == (3, 3)


async def test_what_waits_for_a_disabled_channel_is_not_sent_by_a_worker_that_starts(
    pipeline: Pipeline, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox is served at once, and before it is known which channels are disabled nothing may go out."""
    disabled = RedisHealth.disabled

    async def disabled_in_a_while(self: RedisHealth) -> dict[str, Disabled]:
        await asyncio.sleep(1.0)
        return dict(await disabled(self))

    monkeypatch.setattr(RedisHealth, "disabled", disabled_in_a_while)
    now = datetime.now(UTC)
    alerts = [notice(Disabled(channel=f"c{number}", since=now, reason="it is gone"), "desk") for number in range(20)]
    async with Redis.from_url(redis_url) as redis:
        await RedisHealth(redis, prefix=pipeline.group).disable(
            Disabled(channel="desk", since=now, reason="it is gone")
        )
        await RedisOutbox(redis, prefix=pipeline.group).schedule(alerts, now)
        async with pipeline.workers():
            ended: list[dict[str, Any]] = []
            async with asyncio.timeout(30):
                while len(ended) < len(alerts):
                    await asyncio.sleep(0.1)
                    ended = await pipeline.records(pipeline.topics.dead)
    assert {one["reason"].partition(" since")[0] for one in ended} == {"its channel is disabled"}
    assert not pipeline.receiver.received
