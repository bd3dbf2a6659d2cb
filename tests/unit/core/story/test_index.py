from __future__ import annotations

import itertools
import random

from streams.core.story.index import DRAWER, FILED, MOST, WordIndex
from streams.core.story.lexicon import HEAVIEST, number_of, weigh
from streams.core.story.reading import Reading, rare_words

SPAN = 1_000


def words(*rare: str, weight: float = 5.0) -> list[int]:
    """Numbers of words that are too common to find a headline alone."""
    return sorted(number_of(word, weight) for word in rare)


def found(index: WordIndex, sought: list[int], at: int = 0, reach: int = SPAN) -> set[int]:
    return set(index.search(sought, at - reach, at + reach))


def test_those_that_share_two_words_come_before_those_that_share_one() -> None:
    index = WordIndex(SPAN)
    for number in range(1, MOST + 1):
        index.add(number, words("tanker", "malta", f"no{number}"), 0)
    index.add(MOST + 1, words("tanker", "crew"), 0)
    assert found(index, words("tanker", "malta", "freed")) == set(range(1, MOST + 1))
    assert found(index, words("crew", "freed")) == {MOST + 1}
    assert found(index, words("freed")) == set()


def test_one_word_that_is_very_rare_finds_a_headline_alone() -> None:
    index = WordIndex(SPAN)
    index.add(1, words("zyrtania", weight=9.0) + words("tanker"), 0)
    assert found(index, words("zyrtania", weight=9.0) + words("crew", "freed")) == {1}


def test_only_the_rarest_words_are_filed() -> None:
    rare, common = words(*"abcdef", weight=6.0), words("x", "y", weight=2.0)
    assert len(rare) == FILED
    index = WordIndex(SPAN)
    index.add(1, rare + common, 0)
    assert found(index, common) == set()
    assert found(index, rare[-2:]) == {1}


def test_a_drawer_keeps_its_newest() -> None:
    index = WordIndex(SPAN)
    index.add(1, words("malta", "crew"), 0)
    for number in range(2, DRAWER + 2):
        index.add(number, words("malta"), 0)
    assert 1 not in found(index, words("malta"))
    assert found(index, words("malta", "crew")) >= {1}, "another drawer has it still"


def test_a_search_returns_a_bounded_number_those_that_share_most_first() -> None:
    sought = words(*"abcdefg", weight=5.0)
    index = WordIndex(SPAN)
    index.add(1, sought[:4], 0)
    for number, pair in enumerate(itertools.combinations(sought, 2), start=2):
        index.add(number, list(pair), 0)
    returned = found(index, sought)
    assert len(returned) == MOST
    assert 1 in returned


def test_headlines_of_another_time_are_not_looked_at() -> None:
    index = WordIndex(SPAN)
    index.add(1, words("tanker", "malta"), 0)
    index.add(2, words("tanker", "malta"), 10 * SPAN)
    assert found(index, words("tanker", "malta"), at=0) == {1}
    assert found(index, words("tanker", "malta"), at=10 * SPAN) == {2}
    assert found(index, words("tanker", "malta"), at=5 * SPAN) == set()


def test_an_archive_read_beside_a_stream_does_not_fill_its_drawers() -> None:
    index = WordIndex(SPAN)
    index.add(1, words("tanker", "malta"), 100 * SPAN)
    for number in range(2, 2 * DRAWER):
        index.add(number, words("tanker", "malta"), 0)
    assert found(index, words("tanker", "malta"), at=100 * SPAN) == {1}


def test_what_lies_on_both_sides_of_a_span_is_found() -> None:
    index = WordIndex(SPAN)
    index.add(1, words("tanker", "malta"), SPAN - 1)
    index.add(2, words("tanker", "malta"), 2 * SPAN + 1)
    assert found(index, words("tanker", "malta"), at=SPAN + 500) == {1, 2}


def test_a_time_of_which_nothing_counts_any_more_is_forgotten_whole() -> None:
    index = WordIndex(SPAN)
    for number in (1, 2):
        index.add(number, words("tanker", "malta"), 5)
    index.forget(5)
    assert len(index) > 0
    index.forget(5)
    assert len(index) == 0


def test_undoing_leaves_the_index_as_it_was() -> None:
    dice = random.Random(3)
    alphabet = [number_of(letter, 4.0 + place / 3) for place, letter in enumerate("abcdefghijklm")]
    headlines = [(sorted(dice.sample(alphabet, 6)), dice.randrange(4 * SPAN)) for _ in range(300)]
    index, other = WordIndex(SPAN), WordIndex(SPAN)
    for number, (rare, published) in enumerate(headlines[:200], start=1):
        index.add(number, rare, published)
        other.add(number, rare, published)
    index.settle()
    for number, (rare, published) in enumerate(headlines[200:], start=201):
        index.add(number, rare, published)
    for number, (rare, published) in reversed(list(enumerate(headlines[200:], start=201))):
        index.undo(number, rare, published)
    assert len(index) == len(other)
    for rare, published in headlines:
        assert found(index, rare, published) == found(other, rare, published)


def test_numbers_of_words_sort_by_rarity_and_carry_their_weight() -> None:
    rare, common = number_of("zyrtania", 10.0), number_of("say", 2.0)
    assert rare < common
    assert weigh([rare]) == 10_000
    assert weigh([rare, common]) == weigh((common, rare)) == 12_000
    assert weigh([number_of(str(place), 10.0) for place in range(30)]) in range(299_970, 300_001)
    assert weigh([number_of("heavier than any", 99.0)]) == HEAVIEST
    assert weigh(()) == 0


def test_the_words_that_a_headline_is_sought_by_are_those_that_it_is_compared_by() -> None:
    for text in (
        "U.S.-China trade talks resume in New York, says Zyrtania's PM",
        "NEW YORK \u2013 Prime Minister resigns; 'white house' silent",
        "Wall Street's S&P 500 falls 2.5% as interest rates rise",
        "\u201cNo deal,\u201d says S. Korea",
        "and of the",
        "",
    ):
        by_meaning = {word.number for word in Reading(text).by_meaning.values()}
        assert rare_words(text) == tuple(sorted(by_meaning))
