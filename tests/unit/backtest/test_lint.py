from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.backtest.lint import History, Replay, lint, read_history
from streams.backtest.shadows import shadowed
from streams.cli.plan import load_taxonomy
from streams.core.classify import Classifier
from streams.core.dedupe import ExactDeduper
from streams.core.query import Query, QueryError, compile_query
from streams.core.query.implies import implies
from streams.core.rule import Rule, RuleSet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rule(name: str, when: str, *channels: str, **fields: Any) -> Rule:
    return Rule(name, name, compile_query(when), "high", channels or ("desk",), **fields)


def codes(*rules: Rule, history: History | None = None) -> list[tuple[str, str]]:
    return [(finding.rule, finding.code) for finding in lint(RuleSet(rules), history)]


def past(rules: RuleSet, headlines: list[tuple[str, timedelta]]) -> History:
    lines = [
        json.dumps({"headline": text, "published": (NOON + at).isoformat(), "source": "afp"}).encode()
        for text, at in headlines
    ]
    candidates = read_history([*lines, b"", b"nonsense"], lambda _: NOON + timedelta(days=99))
    replay = Replay(rules, Classifier(load_taxonomy([])), ExactDeduper(timedelta(hours=72)))
    done = list(replay.run(candidates))
    assert done == list(range(1, len(headlines) + 1))
    return replay.history()


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("iran AND oil", []),
        ("money:>1bn", ["unindexed"]),
        ("iran OR url:*/sport/*", ["unindexed"]),
        ("the OR of", ["common"]),
        ("ira* AND oil", ["wildcard"]),
        ("iran*", []),
        ("iran AND kind:first AND kind:update", ["never"]),
        ('oil OR "oil tanker"', ["idle"]),
        ('ira* OR iran OR (hormuz AND FIRST/1("a b"))', ["idle", "never", "wildcard"]),
    ],
)
def test_what_is_wrong_with_a_rule_by_itself(when: str, found: list[str]) -> None:
    assert sorted(code for _, code in codes(rule("a", when))) == found


def test_a_rule_that_is_over_is_noted_from_the_day_after_its_expiry_on() -> None:
    rules = RuleSet([rule("a", "iran", expiry=date(2026, 3, 1)), rule("b", "oil")])
    [finding] = lint(rules, today=date(2026, 3, 2))
    assert (finding.rule, finding.code, finding.level) == ("a", "expired", "note")
    assert finding.message == "is over: it fires on no headline after 2026-03-01"
    assert not lint(rules, today=date(2026, 3, 1))


def test_rules_that_another_covers() -> None:
    assert codes(rule("a", "iran AND oil"), rule("b", "iran")) == [("a", "shadowed")]
    assert codes(rule("a", "iran"), rule("b", "iran")) == [("b", "shadowed")]
    assert codes(rule("a", "iran AND oil", "pager"), rule("b", "iran")) == []
    assert codes(rule("a", "iran AND oil"), rule("b", "iran", "desk", "pager")) == [("a", "shadowed")]
    assert codes(rule("a", "iran AND oil"), rule("b", "iran", story="updates")) == []
    assert codes(rule("a", "iran AND oil", story="first"), rule("b", "iran")) == [("a", "shadowed")]
    assert codes(rule("a", "iran AND oil"), rule("b", "iran", expiry=date(2026, 1, 1))) == []
    assert codes(rule("a", "iran AND oil"), rule("b", "iran", stage="staged")) == []


def test_rules_are_priced_by_history() -> None:
    rules = RuleSet([rule("oil", "oil", "desk", "pager"), rule("gas", "gas"), rule("up", "(oil OR coal) AND up")])
    headlines = [(f"Oil up {number}", timedelta(hours=number)) for number in range(48)]
    history = past(rules, [*headlines, ("Oil up 47", timedelta(hours=48)), ("Cup final", timedelta(hours=47))])
    assert (history.headlines, history.duplicates, history.unreadable, history.days) == (50, 1, 1, 2.0)
    price = history.prices["oil"]
    assert (price.alerts, price.a_day, price.most_in_a_day) == (48, 24.0, 24)
    assert price.examples == ("Oil up 0", "Oil up 1", "Oil up 2")
    assert history.per_channel == {"desk": 48.0, "pager": 24.0}
    assert codes(*rules.rules, history=history) == [
        ("gas", "silent"),
        ("oil", "broad"),
        ("up", "broad"),
        ("up", "shadowed"),
    ]


