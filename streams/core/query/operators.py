"""The operators that Lucene's grammar has not: ``NEAR/n``, ``ONEAR/n``, ``FIRST/n(…)``, ``ATLEAST/n(…)``, ``CASED(…)``.

luqum takes them for words. Parentheses are set here around each of them and what belongs to it, so that it comes out
of the parser as a group of its own, whatever stands beside it: these operators bind tighter than all others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Words near one another, ``O`` for in this order; the figure is the most words between them.
NEAR = re.compile(r"(O?)NEAR/([0-9]{1,3})")
#: What is done with a group in parentheses.
FUNCTION = re.compile(r"(FIRST|ATLEAST)/([0-9]{1,3})|(CASED)")
#: How other news tools, and hasty fingers, write the above.
LOOKALIKE = re.compile(r"(?i:o?near|onear|adj|w|n)/[0-9]+|(?:O?NEAR|ADJ)[0-9]*|(?i:first|atleast)/[0-9]*")
#: One of ours with something else behind it than its figure.
MISTYPED = re.compile(r"(?i:(o?near|first|atleast)/)(?![0-9]{1,3}$).*", re.DOTALL)
#: What is done with a group so many times, and lacks the figure.
UNCOUNTED = ("FIRST", "ATLEAST")
_ANY = re.compile(f"{NEAR.pattern}|{FUNCTION.pattern}")
_OPERATORS = ("AND", "OR", "NOT")


class Piece(NamedTuple):
    """A part of a query's text: a word, a phrase, a sign. ``column`` counts from 1."""

    kind: str
    text: str
    column: int


class MisplacedError(Exception):
    """An operator lacks what it works on."""

    def __init__(self, piece: Piece, message: str, hint: str) -> None:
        super().__init__(message)
        self.piece = piece
        self.message = message
        self.hint = hint


def grouped(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces, with parentheses around every operator and what belongs to it. Parentheses pair already.

    Raises:
        MisplacedError: something is missing beside an operator.
    """
    if not any(piece.kind == "word" and _ANY.match(piece.text) for piece in pieces):
        yield from pieces
        return
    query = _Query(pieces)
    opened: Counter[int] = Counter()
    closed: Counter[int] = Counter()
    columns: dict[tuple[str, int], int] = {}
    for place, piece in enumerate(pieces):
        span = query.span_of(place)
        if span is not None:
            opened[span[0]] += 1
            closed[span[1]] += 1
            columns["(", span[0]] = columns[")", span[1]] = piece.column
    for place, piece in enumerate(pieces):
        yield from [Piece("other", "(", columns.get(("(", place), 0))] * opened[place]
        yield piece
        yield from [Piece("other", ")", columns.get((")", place), 0))] * closed[place]


class _Query:
    """The pieces of a query, and which parenthesis belongs to which."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.other: dict[int, int] = {}
        open_at: list[int] = []
        for place, piece in enumerate(pieces):
            if piece.kind == "other" and piece.text == "(":
                open_at.append(place)
            elif piece.kind == "other" and piece.text == ")":
                self.other[place] = open_at.pop()
                self.other[self.other[place]] = place

    def span_of(self, place: int) -> tuple[int, int] | None:
        """The first and last piece of an operator at ``place``; None where there is none."""
        piece = self.pieces[place]
        if piece.kind != "word":
            return None
        if NEAR.fullmatch(piece.text):
            hint = 'write words, phrases or groups of them on both sides: `(oil OR gas) NEAR/5 "strait of hormuz"`'
            left, right = self._before(place), self._after(place)
            if left is None or right is None:
                side = "before" if left is None else "after"
                raise MisplacedError(piece, f"`{piece.text}` has nothing {side} it to be near to", hint)
            return left, right
        if FUNCTION.fullmatch(piece.text):
            following = self._step(place, 1)
            if following in self.other and self.pieces[following].text == "(":
                return place, self.other[following]
            if piece.text != "CASED":
                hint = f"write `{piece.text}(oil gas coal)`"
                raise MisplacedError(piece, f"`{piece.text}` needs a group in parentheses after it", hint)
        return None

    def _before(self, place: int) -> int | None:
        """The first piece of what stands before ``place``."""
        at = self._step(place, -1)
        if self._kind(at) == "near":
            at = self._step(at, -1)
        if at in self.other and self.pieces[at].text == ")":
            at = self.other[at]
            function = self._step(at, -1)
            at = function if self._is_function(function) else at
        elif not self._is_operand(at):
            return None
        colon = at - 1
        if colon > 0 and self.pieces[colon].text == ":" and self._kind(colon - 1) == "word":
            return colon - 1
        return at

    def _after(self, place: int) -> int | None:
        """The last piece of what stands after ``place``."""
        at = self._step(place, 1)
        if self._kind(at) == "word" and at + 1 < len(self.pieces) and self.pieces[at + 1].text == ":":
            at = self._step(at + 1, 1)
        if self._is_function(at) and self._step(at, 1) in self.other:
            at = self._step(at, 1)
        if at in self.other and self.pieces[at].text == "(":
            return self.other[at]
        if not self._is_operand(at):
            return None
        return self._step(at, 1) if self._kind(self._step(at, 1)) == "near" else at

    def _is_operand(self, place: int) -> bool:
        kind = self._kind(place)
        if kind in ("phrase", "regex"):
            return True
        return kind == "word" and self.pieces[place].text not in _OPERATORS and not self._is_near(place)

    def _is_near(self, place: int) -> bool:
        return NEAR.fullmatch(self.pieces[place].text) is not None

    def _is_function(self, place: int) -> bool:
        return self._kind(place) == "word" and FUNCTION.fullmatch(self.pieces[place].text) is not None

    def _step(self, place: int, by: int) -> int:
        """The next piece in that direction that is no space; a place outside of the query where there is none."""
        place += by
        while 0 <= place < len(self.pieces) and self.pieces[place].kind == "space":
            place += by
        return place

    def _kind(self, place: int) -> str:
        return self.pieces[place].kind if 0 <= place < len(self.pieces) else ""
