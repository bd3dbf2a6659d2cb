"""A parsed query: `And`, `Or` and `Not` over terms, each of which can say whether it holds and by which words.

Two nodes are equal if they mean the same analysed words, however these were written. ``str`` of a node is a query
that parses to an equal one.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from streams.core.query import terms
from streams.core.query.view import Text, View
from streams.core.records import Span

#: The fields that are texts: they are searched for words, while others are compared as a whole.
TextField: TypeAlias = Literal["headline", "author"]


class Node(abc.ABC):
    """A query or a part of one."""

    __slots__ = ()

    @abc.abstractmethod
    def holds(self, view: View) -> bool:
        """Whether this is true of the headline."""

    @abc.abstractmethod
    def spans(self, view: View, *, positive: bool = True) -> Iterator[Span]:
        """The words by which this holds, or, unless ``positive``, by which its negation does.

        Only the branches that hold contribute, and what must be absent has no words.
        """


class Term(Node):
    """What a headline is searched for."""

    __slots__ = ()

    def spans(self, view: View, *, positive: bool = True) -> Iterator[Span]:
        """The words of the headline that the term asks for."""
        if positive:
            yield from self.found(view)

    @abc.abstractmethod
    def found(self, view: View) -> Iterator[Span]:
        """The words of the headline that the term asks for; none where it does not hold."""


@dataclass(frozen=True, slots=True)
class Words(Term):
    """A word, or several that follow one another. Each is folded and may have wildcards."""

    field: TextField
    words: tuple[str, ...]
    written: str = dataclasses.field(compare=False)
    _needle: str = dataclasses.field(init=False, compare=False, repr=False)
    _regex: Any = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        needle = _needle(self.words)
        inner = " ".join(map(terms.word_regex, self.words))
        object.__setattr__(self, "_needle", needle)
        object.__setattr__(self, "_regex", None if needle else terms.compile_regex(f" {inner} "))

    def holds(self, view: View) -> bool:
        """Whether the words stand in the text, in this order."""
        line = _text(view, self.field).line
        return self._needle in line if self._needle else self._regex.search(line) is not None

    def found(self, view: View) -> Iterator[Span]:
        """Every place in the headline."""
        if self.field == "headline" and self.holds(view):
            last = len(self.words) - 1
            for first in _places(self.words, view.headline.words):
                yield view.headline.span(first, first + last)

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


@dataclass(frozen=True, slots=True)
class Near(Term):
    """Several different words with at most ``slop`` moves between them and the phrase that they would make.

    This is Lucene's sloppy phrase: with the place of the n-th word taken relative to n, the places span at most
    ``slop`` (``PhraseQuery`` of Apache Lucene).
    """

    field: TextField
    words: tuple[str, ...]
    slop: int
    written: str = dataclasses.field(compare=False)

    def holds(self, view: View) -> bool:
        """Whether the words stand near enough to one another."""
        text = _text(view, self.field)
        return all(f" {word} " in text.line for word in self.words) and any(self._windows(text.words))

    def found(self, view: View) -> Iterator[Span]:
        """The words of every window that is narrow enough."""
        if self.field == "headline" and self.holds(view):
            for window in self._windows(view.headline.words):
                for place in window:
                    yield view.headline.span(place, place)

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
class Regex(Term):
    """A word that a regular expression describes from its first to its last letter."""

    field: TextField
    regex: str
    written: str = dataclasses.field(compare=False)
    _lines: Any = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lines", terms.compile_line_regex(self.regex))

    def holds(self, view: View) -> bool:
        """Whether a word of the text is as described."""
        return self._lines.search("\n".join(_text(view, self.field).words)) is not None

    def found(self, view: View) -> Iterator[Span]:
        """Every such word of the headline."""
        if self.field == "headline" and self.holds(view):
            for place, word in enumerate(view.headline.words):
                if self._lines.search(word):
                    yield view.headline.span(place, place)

    def __str__(self) -> str:
        return _with_field(self.field, self.written)


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
class And(Node):
    """All of several."""

    parts: tuple[Node, ...]

    def holds(self, view: View) -> bool:
        """Whether every part holds."""
        for part in self.parts:  # noqa: SIM110 - `all` with a generator takes twice as long, on the hottest path
            if not part.holds(view):
                return False
        return True

    def spans(self, view: View, *, positive: bool = True) -> Iterator[Span]:
        """The words of the parts."""
        return _spans_of_group(self, view, positive=positive)

    def __str__(self) -> str:
        return " AND ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """At least one of several."""

    parts: tuple[Node, ...]

    def holds(self, view: View) -> bool:
        """Whether a part holds."""
        for part in self.parts:  # noqa: SIM110 - as above
            if part.holds(view):
                return True
        return False

    def spans(self, view: View, *, positive: bool = True) -> Iterator[Span]:
        """The words of the parts that hold."""
        return _spans_of_group(self, view, positive=positive)

    def __str__(self) -> str:
        return " OR ".join(f"({part})" if isinstance(part, And) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """What must not hold."""

    part: Node

    def holds(self, view: View) -> bool:
        """Whether the part does not."""
        return not self.part.holds(view)

    def spans(self, view: View, *, positive: bool = True) -> Iterator[Span]:
        """The words by which the negation of the part holds."""
        return self.part.spans(view, positive=not positive)

    def __str__(self) -> str:
        return f"NOT ({self.part})" if isinstance(self.part, And | Or) else f"NOT {self.part}"


def negate(node: Node) -> Node:
    """The negation; of a negation, what it negates."""
    return node.part if isinstance(node, Not) else Not(node)


def join(kind: type[And | Or], parts: Sequence[Node]) -> Node:
    """``parts`` in one group, with groups of the same kind among them dissolved and repetitions left out."""
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else kind(tuple(flat))


def terms_of(node: Node) -> Iterator[Term]:
    """The terms of a query, in order, those that must not hold included."""
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Not):
        yield from terms_of(node.part)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from terms_of(part)


def _spans_of_group(group: And | Or, view: View, *, positive: bool) -> Iterator[Span]:
    if group.holds(view) == positive:
        for part in group.parts:
            yield from part.spans(view, positive=positive)


def _text(view: View, field: TextField) -> Text:
    return view.headline if field == "headline" else view.author


def _with_field(field: str, written: str) -> str:
    return written if field == "headline" else f"{field}:{written}"


def _needle(words: Sequence[str]) -> str:
    """What to search the line of a text for, or the empty string where wildcards stand inside."""
    needle = f" {' '.join(words)} ".removeprefix(" *").removesuffix("* ")
    return "" if terms.has_wildcard(needle) else needle


def _places(wanted: Sequence[str], words: list[str]) -> Iterator[int]:
    """Where ``wanted`` begins among ``words``."""
    if any(map(terms.has_wildcard, wanted)):
        for first in range(len(words) - len(wanted) + 1):
            if all(terms.word_matches(word, words[first + offset]) for offset, word in enumerate(wanted)):
                yield first
    else:
        plain = list(wanted)
        begins = [place for place, word in enumerate(words) if word == plain[0]]
        yield from (first for first in begins if words[first : first + len(plain)] == plain)
