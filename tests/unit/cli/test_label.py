from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from tests.integration.rig import TAXONOMY

ROWS = [
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z"},
    {"headline": "Ferry seized in Dover", "published": "2026-03-01T12:10:00Z"},
    {"headline": "Lock opens in Tarn", "published": "2026-03-01T12:20:00Z"},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ships.yaml").write_text(TAXONOMY, "utf-8")  # it is read sooner than that which comes along
    (tmp_path / "wirewatch.yaml").write_text("taxonomy: [ships.yaml]", "utf-8")
    rules = (
        "rules: [{name: seized, when: tanker AND seized, channels: [desk]}, {name: lock, when: lock, channels: [desk]}]"
    )
    (tmp_path / "rules.yaml").write_text(rules, "utf-8")
    (tmp_path / "wire.jsonl").write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
    return tmp_path


def label(keys: str, *more: str) -> Result:
    """Run the command and press these keys; after them the terminal is gone."""
    pressed = iter(keys)

    def key() -> str:
        found = next(pressed, None)
        if found is None:
            raise EOFError
        return found

    command = ["label", "wire.jsonl", "--rules", "rules.yaml", "--out", "l.jsonl", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click, "getchar", key)
        return CliRunner().invoke(app, command)


def answers(project: Path) -> list[tuple[str, str, bool]]:
    rows = [json.loads(line) for line in (project / "l.jsonl").read_text("utf-8").splitlines()]
    return [(row["headline"], row["rule"], row["should_alert"]) for row in rows]


def test_answers_are_written_and_the_same_command_goes_on_where_one_was(project: Path) -> None:
    done = label("xnq")  # x means nothing
    assert done.exit_code == 0, done.output
    assert "1 of 3" in done.output
    assert answers(project) == [("Lock opens in Tarn", "lock", False)]
    done = label("sY")
    assert "1 of 2" in done.output
    assert "nearly fires, but for tanker" in done.output
    assert answers(project)[1:] == [("Tanker seized off Hormuz", "seized", True)]
    assert label("y").exit_code == 0
    assert "nothing is left to ask" in label("").output


def test_what_it_would_ask_is_json_for_programs(project: Path) -> None:
    asked = json.loads(label("", "--json", "--rule", "seized").stdout)
    assert [(one["rule"], one["fires"], one["lacks"]) for one in asked] == [
        ("seized", False, "tanker"),
        ("seized", True, None),
    ]
    assert not (project / "l.jsonl").exists()


def test_the_labels_score_a_replay(project: Path) -> None:
    label("yny")
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--labels", "l.jsonl", "--json"]
    score = json.loads(CliRunner().invoke(app, command).stdout)["score"]["all"]
    assert (score["right"], score["false_alarms"], score["misses"], score["rightly_silent"]) == (2, 0, 0, 1)


def test_an_unknown_rule_and_a_file_of_other_things_are_refused(project: Path) -> None:
    assert label("", "--rule", "seised").exit_code == 2
    (project / "l.jsonl").write_text("{}\n", "utf-8")
    done = label("")
    assert done.exit_code == 3
    assert "l.jsonl:1:1" in done.output


def test_every_answer_is_on_the_disk_before_the_next_question_and_ctrl_c_loses_none(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def key() -> str:
        file = project / "l.jsonl"
        written.append(file.read_bytes().count(b"\n") if file.exists() else 0)
        if len(written) == 3:
            raise KeyboardInterrupt
        return "n"

    monkeypatch.setattr(click, "getchar", key)
    done = CliRunner().invoke(app, ["label", "wire.jsonl", "--rules", "rules.yaml", "--out", "l.jsonl"])
    assert done.exit_code == 130
    assert written == [0, 1, 2]
    assert len(answers(project)) == 2
    assert "2 labels written to l.jsonl" in done.output
