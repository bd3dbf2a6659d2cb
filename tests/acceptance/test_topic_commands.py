"""What an analyst does with topics at the command line: explain a headline, check a taxonomy, and measure it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.conftest import Run

ROWS = [
    {"headline": "Tehran names a new minister", "topics": ["iran"]},
    {"headline": "Novatek profit plunges", "topics": ["russia_energy"]},
    {"headline": "Chip designer files for Nasdaq IPO", "topics": ["tech_deals"]},
    {"headline": "Rain on Sunday", "topics": []},
    {"headline": "The ten best Iranian restaurants in London", "topics": ["iran"], "edge": True},
]


def labelled(folder: Path) -> str:
    file = folder / "labelled.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(file)


def test_a_headline_is_explained_with_topics_evidence_and_what_nearly_matched(wirewatch: Run) -> None:
    shown = wirewatch("explain", "Tehran holds a tanker off Russia")
    assert shown.returncode == 0
    assert shown.stdout.startswith("iran yes, 97% of 50%\n  + names Iran (0.97): “Tehran”\n")
    told = json.loads(wirewatch("explain", "Novatek profit plunges", "--json").stdout)
    [energy] = [topic for topic in told["topics"] if topic["belongs"]]
    assert energy["topic"] == "russia_energy"
    assert energy["evidence"][0]["found"] == [{"text": "Novatek", "start": 0, "end": 7, "entity": "Novatek"}]


def test_names_that_do_not_count_are_told(wirewatch: Run) -> None:
    shown = wirewatch("explain", "Lamine Yamal scores twice")
    assert "not counted within a phrase to ignore: “Yamal”" in shown.stdout
    assert "yes" not in shown.stdout


def test_an_empty_headline_is_a_mistake_of_the_command_line(wirewatch: Run) -> None:
    assert wirewatch("explain", " ").returncode == 2


def test_topics_are_measured_as_json(wirewatch: Run, tmp_path: Path) -> None:
    shown = wirewatch("evaluate", "topics", labelled(tmp_path), "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert set(told["topics"]) == {"iran", "russia_energy", "tech_deals"}
    assert told["topics"]["iran"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    assert told["edge"]["iran"]["recall"] == 0.0
    assert told["rows"] == 5


def test_one_headline_is_one_and_topics_without_any_are_not_scored(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps(ROWS[0]))
    shown = wirewatch("evaluate", "topics", str(tmp_path / "one.jsonl")).stdout
    assert "1 headline, 0 of them edge;" in shown
    assert ["iran", "edge", "-", "-", "-", "0"] in [line.split() for line in shown.splitlines()]


def test_a_change_of_the_taxonomy_shows_what_it_breaks(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    rows, kept = labelled(tmp_path), str(tmp_path / "before.json")
    assert wirewatch("evaluate", "topics", rows, "--save-baseline", kept).returncode == 0
    assert wirewatch("evaluate", "topics", rows, "--baseline", kept).returncode == 0
    iran = tmp_path / "taxonomy" / "iran.yaml"
    iran.write_text(iran.read_text().replace("name: Tehran", "name: Theran"))
    changed = wirewatch("evaluate", "topics", rows, "--baseline", kept)
    assert changed.returncode == 1
    assert "1 broken, 0 mended" in changed.stdout
    assert "- iran  Tehran names a new minister" in changed.stdout
    told = json.loads(wirewatch("evaluate", "topics", rows, "--baseline", kept, "--json").stdout)
    assert [miss["headline"] for miss in told["baseline"]["broken"]] == ["Tehran names a new minister"]
    assert told["baseline"]["topics"]["iran"]["f1"] == 1.0


def test_what_is_no_baseline_is_refused(wirewatch: Run, tmp_path: Path) -> None:
    rows = labelled(tmp_path)
    refused = wirewatch("evaluate", "topics", rows, "--baseline", rows)
    assert refused.returncode == 3
    assert "is no baseline" in refused.stderr
    assert wirewatch("evaluate", "topics", rows, "--baseline", str(tmp_path / "none.json")).returncode == 3
    unwritten = wirewatch("evaluate", "topics", rows, "--save-baseline", str(tmp_path))
    assert unwritten.returncode == 4
    assert f"{tmp_path} cannot be written: Is a directory" in unwritten.stderr


def test_the_taxonomy_of_a_new_project_is_in_order(wirewatch: Run) -> None:
    wirewatch("init")
    checked = wirewatch("topics", "check", "--json")
    assert checked.returncode == 0, checked.stdout
    assert [topic["topic"] for topic in json.loads(checked.stdout)["topics"]] == ["iran", "russia_energy", "tech_deals"]


def test_a_test_of_a_topic_that_fails_is_told_with_its_line(wirewatch: Run, tmp_path: Path) -> None:
    file = tmp_path / "rivers.yaml"
    file.write_text(
        "topic: rivers\ntitle: Rivers\nentities: {rivers: [Rhine]}\n"
        "conditions: [{name: a river, any: [rivers]}]\ntests:\n  match: [Barges on the Danube]\n"
    )
    checked = wirewatch("topics", "check", str(file))
    assert checked.returncode == 1
    assert "rivers.yaml:6:11: `Barges on the Danube` should match rivers, and does not" in checked.stderr
    file.write_text("topic: rivers\ntitel: Rivers\n")
    assert wirewatch("topics", "check", str(file)).returncode == 3
