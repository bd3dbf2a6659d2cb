"""The live pipeline decides on stories as the pure core does, on real Kafka and Redis with two workers."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from streams.core.dedupe import Candidate, Entry
from streams.core.pipeline import read as read_raw
from streams.core.story.deduper import StoryDeduper
from streams.worker.app import Plan
from tests.integration.rig import WINDOW, Pipeline

pytestmark = pytest.mark.services

#: Fifty firms and towns that no other one looks like.
FIRMS = [a + b for a, b in itertools.product(("Vel", "Qar", "Zem", "Hes", "Mib"), ("tor", "nix", "bra", "dak", "ulp"))]
TOWNS = [
    a + b for a, b in itertools.product(("Liss", "Tolb", "Orv", "Gorm", "Pell"), ("om", "ury", "ana", "eck", "iwa"))
]
STORIES = [*zip(FIRMS, TOWNS, strict=True), *zip(FIRMS, reversed(TOWNS), strict=True)]
STORIES = [pair for place, pair in enumerate(STORIES) if place != 37]  # the one that stands in the middle of both


def repeats(firm: str, town: str) -> list[str]:
    """One piece of news in four ways."""
    return [
        f"{firm} to close its {town} plant in 2027",
        f"{firm} says it will close its {town} plant in 2027",
        f"{firm.upper()} TO CLOSE {town.upper()} PLANT IN 2027",
        f"BRIEF-{firm} to close {town} plant in 2027",
    ]


def news(firm: str, town: str) -> list[str]:
    """The same, what changes of it, and the withdrawal of it."""
    return [
        *repeats(firm, town),
        f"{firm} to close its {town} plant in 2028",
        f"WITHDRAWN-{firm} to close its {town} plant in 2027",
    ]


def raw(text: str, hour: int, partition: int) -> bytes:
    published = f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"
    return json.dumps({"headline": text, "published": published, "source": f"{partition}.example"}).encode()


class Counted(StoryDeduper):
    """A deduper that knows how often it was asked."""

    def __init__(self) -> None:
        super().__init__(WINDOW)
        self.decided = 0

    def decide(self, candidate: Candidate) -> Entry:
        self.decided += 1
        return super().decide(candidate)


@pytest.fixture
def dedupers() -> list[Counted]:
    """Those that the workers made."""
    return []


@pytest.fixture
def stories(pipeline: Pipeline, dedupers: list[Counted]) -> Pipeline:
    """The pipeline with deduplication by story."""

    def deduper() -> Counted:
        dedupers.append(Counted())
        return dedupers[-1]

    def plan() -> Plan:
        return dataclasses.replace(pipeline.plan(), deduper=deduper)

    return dataclasses.replace(pipeline, plan=plan)


async def both_at_work(pipeline: Pipeline, dedupers: list[Counted]) -> int:
    """Feed the workers until two of them have decided something, and then afresh. Returns how much they were fed."""
    fed = 0
    async with asyncio.timeout(30):
        while sum(deduper.decided > 0 for deduper in dedupers) < 2:
            await pipeline.produce(
                [(n, raw(f"Weather fair on day {fed + n}", 0, n), f"fed-{fed + n}") for n in range(4)]
            )
            fed += 4
            await asyncio.sleep(0.1)
        await pipeline.drained(fed)
    for deduper in dedupers:
        deduper.decided = 0
    return fed


async def decisions(pipeline: Pipeline) -> list[dict[str, Any]]:
    """All that was decided, in the order of ``seq``."""
    records = await pipeline.records(pipeline.topics.unique) + await pipeline.records(pipeline.topics.dropped)
    return sorted(records, key=lambda record: record["seq"])


def replayed(records: list[dict[str, Any]]) -> Iterator[Entry]:
    """The decisions of the pure core on the recorded headlines, in the order of ``seq``."""
    deduper = StoryDeduper(WINDOW)
    for record in records:
        received = datetime.fromisoformat(record["received"])
        value = json.dumps(record["headline"]).encode()
        entry = deduper.decide(read_raw(value, id=record["id"], position=record["position"], received=received))
        deduper.remember(entry)
        deduper.settle()
        yield entry


def told(record: dict[str, Any]) -> tuple[str, str, str, str]:
    """Verdict, what it relates to, story and reason, as a record has them."""
    verdict = "duplicate" if "duplicate_of" in record else record.get("kind", "first")
    related_to = record.get("duplicate_of") or record.get("update_of") or ""
    return verdict, related_to, record["story_id"], record.get("reason") or ""


async def test_two_workers_decide_on_stories_as_the_core_that_replays_them(
    stories: Pipeline, dedupers: list[Counted]
) -> None:
    values = [
        (number % 4, raw(text, number, number % 4), f"{firm}-{town}-{number}")
        for firm, town in STORIES
        for number, text in enumerate(news(firm, town))
    ]
    async with stories.workers(2):
        fed = await both_at_work(stories, dedupers)
        for start in range(0, len(values), 30):
            await stories.produce(values[start : start + 30])
        await stories.drained(fed + len(values))
    records = await decisions(stories)
    assert len({record["seq"] for record in records}) == len(records) == fed + len(values)
    assert [told(record) for record in records] == [
        (entry.verdict, entry.related_to, entry.story_id, entry.reason) for entry in replayed(records)
    ]
    assert sum(deduper.decided > 0 for deduper in dedupers) >= 2, "both workers had a part in it"
    verdicts = defaultdict(set)
    for record in records:
        verdicts[told(record)[0]].add(record["id"])
    assert len(verdicts["first"]) >= len(STORIES) / 2
    assert len(verdicts["update"]) >= len(STORIES) / 2
    assert len(verdicts["duplicate"]) >= 2 * len(STORIES)


async def test_near_duplicates_at_the_same_instant_on_two_workers_give_one_unique_headline(
    stories: Pipeline, dedupers: list[Counted]
) -> None:
    some = list(zip(FIRMS, TOWNS, strict=True))
    values = [
        (partition, raw(text, 0, partition), f"{firm}-{partition}")
        for firm, town in some
        for partition, text in enumerate(repeats(firm, town))
    ]
    async with stories.workers(2):
        fed = await both_at_work(stories, dedupers)
        await stories.produce(values)
        await stories.drained(fed + len(values))
    unique = [record for record in await stories.records(stories.topics.unique) if "fed-" not in record["id"]]
    assert sorted(record["id"].split("-")[0] for record in unique) == sorted(FIRMS)
    ids = {record["id"] for record in unique}
    dropped = [record for record in await stories.records(stories.topics.dropped) if "fed-" not in record["id"]]
    assert len(dropped) == 3 * len(some)
    assert {record["duplicate_of"] for record in dropped} <= ids
    assert all(record["duplicate_of"].split("-")[0] == record["id"].split("-")[0] for record in dropped)
    assert sum(deduper.decided > 0 for deduper in dedupers) >= 2, "both workers had a part in it"


async def test_a_near_duplicate_is_known_after_redis_was_emptied(stories: Pipeline, redis_url: str) -> None:
    one, other, _, _ = repeats("Veltor", "Lissom")
    async with stories.workers():
        await stories.produce([(0, raw(one, 0, 0), "told")])
        await stories.drained(1)
    async with Redis.from_url(redis_url) as redis:
        keys = [key async for key in redis.scan_iter(f"*{stories.group}*")]
        assert any(b"ledger" in key for key in keys)
        await redis.delete(*keys)
    async with stories.workers():
        late = "Veltor to close its Lissom plant in 2028"
        await stories.produce([(1, raw(other, 1, 1), "again"), (2, raw(late, 2, 2), "new")])
        await stories.drained(3)
    [dropped] = await stories.records(stories.topics.dropped)
    assert (dropped["id"], dropped["duplicate_of"], dropped["story_id"]) == ("again", "told", "told")
    update = next(record for record in await stories.records(stories.topics.unique) if record["id"] == "new")
    assert told(update)[:3] in [("update", related, "told") for related in ("told", "again")]
    records = await decisions(stories)
    assert [told(record) for record in records] == [
        (entry.verdict, entry.related_to, entry.story_id, entry.reason) for entry in replayed(records)
    ]
