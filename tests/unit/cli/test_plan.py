from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.cli import watches, workplan
from streams.cli.plan import Rulebook, load_rulebook, load_taxonomy
from streams.cli.services import Addresses
from streams.cli.watches import Both, Read, stamp_of, watch_files
from streams.core.classify import Classifier
from streams.core.document import RefusedError
from streams.settings import Loaded, load
from streams.worker.reload import Current, Watch
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


RULES = """\
rules:
  - {{name: flood, when: 'topic:{topic}', channels: [desk]}}
  - {{name: drought, when: 'topic:{topic}', channels: [desk]}}
"""


def desk_of(folder: Path) -> tuple[Loaded, Current[InForce], Current[Classifier], Watch[Read]]:
    """A desk with a topic, two rules that ask for it, and a watch on its files."""
    for name in ("taxonomy", "rules"):
        (folder / name).mkdir()
    (folder / "taxonomy" / "rivers.yaml").write_text(TOPIC.format(name="rivers"))
    (folder / "rules" / "a.yaml").write_text(RULES.format(topic="rivers"))
    (folder / "channels.yaml").write_text(CHANNELS)
    (folder / "wirewatch.yaml").write_text("taxonomy: [taxonomy]\n")
    loaded = load(folder / "wirewatch.yaml", {})
    book = load_rulebook(loaded)
    rules, classifier = Current(book.in_force()), Current(Classifier(book.taxonomy))
    return loaded, rules, classifier, watch_files(loaded, Both(rules, classifier), {"desk"}, stamp_of(loaded))


async def test_a_topic_that_is_gone_is_told_at_the_rules_that_ask_for_it(tmp_path: Path) -> None:
    _, rules, classifier, watch = desk_of(tmp_path)
    before = rules.value, classifier.value
    taxonomy = tmp_path / "taxonomy" / "rivers.yaml"
    told = await _looked(watch, taxonomy.write_text(TOPIC.format(name="lakes")))
    file = tmp_path / "rules" / "a.yaml"
    assert [entry["place"].rsplit(":", 1)[0] for entry in told if entry["event"] == "refused"] == [
        f"{file}:2",
        f"{file}:3",
    ]
    assert (rules.value, classifier.value) == before


async def test_a_topic_may_get_another_name_with_the_rules_that_ask_for_it(tmp_path: Path) -> None:
    _, rules, classifier, watch = desk_of(tmp_path)
    (tmp_path / "taxonomy" / "rivers.yaml").write_text(TOPIC.format(name="waters"))
    [taken] = await _looked(watch, (tmp_path / "rules" / "a.yaml").write_text(RULES.format(topic="waters")))
    assert taken["event"] == "what changed is in force"
    assert [match.topic for match in classifier.value.classify("The Rhine rises")] == ["waters"]
    assert {str(rule.query) for rule in rules.value.matcher.ruleset.rules} == {"topic:waters"}


async def test_rules_stay_where_only_the_taxonomy_changes_and_so_does_that_where_only_rules_do(tmp_path: Path) -> None:
    _, rules, classifier, watch = desk_of(tmp_path)
    first, read = rules.value, classifier.value
    taxonomy = tmp_path / "taxonomy" / "rivers.yaml"
    await _looked(watch, taxonomy.write_text(TOPIC.format(name="rivers").replace("0.9", "0.95")))
    assert rules.value is first
    assert classifier.value is not read
    read = classifier.value
    file = tmp_path / "rules" / "a.yaml"
    await _looked(watch, file.write_text(RULES.format(topic="rivers").replace("drought", "low-water")))
    assert rules.value is not first
    assert classifier.value is read


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
    assert order == ["stamp", "read"]


CHANNELS = """\
channels:
  desk: {type: stdout}
  pager: {type: webhook, url: "env:PAGER_URL"}
"""


async def _looked(watch: Watch[Read], _written: int) -> list[dict[str, str]]:
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
    book = load_rulebook(loaded)
    rules = Current(book.in_force())
    watch = watch_files(loaded, Both(rules, Current(Classifier(book.taxonomy))), {"desk"}, stamp_of(loaded))
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
    assert taken["revision"].split(",")[0] == rules.value.revision != first.revision

    await _looked(watch, (tmp_path / "routes.yaml").write_text("route: {mute: [daily]}\n"))
    assert rules.value.routing.root.mute

    await _looked(watch, (tmp_path / "subscriptions.yaml").write_text("subscriptions: {desk: [{query: gas}]}\n"))
    assert [str(rule.query) for rule in rules.value.matcher.ruleset.rules if ":" in rule.name] == ["gas"]
