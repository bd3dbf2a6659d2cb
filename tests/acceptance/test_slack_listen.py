"""``wirewatch slack listen`` in a process of its own: a click becomes a silence, or a record of ``feedback``."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.slack.card import Card, Line, Reason
from alerts.slack.message import MUTE_STORY, USEFUL, card_message
from streams.cli import app
from streams.worker.history import read_tail
from tests.standins.slack import DESK, SIGNING_SECRET, Message, Slack
from tests.unit.alerts.conftest import PUBLISHED

LINE = Line(headline_id="h-1", seq=1, text="Ferries [resume]", published=PUBLISHED, received=PUBLISHED, source="wire")
CARD = Card(
    story_id="st-1",
    lines=(LINE,),
    reasons=(Reason(name="oil", title="Oil", severity="low", seq=1),),
    told=("al_1",),
    seqs=(1,),
)
FOREVER = 10**12


@dataclass
class Project:
    folder: Path
    name: str
    kafka: dict[str, str]

    def write(self, channels: str, servers: str, redis_url: str) -> None:
        (self.folder / "channels.yaml").write_text(f"channels: {{desk: {channels}}}", "utf-8")
        (self.folder / "wirewatch.yaml").write_text(
            f"kafka: {{bootstrap_servers: '{servers}', topic_prefix: '{self.name}.'}}\n"
            f"redis: {{url: '{redis_url}', prefix: '{self.name}'}}\n",
            "utf-8",
        )

    @contextmanager
    def listening(self) -> Iterator[tuple[subprocess.Popen[str], int]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "slack", "listen", "--port", "0"],
            cwd=self.folder,
            env={**os.environ, "T": "xoxb-hunter2", "S": SIGNING_SECRET},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)/slack/actions for desk", line):
                    yield process, int(found[1])
                    return
            pytest.fail("it does not listen")
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def project(tmp_path: Path, kafka_client: dict[str, str]) -> Project:
    return Project(tmp_path, f"s{secrets.token_hex(3)}", kafka_client)


def test_clicks_become_silences_and_feedback(project: Project, redis_url: str) -> None:
    shown = card_message(CARD, channel="desk")
    with Slack() as slack:
        project.write(
            "{type: slack, token: env:T, channel: '#desk', signing_secret: env:S, allow_private: [127.0.0.0/8]}",
            project.kafka["bootstrap_servers"],
            redis_url,
        )
        with project.listening() as (process, port):
            for button in (MUTE_STORY, USEFUL):
                message = Message(DESK, "1.1", shown["text"], shown["blocks"])
                headers, body = slack.click(message, button, at=time.time())
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("POST", "/slack/actions", body=body, headers=headers)
                assert connection.getresponse().status == 200
                connection.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert len(slack.responses) == 2, "whoever clicked was told before it ended"
    listed = CliRunner().invoke(app, ["silence", "list", "--json", "--config", str(project.folder / "wirewatch.yaml")])
    (silence,) = json.loads(listed.stdout)
    assert (silence["query"], silence["by"]) == ('story:"st-1" AND channel:"desk"', "ann")

    async def said() -> list[bytes]:
        return [value async for _, value in read_tail(project.kafka, [f"{project.name}.feedback"], FOREVER)]

    (record,) = map(json.loads, asyncio.run(said()))
    assert (record["useful"], record["headline"], record["by"]) == (True, "Ferries [resume]", "ann")


@pytest.mark.parametrize(
    ("channel", "code", "said"),
    [
        ("{type: stdout}", 2, "no channel has buttons"),
        (
            "{type: slack, token: env:T, channel: '#desk', signing_secret: env:NONE}",
            3,
            "channel `desk`: `signing_secret`: the environment variable NONE is not set",
        ),
        (
            "{type: slack, token: env:T, channel: '#desk', signing_secret: env:S, tls: {ca_file: nowhere.pem}}",
            3,
            "channel `desk`: `tls.ca_file`: ",
        ),
    ],
)
def test_without_a_secret_it_says_what_is_missing(
    project: Project, channel: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", SIGNING_SECRET)
    project.write(channel, "127.0.0.1:1", "redis://127.0.0.1:1")
    result = CliRunner().invoke(app, ["slack", "listen", "--config", str(project.folder / "wirewatch.yaml")])
    assert result.exit_code == code
    assert said in result.stderr
