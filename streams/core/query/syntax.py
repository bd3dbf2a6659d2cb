"""From the text of a query to its nodes, by luqum's parser of the Lucene grammar.

luqum gives a tree for all of Lucene. The translation below decides what each part of it means for a rule, and refuses
the parts that mean nothing for one: ranges, and mixtures whose meaning depends on who reads them.
"""

from __future__ import annotations

import re
from typing import Any

from luqum import tree as lucene
from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene

from streams.core.query.fields import DEFAULT, FIELDS, field_named
from streams.core.query.nodes import And, Node, Or, join, negate
from streams.core.query.source import DEEPEST, QueryError, Source, prepare

_PLACE = re.compile(r"position (\d+)")
_OPERATIONS = (lucene.AndOperation, lucene.OrOperation, lucene.UnknownOperation)
_SMALL_OPERATOR = re.compile(r"(?i:and|or|not)")
# How other news tools ask for words near each other: NEAR/5, NEAR5, ADJ5, w/5.
_OTHER_LANGUAGE = re.compile(r"(?i:o?near|adj|w|n)/\d+|(?:O?NEAR|ADJ)\d*")


def parse_query(text: str) -> Node:
    """The nodes of a query.

    Raises:
        QueryError: with the place of the first mistake.
    """
    source = prepare(text)
    try:
        tree = parse_lucene(source.text)
    except ParseError as error:
        raise _unparsed(str(error), source) from None
    return _Translation(source).node(tree, None, 0)


def first_negation(text: str) -> int:
    """The column of the first negation in a query that parses."""
    source = prepare(text)
    waiting = [parse_lucene(source.text)]
    places = []
    while waiting:
        item = waiting.pop()
        if isinstance(item, lucene.Not | lucene.Prohibit):
            places.append(item.pos)
        waiting += item.children
    return source.column(min(places))


def _unparsed(message: str, source: Source) -> QueryError:
    found = _PLACE.search(message)
    if not found:
        column = source.column(len(source.text))
        return QueryError("the query ends too early", column, "something to search for must follow")
    position = int(found[1])
    rest = source.text[position:].split()
    shown = rest[0] if rest else source.text[position : position + 1]
    hint = {"AND": "write something before and after it", "OR": "write something before and after it"}.get(
        shown, "put it in double quotes if it is to be searched for"
    )
    return QueryError(f"`{shown[:40]}` cannot stand here", source.column(position), hint)


class _Translation:
    """Makes nodes of luqum's tree. ``field`` is the one that a term names, or None where it names none."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def node(self, item: Any, field: str | None, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._error(item, "the query is nested too deeply", "make several rules of it")
        below = depth + 1  # what luqum groups by itself is no deeper: parentheses, signs and fields are
        match item:
            case lucene.Word() | lucene.Phrase() | lucene.Regex() | lucene.Proximity():
                return self._term(item, field)
            case lucene.Group() | lucene.FieldGroup() | lucene.Plus():
                return self.node(item.children[0], field, below)
            case lucene.Not() | lucene.Prohibit():
                return negate(self.node(item.children[0], field, below))
            case lucene.AndOperation() | lucene.UnknownOperation():
                self._refuse_mixture(item)
                return join(And, [self.node(part, field, depth) for part in _conjuncts(item)])
            case lucene.OrOperation():
                self._refuse_mixture(item)
                return self._either(item, field, depth)
            case lucene.SearchField():
                return self._in_field(item, field, below)
            case _:  # Range, From and To; `prepare` has refused Boost and Fuzzy
                message = "ranges and comparisons need a number, and no field here is one"
                hint = "put the text in double quotes if it is to be searched for"
                raise self._error(item, message, hint)

    def _either(self, group: Any, field: str | None, depth: int) -> Node:
        """One of several. As in Lucene, a part with `+` must hold, one with `-` must not, and then the rest may."""
        signed = [(part, self.node(part, field, depth)) for part in group.children]
        must = [node for part, node in signed if isinstance(part, lucene.Plus)]
        must_not = [node for part, node in signed if isinstance(part, lucene.Prohibit)]
        either = [node for part, node in signed if not isinstance(part, lucene.Prohibit)]
        return join(And, [*must, *([join(Or, either)] if either else []), *must_not])

    def _in_field(self, item: Any, field: str | None, depth: int) -> Node:
        if field is not None:
            raise self._error(item, f"`{item.name}:` within `{field}:`", "close the group of the first field before it")
        if item.name == "*":
            raise self._error(item, "`*:` asks any field", "name the field, or leave it out for the headline")
        field_named(item.name, self._source.column(item.pos))
        return self.node(item.children[0], item.name, depth)

    def _term(self, item: Any, field: str | None) -> Node:
        kind = FIELDS[field or DEFAULT]
        column = self._source.column(item.pos)
        match item:
            case lucene.Word():
                if field is None:
                    self._refuse_lookalikes(item)
                return kind.word(item.value, column)
            case lucene.Regex():
                return kind.regex(item.value, column)
            case lucene.Proximity():
                return kind.phrase(item.term.value, item.degree, column)
            case _:
                return kind.phrase(item.value, 0, column)

    def _refuse_lookalikes(self, item: Any) -> None:
        """What looks like an operator and is a word to Lucene would quietly make a rule that never fires."""
        word = item.value
        if _SMALL_OPERATOR.fullmatch(word):
            operator = word.upper()
            raise self._error(item, f"is `{word}` the operator or a word?", f'write `{operator}` or `"{word}"`')
        if _OTHER_LANGUAGE.fullmatch(word):
            hint = f'words near each other are `"oil iran"~5`; put `{word}` in double quotes to search for it'
            raise self._error(item, f"`{word}` is of another language", hint)
        if word.startswith("@"):
            raise self._error(item, f"`{word}`: a word does not start with `@`", f"write `{word[1:] or 'it'}` alone")

    def _refuse_mixture(self, group: Any) -> None:
        """Whether ``iran oil OR gas`` wants Iran beside gas, readers disagree."""
        if {lucene.OrOperation, lucene.UnknownOperation} <= _operators(group):
            message = "words side by side are mixed with OR"
            raise self._error(group, message, "put parentheses: `iran (oil OR gas)` or `(iran oil) OR gas`")

    def _error(self, item: Any, message: str, hint: str = "") -> QueryError:
        return QueryError(message, self._source.column(item.pos), hint)


def _conjuncts(item: Any) -> list[Any]:
    """What ``item`` joins by AND or by standing side by side. luqum nests such chains as deep as they are long."""
    waiting, found = [item], []
    while waiting:
        part = waiting.pop()
        if isinstance(part, lucene.AndOperation | lucene.UnknownOperation):
            waiting += reversed(part.children)
        else:
            found.append(part)
    return found


def _operators(group: Any) -> set[type]:
    """The kinds of operation in ``group`` that no parentheses part from it."""
    waiting, found = [group], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, _OPERATIONS):
            found.add(type(part))
            waiting += part.children
    return found
