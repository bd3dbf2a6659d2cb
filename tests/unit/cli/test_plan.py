from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alerts.rulefile import load_rules
from streams.cli import plan
from streams.cli.plan import Rulebook, load_taxonomy, watch_taxonomy
from streams.cli.services import Addresses
from streams.core.classify import Classifier
from streams.core.document import RefusedError
from streams.settings import Loaded, load
from streams.worker.reload import Current, stamp

TOPIC = """\
topic: {name}
title: Rivers
entities: {{rivers: [Rhine]}}
conditions: [{{name: a river, weight: 0.9, any: [rivers]}}]
"""


def test_a_taxonomy_is_read_from_what_kubernetes_mounts_and_beside_an_editors_lock(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_25").mkdir()
    (tmp_path / "..2026_11_25" / "rivers.yaml").write_text(TOPIC.format(name="rivers"))
    (tmp_path / "..data").symlink_to("..2026_11_25")
    (tmp_path / "rivers.yaml").symlink_to("..data/rivers.yaml")
    (tmp_path / ".#rivers.yaml").symlink_to("me@host.1")
    (tmp_path / "lakes.yml").write_text(TOPIC.format(name="lakes"))
    assert [topic.name for topic in load_taxonomy([tmp_path]).topics] == ["lakes", "rivers"]


async def test_a_topic_that_is_gone_is_told_with_the_rules_that_ask_for_it(tmp_path: Path) -> None:
    (tmp_path / "taxonomy").mkdir()
    (tmp_path / "rules").mkdir()
    for name in ("rivers", "lakes"):
        (tmp_path / "taxonomy" / f"{name}.yaml").write_text(TOPIC.format(name=name))
    rule = "  - {{name: {}, when: 'topic:rivers', channels: [desk]}}\n"
    (tmp_path / "rules" / "a.yaml").write_text("rules:\n" + "".join(map(rule.format, ("flood", "drought"))))
    (tmp_path / "wirewatch.yaml").write_text("taxonomy: [taxonomy]\n")
    loaded = load(tmp_path / "wirewatch.yaml", {})
    rules = load_rules([tmp_path / "rules"])
    folder = tmp_path / "taxonomy"
    classifier = Current(Classifier(load_taxonomy([folder])))
    watch = watch_taxonomy(loaded, classifier, rules, stamp([folder]))
    (folder / "rivers.yaml").unlink()
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look()
    [refused] = [entry for entry in logs if entry["event"] == "refused"]
    file = tmp_path / "rules" / "a.yaml"
    assert refused["problem"] == (
        f"the topic `rivers` is gone, which 2 rules ask for: `drought` ({file}:3), `flood` ({file}:2)"
    )


def test_a_plan_stamps_the_taxonomy_before_it_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def reading(_: Loaded) -> Rulebook:
        order.append("read")
        raise RefusedError([])

    monkeypatch.setattr(plan, "stamp", lambda _: order.append("stamp"))
    monkeypatch.setattr(plan, "load_rulebook", reading)
    where = Addresses({}, "", {}, "", tmp_path, None)
    with pytest.raises(RefusedError):
        plan.make_plan(load(None, {}), where, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert order == ["stamp", "read"]
