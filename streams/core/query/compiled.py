"""A compiled query, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.core.query.anchors import required, requires_presence
from streams.core.query.fields import FIELDS, Field
from streams.core.query.frequency import Anchor
from streams.core.query.leaves import Value
from streams.core.query.nodes import Node, terms_of
from streams.core.query.source import QueryError
from streams.core.query.syntax import Lists, first_negation, parse_query
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
        return Match(self.spans(view))

    def spans(self, view: View) -> tuple[Span, ...]:
        """The words by which the query holds of a headline of which it does."""
        found: list[Span] = []
        self.root.mark(view, found)
        return disjoint(found, view.record.headline.headline)

    def values(self, field: str) -> frozenset[str]:
        """The values, in folded form and without wildcards, that the query asks of a field such as ``topic``."""
        asked = (term for term in terms_of(self.root) if isinstance(term, Value))
        return frozenset(term.exact for term in asked if term.field == field and term.exact)

    def asks(self, field: str) -> bool:
        """Whether the query asks anything of a field."""
        return any(getattr(term, "field", None) == field for term in terms_of(self.root))

    def __str__(self) -> str:
        return str(self.root)


def compile_query(text: str, lists: Lists | None = None, fields: Mapping[str, Field] = FIELDS) -> Query:
    """Read a query. ``lists`` are what it can ask for as ``@name``, ``fields`` what it can ask of a headline.

    One with fields of its own is matched with views that know them, and has no anchors.

    Raises:
        QueryError: ``text`` is not a query, has something in it that rules do not support, or asks only for what a
            headline lacks; with the column and what to write instead.
    """
    root = parse_query(text, lists or {}, fields)
    if not requires_presence(root):
        hint = "add what a headline must say, as in `oil AND NOT olive`"
        raise QueryError("a lone negation matches nearly every headline", first_negation(text), hint)
    return Query(root, required(root) if fields is FIELDS else None)


def disjoint(spans: Sequence[Span], text: str) -> tuple[Span, ...]:
    """``spans`` in order, with those that overlap made one."""
    if len(spans) < 2:
        return tuple(spans)
    merged: list[Span] = []
    end = 0
    for span in sorted(spans):
        if span.start >= end:
            merged.append(span)
            end = span.end
        elif span.end > end:
            start, end = merged.pop().start, span.end
            merged.append(Span(start, end, text[start:end]))
    return tuple(merged)
