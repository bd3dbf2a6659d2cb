"""The terms of a query: what a headline is searched for, each with the words that it finds."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from streams.core.query import terms
from streams.core.query.nodes import Node, Or, Term, Test
from streams.core.query.view import Text, View
from streams.core.records import Span

#: The fields that are texts: they are searched for words, while others are compared as a whole.
TextField: TypeAlias = Literal["headline", "author"]


class Interval(NamedTuple):
    """The words ``first`` to ``last`` of a text, inclusive, counted from 0."""

    first: int
    last: int


class TextTerm(Term):
    """A term that is searched for in a text."""

    __slots__ = ()

    field: TextField
    written: str

    @abc.abstractmethod
    def stands_in(self, text: Text) -> bool:
        """Whether the text has what is asked for."""

    @abc.abstractmethod
    def places(self, text: Text) -> Iterable[tuple[int, int]]:
        """Every place of it in the text."""

    def holds(self, view: View) -> bool:
        """Whether the field has what is asked for."""
        return self.stands_in(view.headline if self.field == "headline" else view.author)

    def found(self, view: View) -> Iterable[Span]:
        """Every place in the headline. The author's name is no part of it."""
        text = view.headline
        return [text.span(*place) for place in self.places(text)] if self.field == "headline" else ()

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Words(TextTerm):
    """A word, or several that follow one another. Each is folded and may have wildcards."""

    field: TextField
    words: tuple[str, ...]
    written: str = dataclasses.field(compare=False)
    _needle: str = dataclasses.field(init=False, compare=False, repr=False)
    _regex: Any = dataclasses.field(init=False, compare=False, repr=False)
    _part: str = dataclasses.field(init=False, compare=False, repr=False)
    _tests: Any = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        wild = any(map(terms.has_wildcard, self.words))
        object.__setattr__(self, "_tests", list(map(terms.word_test, self.words)) if wild else None)
        needle = _needle(self.words)
        inner = "" if needle else " ".join(map(terms.word_regex, self.words))
        object.__setattr__(self, "_needle", needle)
        object.__setattr__(self, "_part", max(re.split(r"[*?]+", f" {' '.join(self.words)} "), key=len))
        object.__setattr__(self, "_regex", None if needle else terms.compile_regex(f" {inner} "))

    def stands_in(self, text: Text) -> bool:
        """Whether the words stand in the text, in this order."""
        if self._needle:
            return self._needle in text.line
        return self._part in text.line and self._regex.search(text.line) is not None

    def test(self) -> Test:
        """Whether the words stand in the headline."""
        if self.field != "headline":
            return self.holds
        needle, part, regex = self._needle, self._part, self._regex
        if needle:
            return lambda view: needle in view.headline.line
        if len(self.words) == 1:
            (accepts,) = self._tests
            return lambda view: part in view.headline.line and any(map(accepts, view.headline.words))
        return lambda view: part in view.headline.line and regex.search(view.headline.line) is not None

    @property
    def plain(self) -> str:
        """The word, if it is a single one of the headline without wildcards."""
        return self.words[0] if len(self.words) == 1 and not self._tests and self.field == "headline" else ""

    def places(self, text: Text) -> Iterable[Interval]:
        """Every place where they do."""
        wanted, words = self.words, text.words
        if self._tests:
            return _places_of_patterns(self._tests, words)
        beyond = len(wanted) - 1
        begins = words.index(wanted[0]) if wanted[0] in words else len(words)
        if not beyond and words.count(wanted[0]) == 1:
            return (Interval(begins, begins),)
        return [
            Interval(first, first + beyond)
            for first in range(begins, len(words) - beyond)
            if words[first] == wanted[0] and tuple(words[first : first + beyond + 1]) == wanted
        ]

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Cased(TextTerm):
    """A word, or several that follow one another, in exactly these letters, accents and case included.

    A possessive ``'s`` and the dots of an abbreviation do not count: ``US`` is also "U.S.", and is not "us".
    """

    field: TextField
    words: tuple[str, ...]
    letters: tuple[str, ...]
    written: str = dataclasses.field(compare=False)

    def stands_in(self, text: Text) -> bool:
        """Whether the words stand in the text so."""
        return f" {' '.join(self.words)} " in text.line and any(self.places(text))

    def places(self, text: Text) -> Iterator[Interval]:
        """Every place where they do."""
        for place in Words(self.field, self.words, self.written).places(text):
            if all(
                terms.letters_of(text.written(at)) == letters for at, letters in enumerate(self.letters, start=place[0])
            ):
                yield place

    def __str__(self) -> str:
        return f"CASED({self.written})"


