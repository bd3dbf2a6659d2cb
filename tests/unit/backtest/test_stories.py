from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.backtest.stories import Decision, Survey, decide_stream
from streams.core.records import Headline
from streams.core.story.deduper import StoryDeduper

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

STREAM = [
    ("At least 24 killed in Orvana mine blast", 0, "a.example"),
    ("Norda to close Lissom plant", 1, "b.example"),
    ("Orvana mine blast kills at least 46", 2, "b.example"),
    ("AT LEAST 24 KILLED IN ORVANA MINE BLAST", 3, "b.example"),
    ("46 killed in Orvana mine blast", 4, "c.example"),
    ("Tesk farmers block motorway over milk price", 5, "a.example"),
]


def headlines(rows: list[tuple[str, int, str]]) -> list[Headline]:
    return [Headline(headline=text, published=NOON + timedelta(hours=h), source=source) for text, h, source in rows]


def decided(rows: list[tuple[str, int, str]]) -> list[Decision]:
    return list(decide_stream(headlines(rows), StoryDeduper(timedelta(hours=72))))


@pytest.fixture
def survey() -> Survey:
    return Survey(decided(STREAM))


def test_every_headline_gets_a_decision_and_what_it_refers_to() -> None:
    decisions = decided(STREAM)
    assert [decision.entry.verdict for decision in decisions] == [
        "first", "first", "update", "duplicate", "duplicate", "first",
    ]  # fmt: skip
    others = [decision.other.headline if decision.other else None for decision in decisions]
    assert others == [None, None, STREAM[0][0], STREAM[0][0], STREAM[2][0], None]
    assert [decision.exact for decision in decisions] == [False, False, False, True, False, False]


def test_headlines_are_decided_in_the_order_of_their_publication() -> None:
    assert decided(STREAM[::-1]) == decided(STREAM)


def test_verdicts_are_counted_and_exact_repeats_apart(survey: Survey) -> None:
    assert len(survey) == 6
    assert survey.counts == {"first": 3, "update": 1, "duplicate": 2}
    assert survey.share("duplicate") == pytest.approx(1 / 3)
    assert survey.exact == 1
    assert survey.span == (NOON, NOON + timedelta(hours=5))


def test_the_largest_stories_come_first_and_lone_headlines_are_none(survey: Survey) -> None:
    [story] = survey.stories(5)
    assert (story.title, story.updates, story.duplicates, story.size) == (STREAM[0][0], 1, 2, 4)
    assert story.sources == ("b.example", "a.example", "c.example")
    assert story.span == timedelta(hours=4)
    assert survey.stories(0) == []


def test_what_is_dropped_is_told_by_source(survey: Survey) -> None:
    assert [(o.source, o.headlines, o.dropped) for o in survey.outlets()] == [
        ("b.example", 3, 1),
        ("a.example", 2, 0),
        ("c.example", 1, 1),
    ]


def test_exact_repeats_and_firsts_need_no_judging(survey: Survey) -> None:
    shown = survey.sample(10)
    assert [judged.decision.headline.headline for judged in shown] == [STREAM[2][0], STREAM[4][0]]
    for judged in shown:
        assert judged.judgement is not None
        assert judged.judgement == judged.decision.judged()
    assert decided(STREAM)[0].judged() is None
    assert decided(STREAM)[3].judged() is None


def test_what_is_least_sure_comes_first(survey: Survey) -> None:
    shown = survey.unsure(10)
    sureness = [survey._sureness(judged) for judged in shown]
    assert len(shown) == 2
    assert sureness == sorted(sureness)
    assert survey.unsure(0) == []
    assert survey.unsure(1) == shown[:1]


def test_nothing_was_decided_yet() -> None:
    survey = Survey([])
    found = survey.as_dict(stories=5, sample=5, unsure=5)
    assert found["headlines"] == 0
    assert found["span"] is None
    assert found["duplicate"] == {"count": 0, "share": 0.0}
    assert found["stories"] == found["sources"] == found["sample"] == found["unsure"] == []


def test_the_same_is_there_for_programs(survey: Survey) -> None:
    found = survey.as_dict(stories=5, sample=1, unsure=0)
    assert json.loads(json.dumps(found)) == found
    assert found["exact_repeats"] == 1
    [shown] = found["sample"]
    assert (shown["verdict"], shown["headline"]["headline"]) == ("update", STREAM[2][0])
    assert shown["of"]["headline"] == STREAM[0][0]
    assert sum(shown["probability"].values()) == pytest.approx(1, abs=0.001)


@given(st.integers(0, 60), st.integers(0, 30))
def test_a_sample_is_spread_evenly_and_shows_nothing_twice(number: int, most: int) -> None:
    rows = [("At least 100 killed in Orvana mine blast", 0, "a.example")]
    rows += [(f"At least {101 + n} killed in Orvana mine blast", 0, "a.example") for n in range(number)]
    shown = [judged.decision.entry.seq for judged in Survey(decided(rows)).sample(most)]
    assert len(shown) == len(set(shown)) == min(number, most)
    steps = [later - earlier for earlier, later in itertools.pairwise(shown)]
    assert not steps or max(steps) - min(steps) <= 1
