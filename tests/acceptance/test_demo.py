"""The main job, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

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
    channels = report["channels"]
    assert sum(len(channel["decided"]) for channel in channels.values()) == alerts["decided"]
    for channel in channels.values():
        assert channel["decided"] == channel["arrived"] != []
    assert sorted(alert["alert_id"] for alert in report["webhooks"]) == channels["desk"]["decided"]
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
    assert "compared by their ids" in ended.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_interrupted_tells_how_far_it_came(tmp_path: Path, number: int, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streams", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        process.stderr.readline()  # "Starting Redis ..."
        process.send_signal(number)
        told, complaints = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert "interrupted after" in told
    assert "0 headlines sent and 0 alerts at the desk's webhook" in told
    assert "Traceback" not in complaints
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
