"""Rules with a memory, event by event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.conditions import Absence, Burst, By, Repeat, Spike, Throttle
from streams.core.conditions import Sequence as After
from streams.core.correlate import Correlator, Event, event_of, tick
from streams.core.decide import Firing
from streams.core.hours import parse_hours
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Classified, Headline, TopicMatch
from streams.core.rule import Rule, RuleSet

START = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)


def rule(when: str = "oil", name: str = "oil", **settings: Any) -> Rule:
    return Rule(name, name, compile_query(when), "high", ("desk",), **settings)


def classified(
    text: str = "Oil", at: timedelta = timedelta(), source: str = "a.example", story: str = "s", number: int = 0,
    topics: Sequence[str] = (), story_sources: int = 1,
) -> Classified:  # fmt: skip
    moment = START + at
    position = f"headlines.raw:0:{number or round(at / timedelta(seconds=1))}"
    return Classified(
        id=position,
        seq=number,
        position=position,
        received=moment,
        headline=Headline(headline=text, published=moment, source=source),
        story_id=story,
        topics=tuple(TopicMatch(topic=topic, confidence=1.0) for topic in topics),
        story_sources=story_sources,
    )


class Desk:
    """A matcher and a correlator, and what fires of what they are given."""

    def __init__(self, *rules: Rule) -> None:
        ruleset = RuleSet(rules)
        self.matcher = Matcher(ruleset)
        self.correlator = Correlator(ruleset)

    def event(self, headline: Classified, *, repeat: bool = False) -> Event | None:
        return event_of(headline, self.matcher.match(headline), repeat=repeat)

    def take(self, headline: Classified, *, repeat: bool = False) -> list[Firing]:
        event = self.event(headline, repeat=repeat)
        return self.correlator.consider(event) if event else []

    def told(self, headlines: Iterable[Classified]) -> list[bool]:
        """Of each headline whether it brought an alert that goes."""
        return [any(firing.suppressed is None for firing in self.take(headline)) for headline in headlines]


def every_minute(count: int, **settings: Any) -> list[Classified]:
    return [classified(at=minute * MINUTE, number=minute + 1, **settings) for minute in range(count)]


def test_a_throttle_lets_so_many_through_and_says_until_when_it_holds_the_rest() -> None:
    desk = Desk(rule(throttle=Throttle(2, timedelta(minutes=5))))
    assert desk.told(every_minute(8)) == [True, True, False, False, False, True, True, False]
    (firing,) = desk.take(classified(at=8 * MINUTE))
    assert firing.suppressed == "throttled: 2 in 5m, the next from 2026-03-02 12:10:00 UTC on"


def test_a_throttle_counts_apart_what_it_is_told_to() -> None:
    desk = Desk(rule(throttle=Throttle(1, timedelta(hours=1), "story")))
    headlines = [classified(at=n * MINUTE, story=story, number=n + 1) for n, story in enumerate("aabab")]
    assert desk.told(headlines) == [True, False, True, False, False]


def test_a_headline_of_several_topics_is_held_back_if_one_has_had_its_share() -> None:
    desk = Desk(rule(throttle=Throttle(1, timedelta(hours=1), "topic")))
    topics = [("iran",), ("iran", "energy"), ("energy",), ("energy",)]
    headlines = [classified(at=n * MINUTE, topics=of, number=n + 1) for n, of in enumerate(topics)]
    assert desk.told(headlines) == [True, False, True, False]


def test_a_repeat_waits_and_waits_longer_where_it_had_to() -> None:
    desk = Desk(rule(repeat=Repeat(timedelta(minutes=2), "story", timedelta(minutes=4))))
    # 0 goes; 1 is held, so that the pause is 4 after the next; 2 goes; 3-5 are held; 6 goes
    assert desk.told(every_minute(7)) == [True, False, True, False, False, False, True]


def test_a_repeat_without_a_limit_stays_as_it_is() -> None:
    desk = Desk(rule(repeat=Repeat(timedelta(minutes=2))))
    assert desk.told(every_minute(6)) == [True, False, True, False, True, False]


def test_what_is_held_back_for_another_reason_uses_nothing_up() -> None:
    hours = (parse_hours("mon 12:02-13:00"),)
    desk = Desk(rule(active=hours, throttle=Throttle(1, timedelta(hours=1))))
    assert desk.told(every_minute(4)) == [False, False, True, False]
    staged = Desk(rule(stage="staged", throttle=Throttle(1, timedelta(hours=1))))
    assert [firing.suppressed for headline in every_minute(3) for firing in staged.take(headline)] == ["staged"] * 3


def test_a_burst_fires_when_it_is_reached_and_again_after_it_was_not() -> None:
    desk = Desk(rule(condition=Burst(timedelta(minutes=5), count=3)))
    minutes = [0, 1, 2, 3, 20, 21, 22]
    headlines = [classified(at=m * MINUTE, number=n + 1) for n, m in enumerate(minutes)]
    assert desk.told(headlines) == [False, False, True, False, False, False, True]


def test_a_burst_of_sources_counts_repeats_and_says_what_it_took() -> None:
    desk = Desk(rule(condition=Burst(timedelta(minutes=10), count=3, sources=3, by="story")))
    assert desk.take(classified(source="a.example", number=1)) == []
    assert desk.take(classified(at=MINUTE, source="a.example", number=2), repeat=True) == []
    assert desk.take(classified(at=MINUTE, source="b.example", number=3), repeat=True) == []
    (firing,) = desk.take(classified(at=2 * MINUTE, source="c.example", number=4), repeat=True)
    assert firing.because == "4 headlines of 3 sources in 10m"
    assert [span.text for span in firing.spans] == ["Oil"]


def test_a_repeat_counts_for_no_other_rule() -> None:
    desk = Desk(rule(throttle=Throttle(5, timedelta(hours=1))))
    assert desk.event(classified(), repeat=True) is None


def test_a_spike_is_many_times_what_is_usual() -> None:
    desk = Desk(rule(condition=Spike(3, timedelta(hours=1), timedelta(hours=4), at_least=4)))
    quiet = [classified(at=timedelta(minutes=30 * n), number=n + 1) for n in range(10)]
    assert desk.told(quiet) == [False] * 10  # two an hour are usual
    busy = [classified(at=timedelta(minutes=300 + n), number=20 + n) for n in range(8)]
    told = desk.told(busy)
    assert told.count(True) == 1
    assert told.index(True) == 4  # with the one of half an hour ago, six


def test_a_sequence_needs_what_comes_first_in_another_headline() -> None:
    half = compile_query("talks")
    desk = Desk(rule("strike*", prelude=half, condition=After(timedelta(hours=2))))
    assert desk.take(classified("Strike at the port", number=1)) == []
    assert desk.take(classified("Strike ends talks", MINUTE, number=2)) == []
    (firing,) = desk.take(classified("Strikes resume", 3 * MINUTE, number=3))
    assert firing.because == "2m after “Strike ends talks”"
    assert desk.take(classified("Strikes go on", timedelta(hours=3), number=4)) == []


def test_a_sequence_may_ask_for_one_story() -> None:
    desk = Desk(rule("strike*", prelude=compile_query("talks"), condition=After(timedelta(hours=2), "story")))
    desk.take(classified("Talks begin", story="a", number=1))
    assert desk.take(classified("Strikes", MINUTE, story="b", number=2)) == []
    assert len(desk.take(classified("Strikes", MINUTE, story="a", number=3))) == 1


def test_an_absence_fires_once_when_nothing_comes() -> None:
    desk = Desk(rule(condition=Absence(timedelta(hours=2))), rule("gas", "gas", throttle=Throttle(9, MINUTE)))
    last = classified("Oil rises", MINUTE, number=1)
    assert desk.take(last) == []
    due = desk.correlator.next_due()
    assert due is not None
    name, at = due
    assert (name, datetime.fromtimestamp(at / 1000, UTC)) == ("oil", START + MINUTE + timedelta(hours=2))
    assert desk.correlator.advance(at - 1) == []
    (firing,) = desk.correlator.consider(tick(name, at))
    assert firing.headline == last
    assert firing.because == "nothing in 2h since 2026-03-02 12:01:00 UTC"
    assert firing.occasion == f"absence:{at}"
    assert desk.correlator.next_due() is None
    assert desk.correlator.advance(at + 10**9) == []
    desk.take(classified("Oil again", timedelta(hours=5), number=2))
    assert desk.correlator.next_due() is not None


def test_a_headline_of_later_brings_out_that_nothing_came() -> None:
    desk = Desk(rule(condition=Absence(timedelta(hours=2))), rule("gas", "gas", throttle=Throttle(9, MINUTE)))
    desk.take(classified("Oil rises", number=1))
    fired = desk.take(classified("Gas rises", timedelta(hours=3), number=2))
    assert [firing.rule.name for firing in fired] == ["oil", "gas"]


def test_a_rule_that_asks_for_the_sources_of_a_story_fires_once_on_it() -> None:
    desk = Desk(rule("oil AND story.sources:>=2"))
    told = [classified(at=n * MINUTE, story_sources=n, number=n + 1) for n in range(1, 5)]
    assert [len(desk.take(headline, repeat=True)) for headline in told] == [0, 1, 0, 0]


def test_a_rule_that_asks_for_the_sources_of_a_story_still_fires_on_it_where_it_was_held_back() -> None:
    desk = Desk(rule("oil AND story.sources:>=2", active=(parse_hours("14:00-18:00"),)))
    told = [classified(at=timedelta(hours=n), story_sources=n + 1, number=n + 1) for n in range(4)]
    fired = [[firing.suppressed is None for firing in desk.take(headline)] for headline in told]
    assert fired == [[], [False], [True], []]


def test_a_story_counts_once_for_a_rule_that_asks_for_its_sources_and_for_a_burst() -> None:
    desk = Desk(rule("oil AND story.sources:>=2", condition=Burst(timedelta(hours=1), count=2)))
    told = [classified(at=n * MINUTE, story_sources=2, number=n + 1, story=story) for n, story in enumerate("aaab")]
    assert desk.told(told) == [False, False, False, True]


def test_rules_without_a_memory_are_not_its_affair() -> None:
    desk = Desk(rule(), rule(name="hours", active=(parse_hours("mon"),)))
    assert desk.event(classified()) is None
    assert desk.correlator.span == 0


SETTINGS = st.sampled_from(
    [
        {"throttle": Throttle(2, timedelta(minutes=7), by)} for by in ("rule", "story", "topic", "source")
    ]
    + [
        {"repeat": Repeat(timedelta(minutes=3), "story", timedelta(minutes=20))},
        {"condition": Burst(timedelta(minutes=9), 3, 2, "story")},
        {"condition": Spike(2, timedelta(minutes=5), timedelta(minutes=30), 2)},
        {"prelude": compile_query("gas"), "condition": After(timedelta(minutes=9))},
        {"condition": Absence(timedelta(minutes=4)), "throttle": Throttle(1, timedelta(minutes=30))},
        {"condition": Burst(timedelta(minutes=5), 2), "repeat": Repeat(timedelta(minutes=5), "rule")},
    ]
)  # fmt: skip
HEADLINES = st.lists(
    st.builds(
        classified,
        st.sampled_from(["Oil", "Gas", "Oil and gas"]),
        st.integers(0, 120).map(lambda half_minutes: half_minutes * MINUTE / 2),
        st.sampled_from(["a.example", "b.example"]),
        st.sampled_from("st"),
        st.integers(1, 10**6),
        st.sampled_from([(), ("iran",), ("iran", "energy")]),
    ),
    max_size=40,
)


def fired(desk: Desk, events: Iterable[Event]) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (firing.rule.name, firing.headline.id, firing.suppressed, firing.because)
        for event in events
        for firing in desk.correlator.consider(event)
    ]


@given(SETTINGS, HEADLINES, st.integers(0, 40))
def test_what_fired_before_a_cut_is_the_same_whatever_comes_after(
    settings: dict[str, Any], headlines: list[Classified], cut: int
) -> None:
    whole, first = Desk(rule(**settings)), Desk(rule(**settings))
    events = [event for headline in headlines if (event := whole.event(headline))]
    before = fired(first, events[:cut])
    assert fired(whole, events)[: len(before)] == before


@given(SETTINGS, HEADLINES)
def test_a_log_that_was_written_and_read_gives_the_same(settings: dict[str, Any], headlines: list[Classified]) -> None:
    one, other = Desk(rule(**settings)), Desk(rule(**settings))
    events = [event for headline in headlines if (event := one.event(headline))]
    read = [msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) for event in events]
    assert fired(one, events) == fired(other, read)


@given(st.integers(1, 3), st.integers(1, 10), HEADLINES)
def test_no_period_has_more_alerts_than_a_throttle_allows(
    count: int, minutes: int, headlines: list[Classified]
) -> None:
    per = minutes * MINUTE
    desk = Desk(rule(throttle=Throttle(count, per)))
    gone: list[datetime] = []
    for headline in headlines:
        if any(firing.suppressed is None for firing in desk.take(headline)):
            gone.append(max([headline.received, *gone[-1:]]))  # what comes late goes out now
    assert all(later - earlier >= per for earlier, later in zip(gone, gone[count:], strict=False))


@given(st.integers(1, 4), st.integers(1, 2), st.sampled_from(["rule", "story", "source"]), HEADLINES)
def test_a_burst_fires_where_counting_says_so(count: int, sources: int, by: By, headlines: list[Classified]) -> None:
    within = 6 * MINUTE
    headlines = [headline for headline in headlines if "Oil" in headline.headline.headline]
    headlines.sort(key=lambda headline: headline.headline.published)
    desk = Desk(rule(condition=Burst(within, count, sources, by)))
    if count == sources == 1:
        return

    def key(headline: Classified) -> str:
        return {"rule": "", "story": headline.story_id, "source": headline.headline.source}[by]

    def reached(seen: list[Classified], now: Classified) -> bool:
        recent = [one for one in seen if key(one) == key(now) and one.received > now.received - within]
        return len(recent) >= count and len({one.headline.source for one in recent}) >= sources

    high: dict[str, bool] = {}
    for place, headline in enumerate(headlines):
        if not reached(headlines[:place], headline):
            high[key(headline)] = False
        expected = reached(headlines[: place + 1], headline) and not high[key(headline)]
        high[key(headline)] = high[key(headline)] or expected
        assert bool(desk.take(headline)) == expected


def test_what_is_remembered_is_bounded_by_the_spans() -> None:
    rules = [
        rule(name="throttle", throttle=Throttle(3, timedelta(minutes=5), "story")),
        rule(name="burst", condition=Burst(timedelta(minutes=5), 2, 2, "story")),
        rule(name="repeat", repeat=Repeat(timedelta(minutes=5))),
        rule("oil AND story.sources:>=1", "once"),
    ]
    desk = Desk(*rules)
    for number in range(12_000):
        desk.take(classified(at=number * MINUTE, story=f"story-{number}", number=number + 1))
    held = len(msgspec.json.encode([_sizes(of) for of in desk.correlator._of.values()]))
    assert held < 400
    assert sum(sum(_sizes(of)) for of in desk.correlator._of.values()) < 4 * 1_100 + 10_080


def _sizes(remembering: Any) -> list[int]:
    found = [
        len(getattr(restraint, "_gone", getattr(restraint, "_last", ()))) for _, restraint in remembering.restraints
    ]
    if remembering.counting is not None:
        found.append(len(remembering.counting._seen._of))
    if remembering.once is not None:
        found.append(len(remembering.once.stories))
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"throttle": Throttle(1, MINUTE)}, {"throttle": Throttle(2, MINUTE)}),
        ({"repeat": Repeat(MINUTE)}, {}),
        ({"condition": Burst(MINUTE, 2)}, {"condition": Burst(MINUTE, 3)}),
        ({"active": (parse_hours("mon"),)}, {"active": (parse_hours("tue"),)}),
        ({"prelude": compile_query("a"), "condition": After(MINUTE)}, {"condition": After(MINUTE)}),
    ],
)
def test_the_revision_tells_conditions_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert rule(**one).revision != rule(**other).revision


@pytest.mark.parametrize("place", [0, 500, 1_500])
def test_a_tick_that_a_headline_has_overtaken_changes_nothing_also_for_what_comes_late(place: int) -> None:
    """Workers log such ticks, which no replay has. What is forgotten, and when, must not depend on them."""
    rules = [rule("oil AND story.sources:>=1"), rule("gas", "hush", condition=Absence(timedelta(hours=1)))]
    desk, beside = Desk(*rules), Desk(*rules)
    # A story each ten minutes for two weeks, and between them stories of a week before, told again.
    told = [classified(at=n * 10 * MINUTE, story=f"s{n}", number=n + 1) for n in range(2_016)]
    told += [classified(at=n * 10 * MINUTE, story=f"s{n}", number=3_000 + n) for n in range(2_016)]
    told.sort(key=lambda one: one.seq if one.seq < 3_000 else one.seq - 3_000 + 1_010.5)
    events = [event for event in map(desk.event, told) if event is not None]
    overtaken = [*events[:place], tick("hush", 0), *events[place:]]
    fired = [firing.headline.id for event in events for firing in desk.correlator.consider(event)]
    assert fired == [firing.headline.id for event in overtaken for firing in beside.correlator.consider(event)]
    assert 2_016 < len(fired) < 4_032  # some stories were forgotten, and told of again
