from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.match import Matcher
from streams.core.query import View, compile_query
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


def test_no_rules_and_no_words_fire_nothing() -> None:
    assert Matcher(RuleSet([])).match(classified("Oil tanker adrift")) == ()
    assert Matcher(ruleset("oil", "tank*")).match(classified("")) == ()


def test_only_rules_with_an_anchor_in_the_headline_are_evaluated() -> None:
    rules = ruleset("oil AND petrochemicals", "/t.*r/", "tank*", "topic:iran AND the", "gas OR coal", "source:AFP")
    matcher = Matcher(rules)
    assert matcher.candidates(View(classified("Oil tanker of Iran", source="dpa"))) == [1, 2]
    assert matcher.candidates(View(classified("Gas and petrochemicals"))) == [0, 1, 4, 5]
    assert matcher.candidates(View(classified("Talks", topics=("iran",), source="dpa"))) == [1, 3]


TERMS = ("iran", "oil", "gas", "tanker", "re-elect", "tank*", "*an*", "o?l", '"oil tanker"', '"iran gas"~2', "/ta.*/")
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
