"""How many sources have told a story, as both ways of deduplication count them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import pipeline
from streams.core.dedupe import Candidate, Deduper, ExactDeduper
from streams.core.records import Headline
from streams.core.story.deduper import StoryDeduper

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(hours=72)
KINDS = [ExactDeduper, StoryDeduper]


def candidate(number: int, source: str, text: str = "Tanker seized off Fujairah", hours: float = 0) -> Candidate:
    moment = START + timedelta(hours=hours, minutes=number)
    headline = Headline(headline=text, published=moment, source=source)
    return Candidate(f"h-{number}", f"headlines.raw:0:{number}", moment, headline)


@pytest.mark.parametrize("kind", KINDS)
def test_each_source_counts_once(kind: Callable[[timedelta], Deduper]) -> None:
    deduper = kind(WINDOW)
    records = [pipeline.deduplicated(candidate(n, source), deduper) for n, source in enumerate("abacb")]
    assert [record.story_sources for record in records] == [1, 2, 2, 3, 3]
    assert [record.story_began for record in records] == [None, *[START] * 4]
    assert all(pipeline.restored(record).sources == record.story_sources for record in records)


def test_updates_belong_to_the_story_too() -> None:
    deduper = StoryDeduper(WINDOW)
    pipeline.deduplicated(candidate(0, "a", "At least 17 killed in Quetta bus crash"), deduper)
    update = pipeline.deduplicated(candidate(1, "b", "At least 31 killed in Quetta bus crash"), deduper)
    assert (update.story_id, update.story_sources) == ("h-0", 2)


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("stu"), st.booleans()), max_size=30))
def test_what_is_rolled_back_was_never_told(kind: Callable[..., Deduper], told: list[tuple[str, str, bool]]) -> None:
    texts = {"s": "Tanker seized off Fujairah", "t": "Rates rise in Norway", "u": "Grain deal renewed by Kyiv"}
    one, other = kind(WINDOW, 3), kind(WINDOW, 3)
    for number, (source, text, stands) in enumerate(told):
        given_to = candidate(number, source, texts[text], hours=40 * number)
        entry = one.decide(given_to)
        one.remember(entry)
        if not stands:
            one.rollback()
            continue
        assert entry == other.decide(given_to)
        other.remember(entry)
        one.settle()
        other.settle()
    assert one._tellers._stories.keys() == other._tellers._stories.keys()  # type: ignore[attr-defined]
    assert len(one._tellers._stories) <= 8  # type: ignore[attr-defined]
