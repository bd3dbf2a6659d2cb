from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.backtest.decided import Decided
from streams.backtest.score import Label, Scorer, Share, Tally, Weights, read_labels
from streams.core.document import RefusedError
from streams.core.records import Alert, Classified, Dropped, FiredRule, Headline, TopicMatch

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def unique(
    name: str, text: str, minutes: int = 0, *, story: str = "", source: str = "a.example", **more: Any
) -> Classified:
    at = START + timedelta(minutes=minutes)
    headline = Headline(headline=text, published=at, source=source)
    return Classified(
        id=name, seq=0, position=f"r:0:{name}", received=at, headline=headline, story_id=story or name, **more
    )


def repeat(name: str, text: str, of: Classified, minutes: int) -> Dropped:
    at = START + timedelta(minutes=minutes)
    return Dropped(
        id=name,
        seq=0,
        position=f"r:0:{name}",
        received=at,
        headline=Headline(headline=text, published=at, source="b.example"),
        story_id=of.story_id,
        duplicate_of=of.id,
        reason="the same",
        story_began=of.headline.published,
    )


def alert(record: Classified, rule: str, suppressed: str | None = None) -> Alert:
    fired = FiredRule(name=rule, title=rule, severity="high", revision="r")
    return Alert(alert_id=f"{rule}{record.id}", channel="desk", rule=fired, headline=record, suppressed=suppressed)


def decided(record: Classified | Dropped, *alerts: Alert) -> Decided:
    return Decided(at=record.headline.published, headline=record, alerts=alerts)


def scored(labels: Iterable[Label], stream: Iterable[Decided], reference: str | None = None) -> Scorer:
    scorer = Scorer(labels, reference)
    for one in stream:
        scorer.take(one)
    scorer.finish()
    return scorer


def test_labels_are_counted_by_rule_and_in_all_and_what_was_not_there_is_left_out() -> None:
    tanker, port, lock = unique("1", "Tanker seized"), unique("2", "Port opens"), unique("3", "Lock opens")
    labels = [
        Label(headline="TANKER <b>seized</b>", rule="ships", should_alert=True),
        Label(id="2", rule="ships", should_alert=False),
        Label(story_id="3", rule="ships", should_alert=True),
        Label(headline="Lock opens", rule="locks", should_alert=False),
        Label(headline="Gone", rule="ships", should_alert=True),
    ]
    scorer = scored(
        labels,
        [
            decided(tanker, alert(tanker, "ships"), alert(tanker, "others")),
            decided(port, alert(port, "ships")),
            decided(lock, alert(lock, "ships", suppressed="throttled")),
        ],
    )
    tallies = scorer.tallies()
    ships = tallies["rule", "ships"]
    assert (ships.right, ships.false_alarms, ships.misses, ships.rightly_silent) == (1, 1, 1, 0)
    assert (ships.precision, ships.recall) == (Share(1, 2), Share(1, 2))
    assert tallies["all", ""].rightly_silent == 1
    assert (scorer.unseen, scorer.unlabelled) == (1, 1)
    assert list(tallies) == [("all", ""), ("rule", "locks"), ("rule", "ships")]


def test_a_topic_and_a_label_without_a_rule_are_about_any_rule() -> None:
    about = unique("1", "Tanker seized", topics=(TopicMatch(topic="iran", confidence=0.9),))
    labels = [
        Label(id="1", topic="iran", should_alert=True),
        Label(id="1", topic="tech_deals", should_alert=True),
        Label(id="1", should_alert=True),
    ]
    tallies = scored(labels, [decided(about, alert(about, "ships"))]).tallies()
    assert tallies["topic", "iran"].right == 1
    assert tallies["topic", "tech_deals"].misses == 1
    assert tallies["any", ""].right == 1


def test_who_was_told_what_a_headline_repeats_was_told() -> None:
    first = unique("1", "Tanker seized")
    again, other = repeat("2", "Tanker is seized", first, 5), repeat("3", "Seized tanker", unique("9", "x"), 6)
    labels = [Label(headline=text, rule="ships", should_alert=True) for text in ("Tanker is seized", "Seized tanker")]
    tally = scored(labels, [decided(first, alert(first, "ships")), decided(again), decided(other)]).tallies()["all", ""]
    assert (tally.right, tally.misses) == (1, 1)


