from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.filter import SEVERITIES, FilterModel
from alerts.route import ROOT, ChannelRouter, Route, Routing, Subscription, walk
from alerts.routefile import NOTHING_KNOWN, read_routes
from streams.core.conditions import Collect
from streams.core.decide import Firing, RuleChannels
from streams.core.query import compile_query
from streams.core.records import Grouping, Severity
from streams.core.rule import Rule
from tests.unit.alerts.routing import NOON, firing


def tree(text: str) -> Route:
    return read_routes(text, "routes.yaml", NOTHING_KNOWN)


def router(text: str, *subscriptions: Subscription) -> ChannelRouter:
    return ChannelRouter(Routing(tree(text), subscriptions))


def told(of: ChannelRouter, what: Firing) -> dict[str, str | None]:
    """The channels that have an alert, each with why they are not told."""
    alerts = of.alerts(what)
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    return {alert.channel: alert.suppressed for alert in alerts}


def asks(channel: str, **written: Any) -> Subscription:
    return Subscription(channel, FilterModel.model_validate(written).filter())


def test_without_a_tree_it_is_the_channels_of_the_rule() -> None:
    fired = firing(channels=("desk", "archive"))
    assert ChannelRouter().alerts(fired) == RuleChannels().alerts(fired)


def test_subscribers_are_told_beside_the_channels_of_the_rule() -> None:
    subscriptions = (asks("iran", topic="iran"), asks("tech", topic="tech"), asks("desk", rule="*"))
    fired = firing(channels=("desk",))
    assert told(ChannelRouter(Routing(ROOT, subscriptions)), fired) == {"desk": None, "iran": None}


def test_a_subscription_may_except_some() -> None:
    without = FilterModel.model_validate({"source": "spam.example"}).filter()
    some = Subscription("desk", FilterModel.model_validate({"topic": "iran"}).filter(), without)
    routed = ChannelRouter(Routing(ROOT, (some,)))
    assert told(routed, firing()) == {"desk": None}
    assert told(routed, firing(source="Spam.example")) == {}
    assert str(some) == "topic=iran except source=spam.example"


def test_what_a_query_of_a_channel_finds_is_for_that_channel_alone() -> None:
    rule = Rule("subscription:desk:1", "t", compile_query("tanker"), "high", ("desk",))
    asking = Subscription("desk", rule=rule)
    routing = Routing(tree("route: {channels: [all]}"), (asking, asks("other", rule="*")))
    fired = Firing(rule=rule, headline=firing().headline)
    assert routing.rules() == [rule]
    assert told(ChannelRouter(routing), fired) == {"desk": None}
    assert told(ChannelRouter(routing), firing()) == {"other": None, "all": None}


TREE = """
route:
  routes:
    - {match: {severity: critical}, channels: [pager], continue: true}
    - match: {topic: iran}
      channels: [iran]
      routes:
        - {match: {source: "*.ir"}, channels: [irna]}
    - {match: {labels: {region: gulf}}, channels: [gulf]}
    - {except: {severity: info}, channels: [rest]}
"""


@pytest.mark.parametrize(
    ("what", "channels"),
    [
        (firing(), ["iran"]),
        (firing(source="irna.ir"), ["irna"]),
        (firing(severity="critical"), ["pager", "iran"]),
        (firing(severity="critical", topics=()), ["pager", "rest"]),
        (firing(topics=(), labels={"region": "gulf"}), ["gulf"]),
        (firing(topics=()), ["rest"]),
        (firing(topics=(), severity="info"), []),
        (firing(channels=("desk",)), ["desk", "iran"]),
        (firing(channels=("iran", "desk")), ["iran", "desk"]),
    ],
)
def test_the_tree_adds_channels_as_alertmanager_would(what: Firing, channels: Sequence[str]) -> None:
    assert list(told(router(TREE), what)) == channels


def test_the_way_through_the_tree_is_told() -> None:
    step = walk(tree(TREE), firing(severity="critical"))
    assert not step.taken
    assert [(below.route.name, list(below.lacks), below.taken) for below in step.below] == [
        ("severity=critical", [], True),
        ("topic=iran", [], True),
    ]
    assert [(below.route.name, below.lacks) for below in step.below[1].below] == [
        ("topic=iran / source=*.ir", ["source is reuters.com"])
    ]


