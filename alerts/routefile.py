"""The routing tree as it is written in YAML: ``routes:`` in the settings names its file.

Every mistake is told at once, at its line and column. ``docs/reference/routing.md`` explains every key.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
)

from alerts.filter import ANYTHING, Filter, FilterModel, Globs, Texts, one_or_several
from alerts.route import ROOT, UNGROUPED, NamedHours, Route, grouped_by
from alerts.secret import named
from alerts.userfile import read_text
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.document import Path as Place
from streams.core.duration import Duration
from streams.core.hours import Hours, WeeklyHours, parse_hours

_EXAMPLE = 'write `route:` and below it, indented, `routes:` with `- {match: {severity: ">=high"}, channels: [desk]}`'
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NO_FILE = "write one, or take `routes: …` out of the settings"
#: Routes below one another, at most.
_DEEPEST = 20


def _grouped_by(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value if value == UNGROUPED else grouped_by(value) for value in values)


def _at_least_a_second(span: timedelta) -> timedelta:
    if span < timedelta(seconds=1):
        raise ValueError("that is shorter than a second")
    return span


def _a_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("use up to 100 letters, digits, `_`, `-` and `.`, the first a letter or digit")
    return value


_Interval = Annotated[Duration, AfterValidator(_at_least_a_second)]
#: An empty list takes back what the route above says.
_TextsOrNone = Annotated[tuple[str, ...], BeforeValidator(lambda value: () if value == [] else one_or_several(value))]


class RouteModel(BaseModel):
    """A route as it is written. What it does not say it takes over from the route above, but for what it matches."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    name: Annotated[StrictStr, AfterValidator(_a_name)] | None = None
    match: FilterModel | None = None
    without: FilterModel | None = Field(None, alias="except")
    channels: Texts | None = None
    goes_on: StrictBool = Field(default=False, alias="continue")
    group_by: Annotated[_TextsOrNone, AfterValidator(_grouped_by)] | None = None
    group_wait: Duration | None = None
    group_interval: _Interval | None = None
    repeat_interval: _Interval | None = None
    mute: _TextsOrNone | None = None
    active: _TextsOrNone | None = None
    routes: list[RouteModel] = Field(default_factory=list)


class RouteFileModel(BaseModel):
    """A file of routes."""

    model_config = ConfigDict(extra="forbid")

    hours: Mapping[StrictStr, WeeklyHours] = Field(default_factory=dict)
    route: RouteModel


@dataclass(frozen=True, slots=True)
class Known:
    """What the other files have, for a route or subscription to speak of; None where that cannot be told."""

    channels: Collection[str] | None = None
    topics: Collection[str] | None = None
    rules: Collection[str] | None = None


NOTHING_KNOWN = Known()


def load_routes(path: Path, known: Known) -> Route:
    """The routing tree of a file.

    Raises:
        RefusedError: the file cannot be read, or is wrong; with every problem in it.
    """
    return read_routes(read_text(path, _NO_FILE), str(path), known)


def read_routes(text: str, file: str, known: Known) -> Route:
    """The routing tree of the YAML in ``text``; ``file`` is what errors call it.

    Raises:
        RefusedError: with every problem in it.
    """
    document = parse(text, file)
    if not isinstance(document.data, dict) or not isinstance(document.data.get("route"), dict):
        raise RefusedError([*document.problems, document.problem(("route",), "there is no route here", _EXAMPLE)])
    model, problems = check(document, RouteFileModel)
    if model is None:
        raise RefusedError([*document.problems, *problems])
    tree = _Tree(document, model.hours, known, list(document.problems))
    root = tree.route(model.route, ROOT, ("route",), 0)
    if tree.problems:
        raise RefusedError(tree.problems)
    return root


