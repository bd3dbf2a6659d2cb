from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.story.figures import KINDS, SPELLED, Comparison, Figure, compare, read_figures
from streams.core.story.vocabulary import listed

#: Pieces that figures are made of, so that texts of them are full of figures and of what only looks like one.
PIECES = st.sampled_from(
    listed(
        "$ € Rs US$ - \u2212 \u2013 . , : % ° 0 5 12 1,000 1.5 2022 m bn cr lakh pct st F C dozen thirty-two three one "
        "hundred day Episode August aged killed dead staff rupees dollars Covid-19 3-1 minus about \u0130 \u00df"
    )
)
#: Words that spell numbers, also beside each other.
SPELLINGS = st.sampled_from([*sorted(SPELLED), "of", "a", "-", "years", "old", "killed"])
TEXTS = st.one_of(
    st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join), st.lists(SPELLINGS).map(" ".join)
)


def told(text: str) -> list[tuple[str, float, str]]:
    """Kind, value and unit of each figure."""
    return [(figure.kind, round(figure.value, 6), figure.unit) for figure in read_figures(text)]


def compared(one: str, other: str) -> Comparison:
    return compare(read_figures(one), read_figures(other))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Veltor to cut 13% of staff", [("percent", 13, "")]),
        ("Veltor shares down 3.5 per cent", [("percent", 3.5, "")]),
        ("Rates up by 25 basis points", [("percent", 0.25, "")]),
        ("Rates up by 25bps", [("percent", 0.25, "")]),
        ("Rates up by 0.25 percentage points", [("percent", 0.25, "")]),
        ("Veltor to cut 11,000 staff", [("count", 11_000, "staff")]),
        ("Marrow Bank raises Rs 6,160 cr", [("money", 61.6e9, "inr")]),
        ("Marrow Bank raises Rs6,160cr", [("money", 61.6e9, "inr")]),
        ("Marrow Bank raises 61.6 bn rupees", [("money", 61.6e9, "inr")]),
        ("Velo pays $1.5bn", [("money", 1.5e9, "usd")]),
        ("Velo pays US$1.5-billion", [("money", 1.5e9, "usd")]),
        ("Velo pays 1.5 billion US dollars", [("money", 1.5e9, "usd")]),
        ("Velo pays A$1.5bn", [("money", 1.5e9, "a$")]),
        ("Velo pays 1.5 billion Australian dollars", [("money", 1.5e9, "a$")]),
        ("Velo pays 2 billion Hong Kong dollars", [("money", 2e9, "hk$")]),
        ("Velo pays \u20ac5 lakh", [("money", 5e5, "eur")]),
        ("A night of -4F", [("temperature", -20, "")]),
        ("A night of minus 20C", [("temperature", -20, "")]),
        ("A night of \u221220 degrees Celsius", [("temperature", -20, "")]),
        ("17 killed in Orvana", [("count", 17, "dead")]),
        ("Blast kills at least 17 people in Orvana", [("count", 17, "dead")]),
        ("Thirty-two dead in Orvana", [("count", 32, "dead")]),
        ("Two dozen injured in Lissom", [("count", 24, "hurt")]),
        ("A dozen injured in Lissom", [("count", 12, "hurt")]),
        ("Three hundred people stranded", [("count", 300, "missing")]),
        ("Nine million face drought", [("count", 9e6, "face")]),
        ("Hale, 34, wins", [("age", 34, "")]),
        ("Hale dies at 71", [("age", 71, "")]),
        ("Five-year-old found", [("age", 5, "")]),
        ("Third ship held", [("ordinal", 3, "")]),
        ("A third of ships held", []),
        ("Quiz for 5 August", [("date", 805, "")]),
        ("Quiz for August 12, 2022", [("date", 812, ""), ("year", 2022, "")]),
        ("Quiz for the 5th of the month", [("ordinal", 5, "")]),
        ("Quiz for August 5th", [("date", 805, "")]),
        ("The 2022-23 season", [("year", 2022, "")]),
        ("Rovers win 3\u20131", [("score", 3001, "")]),
        ("The war on day 558", [("label", 558, "day")]),
        ("Lighthouse, episode 4", [("label", 4, "episode")]),
        ("Lexo #412", [("label", 412, "lexo")]),
        ("Crossword No 4112", [("label", 4112, "no")]),
        ("An F-16 crashes", [("label", 16, "f")]),
        ("Covid-19 returns", [("label", 19, "covid")]),
        ("F16s over Tarn in the mid-90s", [("count", 90, "")]),
        ("The one to beat", []),
        ("Hundreds flee Lissom", [("count", 550, "flee")]),
        ("Tens of thousands held", [("count", 55_000, "held")]),
        ("Profit falls in Q3", [("label", 3, "q")]),
    ],
)
def test_reads_figures_with_kind_and_unit(text: str, expected: list[tuple[str, float, str]]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Veltor to cut 11,000 staff", "Veltor cuts 11000 staff"),
        ("Marrow Bank raises Rs 6,160 cr", "Marrow Bank raises 61.6 bn rupees"),
        ("A night of -4F", "A night of -20C"),
        ("Velo pays $1.5bn", "Velo pays 1.5 billion dollars"),
        ("Velo pays nearly $70bn", "Velo pays $68.7bn"),
        ("Lissom counts 1.46 million people", "Lissom counts 1.5m people"),
        ("About 200 held", "196 held"),
        ("Thirty-two dead", "32 dead"),
        ("Rates up by 25 basis points", "Rates up by 0.25%"),
        ("Three killed", "Blast kills 3"),
        ("Dozens hurt", "24 hurt"),
        ("Hundreds held", "At least 340 held"),
        ("11,000 staff leave", "11,050 staff leave"),
        ("Hale, 34, wins", "34-year-old Hale wins"),
        ("Quiz for 5 August", "Quiz for Aug 5th"),
    ],
)
def test_one_figure_told_in_two_ways_agrees(one: str, other: str) -> None:
    comparison = compared(one, other)
    assert (comparison.agreed, comparison.conflicts, comparison.doubtful) == (1, (), ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("17 killed", "13 killed"),
        ("At least 24 dead", "Blast kills 46"),
        ("Thirty-two dead", "Thirty-five dead"),
        ("20 held", "21 held"),
        ("Velo pays $1.5bn", "Velo pays $1.9bn"),
        ("Velo pays \u00a370m", "Velo pays \u20ac70m"),
        ("Rates up 25bp", "Rates up 50bp"),
        ("A night of -4F", "A night of -4C"),
        ("A night of -10C", "A night of 10C"),
        ("Day 558 of the war", "Day 559 of the war"),
        ("Quiz for 5 August", "Quiz for 12 August"),
        ("Rovers win 3-1", "Rovers win 3-2"),
        ("First ship held", "Third ship held"),
        ("An F-16 crashes", "An F-15 crashes"),
        ("Hundreds flee", "Thousands flee"),
        ("Dozens hurt", "140 hurt"),
        ("Claims rise to 210,000", "Claims rise to 214,000"),
        ("Profit falls in Q2", "Profit falls in Q3"),
    ],
)
def test_figures_that_cannot_both_be_right_conflict(one: str, other: str) -> None:
    comparison = compared(one, other)
    assert comparison.agreed == 0
    assert len(comparison.conflicts) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Veltor to cut 13%", "Veltor to cut 11,000 staff"),
        ("Hale, 34, wins", "Hale wins 3-1"),
        ("Episode 4", "August 4"),
        ("Blast kills 17", "Blast on 3 May"),
    ],
)
def test_figures_of_two_kinds_do_not_meet(one: str, other: str) -> None:
    comparison = compared(one, other)
    assert (comparison.agreed, comparison.conflicts, comparison.doubtful, comparison.single) == (0, (), (), 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Velo pays $750m", "Velo pays Rs 6,160 cr"), ("Eight ships held", "Nine ports shut"), ("$5", "\u20ac6")],
)
def test_figures_that_may_count_different_things_are_in_doubt(one: str, other: str) -> None:
    comparison = compared(one, other)
    assert comparison.conflicts == ()
    assert len(comparison.doubtful) == 1


