"""Rules, channels, subscriptions and routes are read together, and all that is wrong with them is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.plan import load_rulebook
from streams.core.document import RefusedError
from streams.settings import load

RULES = "rules: [{name: oil, when: oil AND tanker, channels: [desk]}]"
CHANNELS = """channels:
  desk: {type: stdout}
  log: {type: stdout, subscribe: [{rule: oil}]}
  pager: {type: stdout}
  spare: {type: slack, url: "env:NOWHERE"}
"""
ROUTES = "route: {routes: [{match: {topic: iran, rule: oil}, channels: [pager]}]}"
SUBSCRIPTIONS = "subscriptions: {pager: [{query: topic:iran}]}"


def project(folder: Path, **files: str) -> Path:
    written = {"rules": RULES, "channels": CHANNELS, "routes": ROUTES, "subscriptions": SUBSCRIPTIONS, **files}
    for name, text in written.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    (folder / "wirewatch.yaml").write_text("rules: [rules.yaml]\nroutes: routes.yaml\n", "utf-8")
    return folder / "wirewatch.yaml"


def test_what_they_say_together(tmp_path: Path) -> None:
    book = load_rulebook(load(project(tmp_path), {}))
    assert [rule.name for rule in book.rules.rules] == ["oil"]
    (query,) = book.routing.rules()
    assert [rule.name for rule in book.matched.rules] == ["oil", query.name]
    assert {channel.name for channel in book.used_channels()} == {"desk", "log", "pager"}
    assert [written.subscription.channel for written in book.subscriptions] == ["log", "pager"]
    notifiers, unopened = book.open_channels({})
    assert (sorted(notifiers), unopened) == (["desk", "log", "pager"], ("spare",))


def test_a_channel_that_only_a_route_names_must_open(tmp_path: Path) -> None:
    config = project(tmp_path, routes="route: {channels: [spare]}")
    with pytest.raises(RefusedError, match="NOWHERE"):
        load_rulebook(load(config, {})).open_channels({})


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    config = project(
        tmp_path,
        rules="rules: [{name: oil, when: oil, channels: [dsk]}]",
        channels=CHANNELS.replace("{rule: oil}", "{topic: irn}"),
        routes="route: {channels: [pagr]}",
        subscriptions="subscriptions: {dsk: [{topic: iran}]}",
    )
    with pytest.raises(RefusedError) as caught:
        load_rulebook(load(config, {}))
    places = [f"{Path(problem.file).name}:{problem.line}:{problem.column}" for problem in caught.value.problems]
    assert places == ["channels.yaml:3:43", "routes.yaml:1:20", "rules.yaml:1:43", "subscriptions.yaml:1:17"]


def test_rules_that_are_named_are_checked_whatever_rules_the_routes_speak_of(tmp_path: Path) -> None:
    config = project(tmp_path)
    (tmp_path / "more.yaml").write_text(RULES.replace("name: oil", "name: other"), "utf-8")
    assert len(load_rulebook(load(config, {}), [tmp_path / "more.yaml"]).rules.rules) == 1


def test_one_subscription_in_both_files_is_one_too_many(tmp_path: Path) -> None:
    config = project(tmp_path, subscriptions="subscriptions: {log: [{rule: oil}]}")
    with pytest.raises(
        RefusedError, match=r"subscriptions\.yaml:1:23: this stands twice, first at .*channels\.yaml:3:35"
    ):
        load_rulebook(load(config, {}))


def test_the_example_of_a_desk_is_in_order_and_uses_what_it_shows() -> None:
    loaded = load(Path(__file__).parents[3] / "examples" / "desk" / "wirewatch.yaml", {})
    book = load_rulebook(loaded)
    assert {channel.name for channel in book.used_channels()} == {"desk", "tech", "pager", "log"}
    assert set(book.routing.pauses) == {"desk", "tech"}
    assert [route.group_by for route in book.routing.root.routes] == [None, ("story",), ("topic",)]
    assert {rule.name for rule in book.rules.rules if rule.remembers} == {
        *("gulf-shipping", "iran", "three-sources", "silence-on-lng")
    }
