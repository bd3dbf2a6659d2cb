"""A classified headline as a query sees it: texts in folded words, everything else as plain values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from streams.core.records import Classified, Span
from streams.core.text import amounts, clean, places, words_of


class Text:
    """A text to search: ``words`` are its folded words, ``bag`` these without order and repetition.

    ``line`` has each of them between single spaces.
    """

    __slots__ = ("_places", "_spans", "_text", "bag", "line", "words")
    bag: frozenset[str]
    line: str

    def __init__(self, text: str, words: list[str] | None = None) -> None:
        self.words = words_of(text) if words is None else words
        self._text = text
        self._places: Sequence[tuple[int, int]] | None = None
        self._spans: dict[tuple[int, int], Span] = {}

    def __getattr__(self, name: str) -> Any:
        """The line and the bag, made where one is asked for the first time; then they are attributes like any other."""
        if name not in ("bag", "line"):
            raise AttributeError(name)
        self.bag = frozenset(self.words)
        self.line = f" {' '.join(self.words)} "
        return getattr(self, name)

    def span(self, first: int, last: int) -> Span:
        """The words ``first`` to ``last`` (inclusive, counted from 0) as they stand in the text."""
        span = self._spans.get((first, last))
        if span is None:
            at = self.places()
            start, end = at[first][0], at[last][1]
            span = self._spans[first, last] = Span(start, end, self._text[start:end])
        return span

    def written(self, place: int) -> str:
        """The word at ``place`` as it stands in the text."""
        start, end = self.places()[place]
        return self._text[start:end]

    def places(self) -> Sequence[tuple[int, int]]:
        """Where the words stand, found out where somebody asks: most headlines fire no rule."""
        if self._places is None:
            self._places = places(self._text)
        return self._places


class View:
    """What queries ask of one headline. Made once a headline and shared by all rules.

    ``words`` are those of `words_of`, where they have been cut already.
    """

    __slots__ = ("_author", "_heads", "headline", "record")

    def __init__(self, record: Classified, words: list[str] | None = None) -> None:
        self.record = record
        self.headline = Text(record.headline.headline, words)
        self._author: Text | None = None
        self._heads: dict[int, View] | None = None

    @property
    def author(self) -> Text:
        """The author's name; without words where there is none."""
        if self._author is None:
            self._author = Text(clean(self.record.headline.author or ""))
        return self._author

    def head(self, count: int) -> View:
        """The same headline with only the first ``count`` of its words."""
        if self._heads is None:
            self._heads = {}
        if count not in self._heads:
            self._heads[count] = View(self.record, self.headline.words[:count])
        return self._heads[count]

    def values(self, field: str) -> tuple[str, ...]:
        """The folded values of a field that is compared as a whole, such as ``source``."""
        return VALUES[field](self.record)

    def numbers(self, field: str) -> Sequence[tuple[float, Span | None]]:
        """The values of a field that is a number, such as ``money``, each with the words that say so, if any do."""
        return NUMBERS[field](self)


def fold_value(value: str) -> str:
    """A value as it is compared as a whole: without case, with single spaces."""
    return " ".join(value.casefold().split())


VALUES: Mapping[str, Callable[[Classified], tuple[str, ...]]] = {
    "topic": lambda record: tuple(fold_value(match.topic) for match in record.topics),
    "source": lambda record: (fold_value(record.headline.source),),
    "url": lambda record: (fold_value(record.headline.url),) if record.headline.url else (),
    "kind": lambda record: (record.kind,),
    "status": lambda record: (record.headline.status,),
}


#: What the values of a field are read from, as it comes: equal ones give equal values.
RAW_VALUES: Mapping[str, Callable[[Classified], Hashable]] = {
    "topic": lambda record: tuple([match.topic for match in record.topics]),
    "source": lambda record: record.headline.source,
    "url": lambda record: record.headline.url,
    "kind": lambda record: record.kind,
    "status": lambda record: record.headline.status,
}


def _money(view: View) -> Sequence[tuple[float, Span | None]]:
    text = view.record.headline.headline
    return [(sum_.value, Span(sum_.start, sum_.end, text[sum_.start : sum_.end])) for sum_ in amounts(text)]


NUMBERS: Mapping[str, Callable[[View], Sequence[tuple[float, Span | None]]]] = {
    "money": _money,
    "words": lambda view: [(len(view.headline.words), None)],
    "story.sources": lambda view: [(view.record.story_sources, None)],
    "published": lambda view: [(view.record.headline.published.timestamp(), None)],
}
