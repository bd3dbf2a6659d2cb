from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alerts.rulefile import load_rules
from streams.cli import watches, workplan
from streams.cli.plan import Rulebook, load_rulebook, load_taxonomy
from streams.cli.services import Addresses
from streams.cli.watches import Stamps, watch_rules, watch_taxonomy
from streams.core.classify import Classifier
from streams.core.document import RefusedError
from streams.core.match import Matcher
from streams.settings import Loaded, load
from streams.worker.reload import Current, Watch, stamp
from streams.worker.rules import InForce

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
    watch = watch_taxonomy(loaded, classifier, Current(InForce(Matcher(rules))), stamp([folder]))
    (folder / "rivers.yaml").unlink()
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look()
    [refused] = [entry for entry in logs if entry["event"] == "refused"]
    file = tmp_path / "rules" / "a.yaml"
    assert refused["problem"] == (
        f"the topic `rivers` is gone, which 2 rules ask for: `drought` ({file}:3), `flood` ({file}:2)"
    )


def test_a_plan_stamps_the_files_before_it_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def reading(_: Loaded) -> Rulebook:
        order.append("read")
        raise RefusedError([])

    monkeypatch.setattr(watches, "stamp", lambda _: order.append("stamp"))
    monkeypatch.setattr(workplan, "load_rulebook", reading)
    where = Addresses({}, "", {}, "", tmp_path, None)
    with pytest.raises(RefusedError):
        workplan.make_plan(load(None, {}), where, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert order == ["stamp", "stamp", "read"]


CHANNELS = """\
channels:
  desk: {type: stdout}
  pager: {type: webhook, url: "env:PAGER_URL"}
"""


async def _looked(watch: Watch[InForce], _written: int) -> list[dict[str, str]]:
    """What the log says when the watch has looked twice after a file was written."""
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look()
    return [dict(entry) for entry in logs]


async def test_changed_rules_and_subscriptions_are_taken_up_and_wrong_ones_refused(tmp_path: Path) -> None:
    rules_file, channels_file = tmp_path / "rules.yaml", tmp_path / "channels.yaml"
    rules_file.write_text("rules:\n  - {name: oil, when: oil, channels: [desk]}\n")
    channels_file.write_text(CHANNELS)
    (tmp_path / "wirewatch.yaml").write_text("rules: [rules.yaml]\nroutes: routes.yaml\n")
    (tmp_path / "routes.yaml").write_text("route: {}\n")
    loaded = load(tmp_path / "wirewatch.yaml", {})
    rules = Current(load_rulebook(loaded).in_force())
    watch = watch_rules(loaded, rules, {"desk"}, Stamps.of(loaded).rules)
    first = rules.value

    [refused, kept] = await _looked(
        watch, rules_file.write_text("rules:\n  - {name: oil, when: oil, channels: [desk, pager]}\n")
    )
    assert refused["problem"] == (
        f"the channel `pager` is not open in this worker, which a rule names: `oil` ({rules_file}:2)"
    )
    assert kept["event"] == "what changed is refused, what was before stays in force"
    assert rules.value is first

    [taken] = await _looked(watch, rules_file.write_text("rules:\n  - {name: oil, when: crude, channels: [desk]}\n"))
    assert taken["revision"] == rules.value.revision != first.revision

    await _looked(watch, (tmp_path / "routes.yaml").write_text("route: {mute: [daily]}\n"))
    assert rules.value.routing.root.mute

    await _looked(watch, (tmp_path / "subscriptions.yaml").write_text("subscriptions: {desk: [{query: gas}]}\n"))
    assert [str(rule.query) for rule in rules.value.matcher.ruleset.rules if ":" in rule.name] == ["gas"]
