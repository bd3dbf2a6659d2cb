"""What follows from the words of queries alone: which part of one can never hold, and which query another covers.

`implies` is sound and not complete: where it says that one query holds wherever another does, it does; where it does not say
so, it may hold all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from streams.core.query import terms
from streams.core.query.leaves import Between, Cased, Near, Value, Within, Words
from streams.core.query.nodes import And, AtLeast, First, Node, Not, Or

#: Fields of which a headline has one value.
_SINGLE = ("source", "url", "kind", "status")
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a query that is not worth its place. ``never``: it can never hold; else it changes nothing.

    ``because`` is the other part that makes it so, as it is written.
    """

    part: str
    kind: Literal["never", "idle"]
    because: str


def implies(one: Node, other: Node, depth: int = 0) -> bool:
    """Whether ``other`` holds of every headline of which ``one`` does, as far as their words tell."""
    if one == other:
        return True
    if depth > _DEEPEST:
        return False
    if isinstance(one, Or):
        return all(implies(part, other, depth + 1) for part in one.parts)
    if isinstance(other, And):
        return all(implies(one, part, depth + 1) for part in other.parts)
    if isinstance(one, And) and any(implies(part, other, depth + 1) for part in one.parts):
        return True
    if isinstance(other, Or):
        return any(implies(one, part, depth + 1) for part in other.parts)
    return _implies_alone(one, other, depth + 1)


def _implies_alone(one: Node, other: Node, depth: int) -> bool:
    """Whether one that is no alternative implies another that is no group."""
    match one, other:
        case Not(part=part), Not(part=of_other):
            return implies(of_other, part, depth)
        case First(count=count, part=part), First(count=most, part=of_other):
            return count <= most and not _negates(part) and implies(part, of_other, depth)
        case First(part=part), _ if not _negates(part):
            return implies(part, other, depth)
        case AtLeast(count=count, parts=parts), AtLeast(count=fewer, parts=others):
            return count >= fewer and set(parts) <= set(others)
        case _:
            return _term_implies(one, other)


def contradicts(one: Node, other: Node) -> bool:
    """Whether the two never hold together, as far as their words tell."""
    if isinstance(one, Not):
        return implies(other, one.part)
    if isinstance(other, Not):
        return implies(one, other.part)
    match one, other:
        case Value(field=field, exact=value, pattern=""), Value(field=same, exact=another, pattern=""):
            return field == same and field in _SINGLE and value != another
        case _:
            return False


def branches(node: Node, *, positive: bool = True) -> Iterator[Branch]:
    """The parts of a query that can never hold, or that change nothing about it."""
    if isinstance(node, And | Or):
        yield from _of_group(node)
    if isinstance(node, First):
        shortest = _fewest_words(node.part)
        if positive and shortest > node.count:
            yield Branch(str(node), "never", f"it has {shortest} words")
    for place, part in enumerate(node.below):
        # What may be there and need not is only marked: of its words none is idle beside another.
        inside = part.below if _is_optional(node, place) else (part,)
        for some in inside:
            yield from branches(some, positive=positive != isinstance(node, Not))


def _is_optional(group: Node, place: int) -> bool:
    """Whether a part of a group is what `+iran OR oil` makes of its words, *iran* AND (*iran* OR *oil*).

    It never keeps the group from holding, and is there for the words to be marked in the alert.
    """
    part = group.below[place]
    return isinstance(group, And) and isinstance(part, Or) and not set(part.parts).isdisjoint(group.parts[:place])


def _of_group(group: And | Or) -> Iterator[Branch]:
    parts = group.parts
    for place, part in enumerate(parts):
        optional = _is_optional(group, place)
        for other_place, other in enumerate(parts):
            if place == other_place:
                continue
            if isinstance(group, And) and place < other_place and contradicts(part, other):
                yield Branch(str(group), "never", f"{part}` and `{other}")
                return
            # Of two that mean the same, the later one is idle.
            same = implies(part, other) and implies(other, part)
            narrow, wide = (other, part) if isinstance(group, And) else (part, other)
            if not optional and implies(narrow, wide) and (not same or place > other_place):
                yield Branch(str(part), "idle", str(other))
                break


def _term_implies(one: Node, other: Node) -> bool:
    match one, other:
        case Words(field=field, words=words), Words(field=same, words=others):
            return field == same and _contains(words, others)
        case Cased(field=field, words=words), Words(field=same, words=others):
            return field == same and _contains(words, others)
        case Near(field=field, words=words), Words(field=same, words=(word,)):
            return field == same and any(_covers(word, some) for some in words)
        case Near(field=field, words=words, slop=slop), Near(field=same, words=others, slop=wider):
            return field == same and words == others and slop <= wider
        case Within(left=left, right=right), _:
            return any(all(implies(term, other) for term in side) for side in (left, right))
        case Value(field=field, exact=value, pattern=""), Value(field=same, pattern=pattern) if pattern:
            return field == same and terms.compile_regex(pattern).fullmatch(value) is not None
        case Between(field=field, low=low, high=high), Between(field=same, low=lower, high=higher):
            return field == same and lower < low and high < higher
        case _:
            return False


def _contains(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether some words that follow one another say what ``others`` ask for, one by one."""
    length = len(others)
    return any(all(map(_covers, others, words[first : first + length])) for first in range(len(words) - length + 1))


def _covers(wide: str, narrow: str) -> bool:
    """Whether every word that ``narrow`` asks for is one that ``wide`` does; either may have wildcards."""
    if wide == narrow:
        return True
    if not terms.has_wildcard(narrow):
        return bool(terms.word_test(wide)(narrow))
    start = wide.removesuffix("*")
    return wide.endswith("*") and not terms.has_wildcard(start) and re.split(r"[*?]", narrow)[0].startswith(start)


def _negates(node: Node) -> bool:
    return isinstance(node, Not) or any(map(_negates, node.below))


def _fewest_words(node: Node) -> int:
    """The fewest words of which a headline has to be for ``node`` to hold."""
    match node:
        case Words(words=words) | Cased(words=words) | Near(words=words):
            return len(words)
        case And(parts=parts):
            return max(map(_fewest_words, parts))
        case Or(parts=parts):
            return min(map(_fewest_words, parts))
        case _:
            return 0
