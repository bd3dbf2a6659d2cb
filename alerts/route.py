"""Who is told of a rule that fires: the channels that it names, those that subscribe, and those of the routing tree.

Pure: the same firing, tree, subscriptions and silences give the same alerts, live and in replay. The time is event time
(`Firing.moment`). ``docs/reference/routing.md`` describes what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from alerts.filter import ANYTHING, Filter
from streams.core.decide import Firing, alert_of
from streams.core.document import did_you_mean
from streams.core.hours import Hours, within
from streams.core.records import Alert, Grouping
from streams.core.rule import Rule

#: The names of rules that stand for subscriptions with a query of their own begin so; no other rule's name has a colon.
SUBSCRIPTION = "subscription:"

#: What alerts can be grouped by, beside ``label:NAME``.
GROUPED_BY = ("rule", "severity", "source", "story", "topic")
#: In a list of these, as in Alertmanager: no group at all.
UNGROUPED = "..."
#: How long a group is collected before its first message, and from one to the next; Alertmanager's.
GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
LABEL = "label:"


def grouped_by(value: str) -> str:
    """``value``, if alerts can be grouped by it; a pydantic validator.

    Raises:
        ValueError: they cannot.
    """
    if value not in GROUPED_BY and not (value.startswith(LABEL) and value != LABEL):
        raise ValueError(f"alerts are not grouped by `{value}`: {did_you_mean(value, GROUPED_BY)}, and `{LABEL}NAME`")
    return value


@dataclass(frozen=True, slots=True)
class Subscription:
    """A channel that asks to be told of the rules that fire, as far as they pass, or of what a query of its own finds.

    One with a query is a rule of its own, ``rule``, which the matcher has to know and which tells that channel alone.
    """

    channel: str
    passes: Filter = ANYTHING
    without: Filter | None = None
    rule: Rule | None = None

    def wants(self, firing: Firing) -> bool:
        """Whether the channel is to be told of a rule that fires."""
        if self.rule is not None or firing.rule.name.startswith(SUBSCRIPTION):
            return False
        return self.passes.passes(firing) and not (self.without is not None and self.without.passes(firing))

    def __str__(self) -> str:
        if self.rule is not None:
            return f"query {self.rule.query}"
        return _described(self.passes, self.without)


@dataclass(frozen=True, slots=True)
class NamedHours:
    """Hours, and what they are called in a reason."""

    name: str
    hours: tuple[Hours, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the routing tree, with what it takes over from those above it.

    ``channels`` is None where it leads to the channels that the rule names and those that subscribe. Alerts are grouped
    where ``group_by`` is given or ``repeat_interval`` is.
    """

    name: str
    passes: Filter = ANYTHING
    without: Filter | None = None
    channels: tuple[str, ...] | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta | None = None
    group_interval: timedelta | None = None
    repeat_interval: timedelta | None = None
    mute: tuple[NamedHours, ...] = ()
    active: tuple[NamedHours, ...] = ()
    goes_on: bool = False
    routes: tuple[Route, ...] = ()

    def lacks(self, firing: Firing) -> list[str]:
        """Why a firing does not come this way, in words; nothing if it does."""
        found = list(self.passes.failures(firing))
        if self.without is not None and self.without.passes(firing):
            found.append(f"excepted: {self.without}")
        return found

    def group(self, firing: Firing) -> Grouping | None:
        """How an alert that comes this way is collected with others: as the route says, or else as its rule does."""
        by = self.group_by
        if by is not None and UNGROUPED in by:
            return None
        if by is None and self.repeat_interval is None:
            return _of_rule(firing)
        wait = self.group_wait if self.group_wait is not None else (GROUP_WAIT if by is not None else timedelta())
        interval = self.group_interval or (GROUP_INTERVAL if by is not None else timedelta())
        if self.repeat_interval is not None:
            by = (*(by or ()), *(["rule"] if "rule" not in (by or ()) else []))
            interval = max(interval, self.repeat_interval)
        return _grouping(self.name, by or (), wait, interval, firing)

    def muted(self, firing: Firing) -> str | None:
        """Why what comes this way at the time of the headline is sent to nobody; None if it is sent."""
        moment = firing.moment
        for hours in self.mute:
            if within(hours.hours, moment):
                return f"muted: {hours.name}"
        if self.active and not any(within(hours.hours, moment) for hours in self.active):
            return f"muted: outside {', '.join(hours.name for hours in self.active)}"
        return None


@dataclass(frozen=True, slots=True)
class Step:
    """A route of the tree, and what a firing does there: ``lacks`` is why it does not come this way.

    It goes out here where it is ``taken``: it comes this way, and along none of the routes below.
    """

    route: Route
    lacks: Sequence[str]
    below: Sequence[Step]

    @property
    def taken(self) -> bool:
        """Whether the firing goes out by this route itself."""
        return not self.lacks and not any(self.routes(self.below))

    @staticmethod
    def routes(steps: Iterable[Step]) -> Iterator[Route]:
        """The routes by which a firing goes out, in the order of the tree."""
        for step in steps:
            yield from step.routes(step.below)
            if step.taken:
                yield step.route


def walk(route: Route, firing: Firing) -> Step:
    """The way of a firing through the tree, as in Alertmanager: into the first route below that it fits, and on to the
    next ones only where that says ``continue``."""
    lacks = route.lacks(firing)
    below: list[Step] = []
    for child in () if lacks else route.routes:
        below.append(walk(child, firing))
        if not below[-1].lacks and not child.goes_on:
            break
    return Step(route, lacks, below)


