"""`wirewatch evaluate duplicates` and `wirewatch explain`, as a person and a program meet them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run

PAIRS = [
    {
        "a": "At least 24 killed in Orvana mine blast",
        "b": "Orvana mine blast kills at least 46",
        "label": "update",
        "date_a": "2026-03-01T12:00:00Z",
        "date_b": "2026-03-01T15:00:00Z",
    },
    {"a": "Norda to close Lissom plant in 2027", "b": "NORDA TO CLOSE LISSOM PLANT IN 2027", "label": "duplicate"},
    {"a": "Norda to close Lissom plant", "b": "Tesk farmers block motorway over milk price", "label": "different"},
    # Labelled wrong on purpose: what is missed is listed.
    {"id": "p4", "a": "Prince Alder sues [tabloid]", "b": "Quake strikes eastern Tesk", "label": "duplicate"},
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS) + "\n")
    return file


def test_scores_and_misses_are_told_to_a_person(wirewatch: Run, pairs: Path) -> None:
    shown = wirewatch("evaluate", "duplicates", pairs.name)
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["duplicate", "1.000", "0.500", "0.667", "2"] in lines
    assert ["update", "1.000", "1.000", "1.000", "1"] in lines
    assert ["different", "0.500", "1.000", "0.667", "1"] in lines
    assert "macro F1 0.778, updates suppressed 0.0%, 4 pairs" in shown.stdout
    assert "misses, 1 of 1" in shown.stdout
    assert "duplicate, taken for different" in shown.stdout
    assert "    Prince Alder sues [tabloid]\n    Quake strikes eastern Tesk\n" in shown.stdout


def test_how_many_misses_are_listed_can_be_said(wirewatch: Run, pairs: Path) -> None:
    assert "misses" not in wirewatch("evaluate", "duplicates", pairs.name, "--show", "0").stdout
    assert "misses, 1 of 1" in wirewatch("evaluate", "duplicates", pairs.name, "--show", "-1").stdout


def test_scores_are_there_for_programs(wirewatch: Run, pairs: Path) -> None:
    shown = wirewatch("evaluate", "duplicates", pairs.name, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["duplicate"] == {"precision": 1.0, "recall": 0.5, "f1": 0.6667}
    assert set(found["three_way"]) == {"macro_f1", "duplicate", "update", "different"}
    assert found["three_way"]["update"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    assert found["three_way"]["macro_f1"] == 0.7778
    assert (found["updates_suppressed"], found["rows"]) == (0.0, 4)
    assert found["confusion"]["duplicate"] == {"duplicate": 1, "different": 1}
    [miss] = found["misses"]
    assert (miss["id"], miss["label"], miss["said"]) == ("p4", "duplicate", "different")


def test_an_update_that_would_be_lost_is_told_first(wirewatch: Run, tmp_path: Path) -> None:
    same = {"a": "Norda to close Lissom plant", "b": "Norda to close Lissom plant", "label": "update"}
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(pair) for pair in [*PAIRS, same]))
    found = json.loads(wirewatch("evaluate", "duplicates", "p.jsonl", "--json").stdout)
    assert found["updates_suppressed"] == 0.5
    assert [miss["said"] for miss in found["misses"]] == ["duplicate", "different"]


def test_a_compressed_file_is_read(wirewatch: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(pairs.read_bytes()))
    plain, packed = (
        wirewatch("evaluate", "duplicates", name, "--json").stdout for name in ("pairs.jsonl", "p.jsonl.gz")
    )
    assert json.loads(plain) == json.loads(packed)


def test_the_settings_decide_what_counts(wirewatch: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text("dedupe: {stories: false}\n")
    found = json.loads(wirewatch("evaluate", "duplicates", pairs.name, "--json").stdout)
    assert found["three_way"]["update"]["recall"] == 0
    assert found["duplicate"]["recall"] == 0.5


def test_every_bad_line_is_told_with_its_place_and_what_is_meant(wirewatch: Run, tmp_path: Path) -> None:
    lines = [
        json.dumps(PAIRS[0]).encode(),
        b"nonsense",
        b'{"a": "x", "b": "y", "label": "same"}',
        b"",
        b'{"a": "x", "label": "update"}',
        b'{"a": "caf\xe9", "b": "y", "label": "update"}',
        b'{"a": "x", "b": "y", "label": "update", "date_a": "the other day"}',
        b"[1, 2]",
    ]
    (tmp_path / "p.jsonl").write_bytes(b"\n".join(lines))
    refused = wirewatch("evaluate", "duplicates", "p.jsonl")
    assert refused.returncode == 3
    assert [line for line in refused.stderr.splitlines() if line.startswith("p.jsonl:")] == [
        line for line in refused.stderr.splitlines() if ": is not labelled as it should be: " in line
    ]
    for number in (2, 3, 5, 6, 7, 8):
        assert f"p.jsonl:{number}:1: is not labelled as it should be: " in refused.stderr
    assert "6 problems" in refused.stderr
    assert "`label` is never 'same'" in refused.stderr
    assert "$." not in refused.stderr
    assert '"duplicate", "update" or "different"' in refused.stderr
    assert "Traceback" not in refused.stderr
    told = json.loads(wirewatch("evaluate", "duplicates", "p.jsonl", "--json").stdout)
    assert (told["ok"], len(told["problems"]), told["count"]) == (False, 6, 6)


def test_of_a_file_that_is_the_wrong_one_the_first_lines_are_told(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong.jsonl").write_text('{"id": 1}\n' * 3_000)
    refused = wirewatch("evaluate", "duplicates", "wrong.jsonl")
    lines = refused.stderr.splitlines()
    assert (len(lines), lines[-2:]) == (42, ["and 2,980 more", "3,000 problems"])
    told = json.loads(wirewatch("evaluate", "duplicates", "wrong.jsonl", "--json").stdout)
    assert (len(told["problems"]), told["problems"][-1]["line"], told["count"]) == (20, 20, 3_000)


def test_a_relation_that_no_pair_has_and_that_was_never_said_is_not_scored(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps(PAIRS[1]))
    shown = wirewatch("evaluate", "duplicates", "p.jsonl").stdout
    assert ["update", "-", "-", "-", "0"] in [line.split() for line in shown.splitlines()]
    assert "macro F1 1.000, updates suppressed 0.0%, 1 pair\n" in shown
    told = json.loads(wirewatch("evaluate", "duplicates", "p.jsonl", "--json").stdout)
    assert told["three_way"]["macro_f1"] == 1.0
    assert told["three_way"]["update"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "p.jsonl: holds no pair"),
        (b"\n \n", "p.jsonl: holds no pair"),
        (gzip.compress(b'{"a": "x"' * 999, mtime=0)[:-9], "p.jsonl: is damaged"),
        (None, "p.jsonl: cannot be read: No such file or directory"),
    ],
)
def test_a_file_without_pairs_is_refused(wirewatch: Run, tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "p.jsonl").write_bytes(content)
    refused = wirewatch("evaluate", "duplicates", "p.jsonl")
    assert refused.returncode == 3
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_is_no_file_of_pairs(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    refused = wirewatch("evaluate", "duplicates", "pairs")
    assert refused.returncode == 3
    assert "pairs: cannot be read: Is a directory" in refused.stderr


def test_two_headlines_are_explained_to_a_person(wirewatch: Run) -> None:
    shown = wirewatch("explain", "24 killed in Orvana mine [blast]", "Orvana mine blast kills 46", "--apart", "3h")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("B is an update of its story: the figures differ: 46 dead, was 24 dead\n")
    assert "(3 h apart)" in shown.stdout
    for heading in ("both", "names in A", "figures in A", "contradict", "what counted"):
        assert f"\n{heading}" in shown.stdout
    assert "24 dead and 46 dead" in shown.stdout


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("Norda to close Lissom plant", "NORDA TO CLOSE LISSOM PLANT", "a duplicate: equal after normalising"),
        ("Norda to close Lissom plant", "CORRECTED-Norda to close Lissom plant", "an update of its story"),
        ("Norda to close Lissom plant", "Tesk farmers block motorway", "the first of another story"),
    ],
)
def test_the_verdict_is_told_first(wirewatch: Run, one: str, other: str, told: str) -> None:
    assert wirewatch("explain", one, other).stdout.startswith(f"B is {told}")


def test_two_headlines_are_explained_to_a_program(wirewatch: Run) -> None:
    shown = wirewatch("explain", "24 killed in Orvana mine blast", "Orvana mine blast kills 46", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["verdict"] == "update"
    assert found["reason"] == "the figures differ: 46 dead, was 24 dead"
    assert sum(found["probability"].values()) == pytest.approx(1, abs=0.001)
    assert found["told"]["contradict"] == "24 dead and 46 dead"
    assert found["measurements"]["figures in conflict"]["value"] == 0.5


def test_whose_they_are_and_when_counts(wirewatch: Run) -> None:
    pair = ("Norda to close Lissom plant", "Norda says it will close Lissom plant")
    sources = ("--source", "a.example", "--source", "a.example")
    same = json.loads(wirewatch("explain", *pair, *sources, "--json").stdout)
    assert same["measurements"]["same source"]["value"] == 1
    late = json.loads(wirewatch("explain", *pair, "--apart", "4d", "--json").stdout)
    assert (late["verdict"], late["reason"]) == ("first", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["A storm", "  "], 'a headline is empty give one or two: wirewatch explain "A" "B"'),
        (["", "A storm"], "a headline is empty"),
        (["A storm", "Storm", "--apart", "soon"], "--apart soon:"),
        (["A storm", "Storm", "--apart", "soon"], "write 20m, 3h or 2d"),
        (["A storm", "Storm", "--apart", "-3h"], "--apart -3h:"),
    ],
)
def test_what_cannot_be_explained_is_told_plainly(wirewatch: Run, arguments: list[str], told: str) -> None:
    ended = wirewatch("explain", *arguments)
    assert ended.returncode == 2
    assert told in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr
