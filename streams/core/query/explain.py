"""Why a query holds of a headline, or what kept it from holding.

The tree of the query is gone through once, and each part says whether it holds and by which words. Where the whole
does not hold, the smallest set of changes is looked for that would make it hold: of a group with AND all parts that fail,
of one with OR the part that lacks the least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from streams.core.query.compiled import Query, disjoint
from streams.core.query.leaves import Between, Cased, Fuzzy, Near, Regex, TextTerm, Value, Within, Words
from streams.core.query.nodes import And, AtLeast, First, Node, Not, Or
from streams.core.query.view import View
from streams.core.records import Span

#: A word is near another where so many letters differ, or where one begins with the other.
_NEAR = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a query: what it asks for, whether it holds, and by which words of the headline.

    ``joined`` is how the parts below are joined: ``and``, ``or``, ``not``, ``at least 2``, ``first 5``; empty for a term.
    """

    asks: str
    joined: str
    holds: bool
    spans: tuple[Span, ...]
    below: tuple[Part, ...]

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Part]]:
        """This part and all below it, each with how deep it stands."""
        yield depth, self
        for part in self.below:
            yield from part.walk(depth + 1)


@dataclass(frozen=True, slots=True)
class Lack:
    """What kept a query from holding: ``asks`` is the part of it, ``reason`` what is the matter, for a person.

    ``others`` are the parts of which any would have done as well.
    """

    asks: str
    reason: str
    others: tuple[str, ...] = ()


def explain(query: Query, view: View) -> Part:
    """The tree of a query, with what each part found in a headline."""
    return _part(query.root, view)


def lacks(query: Query, view: View) -> tuple[Lack, ...]:
    """The fewest things that would have to be otherwise for the query to hold; empty where it does."""
    return tuple(_lacks(query.root, view, positive=True))


def _part(node: Node, view: View) -> Part:
    holds = node.holds(view)
    inner = view.head(node.count) if isinstance(node, First) else view
    found: list[Span] = []
    if holds:
        node.mark(view, found)
    below = tuple(_part(part, inner) for part in node.below)
    return Part(str(node), _joined(node), holds, disjoint(found, view.record.headline.headline), below)


def _joined(node: Node) -> str:
    match node:
        case And():
            return "and"
        case Or():
            return "or"
        case Not():
            return "not"
        case AtLeast(count=count):
            return f"at least {count}"
        case First(count=count):
            return f"first {count}"
        case _:
            return ""


def _lacks(node: Node, view: View, *, positive: bool) -> list[Lack]:
    """What kept ``node`` from holding, or from not holding unless ``positive``."""
    if node.holds(view) == positive:
        return []
    match node:
        case Not():
            return _lacks(node.part, view, positive=not positive)
        case First():
            return _lacks_of_first(node, view, positive=positive)
        case And() | Or() | AtLeast():
            return _lacks_of_group(node, view, positive=positive)
    return [Lack(str(node), _why(node, view) if positive else _by_which(node, view))]


def _lacks_of_group(group: And | Or | AtLeast, view: View, *, positive: bool) -> list[Lack]:
    """Of the parts that fail, those that lack the least: as many as the group is short of."""
    count = len(group.parts)
    needed = group.count if isinstance(group, AtLeast) else count if isinstance(group, And) else 1
    needed = needed if positive else count - needed + 1
    failing = sorted((_lacks(part, view, positive=positive) for part in group.parts), key=len)
    short = needed - sum(not found for found in failing)
    wanted = [found for found in failing if found]
    lacking = [lack for found in wanted[:short] for lack in found]
    others = tuple(lack.asks for found in wanted[short:] for lack in found[:1])
    if others and lacking:
        last = lacking[-1]
        lacking[-1] = Lack(last.asks, last.reason, (*last.others, *others))
    return lacking


def _lacks_of_first(first: First, view: View, *, positive: bool) -> list[Lack]:
    if positive and first.part.holds(view):
        return [Lack(str(first), f"stands in the headline, and not among its first {first.count} words")]
    return _lacks(first.part, view.head(first.count), positive=positive)


def _by_which(node: Node, view: View) -> str:
    """That a part holds that must not, and by which words."""
    found: list[Span] = []
    node.mark(view, found)
    spans = disjoint(found, view.record.headline.headline)
    words = ", ".join(f"`{span.text}`" for span in spans)
    return f"is there, by {words}, and must not be" if words else "is so, and must not be"


def _why(term: Node, view: View) -> str:
    """Why a term does not hold."""
    if isinstance(term, TextTerm) and term.field == "author":
        return f"the author is `{' '.join(view.author.words)}`" if view.author.words else "there is no author"
    match term:
        case Cased():
            found = list(Words(term.field, term.words, term.written).places(view.headline))
            if not found:
                return _absent(term.words, view)
            return f"is written `{view.headline.span(*found[0]).text}`"
        case Near() | Words() if len(term.words) > 1:
            missing = [
                word for word in term.words if word not in view.headline.words and "*" not in word and "?" not in word
            ]
            return _absent(missing, view) if missing else "its words are there, and do not stand so"
        case Words():
            return _absent(term.words, view)
        case Within():
            return _why_within(term, view)
        case Fuzzy() | Regex():
            return "no word of the headline is so"
        case Value(field=field):
            values = view.values(field)
            return (
                f"the {field} is {' and '.join(f'`{value}`' for value in values)}" if values else f"there is no {field}"
            )
        case Between(field=field):
            numbers = [f"{number:,.10g}" for number, _ in view.numbers(field)]
            return f"{field} is {', '.join(numbers)}" if numbers else f"the headline names no {field}"
        case _:
            return "is not so"


def _why_within(term: Within, view: View) -> str:
    text = view.headline
    for side in (term.left, term.right):
        if not any(word.stands_in(text) for word in side):
            return f"the headline has not `{' OR '.join(map(str, side))}`"
    left, right = (_places(side, view) for side in (term.left, term.right))
    between = min(max(one[0], other[0]) - min(one[1], other[1]) - 1 for one in left for other in right)
    return f"both are there, with {max(0, between)} words between" + (", or in the other order" if term.ordered else "")


def _places(side: Sequence[TextTerm], view: View) -> list[tuple[int, int]]:
    return [(first, last) for term in side for first, last in term.places(view.headline)]


def _absent(words: Sequence[str], view: View) -> str:
    """That a word is not there, and the nearest that is."""
    word = words[0]
    bare = word.strip("*?")
    said = f"the headline has no `{word}`"
    alike = next((other for other in view.headline.words if bare and len(bare) > 3 and other.startswith(bare)), None)
    if alike is None and len(bare) > 4:
        found = process.extractOne(bare, view.headline.words, scorer=OSA.distance, score_cutoff=_NEAR)
        alike = found[0] if found else None
    return f"{said}; it has `{alike}`" if alike and alike != word else said
