import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.text import amounts, bare, clean, flatten, fold, places, squeeze, tokenize, words_of

TROUBLE = st.sampled_from("aB1s '’‘.,&-_éß“İſ½ﷺłĿ\u0301\u00ad")
TEXTS = st.text(st.one_of(TROUBLE, st.characters())).map(clean)


def words(text: str) -> list[str]:
    return [token.word for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Iran’s ministers' talks", ["iran", "ministers", "talks"]),
        ("U.S. and U.K.-led, at 5 p.m.", ["us", "and", "uk", "led", "at", "5", "pm"]),
        ("the U.S.'s", ["the", "us"]),
        ("Rs.6160 at the end.Start", ["rs", "6160", "at", "the", "end", "start"]),
        ("AT&T's M&A, not Tom&Jerry", ["at&t", "m&a", "not", "tom", "jerry"]),
        ("$1,000 or 2.5% of 17m", ["1,000", "or", "2.5", "of", "17m"]),
        ("the 1990's", ["the", "1990"]),
        ("Nord-Stream", ["nord", "stream"]),
        ("O'Reilly don’t", ["oreilly", "dont"]),
        ("‘quoted’ “words”", ["quoted", "words"]),
        ("Pokémon Pokémon Łódź İstanbul", ["pokemon", "pokemon", "lodz", "istanbul"]),
        ("ＦＵＬＬ ﬁnal", ["full", "final"]),
        ("Газпром", ["газпром"]),
        ("#IranProtests @user_name", ["iranprotests", "user", "name"]),
        ("— … !", []),
    ],
)
def test_cuts_a_headline_into_folded_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert flatten(text).split() == expected


@given(TEXTS)
def test_places_show_where_a_word_was_cut(text: str) -> None:
    tokens = tokenize(text)
    assert all(fold(text[token.start : token.end]) == token.word for token in tokens)
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)


@given(TEXTS)
def test_the_flat_line_has_the_words_of_the_tokens(text: str) -> None:
    assert flatten(text).split(" ") == ["", *words(text), ""] or not words(text)


@given(TEXTS)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(text) == text


def test_clean_takes_out_what_cannot_be_seen() -> None:
    assert clean(" two\u200b\tlines\r\nof \u202etext\u202c \x00") == "two lines of text"


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("raises $17M in a round", 17e6, "$17M"),
        ("Raises €15 Million To grow", 15e6, "€15 Million"),
        ("a $1bln deal", 1e9, "$1bln"),
        ("for US$ 2.5 billion", 2.5e9, "US$ 2.5 billion"),
        ("worth 500 crore rupees", 5e9, "500 crore rupees"),
        ("Rs 100 crore fund", 1e9, "Rs 100 crore"),
        ("at £1,250,000 a head", 1.25e6, "£1,250,000"),
        ("a $40-million plan", 40e6, "$40-million"),
        ("about 3 mln euros more", 3e6, "3 mln euros"),
        ("only $1", 1.0, "$1"),
    ],
)
def test_reads_sums_of_money(text: str, value: float, shown: str) -> None:
    (amount,) = amounts(text)
    assert amount.value == value
    assert text[amount.start : amount.end] == shown


@pytest.mark.parametrize("text", ["10 billion cubic metres", "5 million users", "100k followers", "four years 5 days"])
def test_a_number_without_a_currency_is_no_money(text: str) -> None:
    assert amounts(text) == ()


@pytest.mark.parametrize("piece", ["1,", "$1", "1.", "a.", "'s ", "A&", "e\u0301"])
def test_long_texts_take_linear_time(piece: str) -> None:
    text = piece * 50_000
    start = time.perf_counter()
    tokenize(text)
    flatten(text)
    amounts(text)
    assert time.perf_counter() - start < 30


@given(TEXTS)
def test_words_and_places_are_those_of_the_tokens(text: str) -> None:
    tidy = clean(text)
    tokens = tokenize(tidy)
    assert words_of(tidy) == [token.word for token in tokens]
    assert list(places(tidy)) == [(token.start, token.end) for token in tokens]


@given(TEXTS | st.text(alphabet="aB1.'\u2019&, -", max_size=30))
def test_squeezed_letters_hold_every_word(text: str) -> None:
    tidy = clean(text)
    letters = squeeze(tidy)
    if letters:
        assert all(word.replace(".", "") in letters for word in words_of(tidy))


@pytest.mark.parametrize(
    ("word", "letters"), [("U.S", "US"), ("Iran's", "Iran"), ("O\u2019Reilly", "OReilly"), ("2.5", "2.5")]
)
def test_a_bare_word_keeps_its_letters(word: str, letters: str) -> None:
    assert bare(word) == letters
