from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.story.lexicon import lexicon, weigh
from streams.core.story.reading import Reading, rare_words

TEXTS = st.text(st.one_of(st.sampled_from("aB1s '\u2019,.-$%\u0130\u00df"), st.characters()), max_size=60)


def test_words_are_meanings_in_order_without_stop_words_and_figures() -> None:
    reading = Reading("The ferry of 3 nations is held off Lissom")
    assert reading.words == ["ferri", "nation", "held", "lissom"]
    assert [token.text for token in reading.tokens][:3] == ["the", "ferry", "of"]
    total = sum(word.weight for word in reading.by_meaning.values())
    assert weigh(rare_words("The ferry of 3 nations is held off Lissom")) == pytest.approx(1000 * total, abs=4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Prime Minister Oster", "PM Oster"),
        ("United Nations envoy", "UN envoy"),
        ("North Korean ship", "N. Korea ship"),
        ("Death toll at Lissom", "Deaths at Lissom"),
        ("White House aide", "white house aide"),
        ("Oster\u2019s ferry", "Oster ferry"),
        ("Ferry-owner Oster", "Ferry owner Oster"),
    ],
)
def test_names_that_are_written_in_two_ways_are_one_word(one: str, other: str) -> None:
    assert Reading(one).words == Reading(other).words


def test_the_rarest_words_come_first_once_each() -> None:
    rarest = rare_words("Lissom oil: oil ship leaves Lissom")
    assert rarest[0] == lexicon().look("lissom").number
    assert len(rarest) == len(set(rarest))
    assert rare_words("Lissom oil ship") == rare_words("ship oil Lissom")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The police hold Quill over fire", {"quill"}),
        ("Talks of germany and Tesk resume", {"germani", "tesk"}),
        # In a headline that writes all words large, only what is known or very rare is a name.
        ("Police Hold Man Over Qzorvana Fire", {"qzorvana"}),
        ("POLICE HOLD MAN OVER QZORVANA FIRE", {"qzorvana"}),
    ],
)
def test_names_are_told_by_what_is_known_and_how_they_are_written(text: str, names: set[str]) -> None:
    assert Reading(text).names == names


@pytest.mark.parametrize(
    ("text", "prospects"),
    [
        ("Quill to be sentenced on Friday", {"sentenc"}),
        ("Quill will soon resign", {"resign"}),
        ("Quill sentenced", set()),
    ],
)
def test_what_is_still_to_come(text: str, prospects: set[str]) -> None:
    assert set(Reading(text).prospects) == prospects


@pytest.mark.parametrize(
    ("text", "negated", "expectant", "gathers"),
    [
        ("Quill will not resign", True, True, False),
        ("Quill won\u2019t resign", True, False, False),
        ("Quill denies fraud", True, False, False),
        ("Quill to resign", False, True, False),
        ("Storm Odile: live updates", False, False, True),
        ("Quill resigns", False, False, False),
    ],
)
def test_turns_of_a_headline(text: str, negated: bool, expectant: bool, gathers: bool) -> None:
    reading = Reading(text)
    assert (reading.negated, reading.expectant, reading.gathers) == (negated, expectant, gathers)


@pytest.mark.parametrize("text", ["", "   ", "!!!", "\u2014", "\U0001f600"])
def test_a_headline_without_words_is_read_as_nothing(text: str) -> None:
    reading = Reading(text)
    assert (reading.words, reading.names, reading.figures, rare_words(text)) == ([], frozenset(), (), ())


@given(TEXTS)
def test_every_text_is_read(text: str) -> None:
    reading = Reading(text)
    assert set(reading.words) == set(reading.by_meaning)
    assert set(rare_words(text)) == {word.number for word in reading.by_meaning.values()}
    assert reading.names <= reading.by_meaning.keys()
    assert all(reading.by_meaning[meaning].meaning == meaning for meaning in reading.words)


def test_words_are_the_same_where_what_is_remembered_of_runs_is_forgotten_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.core.story.reading._MOST_RUNS", 3)
    for text in ("Ferry-owner Oster sues", "Tesk-built ship-yard on fire", "North Korean ship held off Lissom-on-Sea"):
        assert set(rare_words(text)) == {word.number for word in Reading(text).by_meaning.values()}
