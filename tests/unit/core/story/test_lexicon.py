from __future__ import annotations

from importlib import resources

import pytest

from streams.core.story import lexicon as module
from streams.core.story.lexicon import (
    COUNTS,
    EXPECTS,
    FOLLOWS,
    GATHERS,
    NEGATES,
    Lexicon,
    lexicon,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dies", "died"),
        ("germany", "german"),
        ("dutch", "netherlands"),
        ("seized", "captures"),
        ("labour", "labor"),
        ("tonne", "tons"),
        ("permits", "allowed"),
    ],
)
def test_words_that_newsrooms_use_for_one_another_have_one_meaning(one: str, other: str) -> None:
    assert lexicon().look(one).meaning == lexicon().look(other).meaning


@pytest.mark.parametrize(("one", "other"), [("held", "charged"), ("charged", "convicted"), ("niger", "nigeria")])
def test_words_between_which_there_is_news_have_two_meanings(one: str, other: str) -> None:
    assert lexicon().look(one).meaning != lexicon().look(other).meaning


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("held", "charged"), ("charged", "convicted"), ("missing", "rescued"), ("nears", "hits"), ("plans", "launches")],
)
def test_what_follows_in_a_story_stands_on_a_later_step_of_the_same_scale(earlier: str, later: str) -> None:
    before, after = dict(lexicon().look(earlier).stages), dict(lexicon().look(later).stages)
    assert any(before[scale] < after[scale] for scale in before.keys() & after.keys())


@pytest.mark.parametrize("word", ["the", "said", "5", "1,000", "thirty"])
def test_stop_words_and_figures_mean_nothing(word: str) -> None:
    assert lexicon().look(word).meaning == ""


@pytest.mark.parametrize(
    ("word", "flag"),
    [
        ("not", NEGATES),
        ("wont", NEGATES),
        ("without", NEGATES),
        ("will", EXPECTS),
        ("near", EXPECTS),
        ("recap", GATHERS),
        ("aftermath", FOLLOWS),
        ("nine", COUNTS),
        ("17m", COUNTS),
        ("denies", NEGATES | FOLLOWS),
    ],
)
def test_words_tell_of_the_headline_around_them(word: str, flag: int) -> None:
    assert lexicon().look(word).flags & flag == flag


def test_a_name_is_known_and_an_unknown_word_is_neither_name_nor_common() -> None:
    known, unknown = lexicon().look("germany"), lexicon().look("qzorvana")
    assert (known.name, known.common) == (True, False)
    assert (unknown.name, unknown.common) == (False, False)
    assert unknown.weight > lexicon().look("oil").weight


def test_the_rarest_word_has_the_lowest_number_and_no_two_have_the_same() -> None:
    oil, one, other = (lexicon().look(word).number for word in ("oil", "qzorvana", "qzlissom"))
    assert max(one, other) < oil
    assert one != other


def test_memory_stays_bounded_and_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WORDS", 10)
    small = Lexicon()
    first = small.look("tanker")
    for number in range(50):
        small.look(f"word{number}")
    assert len(small._words) <= 11
    assert small.look("tanker") == first


def test_every_word_of_the_tables_is_folded_and_stands_beside_another() -> None:
    text = (resources.files("streams.core.story") / "words.txt").read_text(encoding="utf-8")
    groups = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    words = [word for group in groups for word in group]
    assert words == [word.casefold() for word in words]
    assert all(len(group) > 1 for group in groups)
