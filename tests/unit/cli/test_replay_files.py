from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from streams.backtest.decided import Decided
from streams.backtest.replay import Decider, replay
from streams.cli import app, replay_parquet
from streams.core.dedupe import Candidate

RULES = """
rules:
  - {name: tanker, when: tanker, channels: [desk, archive], labels: {region: gulf}}
  - {name: lull, when: ferry, channels: [desk], absence: 1h}
"""
TOPICS = """
topic: iran
title: Iran
description: Iran
threshold: 0.5
entities: {places: [Iran, Hormuz]}
conditions: [{name: names it, weight: 0.9, any: [places]}]
"""
LINES = [
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z", "source": "a.example"},
    {"headline": "Ferry strike ends in Dover", "published": "2026-03-01T11:00:00Z"},
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:05:00Z", "source": "b.example"},
    {"headline": "Iran frees the tanker", "published": "2026-03-01T15:00:00Z"},
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / "topics.yaml").write_text(TOPICS, "utf-8")
    (tmp_path / "wirewatch.yaml").write_text("rules: [rules.yaml]\ntaxonomy: [topics.yaml]\n", "utf-8")
    (tmp_path / "wire.jsonl").write_text("\n".join(map(json.dumps, LINES)), "utf-8")
    return tmp_path


def replayed(*options: str, ending: int = 0) -> str:
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", *options])
    assert done.exit_code == ending, done.output
    return done.output


def bare(value: Any) -> Any:
    """A record without what is as usual: JSON leaves it out, and a table has a column for it."""
    if isinstance(value, dict):
        rest = {name: bare(inner) for name, inner in value.items()}
        usual = {"source": "unknown", "status": "usable", "kind": "first", "story_sources": 1, "schema": 1, "at": None}
        return {name: inner for name, inner in rest.items() if inner not in (None, [], {}, "", usual.get(name, ""))}
    if isinstance(value, list):
        return [bare(inner) for inner in value]
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def maps_as_objects(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found = list(rows)
    for row in found:
        for alert in row["alerts"]:
            alert["rule"]["labels"] = dict(alert["rule"]["labels"])
    return found


def test_parquet_holds_what_the_lines_of_decisions_hold(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_parquet, "ROWS", 2)
    replayed("--decisions", "d.jsonl", "--parquet", "d.parquet")
    file = pyarrow.parquet.ParquetFile(project / "d.parquet")
    lines = [json.loads(line) for line in (project / "d.jsonl").read_text("utf-8").splitlines()]
    rows = maps_as_objects(file.read().to_pylist())
    assert [bare(row) for row in rows] == [bare(line) for line in lines]
    assert (file.num_row_groups, len(rows)) == (3, 5)
    assert rows[-1]["alerts"][0]["rule"]["labels"] == {"region": "gulf"}
    assert {row["headline"]["duplicate_of"] is None for row in rows if row["headline"]} == {True, False}


def test_a_report_is_written_and_says_what_was_replayed(project: Path) -> None:
    replayed("--report", "r.html")
    text = (project / "r.html").read_text("utf-8")
    assert "4 recorded headlines" in text
    assert "From wire.jsonl" in text
    assert "<mark>Tanker</mark> seized off Hormuz" in text


@pytest.mark.parametrize(
    ("option", "file", "module", "package"),
    [("--parquet", "d.parquet", "pyarrow", "parquet"), ("--report", "r.html", "plotly.offline", "report")],
)
def test_what_is_not_installed_is_told_with_the_way_out_before_the_work(
    project: Path, monkeypatch: pytest.MonkeyPatch, option: str, file: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    told = replayed(option, file, ending=4)
    assert f'pip install "wirewatch[{package}]"' in told
    assert not (project / file).exists()


@pytest.mark.parametrize("option", ["--report", "--parquet"])
def test_a_file_that_cannot_be_written_there_is_refused_before_the_work(option: str) -> None:
    suffix = {"--report": "html", "--parquet": "parquet"}[option]
    assert "there is no folder gone" in replayed(option, f"gone/x.{suffix}", ending=4)
    assert f"ends in .{suffix}" in replayed(option, "x.txt", ending=2).replace("\n", " ")


def test_ctrl_c_leaves_a_report_of_how_far_it_came(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stream: Iterable[Candidate], engine: Decider, _order: None) -> Iterator[Decided]:
        yield next(replay(stream, engine))
        raise KeyboardInterrupt

    monkeypatch.setattr("streams.cli.replay_slices.decisions_of", interrupted)
    replayed("--report", "r.html", "--parquet", "d.parquet", ending=130)
    text = (project / "r.html").read_text("utf-8")
    assert "1 recorded headline from" in text
    assert "Interrupted" in text
    assert pyarrow.parquet.read_table(project / "d.parquet").num_rows == 1


def test_a_rule_that_was_only_held_back_did_fire(project: Path) -> None:
    rules = "".join(
        f"  - {{name: {name}, when: {when}, channels: [desk], stage: {stage}}}\n"
        for name, when, stage in (("quiet", "tanker", "staged"), ("never", "zebra", "live"), ("unheard", "x", "staged"))
    )
    (project / "rules.yaml").write_text(f"{RULES}{rules}", "utf-8")
    shown = replayed()
    assert "never fired: never, unheard\n" in shown
    assert "held back altogether: quiet\n" in shown
    told = json.loads(replayed("--json"))
    assert (told["silent"], told["held_back_only"]) == (["never", "unheard"], ["quiet"])


def test_times_are_in_iso_8601_for_programs() -> None:
    told = json.loads(replayed("--json"))
    assert (told["from"], told["to"]) == ("2026-03-01T11:00:00+00:00", "2026-03-01T15:00:00+00:00")
    assert told["worst_day"]["day"] == "2026-03-01"
