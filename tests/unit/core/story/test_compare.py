from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.story.compare import MEASUREMENTS, Measured, measure
from streams.core.story.model import judge
from streams.core.story.reading import Reading
from streams.core.story.vocabulary import listed

#: Words of headlines, none of which is nearly another one: those are told apart by rules of their own.
WORDS = st.sampled_from(
    listed(
        "ferry held charged off Lissom Tarn Quill Oster to will not meets meet storm nears hits 17 13 dead "
        "hurt $5m Tesk answers live August 5 12 resigns fire harbour the of"
    )
)
HEADLINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
HOURS = st.floats(0, 500)


def measured(one: str, other: str, hours: float = 1.0, *, same_source: bool = False) -> Measured:
    return measure(Reading(one), Reading(other), hours, same_source=same_source)


def values(one: str, other: str, hours: float = 1.0, *, same_source: bool = False) -> dict[str, float]:
    found = measured(one, other, hours, same_source=same_source)
    return dict(zip(MEASUREMENTS, found.values, strict=True))


def test_what_is_the_same_and_what_only_one_side_has() -> None:
    found = measured("Ferry held off Lissom", "Lissom ferry anchors")
    assert sorted(found.shared) == ["ferri", "lissom"]
    assert found.only_first == ["held"]
    assert found.only_second == ["anchor"]


def test_a_misspelt_word_finds_its_other_spelling() -> None:
    found = measured("Quake in Afghanistan", "Quake in Afganistan")
    assert (found.only_first, found.only_second) == ([], [])


def test_words_that_only_begin_alike_stay_apart() -> None:
    found = measured("Ferry for Austria", "Ferry for Australia")
    assert found.only_first
    assert found.only_second


@pytest.mark.parametrize(
    ("one", "other", "swapped"),
    [
        ("Prince Alder sues tabloid", "Prince Rowan sues tabloid", True),
        ("Flood closes port of Tarn", "Flood closes port of Selby", True),
        ("Prince Alder sues tabloid", "Prince Alder sues newspaper", False),
        ("Prince Alder sues tabloid", "Tabloid is sued by Prince Alder", False),
    ],
)
def test_a_name_in_the_place_of_another(one: str, other: str, swapped: bool) -> None:
    assert measured(one, other).swapped is swapped


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("negation on one side", "Oster will resign", "Oster will not resign"),
        ("negation on one side", "Torrin confirms talks", "Torrin denies talks"),
        ("prospect on one side", "Oster to resign", "Oster resigns"),
        ("to come in one, done in the other", "President to meet envoy", "President meets envoy"),
        ("opposites", "Tesk shares rise", "Tesk shares fall"),
        ("told as what came before", "Norda chief quits", "Norda sues after chief quits"),
        ("stages apart", "Man held over fire", "Man charged over fire"),
        ("stages apart", "Storm nears Lissom", "Storm hits Lissom"),
        ("stages apart", "Climber missing on Ossel", "Climber rescued on Ossel"),
        ("sequel on one side", "Fire in Tarn", "Mayor resigns, fire in Tarn"),
        ("figures in conflict", "17 killed in Tarn", "13 killed in Tarn"),
        ("series in conflict", "Lexo answers for 5 August", "Lexo answers for 12 August"),
        ("series in conflict", "Tarn siege, day 558", "Tarn siege, day 559"),
        ("figures agreed", "Velo pays $1.5bn", "Velo pays 1.5 billion dollars"),
        ("names in conflict", "Quill sues", "Oster sues"),
        ("names shared", "Quill sues", "Quill resigns"),
        ("round-up", "Storm Odile", "Storm Odile: live updates"),
    ],
)
def test_each_turn_of_a_story_has_its_measurement(name: str, one: str, other: str) -> None:
    assert values(one, other)[name] > 0
    assert values(one, one)[name] <= 0 or name in ("figures agreed", "names shared")


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("President meets envoy", "President to meet envoy"),
        ("Man charged over fire", "Man held over fire"),
        ("Tesk shares fall", "Tesk shares rise"),
        ("17 killed in Tarn", "13 killed in Tarn"),
        ("Prince Alder sues tabloid", "Prince Rowan sues tabloid"),
    ],
)
def test_a_headline_that_moves_the_story_on_is_no_mere_repeat(later: str, earlier: str) -> None:
    assert measured(later, earlier).contradicts
    assert not measured(later, later).contradicts


def test_what_expects_again_what_was_reported_is_late_and_no_news() -> None:
    assert not measured("President to meet envoy", "President meets envoy").fulfilled


def test_time_and_source_count() -> None:
    text = "Ferry held off Lissom"
    assert values(text, text, 0)["hours apart"] == 0
    assert values(text, text, 2)["hours apart"] < values(text, text, 48)["hours apart"] <= 1
    assert values(text, text, same_source=True)["same source"] == 1


def test_a_headline_beside_itself_leaves_nothing_over() -> None:
    found = values("Quill denies fraud in Tarn", "Quill denies fraud in Tarn")
    assert found["share of the shorter"] == 1
    assert found["common order"] == 1
    assert found["left over in the poorer"] == found["left over in the richer"] == 0


@pytest.mark.parametrize(("one", "other"), [("", ""), ("", "Ferry held"), ("!!!", "5"), ("the", "of")])
def test_headlines_without_words_can_be_measured(one: str, other: str) -> None:
    assert values(one, other)["shared weight"] == 0


@given(HEADLINES, HEADLINES, HOURS, st.booleans())
def test_measurements_are_the_same_whichever_comes_first(one: str, other: str, hours: float, same: bool) -> None:
    there = measured(one, other, hours, same_source=same)
    back = measured(other, one, hours, same_source=same)
    assert back.values == pytest.approx(there.values)
    assert back.swapped == there.swapped
    assert (back.only_first, back.only_second) == (there.only_second, there.only_first)


@given(st.text(max_size=60), st.text(max_size=60), HOURS, st.booleans())
def test_measurements_of_any_text_stay_in_their_range(one: str, other: str, hours: float, same: bool) -> None:
    found = measured(one, other, hours, same_source=same)
    assert len(found.values) == len(MEASUREMENTS)
    assert all(-0.1 <= value <= 4 for value in found.values)


@given(HEADLINES, HEADLINES, HOURS, st.booleans())
def test_a_judgement_on_any_pair_sums_to_one(one: str, other: str, hours: float, same: bool) -> None:
    judgement = judge(measured(one, other, hours, same_source=same).values)
    parts = (judgement.different, judgement.update, judgement.duplicate)
    assert sum(parts) == pytest.approx(1)
    assert all(0 <= part <= 1 for part in parts)
    assert judgement.same_story == pytest.approx(1 - judgement.different)


def test_opposites_are_told_in_the_order_of_the_headlines_and_not_in_that_of_a_set() -> None:
    son, wife, ours = "Her son and his wife arrive", "Her wife and his son arrive", "Actress and her husband arrive"
    assert measured(ours, son).opposites == (("husband", "son"), ("husband", "wife"))
    assert measured(ours, wife).opposites == (("husband", "wife"), ("husband", "son"))
