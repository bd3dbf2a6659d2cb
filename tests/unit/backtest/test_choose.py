from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from streams.backtest.choose import Chooser
from streams.backtest.score import fold
from streams.core.conditions import Sequence
from streams.core.query import compile_query
from streams.core.records import Classified, Headline
from streams.core.rule import Rule

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(text: str, number: int = 0, sources: int = 1) -> Classified:
    headline = Headline(headline=text, published=START + timedelta(minutes=number), source="a.example")
    name = f"h{number}"
    return Classified(
        id=name, seq=0, position=name, received=START, headline=headline, story_id=name, story_sources=sources
    )


def rule(name: str, when: str) -> Rule:
    return Rule(name, name, compile_query(when), "high", ("desk",))


def picked(
    rules: list[Rule], texts: Iterable[str], known: set[tuple[str, str]] | None = None, most: int = 10
) -> list[tuple[str, str, str]]:
    chooser = Chooser(rules, known or set(), most)
    for number, text in enumerate(texts):
        chooser.take(record(text, number))
    return [(pick.rule.name, pick.record.headline.headline, pick.lacks) for pick in chooser.picks()]


OIL = rule("oil", "iran AND oil AND NOT olive")


def test_a_near_miss_lacks_one_clause_and_is_shown_with_it_before_a_firing() -> None:
    texts = ["Iran talks", "Iran oil up", "Iran olive oil up", "Lock opens", "Oil up"]
    assert picked([OIL], texts) == [
        ("oil", "Iran olive oil up", "NOT olive"),
        ("oil", "Iran oil up", ""),
        ("oil", "Iran talks", "oil"),
        ("oil", "Oil up", "iran"),
    ]


def test_a_firing_with_which_no_other_rule_agrees_comes_first() -> None:
    wide, other = rule("wide", "port OR lock"), rule("other", "strike")
    texts = ["Port strike", "Port and lock open", "Lock opens"]
    assert [text for name, text, _ in picked([wide, other], texts) if name == "wide"] == [
        "Lock opens",
        "Port and lock open",
        "Port strike",
    ]


def test_what_is_labelled_already_is_not_asked_and_nothing_twice() -> None:
    texts = ["Iran oil up", "IRAN OIL UP", "Iran oil down"]
    assert picked([OIL], texts, {(fold("Iran oil DOWN"), "oil")}) == [("oil", "Iran oil up", "")]


def test_rules_take_turns_and_no_more_is_asked_than_is_wanted() -> None:
    many = [f"Iran oil up {number}" for number in range(60)]
    found = picked([OIL, rule("port", "port")], [*many, "Port opens", "Port shuts"], most=4)
    assert [name for name, _, _ in found] == ["oil", "port", "oil", "port"]


def test_a_sequence_is_asked_for_its_own_words_only() -> None:
    before = compile_query("talks")
    sequence = Rule(
        "after",
        "t",
        compile_query("strike AND iran"),
        "low",
        ("desk",),
        condition=Sequence(timedelta(hours=1)),
        prelude=before,
    )
    assert picked([sequence], ["Iran talks", "Iran strike", "Talks"]) == [
        ("after", "Iran talks", "strike"),
        ("after", "Iran strike", ""),
    ]
