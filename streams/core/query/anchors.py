"""Which words a headline must have for a query to be worth evaluating.

Stored queries are indexed under the rarest of their required terms, as Lucene's Monitor does ("Luwak", Woodward and
Lea, 2013). Where all of several terms are required, one is enough to index the query under; where any of several
will do, it takes all of them; of eight of which three are required, any six. A negation requires nothing. A query for
which nothing is required cannot be indexed and has to be evaluated on every headline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from streams.core.query import terms
from streams.core.query.frequency import USUAL, Anchor, Weights
from streams.core.query.leaves import Cased, Fuzzy, Near, Regex, TextTerm, Value, Within, Words
from streams.core.query.nodes import And, AtLeast, First, Node, Not, Or, Term

#: Values that most headlines have: they set nothing apart.
_USUAL = {("kind", "first"), ("kind", "update"), ("status", "usable")}
#: The longest word of which all forms that a fuzzy search might find are written down.
_LONGEST_FUZZY = 24
_NOTHING: frozenset[str] = frozenset()


def required(node: Node, weights: Weights = USUAL, *, positive: bool = True) -> frozenset[Anchor] | None:
    """Anchors of which a headline must have at least one for ``node`` to hold, or not to hold unless ``positive``.

    None is returned where nothing is required. Of several possible sets it is the one that is likely to be the rarest.
    """
    match node:
        case Not():
            return required(node.part, weights, positive=not positive)
        case First():
            return required(node.part, weights, positive=positive)
        case Within():
            sides = [_any_of([_required_by(term, weights) for term in side]) for side in (node.left, node.right)]
            return _rarest(filter(None, sides), weights) if positive else None
        case Term():
            return _required_by(node, weights) if positive else None
        case And() | Or() | AtLeast():
            sets = [required(part, weights, positive=positive) for part in node.below]
            return _of_group(sets, _needed(node, positive=positive), weights)
    return None


def words_needed(node: Node) -> frozenset[str]:
    """Words of a headline all of which ``node`` needs to hold: asked at once, they decide most rules that fail."""
    match node:
        case And():
            return frozenset[str]().union(*map(words_needed, node.parts))
        case First():
            return words_needed(node.part)
        case Words(field="headline", words=words):
            return frozenset(word for word in words if not terms.has_wildcard(word))
        case Near(field="headline", words=words) | Cased(words=words):
            return frozenset(words)
        case _:
            return _NOTHING


def required_twice(node: Node, weights: Weights = USUAL) -> tuple[frozenset[Anchor], ...]:
    """Up to two sets of anchors of each of which a headline must have one, the rarest first; none if nothing is required.

    What is found by the first and not by the second need not be looked at. Most queries ask for two things at once.
    """
    match node:
        case First():
            return required_twice(node.part, weights)
        case And():
            sets = [required(part, weights) for part in node.parts]
        case Within():
            sets = [_any_of([_required_by(term, weights) for term in side]) for side in (node.left, node.right)]
        case Near(field="headline", words=words):
            sets = [frozenset([Anchor("word", word)]) for word in words]
        case _:
            sets = [required(node, weights)]
    rarest = sorted(set(filter(None, sets)), key=lambda anchors: (_share(anchors, weights), sorted(anchors)))
    return tuple(rarest[:2])


def without_needed(node: Node) -> Node | None:
    """What is left to test of a query when `words_needed` are there: what no single word says; None if that is nothing."""
    if not isinstance(node, And):
        return None if node.plain else node
    rest = [part for part in node.parts if not part.plain]
    return And(tuple(rest)) if len(rest) > 1 else rest[0] if rest else None


def requires_presence(node: Node, *, positive: bool = True) -> bool:
    """Whether ``node`` holds only of headlines that have something, rather than merely lack something."""
    if isinstance(node, Not):
        return requires_presence(node.part, positive=not positive)
    if isinstance(node, And | Or | AtLeast):
        lacking = sum(not requires_presence(part, positive=positive) for part in node.below)
        return lacking < _needed(node, positive=positive)
    if isinstance(node, First):
        return requires_presence(node.part, positive=positive)
    return positive


def _needed(group: And | Or | AtLeast, *, positive: bool) -> int:
    """How many parts of a group must hold for it to hold; or fail, unless ``positive``, for it to fail."""
    count = len(group.parts)
    least = group.count if isinstance(group, AtLeast) else count if isinstance(group, And) else 1
    return least if positive else count - least + 1


def _of_group(sets: Sequence[frozenset[Anchor] | None], needed: int, weights: Weights) -> frozenset[Anchor] | None:
    """What ``needed`` of several parts require: one of any that are so many that fewer than ``needed`` are left."""
    known = sorted(filter(None, sets), key=lambda anchors: _share(anchors, weights))
    enough = len(sets) - needed + 1
    return frozenset[Anchor]().union(*known[:enough]) if len(known) >= enough else None


def _any_of(sets: Sequence[frozenset[Anchor] | None]) -> frozenset[Anchor] | None:
    return None if None in sets else frozenset[Anchor]().union(*filter(None, sets))


def _required_by(term: Term, weights: Weights) -> frozenset[Anchor] | None:
    return _rarest((frozenset([anchor]) for anchor in anchors_of(term)), weights)


def anchors_of(term: Term) -> Sequence[Anchor]:
    """What a headline must have all of for a term to hold."""
    if isinstance(term, TextTerm) and term.field != "headline":
        return []
    match term:
        case Words(words=words):
            pairs = pairwise(words)
            return [
                *(Anchor("wildcard" if terms.has_wildcard(word) else "word", word) for word in words),
                *(Anchor("pair", " ".join(pair)) for pair in pairs if not any(map(terms.has_wildcard, pair))),
            ]
        case Near(words=words) | Cased(words=words):
            return [Anchor("word", word) for word in words]
        case Fuzzy(word=word, edits=edits) if len(word) <= _LONGEST_FUZZY:
            return [Anchor("fuzzy", f"{word}~{edits}")]
        case Regex(regex=regex):
            return [Anchor("regex", regex)]
        case Value(field=field, exact=exact, pattern="") if (field, exact) not in _USUAL:
            return [Anchor(field, exact)]  # type: ignore[arg-type]  # every field of values is a place
        case Value(field="topic", pattern=pattern) if pattern:
            return [Anchor("topics", pattern)]
        case Value(field="source", pattern=pattern) if pattern:
            return [Anchor("sources", pattern)]
        case _:
            return []


def _rarest(sets: Iterable[frozenset[Anchor]], weights: Weights) -> frozenset[Anchor] | None:
    return min(sets, key=lambda anchors: _share(anchors, weights), default=None)


def _share(anchors: Iterable[Anchor], weights: Weights) -> float:
    return sum(map(weights.share, anchors))
