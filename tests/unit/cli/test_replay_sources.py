"""What `wirewatch replay` reads: every form gives the same decisions."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app, common
from streams.cli.reading import Files
from tests.integration.rig import TAXONOMY

ROWS = [
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z", "source": "a.example"},
    {"headline": "Ferry strike ends, for now", "published": "2026-03-01T11:00:00Z", "source": "b.example"},
    {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:05:00Z", "source": "b.example"},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ships.yaml").write_text(TAXONOMY, "utf-8")  # it is read sooner than that which comes along
    (tmp_path / "wirewatch.yaml").write_text("taxonomy: [ships.yaml]", "utf-8")
    (tmp_path / "rules.yaml").write_text("rules: [{name: tanker, when: tanker, channels: [desk]}]", "utf-8")
    return tmp_path


def write(form: str, folder: Path) -> Path:
    """The rows in one form."""
    file = folder / f"wire.{form}"
    if form == "csv":
        with file.open("w", encoding="utf-8", newline="") as out:
            table = csv.DictWriter(out, list(ROWS[0]))
            table.writeheader()
            table.writerows(ROWS)
    elif form == "jsonl.gz":
        file.write_bytes(gzip.compress(LINES))
    elif form == "jsonl":
        file.write_bytes(LINES)
    else:
        pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
        if form == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(ROWS), file)
        else:
            file.write_bytes(pa.compress(LINES, "zstd", asbytes=True))
    return file


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet"])
def test_every_form_gives_the_same_decisions(project: Path, form: str) -> None:
    (project / "wire").mkdir()
    write(form, project / "wire")
    command = ["replay", "wire", "--rules", "rules.yaml", "--decisions", "d.jsonl", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["decisions"] == {"first": 2, "duplicate": 1}
    assert told["alerts"] == {"tanker": 1}
    decided = [json.loads(line)["headline"]["headline"] for line in (project / "d.jsonl").read_text().splitlines()]
    assert decided == [ROWS[1], ROWS[0], ROWS[2]]


def test_a_bad_row_is_counted_and_told_with_file_and_line(project: Path) -> None:
    (project / "wire.csv").write_text("headline,published\nTanker seized,2026-03-01\nTanker,free,again\n", "utf-8")
    done = CliRunner().invoke(app, ["replay", "wire.csv", "--rules", "rules.yaml"])
    assert done.exit_code == 0, done.output
    assert "wire.csv:3: the row has 3 columns, and the first line names 2" in done.output
    assert "1 could not be read" in done.output


def replayed(*arguments: str, ending: int = 0) -> str:
    done = CliRunner().invoke(app, ["replay", *arguments, "--rules", "rules.yaml"])
    assert done.exit_code == ending, done.output
    return " ".join(done.output.replace("│", " ").split())


def test_of_files_only_what_was_published_in_a_span_is_replayed(project: Path) -> None:
    write("jsonl", project)
    told = json.loads(replayed("wire.jsonl", "--from", "2026-03-01T12:00Z", "--to", "2026-03-01T12:05Z", "--json"))
    assert (told["headlines"], told["from"]) == (1, "2026-03-01T12:00:00+00:00")
    assert json.loads(replayed("wire.jsonl", "--to", "2026-03-01T12:05Z", "--json"))["headlines"] == 2
    shown = replayed("wire.jsonl", "--from", "2026-04-01", ending=1)
    assert "no headline was read of those from --from on and before --to" in shown
    assert "--from 'soon'" in replayed("wire.jsonl", "--from", "soon", ending=2)


def test_what_is_said_of_files_is_what_ingest_takes(project: Path) -> None:
    (project / "desk.csv").write_text("headline,published\nTanker seized,2026-03-01T12:00\n", "utf-8")
    replayed("desk.csv", "--zone", "Europe/Paris", "--source", "paris.example", "--decisions", "d.jsonl")
    headline = json.loads((project / "d.jsonl").read_text())["headline"]["headline"]
    assert (headline["published"], headline["source"]) == ("2026-03-01T11:00:00Z", "paris.example")
    (project / "page.txt").write_text("9:15\nTanker seized off Hormuz\n8:50\nFerry strike ends in Dover\n", "utf-8")
    replayed("page.txt", "--as", "ticker", "--date", "2026-02-11", "--decisions", "d.jsonl")
    assert '"published":"2026-02-11T09:15:00Z"' in (project / "d.jsonl").read_text()
    assert "--zone is an IANA name" in replayed("desk.csv", "--zone", "Paris", ending=2)
    assert "--as is one of jsonl" in replayed("desk.csv", "--as", "cvs", ending=2)


def test_what_is_said_of_files_is_refused_for_topics(project: Path) -> None:
    shown = replayed("kafka:headlines.raw", "--zone", "Europe/Paris", "--as", "csv", ending=2)
    assert "--as, --zone: for files" in shown


def test_a_file_that_nothing_reads_may_be_said_to_be_something(project: Path) -> None:
    (project / "log.txt").write_text("2026-03-01 12:00:00 Tanker seized\n2026-03-01 12:00:01 Tanker freed\n", "utf-8")
    assert "`wirewatch replay log.txt --as lines`" in replayed("log.txt", ending=3)
    assert "2 headlines" in replayed("log.txt", "--as", "lines")


def test_standard_input_is_a_source(project: Path) -> None:
    command = [sys.executable, "-m", "streams", "replay", "-", "--rules", "rules.yaml", "--json"]
    done = subprocess.run(command, input=LINES, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["decisions"] == {"first": 2, "duplicate": 1}


def test_silences_of_a_file_hold_alerts_back(project: Path) -> None:
    write("jsonl", project)
    silence = {
        "id": "7f3a9c01",
        "state": "ended",
        "query": "rule:tanker AND channel:desk",
        "starts": "2026-03-01T11:30:00+00:00",
        "ends": "2026-03-01T12:30:00+00:00",
        "by": "ann",
        "comment": "drill",
    }
    (project / "s.json").write_text(json.dumps([silence]), "utf-8")
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--silences", "s.json", "--json"]
    done = CliRunner().invoke(app, command)
    told = json.loads(done.stdout)
    assert told["alerts"] == {}
    assert told["suppressed"] == {"silenced by 7f3a9c01 until 2026-03-01 12:30 UTC: drill": 1}
    assert told["not_simulated"] == ["delivery"]


@pytest.mark.parametrize("content", ["{}", '[{"id": "x"}]', "nothing"])
def test_a_file_that_holds_no_silences_is_refused(project: Path, content: str) -> None:
    write("jsonl", project)
    (project / "s.json").write_text(content, "utf-8")
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--silences", "s.json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 3
    assert "s.json: is no list of silences" in done.output


def test_alerts_are_scored_by_labels_and_against_a_reference(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("jsonl", project)
    labels = [
        {"headline": "Tanker seized off Hormuz", "rule": "tanker", "should_alert": True},
        {"headline": "Ferry strike ends, for now", "rule": "tanker", "should_alert": True},
    ]
    (project / "l.jsonl").write_text("\n".join(map(json.dumps, labels)), "utf-8")
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--labels", "l.jsonl", "--reference", "b.example"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    score = json.loads(done.stdout)["score"]
    assert (score["rules"]["tanker"]["right"], score["rules"]["tanker"]["misses"]) == (1, 1)
    assert score["rules"]["tanker"]["recall"] == {"value": 0.5, "low": 0.0945, "high": 0.9055}
    assert score["reference"]["all"]["median"] == 300.0
    monkeypatch.setattr(common.out, "_width", 200)  # whatever the terminal was when it was made
    shown = CliRunner().invoke(app, command).output
    assert "0.500 (0.09-0.91)" in shown
    assert "alerts against b.example" in shown


def test_a_label_of_a_rule_or_topic_that_is_not_there_is_told_with_its_line(project: Path) -> None:
    write("jsonl", project)
    about = {"headline": "Tanker seized off Hormuz", "should_alert": True}
    labels: list[dict[str, object]] = [
        {**about, "rule": "tanker"},
        {**about, "rule": "tankr"},
        {**about, "headline": "Ferry strike ends", "rule": "tankr"},
        {**about, "topic": "opec"},
        about,
    ]
    (project / "l.jsonl").write_text("\n".join(map(json.dumps, labels)), "utf-8")
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--labels", "l.jsonl"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "l.jsonl:2: there is no rule `tankr`, of which 2 labels speak" in done.stderr
    assert "did you mean `tanker`?" in done.stderr
    assert "l.jsonl:4: there is no topic `opec`, of which 1 label speaks" in done.stderr
    assert done.stderr.count("there is no") == 2
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["score"]["unknown"]
    assert [(one["line"], one["hint"]) for one in found] == [(2, "did you mean `tanker`?"), (4, "known are `ships`")]


def test_a_file_of_labels_that_holds_none_is_refused(project: Path) -> None:
    write("jsonl", project)
    (project / "l.jsonl").write_text('{"rule": "tanker", "should_alert": true}\n', "utf-8")
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", "--labels", "l.jsonl"])
    assert done.exit_code == 3
    assert "l.jsonl:1:1" in done.output


def test_how_many_headlines_there_will_be_is_known_from_the_first_of_a_file(project: Path) -> None:
    lines = "".join(json.dumps({**ROWS[0], "headline": f"Port {n:05} reopens"}) + "\n" for n in range(20_000))
    (project / "many.jsonl").write_text(lines, "utf-8")
    files = Files([project / "many.jsonl", project / "rules.yaml"])
    assert files.expected() is None
    reading = files.candidates(lambda _name, _reading: None)
    next(reading)
    assert files.expected() == pytest.approx(20_000, rel=0.02)
    write("jsonl", project)
    both = Files([project / "wire.jsonl", project / "many.jsonl"])
    assert len(list(both.candidates(lambda _name, _reading: None))) == both.expected() == 20_003
    assert Files([Path("-")]).expected() is None


def test_all_files_that_no_source_reads_are_told_before_anything_is_replayed(project: Path) -> None:
    write("jsonl", project)
    (project / "wire").mkdir()
    (project / "wire" / "a.pdf").write_bytes(b"%PDF-1.7\n1 0 obj")
    (project / "wire" / "b.xml").write_text('<?xml version="1.0"?>\n<news><item>Port</item></news>', "utf-8")
    (project / "wire" / "empty.jsonl").touch()
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "wire", "--rules", "rules.yaml", "--json"])
    assert done.exit_code == 3
    assert [problem["file"] for problem in json.loads(done.stdout)["problems"]] == ["wire/a.pdf", "wire/b.xml"]


def test_a_file_that_is_damaged_further_on_counts_until_there_and_the_next_is_read(project: Path) -> None:
    (project / "wire").mkdir()
    lines = "".join(
        json.dumps({**ROWS[1], "headline": f"Port {n:05} reopens", "id": f"{n**9}"}) + "\n" for n in range(9_000)
    )
    (project / "wire" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-3_000])
    write("jsonl", project / "wire")
    done = CliRunner().invoke(app, ["replay", "wire", "--rules", "rules.yaml", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["unreadable"] == 1
    assert "damaged after line" in told["unreadable_shown"][0]["reason"]
    assert told["headlines"] > 1_000
    assert told["alerts"] == {"tanker": 1}
