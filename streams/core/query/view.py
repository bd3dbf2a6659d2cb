"""A classified headline as a query sees it: texts in folded words, everything else as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from streams.core.records import Classified, Span
from streams.core.text import Token, clean, flatten, tokenize


class Text:
    """A text to search: ``words`` are its folded words, and ``line`` has each of them between single spaces."""

    __slots__ = ("_text", "_tokens", "line", "words")

    def __init__(self, text: str) -> None:
        self.line = flatten(text)
        self.words = self.line.split()
        self._text = text
        self._tokens: tuple[Token, ...] | None = None

    def span(self, first: int, last: int) -> Span:
        """The words ``first`` to ``last`` (inclusive, counted from 0) as they stand in the text."""
        if self._tokens is None:
            self._tokens = tokenize(self._text)
        start, end = self._tokens[first].start, self._tokens[last].end
        return Span(start, end, self._text[start:end])


class View:
    """What queries ask of one headline. Made once a headline and shared by all rules."""

    def __init__(self, record: Classified) -> None:
        self.record = record
        self.headline = Text(record.headline.headline)

    @cached_property
    def author(self) -> Text:
        """The author's name; without words where there is none."""
        return Text(clean(self.record.headline.author or ""))

    def values(self, field: str) -> tuple[str, ...]:
        """The folded values of a field that is compared as a whole, such as ``source``."""
        return VALUES[field](self.record)


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
