"""What a command writes takes the place of nothing that it reads, and is there whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.common import UnreachableError, typed
from streams.cli.outputs import named, spare, writable, write_file

HEADLINE = {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z", "source": "a.example"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wire.jsonl").write_text(json.dumps(HEADLINE), "utf-8")
    (tmp_path / "rules.yaml").write_text("rules: [{name: tanker, when: tanker, channels: [desk]}]", "utf-8")
    return tmp_path


@pytest.mark.parametrize("output", ["wire.jsonl", "./wire.jsonl", "link.jsonl", "hard.jsonl"])
def test_a_replay_does_not_write_over_what_it_reads(folder: Path, output: str) -> None:
    (folder / "link.jsonl").symlink_to("wire.jsonl")
    os.link(folder / "wire.jsonl", folder / "hard.jsonl")
    before = (folder / "wire.jsonl").read_bytes()
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", "--decisions", output])
    assert done.exit_code == 2
    assert "would be written over what is read" in done.output.replace("\n", " ").replace("│", "")
    assert (folder / "wire.jsonl").read_bytes() == before


def test_an_output_in_a_folder_that_is_read_is_refused_once_it_is_there(folder: Path) -> None:
    inside = folder / "archive" / "decisions.jsonl"
    inside.parent.mkdir()
    spare([inside.parent], {"--decisions": inside, "--report": None})
    inside.touch()
    with pytest.raises(typer.BadParameter, match=r"--decisions .* lies in .*archive, which is read"):
        spare([inside.parent], {"--decisions": inside})


def test_labels_are_not_added_to_the_headlines(folder: Path) -> None:
    done = CliRunner().invoke(app, ["label", "wire.jsonl", "--rules", "rules.yaml", "--out", "wire.jsonl"])
    assert done.exit_code == 2
    assert (folder / "wire.jsonl").read_text("utf-8") == json.dumps(HEADLINE)


def test_without_an_answer_there_is_no_file_of_labels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_terminal() -> str:
        raise OSError

    monkeypatch.setattr("click.getchar", no_terminal)
    done = CliRunner().invoke(app, ["label", "wire.jsonl", "--rules", "rules.yaml", "--out", "labels.jsonl"])
    assert done.exit_code == 4
    assert "there is no terminal to ask at" in done.output
    assert not (folder / "labels.jsonl").exists()


def test_a_report_of_tests_takes_the_place_of_no_rules(folder: Path) -> None:
    done = CliRunner().invoke(app, ["rules", "test", "rules.yaml", "--junit", "rules.yaml"])
    assert done.exit_code == 2
    assert "name a file that ends in .xml" in done.output.replace("\n", " ").replace("│", "")


def test_a_file_is_written_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "page.html"
    place.write_bytes(b"before")

    def full(_self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UnreachableError, match="cannot be written: No space left on device"):
            write_file(place, b"after")
    assert place.read_bytes() == b"before"
    write_file(place, b"after")
    assert place.read_bytes() == b"after"
    assert sorted(path.name for path in folder.iterdir()) == ["page.html", "rules.yaml", "wire.jsonl"]


def test_through_a_link_the_file_behind_it_is_written(folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "page.html").symlink_to("there/page.html")
    write_file(folder / "page.html", b"it")
    assert (folder / "there" / "page.html").read_bytes() == b"it"
    assert (folder / "page.html").is_symlink()


def test_where_a_file_cannot_be_written_is_told_before_the_work(folder: Path) -> None:
    assert writable(folder / "new") == folder / "new"
    with pytest.raises(UnreachableError, match="it is a folder"):
        writable(folder)
    with pytest.raises(UnreachableError, match="there is no folder"):
        named(folder / "nowhere" / "x.md", ".md", "--markdown")
    with pytest.raises(typer.BadParameter, match=r"--markdown writes \.md"):
        named(folder / "x.txt", ".md", "--markdown")


@pytest.mark.parametrize(
    ("called", "on_path", "folder", "expected"),
    [
        (".venv/bin/wirewatch", None, Path(), ".venv/bin/wirewatch"),
        (".venv/bin/wirewatch", None, Path("desk"), "../.venv/bin/wirewatch"),
        (".venv/bin/wirewatch", "/usr/bin/wirewatch", Path("desk"), "wirewatch"),
        ("/opt/streams/__main__.py", None, Path(), "wirewatch"),
    ],
)
def test_a_command_to_type_can_be_typed(
    called: str, on_path: str | None, folder: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [called, "demo"])
    monkeypatch.setattr("shutil.which", lambda _name: on_path)
    assert typed(folder) == expected


def test_a_replay_of_nothing_is_not_in_order(folder: Path) -> None:
    (folder / "none.jsonl").write_text('{"a": 1}\n{"b": 2}\n', "utf-8")
    command = ["replay", "none.jsonl", "--rules", "rules.yaml"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "no headline was read; 2 could not be" in done.output
    told = CliRunner().invoke(app, [*command, "--json"])
    assert told.exit_code == 1
    assert json.loads(told.stdout)["ok"] is False


def test_one_of_a_kind_is_counted_as_one(folder: Path) -> None:
    (folder / "one.yaml").write_text("rules: [{name: b, when: 'money:>1bn', channels: [x]}]\n", "utf-8")
    linted = CliRunner().invoke(app, ["rules", "lint", "one.yaml"])
    assert linted.stdout.splitlines()[-1] == "1 rule, 1 warning, 0 notes"


def test_a_table_without_rows_is_told_to_have_none(folder: Path) -> None:
    (folder / "none.csv").write_text("headline,published\n", "utf-8")
    done = CliRunner().invoke(app, ["replay", "none.csv", "--rules", "rules.yaml"])
    assert done.exit_code == 1
    assert "no headline was read: there is none in it" in done.output
    ingested = CliRunner().invoke(app, ["ingest", "none.csv", "--dry-run"])
    assert ingested.exit_code == 0
    assert "and no rows below it" in ingested.stderr
