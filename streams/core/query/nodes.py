"""A parsed query: terms, joined by `And`, `Or`, `Not`, `AtLeast` and `First`.

Each node can say whether it holds of a headline and by which words. Two nodes are equal if they mean the same analysed
words, however these were written. ``str`` of a node is a query that parses to an equal one. The terms are in
`streams.core.query.leaves`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streams.core.query.view import View
from streams.core.records import Span

#: Whether a headline is as asked.
Test: TypeAlias = Callable[[View], bool]


class Node(abc.ABC):
    """A query or a part of one."""

    __slots__ = ()

    @abc.abstractmethod
    def holds(self, view: View) -> bool:
        """Whether this is true of the headline."""

    def test(self) -> Test:
        """`holds` as a function of its own, which is faster where it is asked a million times."""
        return self.holds

    @abc.abstractmethod
    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add to ``found`` the words by which this holds, or, unless ``positive``, by which its negation does.

        It must hold, or its negation must. Only the branches that do so contribute, and what must be absent has no words.
        """

    @property
    def below(self) -> Sequence[Node]:
        """The nodes that this one joins; none of a term."""
        return ()

    @property
    def plain(self) -> str:
        """The folded word of the headline that this is, if it is nothing but one; empty otherwise."""
        return ""


class Term(Node):
    """What a headline is searched for."""

    __slots__ = ()

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words of the headline that the term asks for."""
        if positive:
            found += self.found(view)

    @abc.abstractmethod
    def found(self, view: View) -> Iterable[Span]:
        """The words of the headline that the term asks for; none where it does not hold."""


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of several."""

    parts: tuple[Node, ...]

    def holds(self, view: View) -> bool:
        """Whether every part holds."""
        return all(part.holds(view) for part in self.parts)

    def test(self) -> Test:
        """Whether every part holds. Plain words are asked for all at once."""
        plain, tests = _plain_and_others(self.parts)
        if not tests:
            return lambda view: plain <= view.headline.bag
        others = _every(tests)
        return (lambda view: plain <= view.headline.bag and others(view)) if plain else others

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words of the parts, which all hold."""
        for part in self.parts:
            if positive or not part.holds(view):
                part.mark(view, found, positive=positive)

    @property
    def below(self) -> Sequence[Node]:
        """The parts."""
        return self.parts

    def __str__(self) -> str:
        return " AND ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """At least one of several."""

    parts: tuple[Node, ...]

    def holds(self, view: View) -> bool:
        """Whether a part holds."""
        return any(part.holds(view) for part in self.parts)

    def test(self) -> Test:
        """Whether a part holds. Plain words are asked for all at once."""
        plain, tests = _plain_and_others(self.parts)
        if not tests:
            return lambda view: not plain.isdisjoint(view.headline.bag)
        others = _some(tests)
        return (lambda view: not plain.isdisjoint(view.headline.bag) or others(view)) if plain else others

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words of the parts that hold."""
        _mark_what_holds(self.parts, view, found, positive=positive)

    @property
    def below(self) -> Sequence[Node]:
        """The parts."""
        return self.parts

    def __str__(self) -> str:
        return " OR ".join(f"({part})" if isinstance(part, And) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """What must not hold."""

    part: Node

    def holds(self, view: View) -> bool:
        """Whether the part does not."""
        return not self.part.holds(view)

    def test(self) -> Test:
        """Whether the part does not hold."""
        test = self.part.test()
        return lambda view: not test(view)

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words by which the negation of the part holds."""
        self.part.mark(view, found, positive=not positive)

    @property
    def below(self) -> Sequence[Node]:
        """The part."""
        return (self.part,)

    def __str__(self) -> str:
        return f"NOT ({self.part})" if isinstance(self.part, And | Or) else f"NOT {self.part}"


@dataclass(frozen=True, slots=True)
class AtLeast(Node):
    """At least ``count`` of several different parts; more than one of them, and fewer than all."""

    count: int
    parts: tuple[Node, ...]

    def holds(self, view: View) -> bool:
        """Whether enough parts hold."""
        wanted = self.count
        for part in self.parts:
            if part.holds(view):
                wanted -= 1
                if not wanted:
                    return True
        return False

    def test(self) -> Test:
        """Whether enough parts hold."""
        tests, count = [part.test() for part in self.parts], self.count

        def enough(view: View) -> bool:
            wanted = count
            for test in tests:
                if test(view):
                    wanted -= 1
                    if not wanted:
                        return True
            return False

        return enough

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words of the parts that hold."""
        _mark_what_holds(self.parts, view, found, positive=positive)

    @property
    def below(self) -> Sequence[Node]:
        """The parts."""
        return self.parts

    def __str__(self) -> str:
        parts = (f"({part})" if isinstance(part, And | Or | Not) else str(part) for part in self.parts)
        return f"ATLEAST/{self.count}({' '.join(parts)})"


@dataclass(frozen=True, slots=True)
class First(Node):
    """What the first ``count`` words of a headline must say."""

    count: int
    part: Node

    def holds(self, view: View) -> bool:
        """Whether the first words say so."""
        return self.part.holds(view.head(self.count))

    def test(self) -> Test:
        """Whether the first words say so, asked only where the whole headline does, if that can be told."""
        test, count = self.part.test(), self.count
        if any(isinstance(node, Not) for node in nodes_of(self.part)):
            return lambda view: test(view.head(count))
        return lambda view: test(view) and test(view.head(count))

    def mark(self, view: View, found: list[Span], *, positive: bool = True) -> None:
        """Add the words of the part, among the first."""
        self.part.mark(view.head(self.count), found, positive=positive)

    @property
    def below(self) -> Sequence[Node]:
        """The part."""
        return (self.part,)

    def __str__(self) -> str:
        return f"FIRST/{self.count}({self.part})"


def negate(node: Node) -> Node:
    """The negation; of a negation, what it negates."""
    return node.part if isinstance(node, Not) else Not(node)


def join(kind: type[And | Or], parts: Sequence[Node]) -> Node:
    """``parts`` in one group, with groups of the same kind among them dissolved and repetitions left out."""
    flat: dict[Node, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else kind(tuple(flat))


def nodes_of(node: Node) -> Iterator[Node]:
    """A node and all below it, in order."""
    yield node
    for part in node.below:
        yield from nodes_of(part)


def terms_of(node: Node) -> Iterator[Term]:
    """The terms of a query, in order, those that must not hold included."""
    return (part for part in nodes_of(node) if isinstance(part, Term))


def _plain_and_others(parts: Sequence[Node]) -> tuple[frozenset[str], list[Test]]:
    """The plain words among ``parts``, and the tests of the others."""
    return frozenset(filter(None, (part.plain for part in parts))), [part.test() for part in parts if not part.plain]


def _every(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, two = tests
        return lambda view: one(view) and two(view)

    def every(view: View) -> bool:
        for test in tests:  # noqa: SIM110 - `all` with a generator takes twice as long, on the hottest path
            if not test(view):
                return False
        return True

    return every


def _some(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, two = tests
        return lambda view: one(view) or two(view)

    def some(view: View) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(view):
                return True
        return False

    return some


def _mark_what_holds(parts: Sequence[Node], view: View, found: list[Span], *, positive: bool) -> None:
    """Add the words of those of ``parts`` that hold. A term that does not has none, and need not be asked."""
    for part in parts:
        if (positive and isinstance(part, Term)) or part.holds(view) == positive:
            part.mark(view, found, positive=positive)
