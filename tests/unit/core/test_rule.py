from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest

from streams.core.conditions import Absence, Burst, Repeat, Sequence, Spike, Throttle
from streams.core.hours import parse_hours
from streams.core.query import compile_query
from streams.core.rule import Rule, RuleSet


def rule(name: str = "iran-oil", when: str = "iran AND oil", **changes: object) -> Rule:
    made = Rule(name, "Iran and oil", compile_query(when), "high", ("desk", "archive"), {"region": "gulf"}, "energy")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        rule(name="iran"),
        rule(title="Oil"),
        rule(when="iran OR oil"),
        rule(severity="low"),
        rule(channels=("desk",)),
        rule(labels={"region": "north"}),
        rule(labels={}),
        rule(owner=""),
        rule(story="first"),
        rule(expiry=date(2026, 12, 31)),
        rule(stage="staged"),
    ],
)
def test_revision_changes_with_what_the_rule_says(changed: Rule) -> None:
    assert changed.revision != rule().revision


@pytest.mark.parametrize(
    "same",
    [
        rule(when=" iran   &&\n oil "),
        rule(when="iran oil"),
        rule(channels=("archive", "desk")),
    ],
)
def test_revision_stays_where_only_the_writing_changes(same: Rule) -> None:
    assert same.revision == rule().revision


def test_revision_is_the_same_in_every_process() -> None:
    assert rule().revision == "3d0980a61eaf"


def test_a_rule_set_is_in_the_order_of_names() -> None:
    rules = RuleSet([rule("b"), rule("c"), rule("a")])
    assert [one.name for one in rules.rules] == ["a", "b", "c"]
    assert rules.revision == RuleSet([rule("c"), rule("a"), rule("b")]).revision


def test_the_revision_of_a_rule_set_changes_with_its_rules() -> None:
    revisions = {
        RuleSet(rules).revision
        for rules in ([], [rule("a")], [rule("a"), rule("b")], [rule("a"), rule("b", severity="low")])
    }
    assert len(revisions) == 4


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="two rules are named 'a'"):
        RuleSet([rule("a"), rule("b"), rule("a", "gas")])


def test_rules_that_cannot_be_indexed_are_known() -> None:
    rules = RuleSet([rule("b", "words:>3"), rule("a", "url:*.gov* OR oil"), rule("c", "oil"), rule("d", "/x/ AND oil")])
    assert [one.name for one in rules.unindexed] == ["a", "b"]


def test_what_a_rule_asks_beyond_its_query_is_told_in_words() -> None:
    hour = timedelta(hours=1)
    london = parse_hours("mon-fri 08:00-18:00 Europe/London")
    sequence = Rule(
        *("s", "S", compile_query("strike story.sources:>=3"), "high", ()),
        condition=Sequence(12 * hour),
        prelude=compile_query("talks"),
        repeat=Repeat(hour, up_to=6 * hour),
        throttle=Throttle(2, hour, by="topic"),
        active=(london,),
        expiry=date(2026, 3, 1),
    )
    assert sequence.beyond_the_query == [
        "sequence: within 12h after what must come before",
        "repeat: a pause of 1h after an alert, twice as long each time, up to 6h, each story apart",
        "throttle: at most 2 alerts in 1h, each topic apart",
        "what must come before: talks",
        "once a story, for it asks how many sources have told it",
        "active: mon-fri 08:00-18:00 Europe/London",
        "expiry: until 2026-03-01",
    ]
    conditions = [Burst(hour, 3, 2, by="story"), Spike(3, hour, 24 * hour), Absence(hour)]
    assert [str(condition) for condition in conditions] == [
        "burst: 3 headlines of 2 sources in 1h, each story apart",
        "spike: 3 times as many headlines in 1h as usual in 1d, 5 at least",
        "absence: when no such headline has come for 1h",
    ]
