"""``wirewatch channels`` and ``wirewatch routes``, in this process."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from tests.acceptance.conftest import Run

Call = Callable[..., Result]

CHANNELS = """channels:
  desk: {type: stdout}
  log: {type: stdout, subscribe: [{rule: oil}]}
  pager: {type: stdout}
"""
RULES = """rules:
  - {name: oil, when: oil AND tanker, channels: [desk], severity: high, labels: {region: gulf}}
  - {name: iran, when: topic:iran AND talks, channels: [desk, log]}
"""
ROUTES = """hours: {nights: 22:00-06:00 Europe/Paris}
route:
  routes:
    - {match: {severity: ">=high"}, channels: [pager], continue: true}
    - {match: {topic: iran}, mute: [nights]}
"""
TOPIC = """topic: TOPIC
title: TOPIC
threshold: 0.5
words: {those: [TOPIC]}
conditions: [{name: it is named, weight: 0.8, any: [those]}]
"""
SUBSCRIPTIONS = "# by the night desk\nsubscriptions:\n  log:\n    - topic: tech_deals\n"


@pytest.fixture
def call(tmp_path: Path) -> Call:
    for name, text in {"rules": RULES, "channels": CHANNELS, "routes": ROUTES, "subscriptions": SUBSCRIPTIONS}.items():
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    for topic in ("iran", "tech_deals"):  # those of wirewatch take a second to read
        (tmp_path / f"{topic}.yaml").write_text(TOPIC.replace("TOPIC", topic), "utf-8")
    settings = "rules: [rules.yaml]\nroutes: routes.yaml\ntaxonomy: [iran.yaml, tech_deals.yaml]\n"
    (tmp_path / "wirewatch.yaml").write_text(settings, "utf-8")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "wirewatch.yaml")])

    return run


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_who_gets_what(call: Call, tmp_path: Path) -> None:
    listed = told(call("channels", "list", "--json"))
    assert [one["channel"] for one in listed] == ["desk", "log", "pager"]
    assert listed[0] == {
        "channel": "desk",
        "type": "stdout",
        "disabled": None,  # no Redis could be asked
        "rules": ["iran", "oil"],
        "subscriptions": [],
        "routes": [],
    }
    assert [(one["asks"], one["line"]) for one in listed[1]["subscriptions"]] == [
        ("rule=oil", 3),
        ("topic=tech_deals", 4),
    ]
    assert listed[2]["routes"] == ["severity=>=high"]
    shown = call("channels", "list").stdout
    assert f"subscription: topic=tech_deals ({tmp_path}/subscriptions.yaml:4)" in shown
    assert "route: severity=>=high" in shown


def test_a_channel_subscribes_and_unsubscribes(call: Call, tmp_path: Path) -> None:
    what = [
        "pager",
        "topic=iran",
        "severity=>=high",
        "except:source=spam.example",
        "label:region=gulf",
        "topic=tech_deals",
    ]
    assert told(call("channels", "subscribe", *what, "--json"))["asks"] == (
        "severity=>=high topic=iran,tech_deals region=gulf except source=spam.example"
    )
    assert call("channels", "subscribe", "pager", 'query=topic:iran AND "crude oil"', "severity=low").exit_code == 0
    text = (tmp_path / "subscriptions.yaml").read_text("utf-8")
    assert text.startswith(SUBSCRIPTIONS)
    listed = told(call("channels", "list", "--json"))[2]["subscriptions"]
    assert [one["asks"] for one in listed][1] == 'query topic:iran AND "crude oil"'
    again = call("channels", "subscribe", *what)
    assert again.exit_code == 2
    assert "has this subscription already" in again.stderr
    assert call("channels", "unsubscribe", *what).exit_code == 0
    assert call("channels", "unsubscribe", "pager", 'query=topic:iran AND "crude oil"').exit_code == 0
    assert (tmp_path / "subscriptions.yaml").read_text("utf-8") == SUBSCRIPTIONS


def test_the_first_subscription_makes_the_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "subscriptions.yaml").unlink()
    assert call("channels", "subscribe", "pager", "rule=*").exit_code == 0
    assert (tmp_path / "subscriptions.yaml").read_text("utf-8") == "subscriptions:\n  pager:\n    - rule: '*'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["subscribe", "pagr", "topic=iran"], "there is no channel `pagr`\n    did you mean `pager`?"),
        (["subscribe", "pager", "topic=irn"], "there is no topic `irn`\n    did you mean `iran`?"),
        (["subscribe", "pager", "rule=ol"], "there is no rule `ol`\n    did you mean `oil`?"),
        (["subscribe", "pager", "severity=hihg"], "this is no severity: did you mean `high`?"),
        (["subscribe", "pager", "query=oil AND"], "the query ends too early"),
        (["subscribe", "pager", "topic"], "`topic` is not KEY=VALUE"),
        (["subscribe", "pager", "topc=iran"], "nothing is asked by `topc`\n    did you mean `topic`?"),
        (["subscribe", "pager", "except:query=oil"], "nothing is asked by `query`"),
        (["subscribe", "pager", "query=oil", "topic=iran"], "unknown key `topic`"),
        (["unsubscribe", "log", "topic=iran"], "no such subscription\n    it has: rule=oil; topic=tech_deals"),
        (["unsubscribe", "pager", "topic=iran"], "no such subscription\n    it has none"),
        (["unsubscribe", "log", "rule=oil"], "channels.yaml:3:35"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(
    call: Call, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = call("channels", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert (tmp_path / "subscriptions.yaml").read_text("utf-8") == SUBSCRIPTIONS


def test_a_file_that_cannot_be_written(call: Call, tmp_path: Path) -> None:
    with (tmp_path / "wirewatch.yaml").open("a", encoding="utf-8") as settings:
        settings.write("subscriptions: nowhere/subscriptions.yaml\n")
    result = call("channels", "subscribe", "pager", "topic=iran")
    assert result.exit_code == 4
    assert "nowhere/subscriptions.yaml cannot be written: No such file or directory" in result.stderr
    assert "edit it by hand" in result.stderr


def test_a_file_behind_a_link_stays_there_with_its_mode(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.yaml"
    (tmp_path / "repository").mkdir()
    there = file.rename(tmp_path / "repository" / "ours.yaml")
    there.chmod(0o640)
    file.symlink_to(there)
    assert call("channels", "subscribe", "pager", "topic=iran").exit_code == 0
    assert file.readlink() == there
    assert "pager" in there.read_text("utf-8")
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert [path.name for path in there.parent.iterdir()] == ["ours.yaml"]


@pytest.mark.usefixtures("call")
def test_subscriptions_that_are_made_at_once_are_all_kept(wirewatch: Run, tmp_path: Path) -> None:
    asked = ["rule=oil", "rule=iran", "topic=iran", "topic=tech_deals"]
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda what: wirewatch("channels", "subscribe", "pager", what), asked))
    assert [one.returncode for one in ended] == [0] * len(asked), ended
    text = (tmp_path / "subscriptions.yaml").read_text("utf-8")
    assert all(what.replace("=", ": ") in text.partition("pager")[2] for what in asked)


def test_the_way_of_an_alert(call: Call) -> None:
    arguments = ["--severity", "critical", "--topic", "iran", "--label", "region=gulf", "--at", "2026-03-02T22:30Z"]
    result = call("routes", "test", "--rule", "oil", "--source", "wire.example", *arguments, "--json")
    assert result.exit_code == 0
    way = told(result)
    assert (way["severity"], way["labels"], way["at"]) == ("critical", {"region": "gulf"}, "2026-03-02T22:30:00+00:00")
    assert [(step["route"], step["taken"]) for step in way["path"]["routes"]] == [
        ("severity=>=high", True),
        ("topic=iran", True),
    ]
    assert way["channels"] == [
        {"channel": "desk", "by": "rule oil", "suppressed": "muted: nights", "group": None},
        {"channel": "log", "by": "subscription rule=oil", "suppressed": "muted: nights", "group": None},
        {
            "channel": "pager",
            "by": "route severity=>=high",
            "suppressed": None,
            "group": None,
        },
    ]
    shown = call("routes", "test", "--rule", "oil", *arguments).stdout
    for part in ("✓ topic=iran", "Mon 2026-03-02 22:30 UTC"):
        assert part in shown


def test_nobody_is_told(call: Call) -> None:
    result = call("routes", "test", "--severity", "low")
    assert result.exit_code == 1
    assert "severity is low" in result.stdout
    assert "nobody is told" in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--severity", "hgh", "`hgh` is no severity\n    did you mean `high`?"),
        ("--topic", "irn", "there is no topic `irn`\n    did you mean `iran`?"),
        ("--rule", "ol", "there is no rule `ol`\n    did you mean `oil`?"),
        ("--label", "region", "--label region: it is written NAME=VALUE"),
        ("--at", "tonight", "--at is written like"),
    ],
)
def test_options_that_are_wrong(call: Call, option: str, value: str, message: str) -> None:
    result = call("routes", "test", option, value)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_tree_is_shown(call: Call) -> None:
    shown = call("routes", "show").stdout
    assert "root → the rule's channels and subscribers" in shown
    assert "severity=>=high → pager · continue" in shown
    assert "topic=iran → the rule's channels and subscribers · mute nights" in shown
    tree = told(call("routes", "show", "--json"))
    assert tree["routes"][1]["mute"] == [{"name": "nights", "hours": ["daily 22:00-06:00 Europe/Paris"]}]
    assert tree["routes"][1]["repeat_interval"] is None
