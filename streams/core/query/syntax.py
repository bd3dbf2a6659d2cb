"""From the text of a query to its nodes, by luqum's parser of the Lucene grammar.

luqum gives a tree for all of Lucene. The translation below decides what each part of it means for a rule, and refuses
the parts that mean nothing for one, and mixtures whose meaning depends on who reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from luqum import tree as lucene
from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene

from streams.core.document import did_you_mean
from streams.core.query.fields import DEFAULT, FIELDS, LETTERS, Bounds, Field, field_named
from streams.core.query.leaves import TextTerm, Within, alternatives
from streams.core.query.nodes import And, AtLeast, First, Node, Or, join, negate, terms_of
from streams.core.query.operators import FUNCTION, LOOKALIKE, MISTYPED, NEAR
from streams.core.query.source import DEEPEST, QueryError, Source, prepare

_PLACE = re.compile(r"position (\d+)")
_OPERATIONS = (lucene.AndOperation, lucene.OrOperation, lucene.UnknownOperation)
_SMALL_OPERATOR = re.compile(r"(?i:and|or|not)")
_CASED = "CASED"

#: Lists of words by name, which a query asks for as ``@name``.
Lists: TypeAlias = Mapping[str, Sequence[str]]


def parse_query(text: str, lists: Lists, fields: Mapping[str, Field] = FIELDS) -> Node:
    """The nodes of a query that can ask for ``lists`` and for ``fields``.

    Raises:
        QueryError: with the place of the first mistake.
    """
    source = prepare(text)
    try:
        tree = parse_lucene(source.text)
    except ParseError as error:
        raise _unparsed(str(error), source) from None
    return _Translation(source, lists, fields).node(tree, None, 0)


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

    def __init__(self, source: Source, lists: Lists, fields: Mapping[str, Field]) -> None:
        self._source = source
        self._lists = lists
        self._fields = fields

    def node(self, item: Any, field: str | None, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._error(item, "the query is nested too deeply", "make several rules of it")
        below = depth + 1  # what luqum groups by itself is no deeper: parentheses, signs and fields are
        match item:
            case lucene.Group() | lucene.FieldGroup():
                return self._operated(item, field, below) or self.node(item.children[0], field, below)
            case lucene.Plus():
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
            case _:
                return self._term(item, field)

    def _either(self, group: Any, field: str | None, depth: int) -> Node:
        """One of several. As in Lucene, a part with `+` must hold, one with `-` must not, and then the rest may."""
        signed = [(part, self.node(part, field, depth)) for part in group.children]
        must = [node for part, node in signed if isinstance(part, lucene.Plus)]
        must_not = [node for part, node in signed if isinstance(part, lucene.Prohibit)]
        either = [node for part, node in signed if not isinstance(part, lucene.Prohibit)]
        return join(And, [*must, *([join(Or, either)] if either else []), *must_not])

    def _operated(self, item: Any, field: str | None, depth: int) -> Node | None:
        """What an operator of ours makes of the group around it; None where the group has none."""
        inside = item.children[0]
        if not isinstance(inside, lucene.UnknownOperation):
            return None
        words = [part.value if isinstance(part, lucene.Word) else "" for part in inside.children]
        if any(map(NEAR.fullmatch, words)):
            return self._near(inside, words, field, depth)
        found = FUNCTION.fullmatch(words[0])
        if not found or not isinstance(inside.children[1], lucene.Group):
            return None
        argument = inside.children[1]
        if found[3]:
            return self._cased(argument, field, depth)
        count = int(found[2])
        if not count:
            raise self._error(inside.children[0], f"`{words[0]}` asks for nothing", "write 1 or more")
        if found[1] == "FIRST":
            return self._first(argument, count, field, depth)
        return self._at_least(argument, count, field, depth)

    def _near(self, group: Any, words: Sequence[str], field: str | None, depth: int) -> Node:
        operators = [place for place, word in enumerate(words) if NEAR.fullmatch(word)]
        operator = group.children[operators[0]]
        if len(words) != 3 or operators != [1]:
            hint = "say which are near which: `(a NEAR/5 b) AND (b NEAR/5 c)`"
            raise self._error(operator, f"`{operator.value}` joins two, and here are more", hint)
        found = NEAR.fullmatch(operator.value)
        assert found
        sides = [self._side(group.children[place], operator, field, depth) for place in (0, 2)]
        if len({term.field for side in sides for term in side}) > 1:
            raise self._error(operator, f"`{operator.value}` joins words of two fields", "ask both of the same field")
        return Within(sides[0][0].field, sides[0], sides[1], int(found[2]), bool(found[1]))

    def _side(self, item: Any, operator: Any, field: str | None, depth: int) -> tuple[TextTerm, ...]:
        found = alternatives(self.node(item, field, depth))
        if found is None:
            hint = "on either side stand words and phrases, or several of them joined by OR in parentheses"
            raise self._error(item, f"this has no one place for `{operator.value}` to look beside", hint)
        return found

    def _first(self, argument: Any, count: int, field: str | None, depth: int) -> Node:
        part = self.node(argument, field, depth)
        if any(not isinstance(term, TextTerm) or term.field != "headline" for term in terms_of(part)):
            raise self._error(argument, f"`FIRST/{count}` is about words of the headline", "ask for fields outside it")
        return First(count, part)

    def _at_least(self, argument: Any, count: int, field: str | None, depth: int) -> Node:
        inside = argument.children[0]
        if isinstance(inside, lucene.AndOperation) or _mixed(inside):
            message = f"`ATLEAST/{count}` counts what stands side by side in its parentheses"
            raise self._error(argument, message, "put parentheses around each part that is more than a word")
        items = inside.children if isinstance(inside, lucene.UnknownOperation | lucene.OrOperation) else [inside]
        parts: dict[Node, None] = {}
        for item in items:
            node = self.node(item, field, depth)
            listed = isinstance(item, lucene.Word) and item.value.startswith("@") and isinstance(node, Or)
            parts.update(dict.fromkeys(node.parts if listed and isinstance(node, Or) else (node,)))
        if count > len(parts):
            message = f"`ATLEAST/{count}` is never so: there are {len(parts)} different parts in its parentheses"
            raise self._error(argument, message, "ask for fewer, or add some")
        if count == 1:
            return join(Or, list(parts))
        return join(And, list(parts)) if count == len(parts) else AtLeast(count, tuple(parts))

    def _cased(self, argument: Any, field: str | None, depth: int) -> Node:
        if field not in (None, DEFAULT):
            raise self._error(
                argument, f"`CASED` is about the headline, and not about `{field}`", "leave one of them out"
            )
        return self.node(argument, _CASED, depth)

    def _in_field(self, item: Any, field: str | None, depth: int) -> Node:
        if item.name == "fn":
            hint = "write `NEAR/n`, `ONEAR/n`, `FIRST/n(…)` or `ATLEAST/n(…)`"
            raise self._error(item, "`fn:` begins Lucene's interval functions, which rules have not", hint)
        if field is not None:
            raise self._error(item, f"`{item.name}:` within `{field}:`", "close the group of the first field before it")
        if item.name == "*":
            raise self._error(item, "`*:` asks any field", "name the field, or leave it out for the headline")
        field_named(item.name, self._source.column(item.pos), self._fields)
        return self.node(item.children[0], item.name, depth)

    def _term(self, item: Any, field: str | None) -> Node:
        kind = LETTERS if field == _CASED else self._fields[field or DEFAULT]
        column = self._source.column(item.pos)
        match item:
            case lucene.Word():
                if field in (None, _CASED):
                    self._refuse_lookalikes(item)
                return self._listed(item, kind) if item.value.startswith("@") else kind.word(item.value, column)
            case lucene.Phrase():
                return kind.phrase(item.value, 0, column)
            case lucene.Regex():
                return kind.regex(item.value, column)
            case lucene.Proximity():
                return kind.phrase(item.term.value, item.degree, column)
            case lucene.Fuzzy():
                return kind.fuzzy(item.term.value, int(item.degree), column)
            case _:
                return kind.bounds(*_bounds(item), column)

    def _listed(self, item: Any, kind: Field) -> Node:
        """One of the words of a list."""
        name = item.value[1:]
        if name not in self._lists:
            hint = did_you_mean(name, self._lists) or f"write `lists: {{{name or 'gulf'}: [one, two]}}` in a rule file"
            raise self._error(item, f"there is no list `{item.value}`", hint)
        column = self._source.column(item.pos)
        try:
            return join(Or, [_member(kind, word, column) for word in self._lists[name]])
        except QueryError as error:
            raise QueryError(f"in the list `{item.value}`: {error.message}", column, error.hint) from None

    def _refuse_lookalikes(self, item: Any) -> None:
        """What looks like an operator and is a word to Lucene would quietly make a rule that never fires."""
        word = item.value
        if _SMALL_OPERATOR.fullmatch(word):
            operator = word.upper()
            raise self._error(item, f"is `{word}` the operator or a word?", f'write `{operator}` or `"{word}"`')
        if found := MISTYPED.fullmatch(word):
            operator = found[1].upper()
            message = f"`{word}`: right after `{operator}/` belongs a whole number below 1,000"
            example = f"oil {operator}/5 iran" if operator.endswith("NEAR") else f"{operator}/2(oil gas coal)"
            raise self._error(item, message, f"write `{example}`; put `{word}` in double quotes to search for it")
        if LOOKALIKE.fullmatch(word):
            hint = (
                f"write `oil NEAR/5 iran`, or `ONEAR/5` for this order; put `{word}` in double quotes to search for it"
            )
            raise self._error(item, f"`{word}` is of another language", hint)

    def _refuse_mixture(self, group: Any) -> None:
        """Whether ``iran oil OR gas`` wants Iran beside gas, readers disagree."""
        if _mixed(group):
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


def _mixed(group: Any) -> bool:
    """Whether words side by side are mixed with OR."""
    return {lucene.OrOperation, lucene.UnknownOperation} <= _operators(group)


def _bounds(item: Any) -> tuple[Bounds, str]:
    """A range or comparison of luqum's, and how it is written."""
    if isinstance(item, lucene.From):
        return Bounds(item.a.value, None, with_low=item.include, with_high=True), f">{'=' * item.include}{item.a.value}"
    if isinstance(item, lucene.To):
        return Bounds(None, item.a.value, with_low=True, with_high=item.include), f"<{'=' * item.include}{item.a.value}"
    low, high = item.low.value, item.high.value
    written = f"{'[' if item.include_low else '{'}{low} TO {high}{']' if item.include_high else '}'}"
    ends = (None if low == "*" else low, None if high == "*" else high)
    return Bounds(*ends, item.include_low, item.include_high), written


def _member(kind: Field, word: str, column: int) -> Node:
    """What a word or phrase of a list asks of a field."""
    if len(word.split()) > 1:
        escaped = word.replace("\\", "\\\\").replace('"', '\\"')
        return kind.phrase(f'"{escaped}"', 0, column)
    return kind.word(word, column)


def _operators(group: Any) -> set[type]:
    """The kinds of operation in ``group`` that no parentheses part from it."""
    waiting, found = [group], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, _OPERATIONS):
            found.add(type(part))
            waiting += part.children
    return found
