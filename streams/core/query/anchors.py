"""Which words a headline must have for a query to be worth evaluating.

Stored queries are indexed under the rarest of their required terms, as Lucene's Monitor does ("Luwak", Woodward and
Lea, 2013). Where all of several terms are required, one is enough to index the query under; where any of several
will do, it takes all of them; a negation requires nothing. A query for which nothing is required cannot be indexed and
has to be evaluated on every headline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from streams.core.query import terms
from streams.core.query.nodes import And, Near, Node, Not, Or, Term, Value, Words

#: ``word`` is a folded word of the headline, ``fragment`` a part of its folded line, the others are values of a field.
Place: TypeAlias = Literal["word", "fragment", "topic", "source", "url", "kind", "status"]

#: Values that most headlines have: they set nothing apart.
_USUAL = {("kind", "first"), ("kind", "update"), ("status", "usable")}
#: The share of headlines that have a given value of a field, guessed.
_SHARE_OF_VALUE = {"topic": 0.03, "source": 0.03, "url": 0.0001, "status": 0.002}
# The commonest words of English headlines, which stand in every tenth or so.
_COMMON_WORDS = frozenset({
    "a", "after", "and", "are", "as", "at", "be", "by", "for", "from", "has", "he", "his", "how", "in", "is", "it",
    "its", "new", "not", "of", "on", "or", "over", "s", "says", "that", "the", "this", "to", "up", "was", "who", "why",
    "will", "with", "you", "your",
})  # fmt: skip


class Anchor(NamedTuple):
    """Something that a headline has or has not, by which queries can be found."""

    place: Place
    text: str


def required(node: Node, *, positive: bool = True) -> frozenset[Anchor] | None:
    """Anchors of which a headline must have at least one for ``node`` to hold, or not to hold unless ``positive``.

    None is returned where nothing is required. Of several possible sets it is the one that is likely to be the rarest.
    """
    if isinstance(node, Not):
        return required(node.part, positive=not positive)
    if isinstance(node, Term):
        return _rarest(_anchors(node)) if positive else None
    assert isinstance(node, And | Or)
    sets = [required(part, positive=positive) for part in node.parts]
    if isinstance(node, And) == positive:
        return min(filter(None, sets), key=_share, default=None)
    return None if None in sets else frozenset[Anchor]().union(*filter(None, sets))


def requires_presence(node: Node, *, positive: bool = True) -> bool:
    """Whether ``node`` holds only of headlines that have something, rather than merely lack something."""
    if isinstance(node, Not):
        return requires_presence(node.part, positive=not positive)
    if isinstance(node, And | Or):
        quantifier = any if isinstance(node, And) == positive else all
        return quantifier(requires_presence(part, positive=positive) for part in node.parts)
    return positive


def _anchors(term: Term) -> Sequence[Anchor]:
    match term:
        case Words(field="headline", words=words):
            return [_of_pattern(word) if terms.has_wildcard(word) else Anchor("word", word) for word in words]
        case Near(field="headline", words=words):
            return [Anchor("word", word) for word in words]
        case Value(field=field, exact=exact, pattern="") if (field, exact) not in _USUAL:
            return [Anchor(field, exact)]  # type: ignore[arg-type]  # every field of values is a place
        case _:
            return []


def _of_pattern(pattern: str) -> Anchor:
    """The longest part of a word that its wildcards leave, with a space where the word begins or ends."""
    return Anchor("fragment", max(re.split(r"[*?]+", f" {pattern} "), key=lambda part: len(part.strip())))


def _rarest(anchors: Iterable[Anchor]) -> frozenset[Anchor] | None:
    rarest = min(anchors, key=lambda anchor: _share([anchor]), default=None)
    return None if rarest is None else frozenset([rarest])


def _share(anchors: Iterable[Anchor]) -> float:
    """The share of headlines that have one of ``anchors``, guessed: long words are rare, parts of words less so."""
    return sum(map(_share_of, anchors))


def _share_of(anchor: Anchor) -> float:
    if anchor.place == "word":
        return 0.1 if anchor.text in _COMMON_WORDS else 0.2 / len(anchor.text) ** 2
    if anchor.place == "fragment":
        return 0.2 if len(anchor.text.strip()) == 1 else 1 / len(anchor.text) ** 2
    return _SHARE_OF_VALUE[anchor.place]
