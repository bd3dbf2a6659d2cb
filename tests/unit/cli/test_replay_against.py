from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app

TOPICS = """
topic: iran
title: Iran
description: Iran
threshold: 0.5
entities: {{places: [{places}]}}
conditions: [{{name: names it, weight: 0.9, any: [places]}}]
"""
OLD = "rules: [{name: tanker, when: tanker AND seized, channels: [desk]}]"
NEW = "rules: [{name: tanker, when: tanker, channels: [desk]}, {name: iran, when: 'topic:iran', channels: [desk]}]"
LINES = [
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z"},
    {"headline": "Ferry strike ends in Dover", "published": "2026-03-01T11:00:00Z"},
    {"headline": "Tanker `freed` | a < b & @all", "published": "2026-03-01T15:00:00Z"},
    {"headline": "Ferry strike ends in Dover", "published": "2026-03-02T11:00:00Z"},
]


def git(*arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose rules were others a commit ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "wirewatch.yaml").write_text("rules: [rules]\ntaxonomy: [topics.yaml]\n", "utf-8")
    (tmp_path / "channels.yaml").write_text("channels: {desk: {type: stdout}}", "utf-8")
    (tmp_path / "topics.yaml").write_text(TOPICS.format(places="Iran, Hormuz"), "utf-8")
    (tmp_path / "wire.jsonl").write_text("\n".join(map(json.dumps, LINES)), "utf-8")
    rules = tmp_path / "rules"
    rules.mkdir()
    git("init", "--initial-branch=main")
    for number, text in enumerate((OLD, NEW)):
        (rules / "a.yaml").write_text(text, "utf-8")
        git("add", ".")
        git("commit", "-m", str(number))
    return tmp_path


def replayed(*options: str, ending: int = 0) -> str:
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", *options])
    assert done.exit_code == ending, done.output
    return done.output