def test_dollars_are_written_without_their_nation_at_home() -> None:
    assert compared("Velo pays $70m", "Velo pays A$70m").conflicts == ()


def test_figures_that_agree_do_not_contradict_the_others() -> None:
    comparison = compared("17 killed, 40 hurt", "40 hurt and 17 dead")
    assert (comparison.agreed, comparison.conflicts, comparison.single) == (2, (), 0)


def test_without_figures_on_one_side_all_are_single() -> None:
    assert compared("17 killed, 40 hurt", "Many dead") == Comparison(0, (), (), 2)


@pytest.mark.parametrize("word", sorted(SPELLED))
def test_every_word_that_spells_a_number_is_read_whatever_stands_beside_it(word: str) -> None:
    for text in (word, f"{word} flee", f"{word} of millions without power", f"Some {word.capitalize()} of thousands"):
        read_figures(text)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Tens flee a fire", 20, 110),
        ("Tens of thousands flee a fire", 1e4, 1e5),
        ("Tens of millions without power", 1e7, 1e8),
    ],
)
def test_magnitudes_are_read_with_their_slack(text: str, least: float, most: float) -> None:
    (figure,) = read_figures(text)
    assert (figure.value - figure.slack, figure.value + figure.slack) == (least, most)


@example("Rs\u0130 5 cr")
@given(TEXTS)
def test_figures_lie_inside_the_text_in_order(text: str) -> None:
    figures = read_figures(text)
    for figure in figures:
        assert figure.kind in KINDS
        assert 0 <= figure.start < figure.end <= len(text)
    assert [figure.start for figure in figures] == sorted({figure.start for figure in figures})


@given(TEXTS)
def test_the_figures_of_a_text_agree_with_themselves(text: str) -> None:
    figures = read_figures(text)
    assert compare(figures, figures) == Comparison(len(figures), (), (), 0)


@given(TEXTS, TEXTS)
def test_a_comparison_is_the_same_whichever_comes_first(one: str, other: str) -> None:
    there, back = compared(one, other), compared(other, one)
    assert (back.agreed, back.single) == (there.agreed, there.single)
    assert turned(back.conflicts) == set(there.conflicts)
    assert turned(back.doubtful) == set(there.doubtful)


def turned(pairs: tuple[tuple[Figure, Figure], ...]) -> set[tuple[Figure, Figure]]:
    return {(other, one) for one, other in pairs}
