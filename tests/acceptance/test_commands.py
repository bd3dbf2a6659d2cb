"""What a person meets at the command line: help, good news, bad news, and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.init import write_starter
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
def test_every_command_has_help_with_an_example(name: str, options: set[str]) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output


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


def test_one_broken_file_hides_no_mistake_of_another(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    (tmp_path / "channels.yaml").write_text(
        "channels:\n  desk: {type: slak}\n  archive: {type: file}\n  archive: {type: stdout}\n"
    )
    (tmp_path / "taxonomy" / "iran.yaml").write_text("topic: iran\ntitel: Iran\n")
    (tmp_path / "rules" / "iran.yaml").write_text(
        "rules:\n  - name: withdrawn\n    when: oil AND\n    channels: [desk, dsk]\n"
    )
    refused = wirewatch("rules", "check")
    assert refused.returncode == 3
    assert (
        refused.stderr
        == """\
channels.yaml:2:16: unknown type `slak`
    did you mean `slack`?
channels.yaml:3:12: `path` is missing
    add `path:`
channels.yaml:4:3: `archive` stands twice, first on line 3
    keep one of them
rules/iran.yaml:3:18: the query ends too early
    something to search for must follow
rules/iran.yaml:4:22: there is no channel `dsk`
    did you mean `desk`?
rules/wire.yaml:4:11: another rule is named `withdrawn`, at rules/iran.yaml:2:11
    rename one: alerts are told apart by it
taxonomy/iran.yaml:1:1: `conditions` is missing
    add `conditions:`
taxonomy/iran.yaml:1:1: `title` is missing
    add `title:`
taxonomy/iran.yaml:2:1: unknown key `titel`
    did you mean `title`?
9 problems
"""
    )


def test_named_rules_are_checked_without_channels(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("rules: [{name: one, when: oil, channels: [desk]}]\n")
    checked = wirewatch("rules", "check", "one.yaml")
    assert checked.returncode == 0
    assert "1 rule in order" in checked.stdout
    assert "channels not checked: there is no channels.yaml" in checked.stdout


#: What may stand where a rule file is meant, None for nothing, and what is told of it.
MISTAKES: list[tuple[bytes | None, str]] = [
    (None, "r.yaml: cannot be read: No such file or directory"),
    (b"", "r.yaml: is empty\n    write `rules:`"),
    (b"# nothing yet\n", "r.yaml: is empty\n    write `rules:`"),
    (b"rules:\n\t- name: a\n", "r.yaml:2:1: not YAML: a tab where spaces are meant\n    indent with spaces"),
    (b"rules:\n- name: a\n   when: oil\n", "r.yaml:3:8: not YAML: a colon and a space cannot stand here"),
    (b"rules:\n- name: caf\xe9\n", "r.yaml:2:12: is not UTF-8 text\n    save it as UTF-8"),
    ("rules: []".encode("utf-16"), "r.yaml: is not UTF-8 text but UTF-16"),
    (b"#" * 5_000_001, "r.yaml: is larger than 5 MB"),
    (b"[" * 9999, "r.yaml: not YAML: brackets or lists stand too deep in each other"),
    (b"rules: &r [*r]\n", "r.yaml:1:8: not YAML: this alias holds itself"),
    (b"<html><body>404</body></html>", "r.yaml:1:1: this is not a mapping\n    write `rules:`"),
    (b"channels: {desk: {type: stdout}}\n", "r.yaml:1:1: this is no rule file"),
    (b"rules: [oil]\n", "r.yaml:1:9: this is not a rule\n    write `rules:`"),
    (
        b"rules:\n- {name: a, when: oil, channels: desk}\n",
        "r.yaml:2:34: `channels` is not a list: 'desk'\n    write `[",
    ),
    (
        b"rules:\n- {name: a, when: oil, channels: [d], severity: High}\n",
        "r.yaml:2:49: `severity` is 'info', 'low', 'medium', 'high' or 'critical', not 'High'\n    did you mean `high`?",
    ),
    (b"rules:\n- name: 7\n  when:\n  channels: [d]\n", "r.yaml:2:9: `name` is not a text: 7\n    put it in quotes"),
    (
        b"rules:\n- name: a\n  when: topic: iran\n",
        "r.yaml:3:14: not YAML: a colon and a space cannot stand here\n    write `when: >-`",
    ),
    (
        b"rules:\n- {name: a, when: 2026-02-31}\n",
        "r.yaml:2:19: not YAML: this looks like a date or a figure, and is none",
    ),
]


def test_rule_files_that_are_wrong_are_told_plainly(wirewatch: Run, tmp_path: Path) -> None:
    names = [f"r{number}.yaml" for number in range(len(MISTAKES))]
    for name, (content, _) in zip(names, MISTAKES, strict=True):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    refused = wirewatch("rules", "check", *names)
    assert refused.returncode == 3, refused.stderr
    assert "Traceback" not in refused.stderr
    told = [words.replace("r.yaml", name, 1) for name, (_, words) in zip(names, MISTAKES, strict=True)]
    assert [words for words in told if words not in refused.stderr] == []


def test_a_file_of_another_editor_is_read(wirewatch: Run, tmp_path: Path) -> None:
    text = "\ufeffrules:\r\n  - name: a\r\n    when: oil\r\n    channels: [desk]\r\n"
    (tmp_path / "r.yaml").write_bytes(text.encode())
    assert wirewatch("rules", "check", "r.yaml").returncode == 0


def test_variables_are_refused_by_their_names(wirewatch: Run) -> None:
    refused = wirewatch(
        "rules", "check", WIREWATCH_KAFKA="3", WIREWATCH_KAFKA__GROUP="x", WIREWATCH_REDIS_URL="redis://h"
    )
    assert refused.returncode == 3
    assert (
        refused.stderr
        == """\
