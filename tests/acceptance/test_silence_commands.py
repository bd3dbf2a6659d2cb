"""``wirewatch silence``, in this process, with a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors import embedded
from streams.cli import app

Call = Callable[..., Result]

TOPIC = """topic: iran
title: Iran
threshold: 0.5
words: {those: [iran]}
conditions: [{name: it is named, weight: 0.8, any: [those]}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Redis]:
    with embedded.Redis(tmp_path_factory.mktemp("silences")) as running:
        yield running


@pytest.fixture
def call(tmp_path: Path, server: embedded.Redis) -> Call:
    (tmp_path / "iran.yaml").write_text(TOPIC, "utf-8")
    (tmp_path / "channels.yaml").write_text("channels: {desk: {type: stdout}}", "utf-8")
    (tmp_path / "rules.yaml").write_text("rules: [{name: oil, when: oil AND tanker, channels: [desk]}]", "utf-8")
    (tmp_path / "wirewatch.yaml").write_text(
        "rules: [rules.yaml]\ntaxonomy: [iran.yaml]\nkafka: {bootstrap_servers: '127.0.0.1:1'}\n"
        f"redis: {{url: '{server.url}', prefix: '{tmp_path.name}'}}\n",
        "utf-8",
    )

    def run(*arguments: str, config: str = str(tmp_path / "wirewatch.yaml")) -> Result:
        return CliRunner().invoke(app, ["silence", *arguments, "--config", config])

    return run


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_silence_is_added_listed_and_ended(call: Call) -> None:
    query = "topic:iran AND source:x"
    added = told(call("add", query, "--for", "2h", "--comment", "drill [1]", "--by", "ann", "--json"))
    assert (added["state"], added["query"], added["by"]) == ("active", query, "ann")
    lasting = datetime.fromisoformat(added["ends"]) - datetime.fromisoformat(added["starts"])
    assert lasting == timedelta(hours=2)
    assert told(call("list", "--json")) == [added]
    shown = call("list").stdout
    assert added["id"] in shown
    assert "drill [1]" in shown
    ended = told(call("expire", added["id"], "--json"))
    assert (ended["state"], ended["id"]) == ("ended", added["id"])
    assert told(call("list", "--json")) == []
    assert call("list").stdout == "there are no silences\n"
    assert told(call("list", "--all", "--json")) == [ended]
    again = call("expire", added["id"])
    assert again.exit_code == 2
    assert f"no silence `{added['id']}` runs or is yet to begin" in again.stderr


def test_a_silence_to_come(call: Call) -> None:
    start = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    until = start + timedelta(hours=8)
    times = ["--starts", start.isoformat(), "--until", until.replace(tzinfo=None).isoformat()]
    added = told(call("add", "rule:oil AND channel:desk AND severity:>=low", *times, "--comment", "night", "--json"))
    assert (added["state"], added["starts"], added["ends"]) == ("pending", start.isoformat(), until.isoformat())
    assert added["by"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["topic:irn"], "there is no topic `irn`\n    did you mean `iran`?"),
        (["rule:oli"], "there is no rule `oli`\n    did you mean `oil`?"),
        (["channel:dsk"], "there is no channel `dsk`\n    did you mean `desk`?"),
        (["oil AND"], "at character 8 of the query: the query ends too early"),
        (["oil", "--until", "2020-01-01"], "say how long, by --for 2h, or until when"),
        (["oil", "--starts", "soon"], "--starts is written like"),
        (["oil", "--comment", " "], "the comment is not one line"),
    ],
)
def test_what_cannot_be_is_told(call: Call, arguments: list[str], message: str) -> None:
    result = call("add", *arguments[:1], "--for", "1h", "--comment", "x", *arguments[1:])
    assert result.exit_code == 2
    assert " ".join(message.split()) in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("ending", [["--for", "soon"], ["--until", "soon"], [], ["--until", "2020-01-01"]])
def test_an_end_that_is_none(call: Call, ending: list[str]) -> None:
    assert call("add", "oil", "--comment", "x", *ending).exit_code == 2
    assert told(call("list", "--all", "--json")) == []


def test_whoevers_files_are_wrong_may_silence_all_the_same(call: Call, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{name: oil, when: oil AND}]", "utf-8")
    assert call("add", "topic:irn", "--for", "1h", "--comment", "x").exit_code == 0


def test_where_redis_is_away(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "away.yaml"
    config.write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\nredis: {url: 'redis://127.0.0.1:1'}\n", "utf-8")
    result = call("list", config=str(config))
    assert result.exit_code == 4
    assert "Redis does not answer" in result.stderr
