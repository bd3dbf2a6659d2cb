"""A taxonomy that is changed while a real worker works."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from structlog.testing import capture_logs

from streams.core import document
from streams.core.classify import Classifier
from streams.core.taxonomy import compile_taxonomy
from streams.worker.app import Plan
from streams.worker.reload import Current, Watch, stamp
from tests.integration.rig import TAXONOMY, Pipeline, raw, until


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