def test_settings_are_taken_over_from_above() -> None:
    root = tree("""
route:
  group_by: [topic]
  group_wait: 1m
  mute: [sat]
  routes:
    - match: {topic: iran}
      channels: [desk]
      routes:
        - {match: {severity: high}, group_by: [], mute: [], group_wait: 2m}
        - {match: {severity: low}, group_by: ['...']}
""")
    (desk,) = root.routes
    assert (desk.group_by, desk.group_wait) == (("topic",), timedelta(minutes=1))
    high, low = desk.routes
    assert (high.channels, high.group_by, high.group_wait, high.mute) == (("desk",), (), timedelta(minutes=2), ())
    assert low.mute == root.mute
    assert low.group(firing()) is None


GROUPED = """
route:
  routes:
    - match: {topic: iran}
      group_by: [topic, "label:region"]
      routes:
        - {match: {rule: slow}, name: slow, repeat_interval: 4h}
        - {match: {rule: all}, name: all, group_by: [], group_wait: 0s, group_interval: 10m}
    - {match: {topic: tech}, name: tech, repeat_interval: 1h}
"""


@pytest.mark.parametrize(
    ("what", "group"),
    [
        (
            firing(labels={"region": "gulf"}),
            Grouping(key="topic=iran: topic=iran label:region=gulf", wait=30, interval=300),
        ),
        (
            firing(topics=("oil", "iran")),
            Grouping(key="topic=iran: topic=iran,oil label:region=-", wait=30, interval=300),
        ),
        (firing(rule="slow"), Grouping(key="slow: topic=iran label:region=- rule=slow", wait=30, interval=14400)),
        (firing(rule="all"), Grouping(key="all: ", wait=0, interval=600)),
        (firing(topics=("tech",)), Grouping(key="tech: rule=iran-oil", wait=0, interval=3600)),
        (firing(topics=()), None),
    ],
)
def test_groups_of_a_route(what: Firing, group: Grouping | None) -> None:
    (alert,) = router(GROUPED).alerts(Firing(rule=_telling(what.rule), headline=what.headline))
    assert alert.group == group


def test_a_rule_groups_its_alerts_where_no_route_does_and_a_rate_is_the_last_word() -> None:
    hour = timedelta(hours=1)
    by_story = Rule(
        *("oil", "Oil", compile_query("oil"), "high", ("desk",)), group=Collect(("severity",), timedelta(), hour)
    )
    iran = Firing(rule=by_story, headline=firing(topics=("iran",)).headline)
    other = Firing(rule=by_story, headline=firing(topics=()).headline)
    own = Grouping(key="rule oil: severity=high", interval=3600)
    assert [alert.group for alert in router(GROUPED).alerts(other)] == [own]
    [routed] = router(GROUPED).alerts(iran)
    assert routed.group is not None
    assert routed.group.key.startswith("topic=iran: ")
    ungrouped = router("route: {group_by: ['...']}")
    assert [alert.group for alert in ungrouped.alerts(iran)] == [None]
    ungrouped.routing = dataclasses.replace(ungrouped.routing, pauses={"desk": timedelta(seconds=1)})
    assert [alert.group for alert in ungrouped.alerts(iran)] == [Grouping(key="rate", interval=1)]


def _telling(rule: Rule) -> Rule:
    return Rule(rule.name, rule.title, rule.query, rule.severity, ("desk",), labels=rule.labels)


HOURS = """
hours:
  office: mon-fri 08:00-18:00 Europe/Paris
  lunch: ["12:00-13:00 Europe/Paris"]
route:
  routes:
    - {match: {severity: "<=low"}, active: [office], mute: [lunch]}
    - {match: {severity: medium}, channels: [desk], mute: ["daily 18:00-08:00 Europe/Paris"], continue: true}
    - {match: {severity: medium}, channels: [desk, night]}
"""


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (firing(severity="low", channels=("a",)), {"a": None}),  # 13:00 in Paris
        (firing(severity="low", channels=("a",), at=NOON - timedelta(minutes=1)), {"a": "muted: lunch"}),
        (firing(severity="low", channels=("a",), at=NOON + timedelta(hours=9)), {"a": "muted: outside office"}),
        (firing(severity="low", channels=("a",), at=NOON + timedelta(days=5)), {"a": "muted: outside office"}),
        (firing(severity="medium"), {"desk": None, "night": None}),
        # muted on one way, and told on another
        (firing(severity="medium", at=NOON + timedelta(hours=9)), {"desk": None, "night": None}),
    ],
)
def test_hours_are_those_of_the_headline(what: Firing, expected: dict[str, str | None]) -> None:
    assert told(router(HOURS), what) == expected