@dataclass(frozen=True, slots=True)
class Fuzzy(TextTerm):
    """A word of which up to ``edits`` letters are missing, added, others, or have changed places with the next.

    This is Lucene's distance (Levenshtein, with the transpositions of Damerau, no letter touched twice).
    """

    field: TextField
    word: str
    edits: int
    written: str = dataclasses.field(compare=False)

    def stands_in(self, text: Text) -> bool:
        """Whether the text has such a word."""
        return any(terms.is_near(self.word, word, self.edits) for word in text.words)

    def places(self, text: Text) -> Iterator[Interval]:
        """Every such word."""
        for place, word in enumerate(text.words):
            if terms.is_near(self.word, word, self.edits):
                yield Interval(place, place)

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Regex(TextTerm):
    """A word that a regular expression describes from its first to its last letter."""

    field: TextField
    regex: str
    written: str = dataclasses.field(compare=False)
    _start: str = dataclasses.field(init=False, compare=False, repr=False)
    _lines: Any = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_start", terms.literal_start(self.regex))
        object.__setattr__(self, "_lines", terms.compile_line_regex(self.regex))

    def stands_in(self, text: Text) -> bool:
        """Whether a word of the text is as described."""
        return f" {self._start}" in text.line and self._lines.search("\n".join(text.words)) is not None

    def places(self, text: Text) -> Iterator[Interval]:
        """Every such word."""
        for place, word in enumerate(text.words):
            if word.startswith(self._start) and self._lines.search(word):
                yield Interval(place, place)

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Near(TextTerm):
    """Several different words with at most ``slop`` moves between them and the phrase that they would make.

    This is Lucene's sloppy phrase: with the place of the n-th word taken relative to n, the places span at most
    ``slop`` (``PhraseQuery`` of Apache Lucene).
    """

    field: TextField
    words: tuple[str, ...]
    slop: int
    written: str = dataclasses.field(compare=False)

    def stands_in(self, text: Text) -> bool:
        """Whether the words stand near enough to one another."""
        for word in self.words:
            if f" {word} " not in text.line:
                return False
        return any(self._windows(text.words))

    def places(self, text: Text) -> Iterator[Interval]:
        """The words of every window that is narrow enough, one by one."""
        for window in self._windows(text.words):
            for place in window:
                yield Interval(place, place)

    def _windows(self, words: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Places of all words together, where these are near enough: a merge of the places of each."""
        places = [[at for at, word in enumerate(words) if word == wanted] for wanted in self.words]
        heads = [0] * len(places)
        while all(head < len(at) for head, at in zip(heads, places, strict=True)):
            window = tuple(at[head] for head, at in zip(heads, places, strict=True))
            relative = [place - offset for offset, place in enumerate(window)]
            least = min(enumerate(relative), key=itemgetter(1))[0]
            if max(relative) - relative[least] <= self.slop:
                yield window
            heads[least] += 1

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Within(TextTerm):
    """One of some words or phrases, with at most ``apart`` words between it and one of some others.

    Where it is ``ordered``, the first comes first. The two never overlap, and a phrase counts as a whole.
    """

    field: TextField
    left: tuple[TextTerm, ...]
    right: tuple[TextTerm, ...]
    apart: int
    ordered: bool

    def stands_in(self, text: Text) -> bool:
        """Whether the text has both, near enough to one another."""
        one = any(term.stands_in(text) for term in self.left)
        return one and any(term.stands_in(text) for term in self.right) and any(self._pairs(text))

    def places(self, text: Text) -> Iterator[Interval]:
        """The words of every pair that is near enough."""
        for pair in self._pairs(text):
            yield from pair

    def _pairs(self, text: Text) -> Iterator[tuple[Interval, Interval]]:
        left, right = _every_place(self.left, text), _every_place(self.right, text)
        yield from _followed(left, right, self.apart)
        if not self.ordered:
            yield from _followed(right, left, self.apart)

    def __str__(self) -> str:
        operator = "ONEAR" if self.ordered else "NEAR"
        return f"{_side(self.left)} {operator}/{self.apart} {_side(self.right)}"


@dataclass(frozen=True, slots=True)
class Value(Term):
    """A value of a field that is compared as a whole: with ``exact``, folded, or with ``pattern`` if there is one."""

    field: str
    exact: str
    pattern: str
    written: str = dataclasses.field(compare=False)
    _regex: Any = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_regex", terms.compile_regex(self.pattern) if self.pattern else None)

    def holds(self, view: View) -> bool:
        """Whether the field has such a value."""
        return any(map(self._accepts, view.values(self.field)))

    def _accepts(self, value: str) -> bool:
        return value == self.exact if self._regex is None else self._regex.fullmatch(value) is not None

    def found(self, view: View) -> Iterator[Span]:
        """The words by which the headline got a topic. Other fields have no words in the headline."""
        if self.field == "topic":
            topics = view.record.topics
            for value, topic in zip(view.values("topic"), topics, strict=True):
                if self._accepts(value):
                    yield from (piece.span for piece in topic.evidence)

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Between(Term):
    """A number from ``low`` to ``high``, these two included or not."""

    field: str
    low: float
    high: float
    with_low: bool
    with_high: bool
    written: str = dataclasses.field(compare=False)

    def holds(self, view: View) -> bool:
        """Whether the field has such a number."""
        return any(self._accepts(number) for number, _ in view.numbers(self.field))

    def _accepts(self, number: float) -> bool:
        above = number >= self.low if self.with_low else number > self.low
        return above and (number <= self.high if self.with_high else number < self.high)

    def found(self, view: View) -> Iterator[Span]:
        """The words that say such a number, where words do."""
        for number, span in view.numbers(self.field):
            if span is not None and self._accepts(number):
                yield span

    def __str__(self) -> str:
        return f"{self.field}:{self.written}"


def alternatives(node: Node) -> tuple[TextTerm, ...] | None:
    """The words of which any will do, where ``node`` is a word or a group of words joined by OR; None where it is not.

    What finds several words far from one another has no one place, and is none of them.
    """
    parts = node.parts if isinstance(node, Or) else (node,)
    found = tuple(part for part in parts if isinstance(part, Words | Cased | Fuzzy | Regex))
    return found if len(found) == len(parts) else None


def _side(words: Sequence[TextTerm]) -> str:
    return str(words[0]) if len(words) == 1 else f"({' OR '.join(map(str, words))})"


def _every_place(wanted: Sequence[TextTerm], text: Text) -> list[Interval]:
    """All places of all of ``wanted``, by where they begin."""
    return sorted({Interval(*place) for term in wanted if term.stands_in(text) for place in term.places(text)})


def _followed(first: Sequence[Interval], second: Sequence[Interval], apart: int) -> Iterator[tuple[Interval, Interval]]:
    """The pairs of which one of ``second`` follows one of ``first`` with at most ``apart`` words between.

    Of each of ``first`` it is the nearest that follows, and all that begin at the same word: linear in the places.
    """
    at = 0
    for one in sorted(first, key=itemgetter(1)):
        while at < len(second) and second[at].first <= one.last:
            at += 1
        for other in second[at:]:
            if other.first - one.last - 1 > apart or other.first != second[at].first:
                break
            yield one, other


def _with_field(field: str, written: str) -> str:
    return written if field == "headline" else f"{field}:{written}"


def _places_of_patterns(tests: Sequence[Callable[[str], Any]], words: Sequence[str]) -> Iterator[Interval]:
    begins, beyond = tests[0], len(tests) - 1
    for first, word in enumerate(words[: len(words) - beyond]):
        if begins(word) and all(test(words[first + at]) for at, test in enumerate(tests)):
            yield Interval(first, first + beyond)


def _needle(words: Sequence[str]) -> str:
    """What to search the line of a text for, or the empty string where wildcards stand inside."""
    needle = f" {' '.join(words)} ".removeprefix(" *").removesuffix("* ")
    return "" if terms.has_wildcard(needle) else needle