def comparison(*options: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(replayed(*options, "--json"))["comparison"]
    return told


def test_rules_are_compared_with_those_of_a_revision() -> None:
    told = comparison("--against", "HEAD~1")
    assert (told["against"], told["same"], told["added"], told["lost"]) == ("HEAD~1", 1, 2, 0)
    assert told["rules"]["tanker"] == {
        "before": 1,
        "after": 2,
        "same": 1,
        "added": 1,
        "lost": 0,
        "earlier": 0,
        "later": 0,
        "changed": 0,
    }
    assert {change["rule"]: change["why"] for change in told["changes"]} == {
        "iran": "it has no such rule",
        "tanker": "`seized`: the headline has no `seized`",
    }


def test_rules_are_compared_with_another_folder_whose_channels_are_gone(project: Path) -> None:
    other = project / "other"
    other.mkdir()
    (other / "b.yaml").write_text(NEW.replace("[desk]", "[nobody]"), "utf-8")
    told = comparison("--against", "other")
    assert (told["same"], told["added"], told["lost"]) == (0, 3, 3)
    assert told["changes"][0]["why"] == "the rule fires, and tells not this channel but nobody"


def test_topics_are_compared_with_another_taxonomy(project: Path) -> None:
    (project / "before.yaml").write_text(TOPICS.format(places="Iran"), "utf-8")
    told = comparison("--against-taxonomy", "before.yaml")
    assert [text.partition(":")[0] for text in told["differences"]] == ["topics"]
    [added] = told["changes"]
    assert (added["kind"], added["rule"], added["why"]) == ("added", "iran", "`topic:iran`: there is no topic")


def test_settings_are_compared_with_others_which_deduplicate_otherwise(project: Path) -> None:
    (project / "ferry.yaml").write_text("rules: [{name: ferry, when: ferry, channels: [desk]}]", "utf-8")
    (project / "before.yaml").write_text(
        "taxonomy: [topics.yaml]\ndedupe: {window: 1h, sources: {a.example: 2h}}\n", "utf-8"
    )
    told = comparison("--rules", "ferry.yaml", "--against-config", "before.yaml")
    assert told["differences"] == ["dedupe.window: 1h, now 3d", "dedupe.sources: a.example 2h, now none"]
    [lost] = told["changes"]
    assert (lost["kind"], lost["at"], lost["why"][:19]) == ("lost", "2026-03-02T11:00:00+00:00", "dropped as a repeat")


def test_a_page_and_markdown_are_written_in_which_headlines_are_text(project: Path) -> None:
    shown = replayed("--against", "main~1", "--report", "r.html", "--markdown", "r.md")
    assert "compared with main~1: 1 alert the same, 2 added, 0 lost, 0 earlier, 0 later, 0 changed" in shown
    page = (project / "r.html").read_text("utf-8")
    assert "`freed` | a &lt; b &amp; @all" in page
    text = (project / "r.md").read_text("utf-8")
    assert "- `Tanker 'freed' | a < b & @all` — 2026-03-01 15:00, `tanker` to `desk`" in text
    assert "| `tanker` | 1 | 2 | 1 | 0 | 0 | 0 | 0 |" in text


def test_a_change_ends_with_1_where_that_is_asked_for_and_no_change_does_not() -> None:
    replayed("--against", "HEAD~1", "--fail-on-change", ending=1)
    assert "2 added" in replayed("--against", "HEAD~1")
    replayed("--against", "HEAD", "--fail-on-change")


def test_another_severity_is_a_change(project: Path) -> None:
    (project / "rules" / "a.yaml").write_text(
        NEW.replace("{name: tanker,", "{name: tanker, severity: critical,"), "utf-8"
    )
    shown = replayed("--against", "HEAD", "--fail-on-change", ending=1)
    assert "1 alert the same, 0 added, 0 lost, 0 earlier, 0 later, 2 changed" in shown
    assert "~ 2026-03-01 12:00  tanker to desk: Tanker seized off Hormuz" in shown
    assert "severity: medium, now critical" in shown


def test_rules_that_differ_are_told_also_where_no_alert_does(project: Path) -> None:
    changed = NEW.replace("when: tanker,", "when: tanker AND NOT zebra,").replace("name: iran", "name: persia")
    (project / "rules" / "a.yaml").write_text(changed.replace("topic:iran", "topic:iran AND zebra"), "utf-8")
    (project / "wire.jsonl").write_text(json.dumps(LINES[1]), "utf-8")
    shown = replayed("--against", "HEAD")
    assert "0 alerts the same, 0 added" in shown
    assert "tanker changed: when\n    was tanker\n    is  tanker AND NOT zebra\n" in shown
    assert "persia new\n    is  topic:iran AND zebra\n" in shown
    assert "iran gone\n    was topic:iran\n" in shown
    assert comparison("--against", "HEAD")["rewritten"][-1] == {
        "rule": "tanker",
        "state": "changed",
        "differ": ["when"],
        "was": "tanker",
        "now": "tanker AND NOT zebra",
    }


def test_what_is_neither_a_folder_nor_a_revision_is_refused() -> None:
    assert "`nowhere` is no file and no folder, and no revision" in replayed("--against", "nowhere", ending=3)


def test_a_mistake_in_the_rules_of_then_is_told_at_its_place_in_the_revision(project: Path) -> None:
    (project / "rules" / "a.yaml").write_text("rules: [{name: x, when: 'oil AND', channels: [desk]}]", "utf-8")
    git("commit", "-am", "broken")
    (project / "rules" / "a.yaml").write_text(NEW, "utf-8")
    assert "HEAD:rules/a.yaml:1:" in replayed("--against", "HEAD", ending=3)


@pytest.mark.parametrize("options", [["--markdown", "r.md"], ["--fail-on-change"]])
def test_what_belongs_to_a_comparison_is_refused_without_one(options: list[str]) -> None:
    assert "--against RULES" in replayed(*options, ending=2)
