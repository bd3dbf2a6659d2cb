from __future__ import annotations

import dataclasses
import gzip
import json
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.match import Matcher
from streams.core.query import View, WordWeights, compile_query
from streams.core.records import Classified, Headline, Span, TopicMatch
from streams.core.rule import Rule, RuleSet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAM = Path(__file__).parents[4] / "shared" / "data" / "stream_2022q4.jsonl.gz"


def classified(text: str, topics: tuple[str, ...] = (), source: str = "afp") -> Classified:
    return Classified(
        id="1",
        seq=1,
        position="headlines.raw:0:1",
        received=NOON,
        headline=Headline(headline=text, published=NOON, source=source),
        story_id="1",
        topics=tuple(TopicMatch(topic=topic, confidence=1.0) for topic in topics),
    )


def ruleset(*queries: str) -> RuleSet:
    return RuleSet(
        Rule(f"rule-{number:03}", "", compile_query(query), "low", ("desk",)) for number, query in enumerate(queries)
    )


def every_rule(rules: RuleSet, headline: Classified) -> list[tuple[str, tuple[Span, ...]]]:
    view = View(headline)
    return [(rule.name, match.spans) for rule in rules.rules if (match := rule.query.match(view)) is not None]


def indexed(rules: RuleSet, headline: Classified) -> list[tuple[str, tuple[Span, ...]]]:
    return [(match.rule.name, match.spans) for match in Matcher(rules).match(headline)]


def test_rules_fire_in_the_order_of_their_names() -> None:
    rules = ruleset("oil", "gas", "/t.*r/", "tank*", '"oil tanker"', "oil OR tanker OR iran")
    assert indexed(rules, classified("Oil tanker adrift")) == [
        ("rule-000", (Span(0, 3, "Oil"),)),
        ("rule-002", (Span(4, 10, "tanker"),)),
        ("rule-003", (Span(4, 10, "tanker"),)),
        ("rule-004", (Span(0, 10, "Oil tanker"),)),
        ("rule-005", (Span(0, 3, "Oil"), Span(4, 10, "tanker"))),
    ]


def test_most_headlines_are_told_by_their_letters() -> None:
    matcher = Matcher(ruleset("hormuz", "O'Reilly", '"kharg island"', "petrochem*", "source:wam", "2.5"))
    assert matcher._sieve is not None
    for text in ("Hormuz", "O\u2019Reilly quits", "KHARG-Island shut", "Petrochemicals up", "Up 2.5", "H\u00f3rmuz"):
        assert matcher.match(classified(text)), text
    assert matcher.match(classified("Talks", source="WAM"))
    assert not matcher.match(classified("Talks at the island of Kharg"))


def test_a_word_is_found_whatever_else_it_is_to_other_rules() -> None:
    rules = ruleset("tanker", "tank*", "tankor~1", "/tank.*/", "tanke?", '"oil tanker"')
    assert len(Matcher(rules).match(classified("Oil tanker"))) == 6


def test_weights_change_no_answer() -> None:
    rules = ruleset("oil AND hormuz", "the AND oil")
    matcher = Matcher(rules, WordWeights({"oil": 0.6, "up": 0.3, "hormuz": 0.3}, 0.1))
    assert list(matcher.candidates(View(classified("Hormuz")))) == [0]
    assert list(matcher.candidates(View(classified("The gas")))) == [1]
    assert [match.rule.name for match in matcher.match(classified("The oil of Hormuz"))] == ["rule-000", "rule-001"]


def test_rules_concern_kinds_and_days() -> None:
    updates = dataclasses.replace(ruleset("oil").rules[0], name="updates", story="updates")
    first = dataclasses.replace(updates, name="first", story="first")
    today = dataclasses.replace(updates, name="today", story="every", expiry=NOON.date())
    past = dataclasses.replace(today, name="past", expiry=date(2026, 2, 28))
    matcher = Matcher(RuleSet([updates, first, today, past]))
    headline = classified("Oil")
    assert [match.rule.name for match in matcher.match(headline)] == ["first", "today"]
    update = msgspec.structs.replace(headline, kind="update")
    assert [match.rule.name for match in matcher.match(update)] == ["today", "updates"]


def test_no_rules_and_no_words_fire_nothing() -> None:
    assert Matcher(RuleSet([])).match(classified("Oil tanker adrift")) == ()
    assert Matcher(ruleset("oil", "tank*")).match(classified("")) == ()


def test_only_rules_with_an_anchor_in_the_headline_are_evaluated() -> None:
    rules = ruleset("oil AND petrochemicals", "/t.*r/", "tank*", "topic:iran AND the", "gas OR coal", "source:AFP")
    matcher = Matcher(rules)
    assert tuple(matcher.candidates(View(classified("Oil tanker of Iran", source="dpa")))) == (1, 2)
    assert tuple(matcher.candidates(View(classified("Gas and petrochemicals")))) == (0, 4, 5)
    assert tuple(matcher.candidates(View(classified("Talks", topics=("iran",), source="dpa")))) == (3,)


TERMS = (
    "iran",
    "oil",
    "gas",
    "tanker",
    "re-elect",
    "tank*",
    "*an*",
    "o?l",
    '"oil tanker"',
    '"iran gas"~2',
    "/ta.*/",
    "tankor~1",
    "oil NEAR/1 iran",
    "FIRST/2(oil OR gas)",
    "ATLEAST/2(oil gas iran)",
    "CASED(Iran)",
    "words:>3",
)
VALUES = ("topic:iran", "topic:tech*", "source:afp", "source:*fp", "kind:first", "status:canceled")
PARTS = st.recursive(
    st.sampled_from((*TERMS, *VALUES)),
    lambda part: st.tuples(part, st.sampled_from(("AND", "OR", "AND NOT", "OR NOT")), part).map(
        lambda made: f"({made[0]}) {made[1]} ({made[2]})"
    ),
    max_leaves=5,
)
QUERIES = PARTS.map(lambda part: f"({part}) AND (kind:first OR kind:update)") | st.sampled_from((*TERMS, *VALUES))
HEADLINES = st.lists(st.sampled_from(("Iran", "oil", "gas", "Tanker", "tank", "re-elect", "and", "Tehran"))).map(
    " ".join
)


@given(
    st.lists(QUERIES, max_size=12),
    HEADLINES,
    st.sets(st.sampled_from(("iran", "tech_deals"))),
    st.sampled_from(("AFP", "dpa", "other")),
)
def test_the_index_changes_no_answer(queries: list[str], text: str, topics: set[str], source: str) -> None:
    rules = ruleset(*queries)
    headline = classified(text, tuple(sorted(topics)), source)
    assert indexed(rules, headline) == every_rule(rules, headline)


@pytest.mark.skipif(not STREAM.exists(), reason="the stream for development is not here")
def test_the_index_changes_no_answer_on_a_real_stream() -> None:
    rules = ruleset(
        "iran OR tehran",
        "oil AND (price* OR tanker*)",
        '"prime minister" AND NOT uk',
        "*tion AND us",
        '"deal for"~4',
        "/[0-9.,]+(bn|m)/",
        "source:*.com AND war",
        "the AND of",
        "new* -york",
    )
    matcher = Matcher(rules)
    fired = 0
    with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
        for record in map(json.loads, islice(lines, 2_000)):
            headline = classified(record["headline"], source=record["source"])
            found = [(match.rule.name, match.spans) for match in matcher.match(headline)]
            assert found == every_rule(rules, headline)
            fired += len(found)
    assert fired > 100
