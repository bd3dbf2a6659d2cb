"""What a query can ask of a headline, field by field. A new field is an entry in `FIELDS`."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, get_args

import re2

from streams.core.document import did_you_mean
from streams.core.query import terms
from streams.core.query.nodes import Near, Node, Regex, TextField, Value, Words
from streams.core.query.source import QueryError
from streams.core.records import Kind, Status

#: What a query asks of where it names no field.
DEFAULT = "headline"
#: The most words that can be asked to stand near one another.
MOST_NEAR = 20


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


FIELDS: Mapping[str, Field] = {
    "headline": Searched("headline"),
    "author": Searched("author"),
    "topic": Compared("topic"),
    "source": Compared("source"),
    "url": Compared("url"),
    "kind": Compared("kind", get_args(Kind)),
    "status": Compared("status", get_args(Status)),
}


def field_named(name: str, column: int) -> Field:
    """The field of that name.

    Raises:
        QueryError: there is none.
    """
    field = FIELDS.get(name)
    if field is None:
        hint = did_you_mean(name, FIELDS)
        if not name.isidentifier() or hint.startswith("known"):
            hint = f'{hint}; a colon in a text is written in quotes, as in `"10:30"`'
        raise QueryError(f"unknown field `{name}`", column, hint)
    return field


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
