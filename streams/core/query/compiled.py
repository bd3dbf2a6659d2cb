"""A compiled query, and what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streams.core.query.anchors import Anchor, required, requires_presence
from streams.core.query.nodes import Node, Value, terms_of
from streams.core.query.source import QueryError
from streams.core.query.syntax import first_negation, parse_query
from streams.core.query.view import View
from streams.core.records import Span


@dataclass(frozen=True, slots=True)
class Match:
    """A query holds of a headline. ``spans`` are the words by which it does, in order, none overlapping another.

    They are empty where only fields without words of the headline decided, such as ``status:canceled``.
    """

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A query, ready to be matched. Two are equal if they ask for the same, and ``str`` gives one that parses to it.

    ``anchors`` are what a headline must have at least one of for the query to hold, or None where there is no such set.
    """

    root: Node
    anchors: frozenset[Anchor] | None

    def match(self, view: View) -> Match | None:
        """The words by which the query holds of a headline, or None where it does not."""
        if not self.root.holds(view):
            return None
        return Match(disjoint(self.root.spans(view), view.record.headline.headline))

    def values(self, field: str) -> frozenset[str]:
        """The values, in folded form and without wildcards, that the query asks of a field such as ``topic``."""
        asked = (term for term in terms_of(self.root) if isinstance(term, Value))
        return frozenset(term.exact for term in asked if term.field == field and term.exact)

    def __str__(self) -> str:
        return str(self.root)


def compile_query(text: str) -> Query:
    """Read a query.

    Raises:
        QueryError: ``text`` is not a query, has something in it that rules do not support, or asks only for what a
            headline lacks; with the column and what to write instead.
    """
    root = parse_query(text)
    if not requires_presence(root):
        hint = "add what a headline must say, as in `oil AND NOT olive`"
        raise QueryError("a lone negation matches nearly every headline", first_negation(text), hint)
    return Query(root, required(root))


def disjoint(spans: Iterable[Span], text: str) -> tuple[Span, ...]:
    """``spans`` in order, with those that overlap made one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            last = merged.pop()
            end = max(last.end, span.end)
            merged.append(Span(last.start, end, text[last.start : end]))
        else:
            merged.append(span)
    return tuple(merged)
