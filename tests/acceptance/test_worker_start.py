"""What keeps a worker, or `slack listen`, from starting is told plainly, and where a worker writes."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.standins.slack import SIGNING_SECRET

pytestmark = pytest.mark.services

CHANNELS = "channels: {desk: {type: slack, token: env:T, channel: '#desk', signing_secret: env:S}}\n"
RULES = "rules: [{name: harbours, when: harbour, channels: [desk]}]\n"


@pytest.fixture
def desk(tmp_path: Path, kafka_client: dict[str, str], redis_url: str) -> Path:
    """A project with a name of its own in Kafka and Redis."""
    name = f"start{secrets.token_hex(3)}"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "harbours.yaml").write_text(RULES)
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    (tmp_path / "wirewatch.yaml").write_text(
        f"kafka: {{bootstrap_servers: '{kafka_client['bootstrap_servers']}', topic_prefix: '{name}.', group: {name}}}\n"
        f"redis: {{url: '{redis_url}', prefix: '{name}'}}\n"
    )
    return tmp_path


def started(desk: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command that is to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "streams", *command],
        cwd=desk,
        env={**clean, "T": "xoxb-hunter2", "S": SIGNING_SECRET, "COLUMNS": "200", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_data_folder_that_cannot_be_made_is_told_with_the_way_out(desk: Path) -> None:
    file = desk / "wirewatch.yaml"
    ended = started(desk, "worker", WIREWATCH_DATA_DIR=str(file / "data"))
    assert ended.returncode == 4
    assert f"the data folder {file}/data cannot be written: Not a directory" in ended.stderr
    assert "set data_dir, or WIREWATCH_DATA_DIR, to a folder that this user may write to" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [("worker",), ("slack", "listen", "--port", "0")])
def test_topics_that_kafka_refuses_to_make_are_told(desk: Path, command: tuple[str, ...]) -> None:
    ended = started(desk, *command, WIREWATCH_KAFKA__REPLICATION="3")
    assert ended.returncode == 4
    assert "Kafka did not make the topics: " in ended.stderr
    assert "InvalidReplicationFactorError" in ended.stderr
    assert "`wirewatch doctor` shows more" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_writes_nothing_into_the_folder_of_its_project_where_its_data_lie_elsewhere(
    desk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = sorted(desk.rglob("*"))
    data = tmp_path_factory.mktemp("data")
    program = (
        "import os, signal, threading\n"
        "from pathlib import Path\n"
        "from streams.cli import worker\n"
        "threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "worker.run(Path('wirewatch.yaml'))\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=desk,
        env={**clean, "T": "t", "S": SIGNING_SECRET, "WIREWATCH_DATA_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(desk.rglob("*")) == there
    assert (data / "faust").is_dir()