def test_history_goes_by_the_time_of_publication_and_not_by_the_order_of_a_file() -> None:
    rules = RuleSet([rule("oil", "oil", expiry=date(2026, 3, 1))])
    # Backwards: the repeat of the next day, which the rule no longer is about, stands first.
    history = past(rules, [("Oil up", timedelta(hours=24)), ("Oil up", timedelta(0))])
    assert (history.headlines, history.duplicates, history.prices["oil"].alerts) == (2, 1, 1)


def test_what_was_sent_counts_wherever_it_was_left() -> None:
    rules = RuleSet([rule("oil", "oil")])
    lines = [json.dumps({"headline": f"Oil at {n}", "published": NOON.isoformat()}).encode() for n in range(9)]
    replay = Replay(rules, Classifier(load_taxonomy([])), ExactDeduper(timedelta(hours=72)))
    for done in replay.run(read_history(lines, lambda _: NOON)):
        if done == 4:
            break
    assert (replay.history().headlines, replay.history().prices["oil"].alerts) == (4, 4)


def test_more_alerts_than_anybody_reads() -> None:
    rules = RuleSet([rule("oil", "oil")])
    history = past(rules, [(f"Oil at {number}", timedelta(minutes=number)) for number in range(200)])
    (finding,) = lint(rules, history)
    assert finding.message == "would alert 200 times a day"


def test_a_rule_that_is_more_severe_is_not_covered() -> None:
    severe = replace(rule("a", "oil AND iran"), severity="critical")
    assert codes(severe, replace(rule("b", "oil"), severity="low")) == []
    assert codes(severe, replace(rule("b", "oil"), severity="critical")) == [("a", "shadowed")]
    assert codes(replace(severe, severity="low"), rule("b", "oil")) == [("a", "shadowed")]
    assert codes(replace(rule("a", "oil"), severity="low"), rule("b", "oil")) == [("a", "shadowed")]


def test_what_always_fires_with_another_rule_may_be_more_severe() -> None:
    louder = [replace(rule("a", "oil"), severity="critical"), rule("b", "up", "desk", "pager")]
    history = past(RuleSet(louder), [(f"Oil up {number}", timedelta(days=number)) for number in range(10)])
    assert ("a", "shadowed") not in codes(*louder, history=history)
    alike = [rule("a", "oil"), louder[1]]
    assert ("a", "shadowed") in codes(*alike, history=history)


def test_rules_that_another_covers_are_found_among_any_number() -> None:
    rules = [rule(f"r{number:04}", f"sanction{number} AND oil") for number in range(1_000)]
    assert codes(*rules, rule("wide", "sanction7")) == [("r0007", "shadowed")]
    assert codes(*rules, rule("wide", "oil")) == [(one.name, "shadowed") for one in rules]
    assert codes(*rules, rule("wide", "sanc*")) == [(one.name, "shadowed") for one in rules]


PARTS = st.sampled_from((
    "oil", "gas", "tanker", "tank*", "tanke*", "*ker", "t?nker", '"oil tanker"', '"oil gas"~2', "oil NEAR/1 gas",
    "(oil OR tanker) NEAR/2 gas", "FIRST/2(oil)", "FIRST/3(oil OR gas)", 'CASED("Oil tanker")', "ATLEAST/2(oil gas tanker)",
    "ATLEAST/2(oil gas tanker coal)", "tanker~1", "/tanke[rd]/", "topic:iran", "topic:ira*", "source:afp", "source:af*",
    "url:*/oil/*", "kind:first", "words:>3", "author:oil", 'author:"oil gas"~2',
))  # fmt: skip
WHENS = st.recursive(
    PARTS,
    lambda part: st.tuples(part, st.sampled_from(("AND", "OR", "AND NOT", "OR NOT")), part).map(
        lambda made: f"({made[0]}) {made[1]} ({made[2]})"
    ),
    max_leaves=4,
)


def compiled(when: str) -> Query | None:
    try:
        return compile_query(when)
    except QueryError:
        return None


@given(st.lists(WHENS.map(compiled).filter(bool), min_size=2, max_size=12))
def test_no_rule_that_another_covers_is_overlooked(queries: list[Query]) -> None:
    rules = RuleSet(replace(rule(f"r{number:02}", "oil"), query=query) for number, query in enumerate(queries))
    covered = {
        one.name
        for one, other in permutations(rules.rules, 2)
        if implies(one.query.root, other.query.root)
        and (one.name > other.name or not implies(other.query.root, one.query.root))
    }
    assert [one.name for one, _ in shadowed(rules)] == sorted(covered)
