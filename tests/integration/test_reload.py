"""A taxonomy and rules that are changed while real workers work."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from redis.asyncio import Redis
from structlog.testing import capture_logs

from alerts.rulefile import load_rules
from streams.core import document
from streams.core.classify import Classifier
from streams.core.match import Matcher
from streams.core.taxonomy import compile_taxonomy
from streams.worker.app import Plan
from streams.worker.reload import Current, Watch, stamp
from streams.worker.roster import Entry, read_roster
from streams.worker.rules import InForce
from tests.integration.rig import TAXONOMY, Pipeline, raw, until

RULES = """\
rules:
  - name: calm
    title: Tankers
    when: tanker
    channels: [desk]
    throttle: {count: 3, per: 2h}
"""


async def until_known(roster: Callable[[], Awaitable[list[Entry]]], rules: list[str]) -> None:
    """Wait until these are the revisions of the workers."""
    while [entry.rules for entry in await roster()] != rules:  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0.1)


async def test_a_changed_taxonomy_is_in_force_without_a_restart_and_a_broken_one_never(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    file = tmp_path / "ships.yaml"
    file.write_text(TAXONOMY)

    def build() -> Classifier:
        return Classifier(compile_taxonomy([document.parse(file.read_text(), file.name)]))

    classifier = Current(build())
    inner = pipeline.plan

    def plan() -> Plan:
        watch = Watch(
            "taxonomy",
            [file],
            build,
            classifier,
            read_at=stamp([file]),
            revision=lambda one: one.taxonomy.revision,
            every=0.05,
        )
        return dataclasses.replace(inner(), classifier=classifier, watches=[watch])

    pipeline = dataclasses.replace(pipeline, plan=plan)
    first = classifier.value
    with capture_logs() as logs:
        async with pipeline.workers():
            await pipeline.produce([(0, raw("A barge waits at the lock"), "before")])
            await pipeline.drained(1)
            file.write_text(TAXONOMY.replace("any: [vessels]", "any: [vesels]"))
            await until(lambda: any(entry["event"] == "refused" for entry in logs))
            assert classifier.value is first
            await pipeline.produce([(0, raw("Another barge waits at the lock"), "broken")])
            await pipeline.produce([(1, raw("A ferry waits at the lock"), "as before")])
            await pipeline.drained(3)
            file.write_text(TAXONOMY.replace("[tanker, ferry]", "[tanker, ferry, barge]"))
            await until(lambda: classifier.value is not first)
            await pipeline.produce([(0, raw("A third barge waits at the lock"), "after")])
            await pipeline.drained(4)
    [refused] = [entry for entry in logs if entry["event"] == "refused"]
    assert refused["place"] == "ships.yaml:9:28"
    assert "`vesels`" in refused["problem"]
    found = {
        r["id"]: [t["topic"] for t in r.get("topics", [])] for r in await pipeline.records(pipeline.topics.classified)
    }
    assert found == {"before": [], "broken": [], "as before": ["ships"], "after": ["ships"]}


async def test_changed_rules_are_in_force_in_every_worker_and_remember_what_was_before(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)

    def build() -> InForce:
        return InForce(Matcher(load_rules([file])))

    plans: list[Plan] = []
    inner = pipeline.plan

    def plan() -> Plan:
        rules = Current(build())
        watch = Watch(
            "rules", [file], build, rules, read_at=stamp([file]), revision=lambda one: one.revision, every=0.05
        )
        plans.append(dataclasses.replace(inner(), rules=rules, watches=[watch]))
        return plans[-1]

    async def tell(first: int, last: int) -> None:
        await pipeline.produce(
            [
                (n % 4, raw(f"Tanker {chr(97 + n) * 3} adrift off port {n}", f"2026-03-01T12:{n:02}:00Z"), f"h-{n}")
                for n in range(first, last)
            ]
        )
        await pipeline.drained(last)

    pipeline = dataclasses.replace(pipeline, plan=plan)
    with capture_logs() as logs:
        async with pipeline.workers(2):
            before = plans[0].rules.value.revision
            await tell(0, 5)
            file.write_text(RULES.replace("when: tanker", "when: tanker AND"))
            await until(lambda: sum(entry["event"] == "refused" for entry in logs) == 2)
            assert [one.rules.value.revision for one in plans] == [before, before]
            file.write_text(RULES.replace("Tankers", "Ships") + "  - {name: ports, when: port, channels: [desk]}\n")
            await until(lambda: all(one.rules.value.revision != before for one in plans))
            async with Redis.from_url(plans[0].redis_url) as redis:
                roster = partial(read_roster, redis, plans[0].redis_prefix)
                after = plans[0].rules.value.revision
                await until_known(lambda: roster(plans[0].clock()), [after, after])
            await tell(5, 9)
            await until(lambda: len(pipeline.receiver.received) == 3 + 4)
    async with Redis.from_url(plans[0].redis_url) as redis:
        assert await read_roster(redis, plans[0].redis_prefix, plans[0].clock()) == []
    assert plans[0].rules.value.revision == plans[1].rules.value.revision
    told = {alert["alert_id"]: alert for alert in await pipeline.records(pipeline.topics.alerts)}
    calm = {alert["headline"]["id"]: alert for alert in told.values() if alert["rule"]["name"] == "calm"}
    assert {alert["rule"]["title"] for name, alert in calm.items() if int(name[2:]) < 5} == {"Tankers"}
    assert {alert["rule"]["title"] for name, alert in calm.items() if int(name[2:]) >= 5} == {"Ships"}
    assert sum("suppressed" not in alert for alert in calm.values()) == 3
    assert {alert["headline"]["id"] for alert in told.values() if alert["rule"]["name"] == "ports"} == {
        f"h-{n}" for n in range(5, 9)
    }
