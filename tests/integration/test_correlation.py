"""Rules that remember, on whole workers with real Kafka and Redis: what fires, once, whoever works and whatever fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from streams.core.conditions import Absence, Burst, Throttle
from streams.core.correlate import Correlator, event_of
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Classified, Headline
from streams.core.rule import Rule, RuleSet
from streams.worker.app import Plan
from streams.worker.correlation import CorrelationLog
from streams.worker.reload import Current
from streams.worker.rules import InForce
from tests.integration.rig import Pipeline, raw, until

pytestmark = pytest.mark.services

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rule(name: str, when: str = "tanker", **settings: Any) -> Rule:
    return Rule(name, name, compile_query(when), "high", ("desk",), **settings)


def following(pipeline: Pipeline, *rules: Rule) -> Pipeline:
    """The pipeline with other rules."""
    plan: Callable[[], Plan] = pipeline.plan
    return dataclasses.replace(
        pipeline, plan=lambda: dataclasses.replace(plan(), rules=Current(InForce(Matcher(RuleSet(rules)))))
    )


def tankers(first: int, last: int, start: int = 0) -> list[tuple[int, bytes, str | None]]:
    """So many headlines that tell different things, a minute apart, over four partitions."""
    return [
        (
            n % 4,
            raw(f"Tanker number {n} {chr(97 + n)}{chr(98 + n)} adrift", f"2026-03-01T12:{start + n:02}:00Z"),
            f"h-{n}",
        )
        for n in range(first, last)
    ]


async def alerts(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """The alerts by id: one may be there twice."""
    return {alert["alert_id"]: alert for alert in await pipeline.records(pipeline.topics.alerts)}


async def test_a_throttle_holds_over_workers_and_partitions_and_what_it_holds_back_is_told(pipeline: Pipeline) -> None:
    desk = following(pipeline, rule("calm", throttle=Throttle(3, timedelta(hours=2))))
    async with desk.workers(2):
        await desk.produce(tankers(0, 12))
        await desk.drained(12)
        await until(lambda: len(desk.receiver.received) == 3)
    told = await alerts(desk)
    assert len(told) == 12
    assert sum("suppressed" not in alert for alert in told.values()) == 3
    ends = [end for end in await desk.records(desk.topics.deliveries) if end["outcome"] == "suppressed"]
    assert len({end["alert_id"] for end in ends}) == 9
    assert all(end["reason"].startswith("throttled: 3 in 2h") for end in ends)


async def test_a_burst_fires_once_and_counts_what_was_dropped(pipeline: Pipeline) -> None:
    desk = following(pipeline, rule("burst", condition=Burst(timedelta(hours=1), 4, by="story")))
    again = [(n % 4, raw("Tanker Alma held at port", f"2026-03-01T12:{n:02}:00Z"), f"a-{n}") for n in range(6)]
    async with desk.workers(2):
        await desk.produce(again)
        await desk.drained(6)
        await until(lambda: len(desk.receiver.received) >= 1)
    (alert,) = (await alerts(desk)).values()
    assert alert["rule"]["because"] == "4 headlines of 1 source in 1h"


async def test_what_did_not_come_is_told_once(pipeline: Pipeline) -> None:
    quiet = rule("quiet", condition=Absence(timedelta(hours=1)))
    desk = following(pipeline, quiet)
    async with desk.workers(2):
        await desk.produce(tankers(0, 1))
        await until(lambda: len(desk.receiver.received) >= 1)  # by the clock, that headline is old
    told = await desk.records(desk.topics.correlated)
    places = {place["number"]: place.get("position") or place["at"] for one in told for place in one["places"]}
    assert [places[number] for number in sorted(places)] == [f"{desk.topics.raw}:0:0", "2026-03-01T13:00:00Z"]
    assert all(one["absences"] == [quiet.revision] for one in told)
    (alert,) = (await alerts(desk)).values()
    assert alert["rule"]["because"] == "nothing in 1h since 2026-03-01 12:00:00 UTC"
    async with desk.workers():  # a worker that starts says so again, and the outbox knows it
        await desk.produce([(0, raw("Ferry Berta held in the bay"), "b")])
        await desk.drained(2)
    assert len(desk.receiver.received) == 1


class Log:
    """The logs of some workers."""

    def __init__(self, redis: Redis, prefix: str, workers: int, rules: Sequence[Rule]) -> None:
        self.ruleset = RuleSet(rules)
        self.matcher = Matcher(self.ruleset)
        self.numbers: dict[str | None, str] = {}
        self.names: list[str] = []
        self.logs = [CorrelationLog(redis, prefix, self.ruleset, token=str(n)) for n in range(workers)]

    async def decide(self, worker: int, *numbers: int) -> list[str | None]:
        """For each headline why it is held back, as one worker says."""
        events = [event_of(one, self.matcher.match(one)) for one in map(self.headline, numbers)]
        considered = await self.logs[worker].decide([event for event in events if event])
        self.numbers |= {place.position: place.number for place in considered.places}
        self.names.append(considered.log)
        every = [firing for firings in considered.firings for firing in firings]
        return [firing.suppressed and firing.suppressed.split(":")[0] for firing in every]

    def headline(self, number: int) -> Classified:
        at = NOON + timedelta(minutes=number)
        position = f"headlines.raw:0:{number}"
        return Classified(
            id=position, seq=number, position=position, received=at, story_id=position,
            headline=Headline(headline="Tanker", published=at, body=f"The whole story {number}"),
        )  # fmt: skip


@pytest.fixture
async def redis(redis_url: str) -> Any:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_an_event_that_is_delivered_again_has_what_it_had(redis: Redis, pipeline: Pipeline) -> None:
    log = Log(redis, pipeline.group, 2, [rule("calm", throttle=Throttle(2, timedelta(hours=2)))])
    assert await log.decide(0, 0, 1, 2) == [None, None, "throttled"]
    assert await log.decide(0, 1) == [None]
    assert await log.decide(1, 1, 2, 3) == [None, "throttled", "throttled"]  # another worker, which joins
    late = Log(redis, pipeline.group, 1, [rule("calm", throttle=Throttle(2, timedelta(hours=2)))])
    assert await late.decide(0, 0, 1, 2, 3, 4) == [None, None, "throttled", "throttled", "throttled"]


async def test_workers_fold_one_log_whoever_appends(redis: Redis, pipeline: Pipeline) -> None:
    rules = [rule("calm", throttle=Throttle(2, timedelta(minutes=10)))]
    log = Log(redis, pipeline.group, 3, rules)
    told = [(await log.decide(number % 3, number))[0] for number in range(30)]
    alone, expected = Correlator(log.ruleset), []
    for number in range(30):
        event = event_of(log.headline(number), log.matcher.match(log.headline(number)))
        assert event is not None
        expected += [firing.suppressed and firing.suppressed.split(":")[0] for firing in alone.consider(event)]
    assert told == expected


async def test_an_event_keeps_its_number_and_a_log_that_takes_the_place_of_another_has_another_name(
    redis: Redis, pipeline: Pipeline
) -> None:
    log = Log(redis, pipeline.group, 2, [rule("calm", throttle=Throttle(1, timedelta(hours=2)))])
    await log.decide(0, 0, 1)
    await log.decide(1, 2, 3)
    numbers = dict(log.numbers)
    stored: Any = await redis.xrange(f"{{{pipeline.group}:correlation}}:log")
    assert list(numbers.values()) == [number.decode() for number, _ in stored]
    await log.decide(1, 0, 1)
    await log.decide(0, 3)
    assert log.numbers == numbers
    await redis.delete(*[key async for key in redis.scan_iter(f"{{{pipeline.group}:correlation}}*")])
    assert await log.decide(0, 4, 5) == [None, "throttled"]  # also where the same worker made the one before
    assert len(set(log.names[:4])) == 1
    assert log.names[4] != log.names[0]


async def test_an_alert_has_the_body_that_the_log_has_not(redis: Redis, pipeline: Pipeline) -> None:
    log = Log(redis, pipeline.group, 1, [rule("calm", throttle=Throttle(2, timedelta(hours=2)))])
    headline = log.headline(7)
    event = event_of(headline, log.matcher.match(headline))
    assert event is not None
    ((firing,),) = (await log.logs[0].decide([event])).firings
    assert firing.headline == headline
    stored = await redis.xrange(f"{{{pipeline.group}:correlation}}:log")
    assert b"Tanker" in repr(stored).encode()
    assert b"whole story" not in repr(stored).encode()


async def test_where_redis_lost_its_data_rules_begin_anew(redis: Redis, pipeline: Pipeline) -> None:
    log = Log(redis, pipeline.group, 2, [rule("calm", throttle=Throttle(1, timedelta(hours=2)))])
    assert await log.decide(0, 0, 1) == [None, "throttled"]
    assert await log.decide(1, 2) == ["throttled"]
    keys = [key async for key in redis.scan_iter(f"{{{pipeline.group}:correlation}}*")]
    await redis.delete(*keys)
    assert await log.decide(1, 3, 4) == [None, "throttled"]
    assert await log.decide(0, 5) == ["throttled"]