@dataclass(slots=True)
class _Tree:
    """Builds routes of what was written, and collects what is wrong."""

    document: Document
    hours: Mapping[str, tuple[Hours, ...]]
    known: Known
    problems: list[Problem] = field(default_factory=list)

    def route(self, model: RouteModel, above: Route, path: Place, depth: int) -> Route:
        """A route and those below it; ``above`` is the one that it takes over from."""
        if depth > _DEEPEST:
            self._tell(path, f"routes stand more than {_DEEPEST} deep", "put some side by side")
            return above
        root = depth == 0
        passes = model.match.filter() if model.match else ANYTHING
        without = model.without.filter() if model.without else None
        self._check(model, path, root=root)
        if not root and not passes and without is None and not model.routes and model.channels is None:
            self._tell(path, "this route matches everything and changes nothing", "write `match: …` or `channels: […]`")
        route = Route(
            name=_name(model, passes, without, above, root=root),
            passes=passes,
            without=without,
            channels=above.channels if model.channels is None else model.channels,
            group_by=above.group_by if model.group_by is None else model.group_by or (),
            group_wait=above.group_wait if model.group_wait is None else model.group_wait,
            group_interval=above.group_interval if model.group_interval is None else model.group_interval,
            repeat_interval=above.repeat_interval if model.repeat_interval is None else model.repeat_interval,
            mute=above.mute if model.mute is None else self._named(model.mute, (*path, "mute")),
            active=above.active if model.active is None else self._named(model.active, (*path, "active")),
            goes_on=model.goes_on,
        )
        below = tuple(
            self.route(child, route, (*path, "routes", number), depth + 1) for number, child in enumerate(model.routes)
        )
        self._unreachable(below, path)
        return dataclasses.replace(route, routes=below)

    def _check(self, model: RouteModel, path: Place, *, root: bool) -> None:
        """What of a route speaks of things that there are not, or says nothing."""
        if root and (model.match or model.without):
            key = "match" if model.match else "except"
            self._tell((*path, key), "the first route takes all alerts", "match in the routes below it", key=True)
        if root and model.goes_on:
            self._tell((*path, "continue"), "nothing comes after the first route", "take the line out", key=True)
        for number, channel in enumerate(model.channels or ()):
            if self.known.channels is not None and channel not in self.known.channels:
                where = self._item((*path, "channels"), number)
                self._tell(where, f"there is no channel {named(channel)}", did_you_mean(channel, self.known.channels))
        for key, written in (("match", model.match), ("except", model.without)):
            if written is not None:
                self.problems += unknown(self.document, (*path, key), written.filter(), self.known)
                if not written.filter():
                    self._tell((*path, key), f"`{key}` asks for nothing", "write such as `{severity: high}`", key=True)

    def _named(self, names: tuple[str, ...], path: Place) -> tuple[NamedHours, ...]:
        """Hours by their names, or as they are written out."""
        found = []
        for number, name in enumerate(names):
            if name in self.hours:
                found.append(NamedHours(name, self.hours[name]))
                continue
            try:
                hours = parse_hours(name)
            except ValueError as error:
                near = did_you_mean(name, self.hours)
                hint = near if near.startswith("did") or " " not in name else ""
                message = str(error) if " " in name else f"there are no hours named {named(name)}"
                self._tell(self._item(path, number), message, hint or "name them under `hours:`")
            else:
                found.append(NamedHours(str(hours), (hours,)))
        return tuple(found)

    def _unreachable(self, below: tuple[Route, ...], path: Place) -> None:
        """Routes behind one that keeps everything."""
        for number, route in enumerate(below[:-1]):
            if not route.passes and route.without is None and not route.goes_on:
                message = "no alert comes here: the route before it takes all"
                hint = "write `continue: true` there, or put it last"
                self._tell((*path, "routes", number + 1), message, hint)
                return

    def _item(self, path: Place, number: int) -> Place:
        """The place of one of several texts, which may be written as a text alone."""
        return (*path, number) if (*path, number) in self.document.places else path

    def _tell(self, path: Place, message: str, hint: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, hint, key=key))


def _name(model: RouteModel, passes: Filter, without: Filter | None, above: Route, *, root: bool) -> str:
    """What a route is called: its name, or what it matches, after what those above it match."""
    if model.name is not None:
        return model.name
    if root:
        return ROOT.name
    own = f"{passes or 'everything'}" + (f" except {without}" if without is not None else "")
    return own if above.name == ROOT.name else f"{above.name} / {own}"


def unknown(document: Document, path: Place, asked: Filter, known: Known) -> Iterator[Problem]:
    """What a filter asks for that there is not, and so would never be met."""
    for key, globs, names in (("topic", asked.topic, known.topics), ("rule", asked.rule, known.rules)):
        for number, text in _unmet(globs, names):
            place = (*path, key, number) if (*path, key, number) in document.places else (*path, key)
            yield document.problem(place, f"there is no {key} {named(text)}", did_you_mean(text, names or ()))


def _unmet(globs: Globs | None, names: Collection[str] | None) -> Iterable[tuple[int, str]]:
    if globs is None or names is None:
        return
    for number, text in enumerate(globs.written):
        if text in globs.plain and not Globs((text,), globs.cased).meet(names):
            yield number, text