class Silences(Protocol):
    """What is kept from channels for some time. A snapshot: it does not change."""

    def reason(self, firing: Firing, channel: str) -> str | None:
        """Why a channel is not told of a firing; None if nothing keeps it."""


class NoSilences:
    """Nothing is kept from anybody."""

    def reason(self, firing: Firing, channel: str) -> str | None:
        """None."""
        return None


#: The root of a tree without a file: the channels that rules name and those that subscribe, at once and at any hour.
ROOT = Route("root")


@dataclass(frozen=True, slots=True)
class Routing:
    """What the files say about who is told."""

    root: Route = ROOT
    subscriptions: tuple[Subscription, ...] = ()
    #: How long after a message to a channel the next one goes, by the channel: what comes meanwhile is one digest.
    pauses: Mapping[str, timedelta] = field(default_factory=dict)

    def rules(self) -> list[Rule]:
        """The rules that stand for subscriptions with queries of their own, for the matcher to know."""
        return [subscription.rule for subscription in self.subscriptions if subscription.rule is not None]

    def channels(self) -> dict[str, list[str]]:
        """The channels that routes and subscriptions name, each with who does, in words."""
        found: dict[str, list[str]] = {}
        for subscription in self.subscriptions:
            found.setdefault(subscription.channel, []).append(f"subscription: {subscription}")
        for route in every(self.root):
            for channel in route.channels or ():
                found.setdefault(channel, []).append(f"route: {route.name}")
        return found


def every(route: Route) -> Iterator[Route]:
    """A route and all below it."""
    yield route
    for child in route.routes:
        yield from every(child)


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which a firing comes to a channel: ``via`` says which, for a person."""

    channel: str
    via: str
    group: Grouping | None = None
    suppressed: str | None = None


@dataclass(slots=True)
class ChannelRouter:
    """The router. ``routing`` and ``silences`` may be replaced at any time; each firing is routed by what is there then."""

    routing: Routing = field(default_factory=Routing)
    silences: Silences = field(default_factory=NoSilences)

    def alerts(self, firing: Firing) -> list[Alert]:
        """One alert for each channel that is told, and for each that is not, though it would be, with the reason."""
        return [
            alert_of(firing, way.channel, suppressed=way.suppressed, group=way.group or self._rate(way.channel))
            for way in self.ways(firing)
        ]

    def _rate(self, channel: str) -> Grouping | None:
        """How alerts are collected that come faster than their channel takes them, and are in no other group."""
        pause = self.routing.pauses.get(channel)
        return Grouping(key="rate", interval=pause.total_seconds()) if pause else None

    def ways(self, firing: Firing) -> list[Way]:
        """The way of a firing to each of its channels.

        A channel that several routes lead to is told by the first of them that is not muted. One that the rule names, or
        that subscribes, and that no route leads to, is told by the root.
        """
        own = self._own(firing)
        found: dict[str, Way] = {}
        for route in self._routes(firing):
            muted, group = route.muted(firing), route.group(firing)
            for channel in own if route.channels is None else route.channels:
                if channel not in found or (found[channel].suppressed and not muted):
                    via = own.get(channel, "") if route.channels is None else f"route {route.name}"
                    found[channel] = Way(channel, via, group, muted)
        root = self.routing.root
        for channel, via in own.items():
            if channel not in found:
                found[channel] = Way(channel, via, root.group(firing), root.muted(firing))
        return [self._silenced(found[channel], firing) for channel in dict.fromkeys([*own, *found])]

    def _routes(self, firing: Firing) -> list[Route]:
        """The routes by which a firing goes out. What a channel's own query finds is nobody else's."""
        if firing.rule.name.startswith(SUBSCRIPTION):
            return []
        return list(Step.routes([walk(self.routing.root, firing)]))

    def _own(self, firing: Firing) -> Mapping[str, str]:
        """The channels that the rule names, and those that subscribe, each with the reason."""
        own = dict.fromkeys(firing.rule.channels, f"rule {firing.rule.name}")
        for subscription in self.routing.subscriptions:
            if subscription.channel not in own and subscription.wants(firing):
                own[subscription.channel] = f"subscription {subscription}"
        return own

    def _silenced(self, way: Way, firing: Firing) -> Way:
        reason = way.suppressed or self.silences.reason(firing, way.channel)
        return way if reason == way.suppressed else Way(way.channel, way.via, way.group, reason)


def _of_rule(firing: Firing) -> Grouping | None:
    group = firing.rule.group
    if group is None:
        return None
    return _grouping(f"rule {firing.rule.name}", group.by, group.wait, group.interval, firing)


def _grouping(name: str, by: Sequence[str], wait: timedelta, interval: timedelta, firing: Firing) -> Grouping:
    values = " ".join(f"{what}={_value(what, firing)}" for what in by)
    return Grouping(key=f"{name}: {values}", wait=wait.total_seconds(), interval=interval.total_seconds())


def _value(name: str, firing: Firing) -> str:
    """What a firing has of something that alerts are grouped by; ``-`` where it has nothing."""
    headline, rule = firing.headline, firing.rule
    if name.startswith(LABEL):
        return rule.labels.get(name.removeprefix(LABEL), "-")
    values = {
        "rule": rule.name,
        "severity": rule.severity,
        "source": headline.headline.source,
        "story": headline.story_id,
        "topic": ",".join(sorted(match.topic for match in headline.topics)) or "-",
    }
    return values[name]


def _described(passes: Filter, without: Filter | None) -> str:
    return f"{passes or 'everything'}" + (f" except {without}" if without is not None else "")
