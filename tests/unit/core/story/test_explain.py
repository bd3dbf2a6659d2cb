from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from streams.core.records import Headline
from streams.core.story.compare import MEASUREMENTS, measure
from streams.core.story.explain import Explanation, explain_pair, reason
from streams.core.story.model import Judgement
from streams.core.story.reading import Reading

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def explained(one: str, other: str, source: str = "a.example") -> Explanation:
    return explain_pair(
        Headline(headline=one, published=NOON, source="a.example"),
        Headline(headline=other, published=NOON + timedelta(hours=3), source=source),
    )


def why(one: str, other: str, *, duplicate: bool = False) -> str:
    measured = measure(Reading(one), Reading(other), 1.0, same_source=False)
    return reason(measured, Judgement(0.1, 0.2, 0.7), duplicate=duplicate)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("13 killed in Tarn", "17 killed in Tarn", "the figures differ: 13 dead, was 17 dead"),
        ("Velo pays $1.9bn", "Velo pays $1.5bn", "the figures differ: 1,900,000,000 USD, was 1,500,000,000 USD"),
        ("Rate of 2.5%", "Rate of 3%", "the figures differ: 2.5 %, was 3 %"),
        ("Rovers win 3-1", "Rovers win 3-2", "the figures differ: 3-1, was 3-2"),
        ("Siege, day 559", "Siege, day 558", "the figures differ: day 559, was day 558"),
        ("Quiz for 12 August", "Quiz for 5 August", "the figures differ: 8-12, was 8-05"),
        ("Ferry held off Tarn", "Ferry off Tarn", "says more of it: held"),
        ("Ferry off Tarn", "Ferry held off Tarn", "the same story, told differently"),
    ],
)
def test_the_reason_of_an_update_says_what_is_new(one: str, other: str, told: str) -> None:
    assert why(one, other) == told


def test_the_reason_of_a_duplicate_says_how_sure_it_is() -> None:
    assert why("Ferry held", "Ferry held", duplicate=True) == "tells the same (70%)"


def test_a_reason_is_one_line_however_much_differs() -> None:
    long = why(
        " ".join(f"word{letter}x" for letter in "abcdefgh") + " 17 dead, 5 hurt, 9 held", "13 dead, 4 hurt, 8 held"
    )
    assert "\n" not in long
    assert len(long) < 120


def test_an_explanation_tells_words_names_and_figures_of_both() -> None:
    told = dict(explained("17 killed as ferry sinks off Lissom", "Ferry sinks off Lissom, killing 13").told())
    assert "lissom" in told["both"]
    assert told["figures in A"] == "17 dead"
    assert told["figures in B"] == "13 dead"
    assert told["contradict"] == "17 dead and 13 dead"
    assert "names in A" in told


def test_nothing_is_told_of_what_is_not_there() -> None:
    told = dict(explained("Ferry sinks", "Ferry sinks").told())
    assert "contradict" not in told
    assert "only A" not in told


def test_wire_marks_do_not_count() -> None:
    plain, marked = explained("Ferry held", "Ferry held"), explained("Ferry held", "UPDATE 2-Ferry held | Reuters")
    assert plain.measured.values == marked.measured.values


def test_what_told_most_comes_first() -> None:
    counted = explained("Man held over Tarn fire", "Man charged over Tarn fire").counted()
    spans = [max(earned) - min(earned) for _, _, earned in counted]
    assert spans == sorted(spans, reverse=True)
    assert {name for name, _, _ in counted} == set(MEASUREMENTS)


def test_the_same_is_there_for_programs() -> None:
    found = explained("Man held over Tarn fire", "Man charged over Tarn fire").as_dict()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"probability", "told", "measurements"}
    assert sum(found["probability"].values()) == pytest.approx(1, abs=0.001)
    assert found["measurements"]["stages apart"]["value"] > 0


def test_a_headline_of_the_same_source_is_known_for_it() -> None:
    of = {source: explained("Ferry held", "Ferry held", source).as_dict() for source in ("a.example", "b.example")}
    assert of["a.example"]["measurements"]["same source"]["value"] == 1
    assert of["b.example"]["measurements"]["same source"]["value"] == 0