the environment variable WIREWATCH_KAFKA: `kafka` has parts
    set one of them, such as `WIREWATCH_KAFKA__BOOTSTRAP_SERVERS`
the environment variable WIREWATCH_REDIS_URL: names no setting
    did you mean `WIREWATCH_REDIS__URL`?
2 problems
"""
    )


@pytest.mark.parametrize("command", [["doctor", "--json"], ["ingest", "h.txt"]])
@pytest.mark.parametrize(
    "environ",
    [
        {"WIREWATCH_REDIS__URL": "redis://:hunter2@127.0.0.1:1/0"},
        {"WIREWATCH_REDIS__URL": "redis://:hunter2@127.0.0.1:port/0"},
        {"WIREWATCH_REDIS__URL": "hunter2"},
        {"WIREWATCH_REDIS": "redis://:hunter2@127.0.0.1:1/0"},
        {"WIREWATCH_KAFKA__SASL": "{username: desk, password: hunter2}"},
        {"WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": "desk:hunter2@127.0.0.1:1"},
    ],
    ids=str,
)
def test_no_command_tells_a_secret(wirewatch: Run, tmp_path: Path, command: list[str], environ: dict[str, str]) -> None:
    write_starter(tmp_path)
    (tmp_path / "h.txt").write_text("Ship held off Malta\n")
    sasl = {"WIREWATCH_KAFKA__SASL__USERNAME": "desk", "WIREWATCH_KAFKA__SASL__PASSWORD": "hunter2"}
    ended = wirewatch(*command, **({} if "WIREWATCH_KAFKA__SASL" in environ else sasl), **environ)
    assert "hunter2" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_cannot_be_a_project_folder(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    refused = wirewatch("init", "notes.txt")
    assert refused.returncode == 2
    assert "notes.txt is a file, not a folder" in refused.stderr


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


def test_doctor_says_that_the_files_on_disk_are_meant(wirewatch: Run) -> None:
    wirewatch("init")
    assert "channels on disk" in wirewatch("doctor").stdout


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


def test_of_an_input_that_is_wrong_throughout_the_first_lines_are_told_and_the_rest_counted(wirewatch: Run) -> None:
    given = "nonsense\n" * 2_500 + '{"headline": "Port shut"}\n'
    shown = wirewatch("ingest", "jsonl", "-", "--dry-run", given=given)
    assert shown.returncode == 1
    told = shown.stderr.splitlines()
    assert [line.split(":")[1] for line in told[:20]] == [str(number) for number in range(1, 21)]
    assert told[20:] == ["more that cannot be read is only counted", "1 headline read, 2,500 unreadable"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ingest", "-", "--zone", "Mars/Olympus"], "Europe/Paris"),
        (["ingest", "ticker"], "name a file"),
        (["ingest", "nowhere.txt"], "nowhere.txt"),
        (["doctor", "--since", "soon"], "15s, 30m, 72h or 7d"),
        (["reveal"], "No such command"),
        (["rules", "chek"], "Did you mean 'check'"),
        (["rules", "check", "--jsn"], "--json"),
        (["doctor", "--since", "1 hour"], "did you mean 1h?"),
        (["rules", "check", "--config", "."], "is a folder"),
        (["worker", "--log-level", "loud"], "warning"),
        (["up", "--workers", "0"], "--workers"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(wirewatch: Run, arguments: list[str], told: str) -> None:
    ended = wirewatch(*arguments)
    assert ended.returncode in (2, 3)
    assert told in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr
