from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.backtest.decided import Decided
from streams.backtest.replay import InOrder, event_time, replay
from streams.backtest.slices.finding import Remembering, Side, Work, encode, found_in_slice
from streams.backtest.slices.handed import Hand, HandedClassifier, HandedDeduper, HandedMatcher
from streams.backtest.slices.sliced import Cut, Sliced
from streams.core.classify import Classifier
from streams.core.conditions import Burst, Repeat, Throttle
from streams.core.dedupe import Candidate, ExactDeduper
from streams.core.match import Matcher
from streams.core.pipeline import Engine, candidate_of
from streams.core.query import compile_query
from streams.core.records import Dropped, Headline
from streams.core.rule import Rule, RuleSet
from streams.core.story.deduper import StoryDeduper
from streams.core.taxonomy import compile_taxonomy
from tests.unit.backtest.slices.telling import PLACES, SOURCES, START, TELLINGS, THINGS, told

HOUR = timedelta(hours=1)
TAXONOMY = compile_taxonomy([])


def rule(name: str, when: str, **more: object) -> Rule:
    return Rule(name, name, compile_query(when), "high", ("desk",), **more)  # type: ignore[arg-type]


RULES = RuleSet(
    [
        rule("burst", "blast OR killed", condition=Burst(HOUR, 3, by="story")),
        rule("throttled", "tanker OR refinery OR ferry", throttle=Throttle(2, HOUR)),
        rule("paused", "fire OR blaze", repeat=Repeat(2 * HOUR, by="source")),
        rule("sources", "story.sources:>=2"),
        rule("updates", "kind:update"),
    ]
)


class InHand:
    """Workers that are not there: what they would find is found when it is asked for."""

    def __init__(self, work: Work, width: int = 2) -> None:
        self.width = width
        self._packed = work.packed()

    def begin(self, number: int, warm_up: bytes, trusted: int) -> Waiting:
        return Waiting(Work.unpacked(self._packed), warm_up, trusted)

    def drop(self) -> None: ...

    def close(self) -> None: ...


class Waiting:
    def __init__(self, work: Work, before: bytes, trusted: int) -> None:
        self.work, self.before, self.trusted = work, before, trusted
        self.batches: list[bytes] = []

    def give(self, batch: bytes) -> None:
        self.batches.append(batch)

    def end(self) -> None: ...

    def results(self) -> Iterator[bytes]:
        yield from found_in_slice(self.work, self.before, self.trusted, self.batches)


def alone(candidates: Sequence[Candidate], remembering: Remembering) -> list[Decided]:
    return list(replay(candidates, Engine(Matcher(RULES), Classifier(TAXONOMY), remembering.make())))


def helped(
    candidates: Sequence[Candidate], remembering: Remembering, slices: int, batch: int
) -> tuple[list[Decided], HandedDeduper, int]:
    hand = Hand()
    deduper = HandedDeduper(remembering, hand, 0)
    engine = Engine(HandedMatcher(RULES, hand, 0), HandedClassifier(TAXONOMY, hand, 0), deduper)
    cut = Cut(lambda: len(candidates), slices, batch=batch)
    sliced = Sliced(hand, [deduper], InHand(Work([remembering], [Side(0, TAXONOMY, RULES)])), cut)
    return list(replay(sliced.of(candidates), engine)), deduper, sliced.slices


def by_story(window: timedelta, keep: int = 20_000) -> Remembering:
    windows = {"wire.example": window / 2}
    return Remembering(partial(StoryDeduper, window, keep, windows=windows), window, stories=True, keep=keep)


def exact(window: timedelta, keep: int = 20_000) -> Remembering:
    return Remembering(partial(ExactDeduper, window, keep), window, stories=False, keep=keep)


def candidates_of(headlines: Sequence[Headline]) -> list[Candidate]:
    return [
        candidate_of(headline, id=f"h{number}", position=f"r:0:{number}", received=headline.published)
        for number, headline in enumerate(headlines)
    ]


@pytest.mark.parametrize("slices", [2, 3, 7, 20])
@pytest.mark.parametrize(
    "remembering", [by_story(HOUR), exact(HOUR), by_story(12 * HOUR)], ids=["story", "exact", "long"]
)
def test_slices_decide_what_one_process_decides(remembering: Remembering, slices: int) -> None:
    stream = candidates_of(list(told(2_000)))
    decided, _, begun = helped(stream, remembering, slices, batch=50)
    assert [encode(one) for one in decided] == [encode(one) for one in alone(stream, remembering)]
    assert begun == slices


def test_stories_go_on_across_seams_and_doubts_are_decided_again() -> None:
    """The stream is such that a worker errs at a seam, as it must where what lies before its warm-up matters."""
    remembering = by_story(HOUR)
    stream = candidates_of(list(told(2_000, seed=3)))
    decided, deduper, begun = helped(stream, remembering, 16, batch=25)
    assert decided == alone(stream, remembering)
    length = len(stream) // begun
    origin = {one.headline.id: number for number, one in enumerate(decided) if one.headline is not None}
    crossing = [
        number
        for number, one in enumerate(decided)
        if one.headline is not None and origin[one.headline.story_id] // length < number // length
    ]
    assert len(crossing) > begun
    assert 0 < deduper.again < len(stream)


