from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.query import terms
from streams.core.query.frequency import Anchor
from streams.core.query.lexicon import REMEMBERED, Lexicon

WORDS = st.text("abcr", min_size=1, max_size=7)
WILD = st.text("abc*?", min_size=1, max_size=6).filter(lambda text: terms.has_wildcard(text) and text.strip("*?") != "")
FUZZY = st.tuples(st.text("abcr", min_size=2, max_size=7), st.sampled_from("12")).map("~".join)
REGEXES = st.sampled_from(
    ("a(b|c)*", "ab|ac", "[^a]+", "a?b?c?", "r.*r", "(ab)|(cr)|b", "a{2,3}b", ".", ".*", "ab\\|c", "[|]a")
)


def says(anchor: Anchor, word: str) -> bool:
    """What the anchor means, by itself."""
    if anchor.place == "word":
        return anchor.text == word
    if anchor.place == "wildcard":
        return terms.compile_regex(terms.word_regex(anchor.text)).fullmatch(word) is not None
    if anchor.place == "fuzzy":
        wanted, edits = anchor.text.split("~")
        return terms.is_near(wanted, word, int(edits))
    return terms.compile_line_regex(anchor.text).search(word) is not None


ANCHORS = st.one_of(
    WORDS.map(lambda text: Anchor("word", text)),
    WILD.map(lambda text: Anchor("wildcard", text)),
    FUZZY.map(lambda text: Anchor("fuzzy", text)),
    REGEXES.map(lambda text: Anchor("regex", text)),
)


@given(st.lists(ANCHORS, unique=True, max_size=12), st.lists(WORDS, min_size=1, max_size=5))
def test_a_word_is_what_each_pattern_says_by_itself(anchors: list[Anchor], words: list[str]) -> None:
    lexicon = Lexicon({anchor: [number] for number, anchor in enumerate(anchors)})
    for word in (*words, *words):
        assert lexicon.rules_of(word) == tuple(n for n, anchor in enumerate(anchors) if says(anchor, word))


@given(WILD, WORDS)
def test_the_test_of_a_word_is_what_its_wildcards_mean(pattern: str, word: str) -> None:
    assert bool(terms.word_test(pattern)(word)) == says(Anchor("wildcard", pattern), word)


@given(REGEXES, WORDS)
def test_a_word_that_is_as_described_begins_as_is_plain_to_see(regex: str, word: str) -> None:
    if says(Anchor("regex", regex), word):
        assert word.startswith(terms.literal_start(regex))


@pytest.mark.parametrize(
    ("regex", "start"),
    [
        ("tanke(r|rs)", "tanke"),
        ("tanks?", "tank"),
        ("a|b", ""),
        ("ab(c)|(d)", ""),
        ("TANK.*", "tank"),
        ("ta[n]k", ""),
        (".*", ""),
    ],
)
def test_what_is_plain_to_see(regex: str, start: str) -> None:
    assert terms.literal_start(regex) == start


def test_what_is_remembered_is_bounded() -> None:
    lexicon = Lexicon({Anchor("wildcard", "w1*"): [0]})
    for number in range(REMEMBERED + 10):
        lexicon.rules_of(f"w{number}")
    assert len(lexicon.known) <= REMEMBERED
    assert lexicon.rules_of("w1" + "x" * 100) == (0,)
    assert "w1" + "x" * 100 not in lexicon.known


def test_thousands_of_hostile_patterns_do_not_stall() -> None:
    hostile = [
        *(Anchor("regex", f"(x+x+)+y{number}") for number in range(300)),
        *(Anchor("regex", f"(a|aa)*[b-c]{{1,9}}{number}") for number in range(300)),
        *(Anchor("regex", f".*{number}.*{number + 1}.*") for number in range(300)),
        *(Anchor("wildcard", f"*a*a*a*a*b{number}") for number in range(1_000)),
        *(Anchor("fuzzy", f"{'ab' * 11}{chr(97 + number % 26)}~2") for number in range(200)),
    ]
    lexicon = Lexicon({anchor: [number] for number, anchor in enumerate(hostile)})
    start = time.perf_counter()
    for word in ("x" * 900, "a" * 900, "ab" * 12, "aab" * 300, "1" * 500):
        lexicon.rules_of(word)
    assert time.perf_counter() - start < 30
