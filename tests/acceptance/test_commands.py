"""What a person meets at the command line: help, good news, bad news, and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from streams.cli import app
from tests.acceptance.conftest import Run

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def commands() -> list[tuple[str, set[str]]]:
    """Every command with its options, as the program knows them."""
    found: list[tuple[str, set[str]]] = []

    def walk(name: str, command: Any) -> None:
        if hasattr(command, "commands"):
            for sub, inner in command.commands.items():
                walk(f"{name} {sub}".strip(), inner)
        else:
            options = {option for p in command.params for option in p.opts if option.startswith("--")}
            found.append((name, options))

    walk("", typer.main.get_command(app))
    return found


@pytest.mark.parametrize(("name", "options"), commands())
def test_every_command_and_option_is_in_the_reference(name: str, options: set[str]) -> None:
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", REFERENCE, re.DOTALL | re.MULTILINE)
    assert section, f"docs/reference/commands.md has no section on {name}"
    assert {option for option in options if option not in section[1]} == set()


@pytest.mark.parametrize(("name", "options"), commands())
def test_every_command_has_help_with_an_example(wirewatch: Run, name: str, options: set[str]) -> None:
    shown = wirewatch(*name.split(), "--help")
    assert shown.returncode == 0
    assert "Example" in shown.stdout


def test_init_writes_a_project_that_is_in_order(wirewatch: Run, tmp_path: Path) -> None:
    assert wirewatch("init", "desk").returncode == 0
    config = str(tmp_path / "desk" / "wirewatch.yaml")
    checked = wirewatch("rules", "check", "--config", config, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    report = json.loads(checked.stdout)
    assert report["ok"] is True
    assert report["channels_checked"] is True
    assert len(report["rules"]) >= 8


def test_init_does_not_write_over_what_is_there(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text("mine")
    refused = wirewatch("init")
    assert refused.returncode == 2
    assert "channels.yaml is there already" in refused.stderr
    assert (tmp_path / "channels.yaml").read_text() == "mine"
    assert wirewatch("init", "--force").returncode == 0


def test_all_mistakes_of_all_rule_files_are_told_with_their_places(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    rules = tmp_path / "rules"
    (rules / "a.yaml").write_text(
        "rules:\n  - name: one\n    when: oil AND (gas\n    channels: [desk]\n  - name: two\n    wen: oil\n"
    )
    (rules / "b.yaml").write_text("rules:\n  - name: three\n    when: topic:irna\n    channels: [dseks]\n")
    refused = wirewatch("rules", "check", "--json")
    assert refused.returncode == 3
    problems = {
        (Path(p["file"]).name, p["line"]): p["message"] + p["hint"] for p in json.loads(refused.stdout)["problems"]
    }
    assert "parenthesis" in problems["a.yaml", 3]
    assert "did you mean `when`" in problems["a.yaml", 6]
    assert "iran" in problems["b.yaml", 3]
    assert "desk" in problems["b.yaml", 4]
    shown = wirewatch("rules", "check")
    assert shown.returncode == 3
    assert re.search(r"a\.yaml:3:\d+", shown.stderr)
    assert "Traceback" not in shown.stderr


def test_wrong_settings_are_refused_with_file_and_line(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text(
        "data_dir: x\nredis: {url: 'redis://:hunter2@h'}\ndedupe: {window: long}\n"
    )
    refused = wirewatch("doctor")
    assert refused.returncode == 3
    assert "wirewatch.yaml:2:" in refused.stderr
    assert "wirewatch.yaml:3:" in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout


@pytest.mark.parametrize("command", [["up"], ["worker"], ["rules", "check"], ["ingest", "x.txt"], ["doctor"]])
def test_a_settings_file_that_is_not_there_is_no_traceback(wirewatch: Run, command: list[str]) -> None:
    ended = wirewatch(*command, "--config", "nowhere.yaml")
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr


def test_without_services_a_command_says_how_to_start_them(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "h.txt").write_text("Ship held off Malta\n")
    ended = wirewatch("ingest", "h.txt")
    assert ended.returncode == 4
    assert "wirewatch up" in ended.stderr


def test_a_dry_run_prints_what_would_be_sent(wirewatch: Run) -> None:
    ticker = "Breaking 18:50 Ship held off Malta 18:00 Talks resume in Oslo"
    shown = wirewatch(
        "ingest", "ticker", "-", "--dry-run", "--date", "2026-03-01", "--zone", "Europe/Paris", given=ticker
    )
    assert shown.returncode == 0, shown.stderr
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(row["published"], row["headline"]) for row in rows] == [
        ("2026-03-01T17:50:00Z", "Ship held off Malta"),
        ("2026-03-01T17:00:00Z", "Talks resume in Oslo"),
    ]


def test_unreadable_lines_are_told_and_the_rest_is_read(wirewatch: Run) -> None:
    given = '{"headline": "Ship held"}\n{"headline": 7}\nnonsense\n{"headline": "Port shut"}\n'
    shown = wirewatch("ingest", "jsonl", "-", "--dry-run", given=given)
    assert shown.returncode == 1
    assert len(shown.stdout.splitlines()) == 2
    assert "standard input:2:" in shown.stderr
    assert "standard input:3:" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ingest", "-", "--zone", "Mars/Olympus"], "Europe/Paris"),
        (["ingest", "ticker"], "name a file"),
        (["ingest", "nowhere.txt"], "nowhere.txt"),
        (["doctor", "--since", "soon"], "15s, 30m, 72h or 7d"),
        (["reveal"], "No such command"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(wirewatch: Run, arguments: list[str], told: str) -> None:
    ended = wirewatch(*arguments)
    assert ended.returncode in (2, 3)
    assert told in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr
