"""What a query can ask of a headline, field by field. A new field is an entry in `FIELDS`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import NamedTuple, Protocol, get_args

import re2

from streams.core.document import did_you_mean
from streams.core.query import terms
from streams.core.query.leaves import Between, Cased, Fuzzy, Near, Regex, TextField, Value, Words
from streams.core.query.nodes import Node
from streams.core.query.source import QueryError
from streams.core.records import Kind, Status

#: What a query asks of where it names no field.
DEFAULT = "headline"
#: The most words that can be asked to stand near one another.
MOST_NEAR = 20

#: What Lucene's regular expressions have beside the common operators; to RE2 these are characters.
_LUCENES_OWN = re.compile(r"""\\. | \[ (?: \\. | [^\]\\] )* \] | (?P<sign> [~&<>@"#] )""", re.VERBOSE)
_AMOUNT = re.compile(r"([0-9][0-9,]*(?:\.[0-9]+)?)(k|m|mn|b|bn|t|tn)?", re.IGNORECASE)
_SCALES = {"k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12, "tn": 1e12}


class Bounds(NamedTuple):
    """The numbers from ``low`` to ``high``, as somebody wrote them: None where there is no end."""

    low: str | None
    high: str | None
    with_low: bool
    with_high: bool


class Field(Protocol):
    """Makes the terms of one field. ``written`` is the term as the user wrote it, ``column`` where.

    Every method raises QueryError for what the field does not understand.
    """

    def word(self, written: str, column: int) -> Node:
        """A word, perhaps with wildcards."""

    def phrase(self, written: str, slop: int, column: int) -> Node:
        """What stands between quotation marks, and how far its words may be apart."""

    def regex(self, written: str, column: int) -> Node:
        """What stands between slashes."""

    def fuzzy(self, written: str, edits: int, column: int) -> Node:
        """A word of which some letters may differ."""

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """A range or a comparison."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A field that is a text, searched for words."""

    name: TextField

    def word(self, written: str, column: int) -> Node:
        """A word; several that follow one another where it is cut in several, such as ``re-elect``."""
        words = terms.word_patterns(written)
        if not any(map(str.isalnum, "".join(words))):
            if any(map(terms.has_wildcard, words)):
                raise QueryError(f"`{written}` matches every headline", column, "write what a headline must say")
            raise _no_words(written, column)
        terms.refuse_broad(words, written, column)
        return Words(self.name, words, written)

    def phrase(self, written: str, slop: int, column: int) -> Node:
        """Words that follow one another, or that stand near one another."""
        inner = written[1:-1]
        _refuse_wildcards(inner, column)
        words = terms.phrase_words(inner)
        if not words:
            raise _no_words(written, column)
        if not slop or len(words) == 1:
            return Words(self.name, words, written)
        if len(words) > MOST_NEAR:
            message = f"{len(words)} words in a phrase with `~`, the most is {MOST_NEAR}"
            raise QueryError(message, column, "ask for fewer words, or leave out the `~`")
        if len(set(words)) < len(words):
            message = "a word stands twice in a phrase with `~`"
            raise QueryError(message, column, "ask for each word once, or leave out the `~`")
        return Near(self.name, words, slop, f"{written}~{slop}")

    def regex(self, written: str, column: int) -> Node:
        """One word, described by a regular expression of RE2."""
        _refuse_lucenes_own(written, column)
        plain = unicodedata.normalize("NFKD", written[1:-1].replace("\\/", "/"))
        regex = "".join(char for char in plain if not unicodedata.combining(char))
        if not regex:
            raise QueryError("the regular expression is empty", column, "describe a word, as in `/tanke?rs?/`")
        try:
            terms.compile_regex(regex)  # alone, so that an error shows what the user wrote
            return Regex(self.name, regex, written)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace")
            hint = "the syntax is RE2's, which has no look-around and no back-references"
            raise QueryError(f"not a regular expression: {reason}", column, hint) from None

    def fuzzy(self, written: str, edits: int, column: int) -> Node:
        """A word of which some letters may differ."""
        _refuse_wildcards(written, column)
        words = terms.phrase_words(written)
        least = terms.SHORTEST_FUZZY[edits]
        if len(words) != 1 or not words[0].isalpha():
            raise QueryError(f"`{written}~{edits}`: `~` is for one word of letters", column, "leave out the `~`")
        if len(words[0]) < least:
            message = f"`{written}~{edits}` is too broad: so short a word is near many others"
            raise QueryError(message, column, f"a word before `~{edits}` has at least {least} letters")
        return Fuzzy(self.name, words[0], edits, f"{written}~{edits}")

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """Refused."""
        raise _no_number(self.name, column)


@dataclass(frozen=True, slots=True)
class Lettered:
    """A text that is searched for words in exactly the letters in which they are written."""

    name: TextField

    def word(self, written: str, column: int) -> Node:
        """A word; several that follow one another where it is cut in several."""
        if any(char.wild for char in terms.characters(written)):
            raise self._refused("wildcards", column)
        return self._letters(written, written, column)

    def phrase(self, written: str, slop: int, column: int) -> Node:
        """Words that follow one another."""
        if slop:
            raise self._refused("`~`", column)
        _refuse_wildcards(written[1:-1], column)
        return self._letters(written[1:-1], written, column)

    def regex(self, written: str, column: int) -> Node:
        """Refused."""
        raise self._refused("regular expressions", column)

    def fuzzy(self, written: str, edits: int, column: int) -> Node:
        """Refused."""
        raise self._refused("`~`", column)

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """Refused."""
        raise self._refused("comparisons", column)

    def _letters(self, inner: str, written: str, column: int) -> Node:
        words, letters = terms.phrase_letters(inner)
        if not words:
            raise _no_words(written, column)
        return Cased(self.name, words, letters, written)

    @staticmethod
    def _refused(what: str, column: int) -> QueryError:
        return QueryError(f"`CASED` takes words and phrases, no {what}", column, "write it outside of `CASED(…)`")


@dataclass(frozen=True, slots=True)
class Measured:
    """A field that is a number. ``read`` gives the least and the greatest number that a text stands for."""

    name: str
    read: Callable[[str], tuple[float, float]]
    example: str

    def word(self, written: str, column: int) -> Node:
        """Exactly a number."""
        low, high = self._read(written, column)
        return Between(self.name, low, high, with_low=True, with_high=True, written=written)

    def phrase(self, written: str, slop: int, column: int) -> Node:
        """Refused."""
        raise self._no_number(written, column)

    def regex(self, written: str, column: int) -> Node:
        """Refused."""
        raise self._no_number(written, column)

    def fuzzy(self, written: str, edits: int, column: int) -> Node:
        """Refused."""
        raise self._no_number(f"{written}~{edits}", column)

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """Numbers between two, or on one side of one."""
        low, high = -inf, inf
        if bounds.low is not None:
            low = self._read(bounds.low, column)[0 if bounds.with_low else 1]
        if bounds.high is not None:
            high = self._read(bounds.high, column)[1 if bounds.with_high else 0]
        if low > high or (low == high and not (bounds.with_low and bounds.with_high)):
            raise QueryError(f"`{self.name}:{written}` is never so", column, "write the smaller number first")
        return Between(self.name, low, high, bounds.with_low, bounds.with_high, written)

    def _read(self, written: str, column: int) -> tuple[float, float]:
        try:
            return self.read(written)
        except ValueError:
            raise self._no_number(written, column) from None

    def _no_number(self, written: str, column: int) -> QueryError:
        return QueryError(f"`{self.name}:` is a number, and `{written}` is none", column, f"write `{self.example}`")


@dataclass(frozen=True, slots=True)
class Compared:
    """A field whose value is compared as a whole. ``allowed`` are its values where these are known; empty otherwise."""

    name: str
    allowed: Collection[str] = ()

    def word(self, written: str, column: int) -> Node:
        """A value, perhaps with wildcards."""
        if not any(char.wild for char in terms.characters(written)):
            return self._exact(written, written, column)
        self._refuse_unknown(written, column)
        terms.refuse_broad([written], f"{self.name}:{written}", column)
        return Value(self.name, "", terms.value_regex(written), written)

    def phrase(self, written: str, slop: int, column: int) -> Node:
        """A value that has spaces or other characters of the language in it."""
        if slop:
            message = f"`~` after a phrase is for words that stand near one another, which `{self.name}` has not"
            raise QueryError(message, column, "leave out the `~`")
        return self._exact(written[1:-1], written, column)

    def regex(self, written: str, column: int) -> Node:
        """Refused."""
        hint = f"use wildcards, as in `{self.name}:*.gov`"
        raise QueryError(f"`{self.name}` takes no regular expression such as `{written}`", column, hint)

    def fuzzy(self, written: str, edits: int, column: int) -> Node:
        """Refused."""
        hint = f"use wildcards, as in `{self.name}:{written[:4]}*`"
        raise QueryError(f"`{self.name}` is compared as a whole, not by letters as `~{edits}` asks", column, hint)

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """Refused."""
        raise _no_number(self.name, column)

    def _exact(self, inner: str, written: str, column: int) -> Node:
        value = terms.exact_value(inner)
        if not value:
            raise QueryError(f"`{self.name}:` is given nothing", column, "write the value after the colon")
        self._refuse_unknown(value, column)
        return Value(self.name, value, "", written)

    def _refuse_unknown(self, value: str, column: int) -> None:
        if self.allowed and value not in self.allowed:
            message = f"`{self.name}` is never `{value}`"
            raise QueryError(message, column, did_you_mean(value, self.allowed))


def _amount(written: str) -> tuple[float, float]:
    found = _AMOUNT.fullmatch(written)
    if not found:
        raise ValueError(written)
    value = float(found[1].replace(",", "")) * _SCALES.get((found[2] or "").lower(), 1)
    return value, value


def _count(written: str) -> tuple[float, float]:
    return int(written), int(written)


def _day(written: str) -> tuple[float, float]:
    """The first and last microsecond of a day in UTC, as seconds since 1970."""
    day = date.fromisoformat(written)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start.timestamp(), (start + timedelta(days=1, microseconds=-1)).timestamp()


FIELDS: Mapping[str, Field] = {
    "headline": Searched("headline"),
    "author": Searched("author"),
    "topic": Compared("topic"),
    "source": Compared("source"),
    "url": Compared("url"),
    "kind": Compared("kind", get_args(Kind)),
    "status": Compared("status", get_args(Status)),
    "money": Measured("money", _amount, "money:>=1bn"),
    "words": Measured("words", _count, "words:>=6"),
    "story.sources": Measured("story.sources", _count, "story.sources:>=3"),
    "published": Measured("published", _day, "published:>=2026-03-01"),
}
#: What ``CASED(…)`` asks.
LETTERS = Lettered("headline")


def field_named(name: str, column: int, fields: Mapping[str, Field] = FIELDS) -> Field:
    """The field of that name among those that a query may ask for.

    Raises:
        QueryError: there is none.
    """
    field = fields.get(name)
    if field is None:
        hint = did_you_mean(name, fields)
        if not name.isidentifier() or hint.startswith("known"):
            hint = f'{hint}; a colon in a text is written in quotes, as in `"10:30"`'
        raise QueryError(f"unknown field `{name}`", column, hint)
    return field


def _no_number(field: str, column: int) -> QueryError:
    numbers = ", ".join(f"`{name}`" for name, kind in FIELDS.items() if isinstance(kind, Measured))
    message = f"ranges and comparisons need a number, and `{field}` is none"
    return QueryError(message, column, f"numbers are {numbers}; a text to search for is put in double quotes")


def _refuse_lucenes_own(written: str, column: int) -> None:
    for found in _LUCENES_OWN.finditer(written):
        if sign := found["sign"]:
            message = f"`{sign}` in a regular expression is an operator of Lucene's that RE2 has not"
            raise QueryError(message, column, f"write `\\{sign}` for the character, or `|` for one of several")


def _no_words(written: str, column: int) -> QueryError:
    hint = "in place of `&` and `|` write AND and OR" if written in ("&", "|") else "write a word or a figure"
    return QueryError(f"`{written}` has no letter or digit to search for", column, hint)


def _refuse_wildcards(inner: str, column: int) -> None:
    """A star in quotes; and a question mark where it does not end a word, as it may end a sentence."""
    found = list(terms.characters(inner))
    for place, char in enumerate(found):
        after = found[place + 1].text if place + 1 < len(found) else " "
        if char.wild and (char.text == "*" or after.isalnum()):
            message = f"`{char.text}` is no wildcard within quotes"
            hint = f"list the forms with OR, or write `\\{char.text}` for the character"
            raise QueryError(message, column, hint)