TEXTS = st.builds(
    lambda telling, place, thing, count: telling.format(place=place, thing=thing, count=count),
    st.sampled_from(TELLINGS),
    st.sampled_from(PLACES[:3]),
    st.sampled_from(THINGS[:2]),
    st.integers(2, 5),
)
#: Minutes since the headline before, how much older than its receipt it is, its text, its source and its address.
STREAMS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 30), st.integers(-90, 200)),
        st.one_of(st.just(0), st.integers(-200, 200)),
        TEXTS,
        st.sampled_from(SOURCES),
        st.sampled_from((None, None, "https://a.example/1", "https://b.example/2")),
    ),
    min_size=2,
    max_size=60,
)


def wild(stream: Sequence[tuple[int, int, str, str, str | None]]) -> list[Candidate]:
    """Headlines in no order of time: some are late, some are dated ahead, some have the address of others."""
    found, at = [], START
    for number, (minutes, age, text, source, url) in enumerate(stream):
        at += timedelta(minutes=minutes)
        headline = Headline(headline=text, published=at - timedelta(minutes=age), source=source, url=url)
        found.append(candidate_of(headline, id=f"h{number}", position=f"r:0:{number}", received=at))
    return found


@settings(max_examples=150)
@given(STREAMS, st.integers(2, 8), st.integers(1, 5), st.sampled_from((1, 3, 10, 20_000)), st.booleans())
def test_whatever_the_stream_and_the_seams_the_decisions_are_the_same(
    stream: list[tuple[int, int, str, str, str | None]], slices: int, batch: int, keep: int, stories: bool
) -> None:
    candidates = wild(stream)
    remembering = by_story(HOUR, keep) if stories else exact(HOUR, keep)
    assert helped(candidates, remembering, slices, batch)[0] == alone(candidates, remembering)


def test_without_a_number_of_slices_each_is_worth_its_warm_up() -> None:
    cut = Cut(lambda: 1_000, most=200)
    assert not cut.ends(0, 100, 80, 2)
    assert cut.ends(0, 167, 80, 2)  # six of them, three for each of two workers
    assert not cut.ends(0, 167, 100, 2)


def test_without_an_end_in_sight_slices_are_of_one_length() -> None:
    cut = Cut(lambda: None, most=200)
    assert [cut.ends(0, length, 10, 2) for length in (150, 200)] == [False, True]


def test_rules_and_topics_travel() -> None:
    work = Work.unpacked(Work([by_story(HOUR)], [Side(0, TAXONOMY, RULES)]).packed())
    assert work.sides[0].rules.revision == RULES.revision
    assert [one.query for one in work.sides[0].rules.rules] == [one.query for one in RULES.rules]


@settings(max_examples=60)
@given(STREAMS, st.integers(1, 5), st.sampled_from((0, 2, 20)), st.booleans())
def test_workers_may_begin_before_the_stream_is_in_order(
    stream: list[tuple[int, int, str, str, str | None]], batch: int, ahead: int, sort: bool
) -> None:
    as_read = sorted(wild(stream), key=event_time) if sort else wild(stream)
    remembering, hand, order = by_story(HOUR), Hand(), InOrder(ahead)
    deduper = HandedDeduper(remembering, hand, 0)
    engine = Engine(HandedMatcher(RULES, hand, 0), HandedClassifier(TAXONOMY, hand, 0), deduper)
    work = Work([remembering], [Side(0, TAXONOMY, RULES)])
    sliced = Sliced(hand, [deduper], InHand(work), Cut(lambda: len(stream), most=7, batch=batch))
    order.listener = sliced.hear
    decided = list(replay(sliced.of(order.of(as_read)), engine))
    assert decided == alone(list(InOrder(ahead).of(as_read)), remembering)
    assert not (sort and sliced.given_up)


@pytest.mark.parametrize("remembering", [by_story(HOUR), exact(HOUR)], ids=["story", "exact"])
def test_a_late_headline_repeats_one_that_no_worker_has_looked_at(remembering: Remembering) -> None:
    others = [(10, 0, f"{place} {thing} reopens", "a.example", None) for place in PLACES for thing in THINGS[:4]]
    said = "At least 3 killed in explosion at mine in Oran"
    stream = wild([(0, 0, said, "b.example", None), *others, (0, 10 * len(others) - 5, said, "c.example", None)])
    decided, deduper, begun = helped(stream, remembering, 4, batch=5)
    assert decided == alone(stream, remembering)
    last = decided[-1].headline
    assert isinstance(last, Dropped)
    assert (last.duplicate_of, begun) == ("h0", 4)
    assert deduper.again >= 1