def test_a_late_alert_on_a_story_costs_its_share() -> None:
    first = unique("1", "Tanker seized", story="s")
    later = unique("2", "Tanker freed", 30, story="s", kind="update", update_of="1", story_began=START)
    labels = [Label(story_id="s", rule="ships", should_alert=True)]
    tally = scored(labels, [decided(first), decided(later, alert(later, "ships"))]).tallies()["all", ""]
    assert tally.delays == [1_800.0]
    assert tally.cost(Weights()) == 0.5
    assert tally.standing(Weights()) == 50.0


def test_costs_are_those_that_are_documented() -> None:
    tally = Tally(right=3, false_alarms=2, misses=1, delays=[0.0, 7_200.0, 0.0])
    assert tally.cost(Weights()) == pytest.approx(1 + 2 * 0.11 + 1)
    assert tally.standing(Weights()) == pytest.approx(100 * (1 - 2.22 / 4))
    assert Tally(rightly_silent=5).standing(Weights()) is None


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_intervals_are_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    """Against values that R's ``prop.test(correct = FALSE)`` gives."""
    interval = Share(hits, trials).interval
    assert interval == pytest.approx((low, high), abs=1e-4)
    assert Share(0, 0).interval is None


def test_f1_lies_within_its_interval_and_is_that_of_precision_and_recall() -> None:
    tally = Tally(right=8, false_alarms=2, misses=4)
    assert tally.f1 is not None
    value, (low, high) = tally.f1
    precision, recall = 8 / 10, 8 / 12
    assert value == pytest.approx(2 * precision * recall / (precision + recall))
    assert low < value < high
    assert Tally(rightly_silent=3).f1 is None


def test_the_lead_over_a_reference_is_by_story_and_by_the_first_alert() -> None:
    one, update = unique("1", "Tanker seized", 0, story="s"), unique("2", "Tanker freed", 5, story="s")
    wire = unique("3", "Seized tanker freed", 10, story="s", source="Wire.example")
    late, early = (
        unique("5", "Port shut", 25, story="t"),
        unique("4", "Port shuts", 20, story="t", source="wire.example"),
    )
    alone = unique("6", "Lock opens", 30)
    stream = [
        decided(one),
        decided(update, alert(update, "ships"), alert(update, "others")),
        decided(wire, alert(wire, "ships")),
        decided(early),
        decided(late, alert(late, "ships")),
        decided(alone, alert(alone, "ships")),
    ]
    leads = scored([], stream, "wire.example").leads()
    assert list(leads[""].seconds) == [300.0, -300.0]
    assert leads[""].alone == 1
    assert list(leads["others"].seconds) == [300.0]
    assert leads[""].as_dict()["before"] == leads[""].as_dict()["after"] == 1


def test_of_several_labels_on_the_same_the_last_holds() -> None:
    lines = [
        b'{"headline": "Port opens", "rule": "r", "should_alert": true}',
        b"",
        b'{"headline": "PORT opens ", "rule": "r", "should_alert": false, "why": "drill"}',
    ]
    assert [(line, label.should_alert) for line, label in read_labels(lines, "l.jsonl")] == [(3, False)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"headline": "Port opens", "rule": "r"}, "`should_alert` is missing"),
        ({"rule": "r", "should_alert": True}, "one of `headline`, `id` and `story_id`"),
        ({"headline": "a", "id": "1", "should_alert": True}, "one of `headline`, `id` and `story_id`"),
        ({"id": "1", "rule": "r", "topic": "t", "should_alert": True}, "both `rule` and `topic`"),
    ],
)
def test_a_line_that_is_no_label_is_refused_with_its_number(row: dict[str, Any], told: str) -> None:
    with pytest.raises(RefusedError) as caught:
        list(read_labels([b"", json.dumps(row).encode()], "l.jsonl"))
    (problem,) = caught.value.problems
    assert (problem.line, told in problem.message) == (2, True)
    assert "should_alert" in problem.hint


def test_the_figures_are_json_for_programs() -> None:
    about = unique("1", "Tanker seized")
    found = scored(
        [Label(id="1", rule="ships", should_alert=True)], [decided(about, alert(about, "ships"))], "x"
    ).as_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["rules"]["ships"]["precision"] == {"value": 1.0, "low": 0.2065, "high": 1.0}
    assert found["all"]["score"] == 100.0
    assert found["reference"]["all"]["not_told_by_it"] == 1
