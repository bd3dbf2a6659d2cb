"""``wirewatch rules``, as an analyst meets it at the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.acceptance.conftest import Run


def test_the_tests_of_the_starter_pass(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    tested = wirewatch("rules", "test", "--junit", "report.xml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed, 0 failed" in tested.stdout
    assert "rules have no test in which it fires" in tested.stdout
    assert ET.parse(tmp_path / "report.xml").getroot().get("tests") == "3"
    report = json.loads(wirewatch("rules", "test", "--json").stdout)
    shown = {"iran-oil", "tankers-at-risk", "iran-nuclear"}
    assert shown.isdisjoint([*report["without_positive"], *report["without_negative"]])
    assert wirewatch("rules", "test", "--strict").returncode == 1
    unwritten = wirewatch("rules", "test", "--junit", "nowhere/report.xml")
    assert unwritten.returncode == 4
    assert "nowhere/report.xml cannot be written: there is no folder nowhere" in unwritten.stderr


def test_a_test_that_fails_says_why(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    test = tmp_path / "rules" / "oil_test.yaml"
    test.write_text("tests: [{headlines: [{headline: Oil prices fall, alerts: [iran-oil]}]}]\n")
    failed = wirewatch("rules", "test", "rules/oil_test.yaml")
    assert failed.returncode == 1
    assert "rules/oil_test.yaml:1:59: `iran-oil` does not fire" in failed.stdout
    assert "`topic:iran`: there is no topic" in failed.stdout
    report = json.loads(wirewatch("rules", "test", "--json").stdout)
    assert [row["ok"] for row in report["tests"]] == [True, True, True, False]
    test.write_text("tests: [{headlines: [{headline: Oil prices fall, alerts: [iran-oli]}]}]\n")
    refused = wirewatch("rules", "test")
    assert refused.returncode == 3
    assert "did you mean `iran-oil`?" in refused.stderr


def test_rules_of_the_starter_are_clean(wirewatch: Run, tmp_path: Path) -> None:
    wirewatch("init")
    linted = wirewatch("rules", "lint")
    assert linted.returncode == 0, linted.stdout
    assert "11 rules, 0 warnings" in linted.stdout
    headlines = [f'{{"headline": "Iran ships oil, {n}", "published": "2026-03-0{n}T12:00:00Z"}}' for n in range(1, 7)]
    (tmp_path / "past.jsonl").write_text("\n".join(headlines))
    priced = json.loads(wirewatch("rules", "lint", "--history", "past.jsonl", "--json").stdout)
    assert priced["prices"][0]["rule"] == "iran-oil"
    assert priced["prices"][0]["alerts"] == 6
    assert priced["history"]["days"] == 5.0
    assert [finding["code"] for finding in priced["findings"] if finding["rule"] == "iran-oil"] == ["broad"]


def test_the_linter_finds_what_is_wrong(wirewatch: Run, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "lists: {gulf: [ira*, hormuz]}\nrules:\n  - {name: a, when: '@gulf AND oil', channels: [x]}\n"
        "  - {name: b, when: money:>1bn, channels: [x]}\n"
    )
    linted = wirewatch("rules", "lint", "r.yaml")
    assert linted.returncode == 1
    assert "warning r.yaml:3:12: a `ira*` has fewer than 4 letters beside its wildcard (wildcard)" in linted.stdout
    assert "warning r.yaml:4:12: b requires no word, and is compared with every headline (unindexed)" in linted.stdout
    assert wirewatch("rules", "lint", "r.yaml", "--history", "nowhere.jsonl").returncode == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_an_interrupt_the_price_so_far_is_told(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "r.yaml").write_text("rules: [{name: ferries, when: ferry, channels: [x]}]\n")
    with (tmp_path / "past.jsonl").open("w") as file:
        for n in range(20_000):
            row = {"headline": f"Port {n % 89} sees ferry {n}", "published": 1_770_000_000 + n, "source": "a.example"}
            file.write(json.dumps(row) + "\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    # As the command, but it says when it has begun to send, and then takes its time.
    program = (
        "import sys, time, streams.backtest.lint as lint\n"
        "from streams.cli import app\n"
        "send = lint.Replay._send\n"
        "def told(replay, candidate):\n"
        "    send(replay, candidate)\n"
        "    if candidate.id == '100': print('sending', file=sys.stderr, flush=True)\n"
        "    if int(candidate.id) > 100: time.sleep(0.01)\n"
        "lint.Replay._send = told\n"
        "app(['rules', 'lint', 'r.yaml', '--history', 'past.jsonl', '--json'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "sending\n"
    process.send_signal(number)
    shown, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    found = json.loads(shown)
    assert found["history"]["interrupted"] is True
    assert 100 < found["history"]["headlines"] < 20_000
    assert 0 < found["prices"][0]["alerts"] <= found["history"]["headlines"]
    assert "interrupted" in told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["iran-oil", "Iran ships oil"], 0, "iran-oil fires"),
        (["iran-oil", "Iran ships gas"], 1, "oil — the headline has no `oil` (or any of crude"),
        (["iran-oli", "Iran ships gas"], 2, ""),
        (["iran-oil", " "], 2, ""),
        (["iran-oil", "Iran", "--kind", "second"], 2, ""),
    ],
)
def test_explain_a_rule(wirewatch: Run, arguments: list[str], code: int, told: str) -> None:
    wirewatch("init")
    ended = wirewatch("rules", "explain", *arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert told in ended.stdout
    if code < 2:
        shown = json.loads(wirewatch("rules", "explain", *arguments, "--json").stdout)
        assert shown["fires"] == (code == 0)


def test_the_schema_is_json_schema(wirewatch: Run) -> None:
    schema = json.loads(wirewatch("rules", "schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"name", "when", "story", "expiry", "stage"} <= schema["$defs"]["RuleModel"]["properties"].keys()


def test_explain_takes_a_rule(wirewatch: Run) -> None:
    assert wirewatch("init").returncode == 0
    told = wirewatch("explain", "Tanker of Iranian crude seized", "--rule", "iran-oil", "--json")
    assert (told.returncode, json.loads(told.stdout)["fires"]) == (0, True)
    assert wirewatch("explain", "Ferry late again", "--rule", "iran-oil").returncode == 1
    refused = wirewatch("explain", "A", "B", "--rule", "iran-oil")
    assert (refused.returncode, "one headline" in refused.stderr) == (2, True)
