"""Subscriptions: what a channel asks to be told of, beside the rules that name it.

They stand under their channel in ``channels.yaml``, as ``subscribe:``, or in a file beside it, ``subscriptions.yaml``, which
``wirewatch channels subscribe`` edits. Every mistake is told at its line and column; one in a query at its place in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr
from ruamel.yaml import YAML

from alerts.filter import FilterModel
from alerts.route import SUBSCRIPTION, Subscription
from alerts.routefile import Known, unknown
from alerts.rulefile import place_in_scalar
from alerts.secret import named
from alerts.userfile import read_text
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.document import Path as Place
from streams.core.query import Query, QueryError, compile_query
from streams.core.records import Severity
from streams.core.rule import Rule

_EXAMPLE = "write `subscriptions:` and below it, indented, `desk: [{topic: iran}]`"
_EXAMPLE_OF_ONE = 'write `[{topic: iran, severity: ">=high"}]`, or `[{query: topic:iran AND oil}]`'
_EXAMPLE_OF_FILTER = 'write such as `{topic: iran}`; for all rules, `{rule: "*"}`'
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_FILE = "subscriptions"


def _a_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("use up to 100 letters, digits, `_`, `-` and `.`, the first a letter or digit")
    return value


class _Filtered(FilterModel):
    """The rules that fire, as far as they pass."""

    without: FilterModel | None = Field(None, alias="except")


class _Asked(BaseModel):
    """Every headline that a query of the channel's own finds."""

    model_config = ConfigDict(extra="forbid")

    query: StrictStr
    severity: Severity = "medium"
    title: StrictStr = ""
    name: Annotated[StrictStr, AfterValidator(_a_name)] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A subscription, and where it stands. ``given`` is what was written there."""

    subscription: Subscription
    place: Problem
    given: Mapping[str, Any]


def read_below(
    document: Document, text: str, path: Place, channel: str, known: Known
) -> tuple[list[Written], list[Problem]]:
    """The subscriptions of a channel that stand at ``path`` of a document made of ``text``, and what is wrong with them."""
    given: Any = document.data
    for step in path:
        given = given[step]
    if not isinstance(given, list) or not given:
        return [], [document.problem(path, "there are no subscriptions here", _EXAMPLE_OF_ONE, key=True)]
    found: list[Written] = []
    problems: list[Problem] = []
    for number, one in enumerate(given):
        place = (*path, number)
        if not isinstance(one, dict):
            problems.append(document.problem(place, "this is no subscription", _EXAMPLE_OF_ONE))
            continue
        reader = _asked if "query" in one else _filtered
        subscription, wrong = reader(document, text, place, channel, known)
        problems += wrong
        if subscription is not None:
            found.append(Written(subscription, document.problem(place, ""), one))
    return found, problems


def _filtered(
    document: Document, _text: str, path: Place, channel: str, known: Known
) -> tuple[Subscription | None, list[Problem]]:
    model, problems = check(document, _Filtered, path)
    if model is None:
        return None, problems
    passes, without = model.filter(), model.without.filter() if model.without else None
    problems += unknown(document, path, passes, known)
    if without is not None:
        problems += unknown(document, (*path, "except"), without, known)
    if not passes:
        problems.append(document.problem(path, "this asks for nothing", _EXAMPLE_OF_FILTER))
    if without is not None and not without:
        problems.append(document.problem((*path, "except"), "`except` asks for nothing", _EXAMPLE_OF_FILTER, key=True))
    return Subscription(channel, passes, without), problems


def _asked(
    document: Document, text: str, path: Place, channel: str, known: Known
) -> tuple[Subscription | None, list[Problem]]:
    model, problems = check(document, _Asked, path)
    if model is None:
        return None, problems
    try:
        query = compile_query(model.query)
    except QueryError as error:
        return None, [_in_query(document, text, (*path, "query"), model.query, error)]
    topics = known.topics if known.topics is not None else query.values("topic")
    folded = {topic.casefold() for topic in topics}
    for topic in sorted(query.values("topic") - folded):
        problems.append(
            document.problem((*path, "query"), f"there is no topic {named(topic)}", did_you_mean(topic, folded))
        )
    return Subscription(channel, rule=rule_of(channel, query, model.severity, model.title, model.name)), problems


def rule_of(channel: str, query: Query, severity: Severity, title: str = "", name: str | None = None) -> Rule:
    """The rule that stands for a subscription with a query: its name follows from the channel and the query.

    A subscription that has a name keeps it whatever becomes of its query.
    """
    digest = hashlib.blake2b(str(query).encode(), digest_size=3).hexdigest()
    return Rule(
        name=f"{SUBSCRIPTION}{channel}:{name or digest}",
        title=title or str(query),
        query=query,
        severity=severity,
        channels=(channel,),
    )


def _in_query(document: Document, text: str, path: Place, query: str, error: QueryError) -> Problem:
    """The error of a query, at its place in the file if that can be told."""
    problem = document.problem(path, error.message, error.hint)
    place = place_in_scalar(text.splitlines(), problem.line, problem.column, query, error.column)
    if place is None:
        return dataclasses.replace(problem, message=f"at character {error.column} of the query: {error.message}")
    return dataclasses.replace(problem, line=place[0], column=place[1])


def twice(found: Sequence[Written]) -> list[Problem]:
    """Subscriptions that stand twice, in one file or in both, and queries under one name."""
    problems = []
    seen: dict[object, Problem] = {}
    for written in found:
        rule = written.subscription.rule
        same = seen.setdefault(rule.name if rule else written.subscription, written.place)
        if same is not written.place:
            message = f"this stands twice, first at {same.file}:{same.line}:{same.column}"
            problems.append(dataclasses.replace(written.place, message=message, hint="keep one of them"))
    return problems


def load_subscriptions(path: Path, known: Known) -> list[Written]:
    """The subscriptions of the file beside ``channels.yaml``; none where there is no such file.

    Raises:
        RefusedError: the file cannot be read, or is wrong; with every problem in it.
    """
    return read_subscriptions(read_text(path), str(path), known) if path.exists() else []


def read_subscriptions(text: str, file: str, known: Known) -> list[Written]:
    """The subscriptions of the YAML in ``text``; ``file`` is what errors call it.

    Raises:
        RefusedError: with every problem in it.
    """
    document = parse(text, file)
    if document.data is None:
        return []
    if not isinstance(document.data, dict):
        raise RefusedError([*document.problems, document.problem((), "there are no subscriptions here", _EXAMPLE)])
    problems = list(document.problems)
    problems += [
        document.problem((str(key),), f"unknown key {named(str(key))}", did_you_mean(str(key), [_FILE]), key=True)
        for key in document.data
        if key != _FILE
    ]
    listed = document.data.get(_FILE)
    if listed is not None and not isinstance(listed, dict):
        problems.append(document.problem((_FILE,), "this is not a mapping of channels", _EXAMPLE))
    found: list[Written] = []
    for channel in listed if isinstance(listed, dict) else ():
        if known.channels is not None and channel not in known.channels:
            hint = did_you_mean(str(channel), known.channels)
            message = f"there is no channel {named(str(channel))}"
            problems.append(document.problem((_FILE, str(channel)), message, hint, key=True))
            continue
        some, wrong = read_below(document, text, (_FILE, channel), channel, known)
        found += some
        problems += wrong
    if problems:
        raise RefusedError(problems)
    return found


def with_subscription(text: str, channel: str, given: Mapping[str, Any]) -> str:
    """The text of a file of subscriptions with one more; comments and order stay."""
    yaml, data = _opened(text)
    if data is None:  # comments alone, which belong to no value
        return text + _saved(yaml, {_FILE: {channel: [dict(given)]}})
    if not data.get(_FILE):
        data[_FILE] = {}
    data[_FILE].setdefault(channel, []).append(dict(given))
    return _saved(yaml, data)


def without_subscription(text: str, channel: str, numbers: Sequence[int]) -> str:
    """The text of a file of subscriptions without some of a channel's, counted from 0; comments and order stay."""
    yaml, data = _opened(text)
    for number in sorted(numbers, reverse=True):
        del data[_FILE][channel][number]
    if not data[_FILE][channel]:
        del data[_FILE][channel]
    return _saved(yaml, data)


def _opened(text: str) -> tuple[YAML, Any]:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml, yaml.load(text)


def _saved(yaml: YAML, data: Any) -> str:
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()
