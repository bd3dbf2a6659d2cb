"""How a headline is read: cleaned for display, and cut into folded words that know where they stand.

A *token* is a word as rules and taxonomies compare it: NFKD (Unicode Standard Annex #15), without case,
diacritics, possessive ``'s`` and the dots of an abbreviation ("U.S." is ``us``, "p.m." is ``pm``). A dot
joins only the single letters of an abbreviation, an ampersand only one or two letters on either side
("AT&T" is ``at&t``), a hyphen parts words, and a figure keeps its separators ("1,000", "2.5"). Every token
carries its place in the text that it was cut from, so that what matched can be shown.

`flatten` gives the same words as one line, without places and several times faster: it is what is searched
for thousands of names at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

# Zero-width characters, byte-order mark, soft hyphen, and the marks that steer writing direction.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_APOSTROPHES = "'\u2019\u2018\u02bc\uff07"
# `[^\W\d_]` is a letter, `[^\W_]` a letter or digit, `\u0300-\u036f` an accent that stands after its letter.
# The first branch takes the words that nothing joins, which are nearly all.
_WORD = re.compile(
    rf"""
    [^\W\d_] [^\W_]*+ (?![.&{_APOSTROPHES}\u0300-\u036f])
  | [^\W\d_]{{1,2}} (?: & [^\W\d_]{{1,2}} )+ (?![^\W_])  (?: [{_APOSTROPHES}] [^\W\d_]+ )*  # AT&T, M&A's
  | [^\W\d_] (?: \.[^\W\d_] )+ (?![^\W_])  (?: \.?[{_APOSTROPHES}] [^\W\d_]+ )*          # U.S., p.m., U.S.'s
  | \d+ (?: [.,]\d+ )* [^\W_]*             (?: [{_APOSTROPHES}] [^\W\d_]+ )*            # 1,000, 17m, 90's
  | [^\W\d_] (?: [^\W_] | [\u0300-\u036f] )* (?: [{_APOSTROPHES}] [^\W\d_]+ )*          # Iran's, O'Reilly
    """,
    re.VERBOSE,
)
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*|[0-9]+[A-Za-z0-9]*")  # what the above is where nothing can join
_POSSESSIVE = re.compile(rf"[{_APOSTROPHES}]s?$")
_NO_APOSTROPHES = str.maketrans("", "", _APOSTROPHES)
_NO_JOINERS = str.maketrans("", "", _APOSTROPHES + ".")
_KEPT = _APOSTROPHES + ".,&"
# Letters that Unicode does not decompose, as a wire without them spells them.
_PLAIN_LETTERS = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "\u0131": "i",
        "ŋ": "n",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ħ": "h",
    }
)
_TYPOGRAPHY = (
    ("\u2019", "'"),
    ("\u2018", "'"),
    ("\u201c", " "),
    ("\u201d", " "),
    ("\u2013", " "),
    ("\u2014", " "),
)

# A table for `bytes.translate`: small letters, digits and the four joiners stay, all else becomes a space.
_FLAT = bytes(ord(c) if c.isalnum() or c in "'.,&" else 32 for c in map(str.lower, map(chr, range(128)))) + b" " * 128

_CURRENCY = r"(?:US|AU|CA|HK|NZ|S|A|C)?[$€£¥₹₩₽]|(?:USD|EUR|GBP|JPY|CNY|INR|CHF|SEK|Rs\.?)"
_CURRENCY_NAME = (
    "dollars?|usd|euros?|eur|pounds?|gbp|sterling|yen|yuan|renminbi|rmb|rupees?|won|francs?|crowns?|kronor|"
    "shekels?|riyals?|dirhams?|rubles?|roubles?"
)
_SCALES = {
    "k": 1e3, "thousand": 1e3, "lakh": 1e5,
    "m": 1e6, "mn": 1e6, "mil": 1e6, "mln": 1e6, "mio": 1e6, "million": 1e6, "crore": 1e7, "cr": 1e7,
    "b": 1e9, "bn": 1e9, "bil": 1e9, "bln": 1e9, "billion": 1e9,
    "t": 1e12, "tn": 1e12, "trn": 1e12, "trln": 1e12, "trillion": 1e12,
}  # fmt: skip
# The second way to write a sum starts at no comma or dot, so that a long row of digits takes linear time.
_FIGURE = rf"(\d[\d,]*(?:\.\d+)?)(?:[\s-]?({'|'.join(sorted(_SCALES, key=len, reverse=True))})\b)?\+?"
_MONEY = re.compile(
    rf"(?<![^\W_])(?:{_CURRENCY})\s?{_FIGURE}|(?<![^\W_])(?<![.,]){_FIGURE}[\s-](?:U\.?S\.?\s)?(?:{_CURRENCY_NAME})\b",
    re.IGNORECASE,
)


class Amount(NamedTuple):
    """A sum of money: ``value`` in whole units of whatever currency ``text[start:end]`` names."""

    value: float
    start: int
    end: int


class Token(NamedTuple):
    """A folded word and its place: it was cut from ``text[start:end]``."""

    word: str
    start: int
    end: int


def clean(text: str) -> str:
    """The text to show and keep: one line, no control or invisible characters, single spaces."""
    return _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def fold(word: str) -> str:
    """A word as it is compared: without case, diacritics, possessive, apostrophes and abbreviation dots.

    The empty string is returned for a word of which nothing remains, such as one of accents alone.
    """
    if word.isascii():
        folded = word.lower()
        if folded.isalnum():
            return folded
    else:
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold()).translate(_PLAIN_LETTERS)
        folded = "".join(c for c in plain if c.isalnum() or c in _KEPT)
    folded = _POSSESSIVE.sub("", folded)
    return folded.translate(_NO_APOSTROPHES if folded[:1].isdigit() else _NO_JOINERS)


def bare(word: str) -> str:
    """A word as it stands in a text, case and accents kept, without possessive, apostrophes and abbreviation dots."""
    return _POSSESSIVE.sub("", word).translate(_NO_APOSTROPHES if word[:1].isdigit() else _NO_JOINERS)


def tokenize(text: str) -> tuple[Token, ...]:
    """The tokens of a cleaned ``text``, in order."""
    cut = [Token(fold(found[0]), found.start(), found.end()) for found in _WORD.finditer(text)]
    return tuple(cut) if all(token.word for token in cut) else tuple(token for token in cut if token.word)


def places(text: str) -> Sequence[tuple[int, int]]:
    """Where each token of a cleaned ``text`` begins and ends: `tokenize` without the words, which ASCII makes cheap."""
    if text.isascii():  # then no word folds to nothing
        if "'" not in text and "." not in text and "," not in text and "&" not in text:
            return [found.span() for found in _PLAIN_WORD.finditer(text)]
        return [found.span() for found in _WORD.finditer(text)]
    return [(token.start, token.end) for token in tokenize(text)]


def flatten(text: str) -> str:
    """The words of a cleaned ``text`` in one line, each with one space before it, and a space at the end.

    They are the words of `tokenize`, so that the n-th word here has its place in the n-th token there.
    """
    return f" {' '.join(words_of(text))} "


def words_of(text: str) -> list[str]:
    """The words of `tokenize` alone, several times faster.

    Plain ASCII takes a few string operations; what needs the rules for joined words is cut by `tokenize`'s pattern.
    """
    plain = text
    if not text.isascii():
        for typographic, ascii_form in _TYPOGRAPHY:
            plain = plain.replace(typographic, ascii_form)
    if plain.isascii():
        flat = plain.encode().translate(_FLAT).decode()
        if "." in flat or "," in flat or "'" in flat or "&" in flat:
            flat = _without_ends(f" {flat} ")
        if flat:
            return flat.split()
    words = [word if word.isalnum() and word.isascii() else fold(word) for word in _WORD.findall(plain.lower())]
    return words if all(words) else list(filter(None, words))


def squeeze(text: str) -> str:
    """Letters in which every word of a cleaned ``text`` is found that has no dot; empty where that cannot be told.

    It takes a fraction of the time of cutting the words, and is enough to tell that a text has none of a few words.
    """
    plain = text
    if not text.isascii():
        for typographic, ascii_form in _TYPOGRAPHY:
            plain = plain.replace(typographic, ascii_form)
        if not plain.isascii():
            return ""
    plain = plain.lower()
    if "'" in plain:
        plain = plain.replace("'", "")
    return plain.replace(".", "") if "." in plain else plain


def _without_ends(flat: str) -> str:
    """``flat`` without punctuation and possessives that end a word; empty where one stands within a word."""
    flat = flat.replace(". ", " ").replace(", ", " ").replace(" & ", " ")
    if "." in flat or "," in flat or "&" in flat or "''" in flat:
        return ""
    if "'" in flat:
        flat = flat.replace(" '", " ").replace("' ", " ").replace("'s ", " ")
    return "" if "'" in flat else flat


def amounts(text: str) -> tuple[Amount, ...]:
    """The sums of money that ``text`` names with a currency: "$17M", "€1.2 billion", "500 crore rupees"."""
    found = []
    for match in _MONEY.finditer(text):
        figure, scale = match[1] or match[3], match[2] or match[4]
        value = float(figure.replace(",", "")) * _SCALES.get((scale or "").lower(), 1)
        found.append(Amount(value, match.start(), match.end()))
    return tuple(found)
