"""A silence, and what it keeps from a channel. Pure: time is event time.

What is silenced is asked for in the language of rules, by which also the rule, its severity, the story and the channel can be
asked: ``rule:iran-*``, ``severity:>=high``, ``story:…``, ``channel:desk``.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from alerts.filter import SEVERITIES
from streams.core.decide import Firing
from streams.core.document import did_you_mean
from streams.core.query import Query, QueryError, View, compile_query
from streams.core.query.fields import FIELDS, Bounds, Compared, Field
from streams.core.query.leaves import Value
from streams.core.query.nodes import Node, Or, join
from streams.core.query.view import fold_value
from streams.core.records import Classified

#: How long a silence is remembered after its end: as long as Kafka keeps the alerts that it suppressed.
KEPT = timedelta(days=30)
#: Control characters, what parts lines and paragraphs, and halves of a character, which UTF-8 has no bytes for.
_BREAKS = frozenset({"Cc", "Zl", "Zp", "Cs"})
_LONGEST_COMMENT = 500
_LONGEST_NAME = 100


class Silence(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What ``query`` finds of the headlines published from ``starts`` until before ``ends`` is told to nobody.

    ``id`` follows from the rest but ``made``, so that a silence that is made twice is one.
    """

    id: str
    query: str
    starts: datetime
    ends: datetime
    comment: str
    by: str
    made: datetime

    def state(self, now: datetime) -> str:
        """``pending``, ``active`` or ``ended`` by the clock."""
        if now < self.starts:
            return "pending"
        return "active" if now < self.ends else "ended"


class SilenceError(ValueError):
    """A silence cannot be so. ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def make_silence(query: str, *, starts: datetime, ends: datetime, comment: str, by: str, now: datetime) -> Silence:
    """A silence, checked. All times are aware.

    Raises:
        SilenceError: the query is none, the end is not after the start or is past, or nobody says why or who.
    """
    try:
        read_query(query)
    except QueryError as error:
        raise SilenceError(f"at character {error.column} of the query: {error.message}", error.hint) from None
    if ends <= starts:
        raise SilenceError("the silence ends before it starts", "write such as --for 2h")
    if ends <= now:
        raise SilenceError("the silence has ended before it is made", "choose a later end")
    for what, text, longest in (("comment", comment, _LONGEST_COMMENT), ("name", by, _LONGEST_NAME)):
        # Not `isprintable`: to Python, emoji that are newer than it are not, nor are the marks that join some.
        if not text.strip() or len(text) > longest or not _BREAKS.isdisjoint(map(unicodedata.category, text)):
            raise SilenceError(f"the {what} is not one line of up to {longest} characters", "say why, and who you are")
    said = json.dumps([query, starts.isoformat(), ends.isoformat(), comment, by])
    digest = hashlib.blake2b(said.encode(), digest_size=4).hexdigest()
    return Silence(id=digest, query=query, starts=starts, ends=ends, comment=comment, by=by, made=now)


@dataclass(frozen=True, slots=True)
class _Levels(Compared):
    """The severity of a rule, which can be compared."""

    def bounds(self, bounds: Bounds, written: str, column: int) -> Node:
        """All severities between two, or on one side of one."""
        first, last = 0, len(SEVERITIES) - 1
        if bounds.low is not None:
            first = self._place(bounds.low, column) + (not bounds.with_low)
        if bounds.high is not None:
            last = self._place(bounds.high, column) - (not bounds.with_high)
        levels = SEVERITIES[first : last + 1]
        if not levels:
            raise QueryError(f"`severity:{written}` is never so", column, "write such as `severity:>=high`")
        return join(Or, [Value("severity", level, "", level) for level in levels])

    def _place(self, level: str, column: int) -> int:
        self._refuse_unknown(level, column)
        return SEVERITIES.index(level)


#: What a silence can ask for beside what a rule can.
OWN_FIELDS: Mapping[str, Field] = {
    "rule": Compared("rule"),
    "severity": _Levels("severity", SEVERITIES),
    "story": Compared("story"),
    "channel": Compared("channel"),
}
_ALL_FIELDS: Mapping[str, Field] = {**FIELDS, **OWN_FIELDS}


def read_query(text: str) -> Query:
    """The query of a silence.

    Raises:
        QueryError: it is none.
    """
    return compile_query(text, fields=_ALL_FIELDS)


def asked_in_vain(text: str, known: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """The values that a query asks of some fields and that there are not, each told, with what to write instead."""
    query = read_query(text)
    for field, names in known.items():
        folded = {fold_value(name): name for name in names}
        for value in sorted(query.values(field) - folded.keys()):
            yield f"there is no {field} `{value}`", did_you_mean(value, folded.values())


def quoted(field: str, value: str) -> str:
    """A query for one value of a field, whatever characters it has, such as ``story:"headlines.raw:0:7"``."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field}:"{escaped}"'


class _Fired(View):
    """A headline that fired a rule, on its way to a channel."""

    __slots__ = ("_own",)

    def __init__(self, record: Classified, own: Mapping[str, tuple[str, ...]], words: list[str] | None = None) -> None:
        super().__init__(record, words)
        self._own = own

    def values(self, field: str) -> tuple[str, ...]:
        found = self._own.get(field)
        return super().values(field) if found is None else found

    def head(self, count: int) -> View:
        return _Fired(self.record, self._own, self.headline.words[:count])


class Snapshot:
    """The silences of a moment, ready to be asked. ``unreadable`` are the ids of those whose queries cannot be read.

    These may come from a newer version; they silence nothing.
    """

    def __init__(self, silences: Iterable[Silence] = ()) -> None:
        self.silences: tuple[Silence, ...] = tuple(silences)
        self._asked: list[tuple[Silence, Query]] = []
        unreadable = []
        # Of several, the one that ends last is told, for it says until when.
        for silence in sorted(self.silences, key=lambda one: (one.ends, one.id), reverse=True):
            try:
                self._asked.append((silence, read_query(silence.query)))
            except QueryError:
                unreadable.append(silence.id)
        self.unreadable = tuple(unreadable)

    def reason(self, firing: Firing, channel: str) -> str | None:
        """Why a channel is not told of a firing; None if no silence keeps it."""
        moment = firing.moment
        view: View | None = None
        for silence, query in self._asked:
            if not silence.starts <= moment < silence.ends:
                continue
            view = view or _view(firing, channel)
            if query.root.holds(view):
                return f"silenced by {silence.id} until {silence.ends:%Y-%m-%d %H:%M} UTC: {silence.comment}"
        return None


def _view(firing: Firing, channel: str) -> View:
    own = {
        "rule": (fold_value(firing.rule.name),),
        "severity": (firing.rule.severity,),
        "story": (fold_value(firing.headline.story_id),),
        "channel": (fold_value(channel),),
    }
    return _Fired(firing.headline, own)
