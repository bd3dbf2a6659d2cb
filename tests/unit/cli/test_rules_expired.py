"""What is said of a rule that is over, and of one that is about other headlines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app

RULES = """
rules:
  - {name: over, when: iran, channels: [desk], expiry: 2020-01-01}
  - {name: news, when: iran, channels: [archive], story: first, expiry: 2999-12-31}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / "channels.yaml").write_text("channels: {desk: {type: stdout}, archive: {type: stdout}}", "utf-8")
    (tmp_path / "wirewatch.yaml").write_text("rules: [rules.yaml]\n", "utf-8")


def told(*arguments: str, ending: int = 0) -> str:
    done = CliRunner().invoke(app, ["rules", *arguments])
    assert done.exit_code == ending, done.output
    return done.output


def test_check_and_lint_mention_a_rule_that_is_over() -> None:
    assert "over is over: it fires on no headline after 2020-01-01" in told("check")
    assert json.loads(told("check", "--json"))["expired"] == ["over"]
    found = json.loads(told("lint", "--json"))["findings"]
    assert [(one["rule"], one["code"]) for one in found] == [("over", "expired")]


def test_explain_names_only_what_bars_a_headline() -> None:
    shown = told("explain", "over", "Iran talks", ending=1)
    assert "Its query holds, but the rule is over: it fires on no headline after 2020-01-01\n" in shown
    shown = told("explain", "news", "Iran talks", "--kind", "update", ending=1)
    assert "the rule is about `story: first`, and the headline is an update" in shown
    assert "2999" not in shown
    barred = json.loads(told("explain", "over", "Iran talks", "--json", ending=1))["barred_by"]
    assert barred == ["the rule is over: it fires on no headline after 2020-01-01"]
    assert json.loads(told("explain", "news", "Iran talks", "--json"))["barred_by"] == []