def test_the_time_is_never_after_the_headline_was_received_and_of_an_absence_when_it_was_due() -> None:
    fired = firing(severity="low", channels=("a",))
    ahead = msgspec.structs.replace(fired.headline.headline, published=NOON + timedelta(hours=9))
    early = Firing(rule=fired.rule, headline=msgspec.structs.replace(fired.headline, headline=ahead))
    assert told(router(HOURS), early) == {"a": None}
    absence = Firing(rule=fired.rule, headline=fired.headline, at=NOON + timedelta(hours=9), occasion="absence:1")
    assert told(router(HOURS), absence) == {"a": "muted: outside office"}


def test_a_channel_that_a_muted_route_names_is_muted_though_the_rule_names_it() -> None:
    text = "route: {routes: [{match: {severity: high}, channels: [desk], mute: [mon]}]}"
    assert told(router(text), firing(channels=("desk", "log"))) == {
        "desk": "muted: mon 00:00-24:00 UTC",
        "log": None,
    }


def test_what_was_held_back_before_stays_so() -> None:
    assert told(router(TREE), firing(suppressed="staged")) == {"iran": "staged"}


class OneSilence:
    """Keeps everything from one channel."""

    def reason(self, firing: Firing, channel: str) -> str | None:
        return "silenced" if channel == "desk" else None


def test_silences_are_asked_for_each_channel_and_may_be_replaced() -> None:
    routed = router(HOURS)
    fired = firing(channels=("desk", "log"))
    assert told(routed, fired) == {"desk": None, "log": None}
    routed.silences = OneSilence()
    assert told(routed, fired) == {"desk": "silenced", "log": None}
    routed.routing = Routing()
    assert told(routed, firing(severity="low", channels=("desk",))) == {"desk": "silenced"}


def test_who_is_named_where() -> None:
    routing = Routing(tree(TREE), (asks("iran", topic="iran"),))
    assert routing.channels() == {
        "iran": ["subscription: topic=iran", "route: topic=iran"],
        "pager": ["route: severity=critical"],
        "irna": ["route: topic=iran / source=*.ir"],
        "gulf": ["route: region=gulf"],
        "rest": ["route: everything except severity=info"],
    }


names = st.sampled_from(["a", "b", "c"])
filters = st.fixed_dictionaries(
    {},
    optional={
        "severity": st.lists(st.sampled_from(SEVERITIES), min_size=1, max_size=2),
        "topic": st.lists(names, min_size=1, max_size=2),
        "rule": names,
    },
).map(lambda written: FilterModel.model_validate(written).filter())


def routes(below: st.SearchStrategy[tuple[Route, ...]]) -> st.SearchStrategy[Route]:
    return st.builds(
        Route,
        name=names,
        passes=filters,
        channels=st.none() | st.lists(names, min_size=1, max_size=2).map(tuple),
        goes_on=st.booleans(),
        routes=below,
    )


trees = st.recursive(routes(st.just(())), lambda below: routes(st.lists(below, max_size=3).map(tuple)), max_leaves=8)


def by_alertmanager(route: Route, what: Firing) -> list[Route]:
    """``Route.Match`` of Alertmanager (dispatch/route.go), line by line."""
    if not route.passes.passes(what):
        return []
    found: list[Route] = []
    for child in route.routes:
        matches = by_alertmanager(child, what)
        found += matches
        if matches and not child.goes_on:
            break
    return found or [route]


@given(
    root=trees,
    severity=st.sampled_from(SEVERITIES),
    topics=st.lists(names, max_size=2, unique=True),
    rule=names,
    channels=st.lists(names, max_size=2, unique=True),
    subscriptions=st.lists(st.builds(Subscription, names, filters), max_size=3),
)
def test_nobody_is_forgotten_and_nobody_told_twice(
    root: Route,
    severity: Severity,
    topics: list[str],
    rule: str,
    channels: list[str],
    subscriptions: list[Subscription],
) -> None:
    fired = firing(rule=rule, severity=severity, topics=topics, channels=channels)
    alerts = [alert.channel for alert in ChannelRouter(Routing(root, tuple(subscriptions))).alerts(fired)]
    asking = {one.channel for one in subscriptions if one.passes.passes(fired)}
    routed = {channel for route in by_alertmanager(root, fired) for channel in route.channels or ()}
    assert len(alerts) == len(set(alerts))
    assert set(alerts) == {*channels, *asking, *routed}
