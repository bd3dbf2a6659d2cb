"""The main job, as a newcomer runs it."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import Run

pytestmark = pytest.mark.services


def test_the_demo_ends_with_everything_accounted_for(wirewatch: Run) -> None:
    ended = wirewatch("demo", "--json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    headlines, alerts = report["headlines"], report["alerts"]
    assert report["ok"] is True
    assert headlines["in"] == headlines["unique"] + headlines["dropped"] + headlines["invalid"] > 20
    assert headlines["dropped"] >= 3
    assert alerts["decided"] == alerts["delivered"] > 5
    topics = {match["topic"] for alert in report["webhooks"] for match in alert["headline"].get("topics", ())}
    assert topics == {"iran", "russia_energy", "tech_deals"}
    for alert in report["webhooks"]:
        text = alert["headline"]["headline"]["headline"]
        for span in alert["rule"]["matched"]:
            assert text[span["start"] : span["end"]] == span["text"]


def test_the_demo_shows_topic_rule_and_words(wirewatch: Run) -> None:
    ended = wirewatch("demo")
    assert ended.returncode == 0, ended.stderr
    assert "topic iran · rule " in ended.stdout
    assert "fired by " in ended.stdout
    assert "in = out" in ended.stdout
