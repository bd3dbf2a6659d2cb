"""Replay in the order of the workers' log: what rules that remember say is what a fold of the log says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.backtest.compare import Changes, Following, Leading, Side, Twin
from streams.backtest.decided import Decided
from streams.backtest.order import LogOrder
from streams.backtest.replay import replay
from streams.core.conditions import Absence, Burst, Throttle
from streams.core.dedupe import Candidate, ExactDeduper
from streams.core.records import Correlated, Place
from streams.core.rule import RuleSet
from tests.unit.backtest.wire import REMEMBERED, START, engine, rule, stream

HOUR = timedelta(hours=1)
CALM = rule("calm", "tanker", throttle=Throttle(1, HOUR))
BURST = rule("burst", "tanker OR port", condition=Burst(HOUR, 2))
LULL = rule("lull", "port", condition=Absence(HOUR))
PLAIN = rule("plain", "tanker")


def log(*places: int | datetime, name: str = "a", first: int = 0, absences: tuple[str, ...] = ()) -> list[Correlated]:
    """A log of headlines, by their number, and of ticks; each is told by a record of its own."""
    return [
        Correlated(log=name, places=(_place(number, place),), absences=absences)
        for number, place in enumerate(places, first)
    ]


def _place(number: int, place: int | datetime) -> Place:
    name = f"{1_000 + number // 2}-{number % 2}"
    return Place(number=name, at=place) if isinstance(place, datetime) else Place(number=name, position=f"r:0:{place}")


def tankers(count: int) -> list[Candidate]:
    return stream(*((number, f"Tanker {chr(97 + number) * 3} adrift") for number in range(count)))


def going(found: Sequence[Decided], name: str) -> list[str]:
    """The ids of the headlines of which a rule tells."""
    alerts = [alert for one in found for alert in one.alerts if alert.rule.name == name and not alert.suppressed]
    return [alert.headline.id for alert in alerts]


def test_rules_that_remember_see_headlines_in_the_order_of_the_log_and_others_when_they_were_decided() -> None:
    found = list(replay(tankers(3), engine(CALM, PLAIN), LogOrder(log(2, 0, 1))))
    assert [one.headline and one.headline.id for one in found] == ["0", "1", "2"]
    assert going(found, "calm") == ["2"]
    assert going(found, "plain") == ["0", "1", "2"]
    assert going(list(replay(tankers(3), engine(CALM))), "calm") == ["0"]


@given(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 3))
@settings(deadline=None)
def test_whatever_order_was_told_in_whatever_order_is_that_of_the_numbers(
    order: list[int], told: list[int], again: int
) -> None:
    records = [log(*order)[place] for place in told]
    candidates = tankers(9)
    found = list(replay(candidates, engine(CALM, BURST), LogOrder([*records, *records[:again]])))
    alone = list(replay([candidates[number] for number in order], engine(CALM, BURST)))
    for name in ("calm", "burst"):
        assert sorted(going(found, name)) == sorted(going(alone, name))
    assert [one.headline and one.headline.id for one in found] == [str(number) for number in range(9)]


def test_a_headline_without_a_place_is_considered_at_once_and_a_place_without_a_headline_is_passed_over() -> None:
    given_ = tankers(4)
    order = LogOrder(log(3, 1, 2, 77))
    found = list(replay([given_[0], given_[1], given_[3]], engine(CALM), order))
    assert going(found, "calm") == ["0"]
    assert order.considered == 2
    assert len(found) == 3


@given(st.lists(st.integers(0, 11), unique=True), st.integers(1, 4), st.sets(st.integers(0, 11)))
@settings(deadline=None)
def test_every_headline_is_told_once_in_its_order_whatever_the_log_lacks(
    order: list[int], ahead: int, absent: set[int]
) -> None:
    candidates = [one for number, one in enumerate(tankers(12)) if number not in absent]
    found = list(replay(candidates, engine(CALM, PLAIN), LogOrder(log(*order), ahead=ahead)))
    assert [one.headline and one.headline.id for one in found] == [one.id for one in candidates]
    assert all(sum(alert.rule.name == "calm" for alert in one.alerts) == 1 for one in found)


def test_a_place_whose_partition_has_ended_holds_up_nothing_for_long() -> None:
    lost = Correlated(log="a", places=(Place(number="1-0", position="r:1:5"),))
    order = LogOrder([lost, *log(*range(8))], ahead=3)
    decisions = replay(iter(tankers(8)), engine(CALM), order)
    assert going(list(decisions), "calm") == ["0"]
    assert order.considered == 8


def test_where_the_log_was_lost_rules_begin_anew() -> None:
    records = [*log(0, 1), *log(2, 3, name="b", first=2)]
    assert going(list(replay(tankers(4), engine(CALM), LogOrder(records))), "calm") == ["0", "2"]


def test_absences_of_the_log_go_by_its_ticks_and_those_of_other_rules_by_the_headlines() -> None:
    given_ = stream((0, "Port opens"), (90, "Ferry sinks"), (95, "Port shut"))
    when = START + timedelta(minutes=60)
    both = engine(LULL, rule("other", "port", condition=Absence(HOUR)))
    records = log(0, 2, when, absences=(LULL.revision,))
    found = list(replay(given_, both, LogOrder(records)))
    # To the workers time came only with the next headline of the log; a rule that they had not goes by every headline.
    fired = [(alert.rule.name, one.headline and one.headline.id) for one in found for alert in one.alerts]
    assert fired == [("other", None), ("lull", "2")]
    records = log(0, when, 2, absences=(LULL.revision,))
    found = list(replay(given_, engine(LULL), LogOrder(records)))
    assert [(one.headline is None, one.at) for one in found if one.alerts] == [(True, START + HOUR)]


def test_ticks_from_the_end_of_the_recording_on_are_left_out() -> None:
    given_ = stream((0, "Port opens"))
    records = log(0, START + HOUR, absences=(LULL.revision,))
    assert len(list(replay(given_, engine(LULL), LogOrder(records, until=1_001)))) == 2
    assert len(list(replay(given_, engine(LULL), LogOrder(records, until=1_000)))) == 1


@given(st.permutations(range(9)))
@settings(deadline=None)
def test_a_comparison_goes_by_the_order_of_the_log_too(order: list[int]) -> None:
    changes = Changes(RuleSet([CALM]), RuleSet([PLAIN, CALM]), REMEMBERED)
    leading = Leading(ExactDeduper(REMEMBERED))
    old = Side(engine(CALM, deduper=Following(leading)), RuleSet([CALM]))
    new = Side(engine(PLAIN, CALM, deduper=leading), RuleSet([PLAIN, CALM]))
    found = list(replay(tankers(9), Twin(old, new, changes), LogOrder(log(*order))))
    changes.finish()
    assert found == list(replay(tankers(9), engine(PLAIN, CALM), LogOrder(log(*order))))
    assert changes.same == len(going(found, "calm"))
    assert dict(changes.totals) == {"added": 9}
