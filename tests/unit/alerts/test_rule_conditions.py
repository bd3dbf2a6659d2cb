"""The keys of rules that remember, as they are written in YAML."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.rulefile import json_schema, load_rules
from streams.core.conditions import Absence, Burst, Collect, Repeat, Sequence, Spike, Throttle
from streams.core.document import RefusedError
from streams.core.rule import Rule

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "rules.md").read_text("utf-8")
HOUR = timedelta(hours=1)


def load(tmp_path: Path, keys: str, when: str = "oil") -> Rule:
    (tmp_path / "rules.yaml").write_text(f"rules:\n  - name: one\n    when: {when}\n    channels: [desk]\n    {keys}\n")
    (rule,) = load_rules([tmp_path]).rules
    return rule


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("burst: {count: 5, sources: 3, within: 10m, by: story}", Burst(timedelta(minutes=10), 5, 3, "story")),
        ("burst: {sources: 3, within: 1h}", Burst(HOUR, 3, 3)),
        ("spike: {factor: 2.5, within: 1h, reference: 1d}", Spike(2.5, HOUR, 24 * HOUR)),
        ("absence: 2h", Absence(2 * HOUR)),
        ("sequence: {after: gas*, within: 1h, by: topic}", Sequence(HOUR, "topic")),
    ],
)
def test_conditions(tmp_path: Path, keys: str, expected: object) -> None:
    assert load(tmp_path, keys).condition == expected


def test_restraints_and_hours(tmp_path: Path) -> None:
    rule = load(
        tmp_path, "throttle: {count: 3, per: 1h}\n    repeat: 4h\n    active: mon-fri 07:00-19:00 Europe/London"
    )
    assert rule.restraints == (Repeat(4 * HOUR), Throttle(3, HOUR))
    assert [str(hours) for hours in rule.active] == ["mon-fri 07:00-19:00 Europe/London"]
    assert load(tmp_path, "repeat: {after: 1h, by: topic, up_to: 1d}").repeat == Repeat(HOUR, "topic", 24 * HOUR)


def test_a_group(tmp_path: Path) -> None:
    assert load(tmp_path, "group: {by: [story], wait: 0s, interval: 1h}").group == Collect(("story",), 0 * HOUR, HOUR)
    assert load(tmp_path, "group: {by: source}").group == load(tmp_path, "group: {by: [source]}").group
    assert load(tmp_path, "group: {}").group == Collect((), timedelta(seconds=30), timedelta(minutes=5))
    grouped, alone = load(tmp_path, "group: {}"), load(tmp_path, "owner: ''")
    assert grouped.revision != alone.revision
    assert str(grouped.group) == "group: one message after 30s, the next after 5m"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("burst: {within: 10m}", r"rules.yaml:5:.*ask for a `count` or for `sources` of 2 or more"),
        ("burst: {count: 3, within: 10 minutes}", r"rules.yaml:5:31: `within`: .*did you mean 10m"),
        ("group: {by: [stry]}", r"rules.yaml:5:18: .*alerts are not grouped by `stry`: did you mean `story`"),
        ("absence: 30d", r"rules.yaml:5:14: `absence`: .*at most 1w"),
        ("throttle: {cont: 3, per: 1h}", r"rules.yaml:5:16: unknown key `cont`"),
        ("throttle: {per: 1h, by: stry}", r"did you mean `story`"),
        ("spike: {factor: 3, within: 1d, reference: 1h}", r"`reference` is at least as long as `within`"),
        ("repeat: {after: 4h, up_to: 1h}", r"`up_to` is longer than `after`"),
        ("sequence: {after: oil^2, within: 1h}", r"rules.yaml:5:\d+: `\^` weighs terms"),
        ("sequence: {after: '*', within: 1h}", r"rules.yaml:5:\d+: "),
        ("active: mon-fry 07:00-19:00", r"rules.yaml:5:13: `active`: `fry` is no day: did you mean `fri`"),
        ("absence: 1h\n    burst: {count: 3, within: 1h}", r"a rule has one condition, not `burst` and `absence`"),
        ("group: {per: 1h}", r"rules.yaml:5:13: unknown key `per`"),
    ],
)
def test_mistakes_are_told_where_they_stand(tmp_path: Path, keys: str, problem: str) -> None:
    with pytest.raises(RefusedError) as error:
        load(tmp_path, keys)
    assert re.search(problem, "\n".join(map(str, error.value.problems))), error.value.problems


def test_a_rule_that_asks_for_sources_fires_once_a_story(tmp_path: Path) -> None:
    rule = load(tmp_path, "severity: low", "oil AND story.sources:>=3")
    assert rule.once_a_story
    assert rule.counts_repeats


def test_the_examples_of_the_reference_are_rules(tmp_path: Path) -> None:
    section = REFERENCE[REFERENCE.index("## Rules that remember") :]
    (example,) = re.findall(r"```yaml\n(.*?)```", section[: section.index("## Tests")], re.DOTALL)
    (tmp_path / "rules.yaml").write_text(example)
    rules = load_rules([tmp_path]).rules
    assert len(rules) == 4
    assert all(rule.remembers for rule in rules)


def test_the_schema_has_the_keys() -> None:
    properties = json_schema()["$defs"]["RuleModel"]["properties"]
    assert {"burst", "spike", "sequence", "absence", "throttle", "repeat", "active"} <= properties.keys()
    assert properties["absence"]["anyOf"][0]["type"] == "string"
