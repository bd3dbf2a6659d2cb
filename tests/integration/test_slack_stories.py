"""A whole worker that tells of a story in Slack remembers its message in Redis, for whoever comes after it."""

from __future__ import annotations

import dataclasses

import pytest
from redis.asyncio import Redis

from alerts.channels import open_channels, read_channels
from alerts.slack.stories import RedisStories
from streams.worker.app import Plan
from tests.integration.rig import Pipeline, raw, until
from tests.standins.slack import DESK, TOKEN, Slack

pytestmark = pytest.mark.services


async def test_the_message_of_a_story_is_remembered_in_redis(pipeline: Pipeline, redis_url: str) -> None:
    with Slack() as slack:
        text = f"""channels:
  desk: {{type: slack, token: env:T, channel: "#desk", api: "{slack.url}/api/", allow_private: true}}
"""
        made = pipeline.plan

        def plan() -> Plan:
            notifiers = open_channels(read_channels(text, "c.yaml").values(), {"T": TOKEN})
            return dataclasses.replace(made(), notifiers=notifiers)

        pipeline.plan = plan
        async with pipeline.workers():
            await pipeline.produce([(0, raw("A tanker is held"), "h-1")])
            await until(lambda: len(slack.heads) == 1)
            await pipeline.drained(1)
    (alert,) = await pipeline.records(pipeline.topics.alerts)
    async with Redis.from_url(redis_url) as redis:
        told = await RedisStories(redis, prefix=pipeline.group).load("desk", alert["headline"]["story_id"])
    assert told is not None
    assert (told.ts, told.place, told.card.told) == (slack.heads[0].ts, DESK, (alert["alert_id"],))
    assert slack.heads[0].metadata is not None
    assert slack.heads[0].metadata["event_payload"]["channel"] == "desk"
