"""A worker in which something breaks that nobody foresaw: it says so, ends, and has lost nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.worker.app import CrashedError, Worker
from tests.integration.rig import Pipeline, raw

pytestmark = pytest.mark.services


class FaultError(Exception):
    """A fault of ours."""


@pytest.mark.parametrize(
    ("agent", "step", "part"),
    [
        ("deduplicate", "decided", "deduplicate"),
        pytest.param("classify", "consumed", "classify", marks=pytest.mark.long),
        pytest.param("deliver", "confirmed", "deliver's acknowledgements", marks=pytest.mark.long),
        ("outbox", "posted", "the dispatcher"),
    ],
)
async def test_an_unforeseen_error_is_logged_ends_the_worker_and_loses_nothing(
    pipeline: Pipeline, agent: str, step: str, part: str
) -> None:
    def fail(at_agent: str, at_step: str) -> None:
        if (at_agent, at_step) == (agent, step):
            raise FaultError("the observer stumbled")

    plan = dataclasses.replace(pipeline.plan(), on_step=fail)
    await pipeline.produce([(n % 4, raw(f"Tanker {n} held off Malta"), f"id{n}") for n in range(8)])
    with capture_logs() as logs:
        async with asyncio.timeout(30):
            with pytest.raises(CrashedError, match=part):
                await Worker(plan).run(stop=asyncio.Event())
    told = [entry for entry in logs if entry["log_level"] == "critical"]
    assert part in [entry["part"] for entry in told]
    assert all(entry["exc_info"].__traceback__ for entry in told)
    async with pipeline.workers():
        await pipeline.drained(8)
    assert len(await pipeline.records(pipeline.topics.unique)) >= 8
    assert len({post.id for post in pipeline.receiver.received}) == 8


CRASHING = """
import streams.worker.app as app

async def crash(worker):
    raise app.CrashedError("deduplicate failed")

app.run_until_signal = crash
from streams.cli import main
main()
"""


def test_the_command_ends_with_an_exit_code_of_its_own(
    kafka_client: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "streams", "init", "."], cwd=tmp_path, check=True, capture_output=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    ended = subprocess.run(
        [sys.executable, "-c", CRASHING, "worker"],
        cwd=tmp_path,
        env=environ
        | {
            "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": kafka_client["bootstrap_servers"],
            "WIREWATCH_KAFKA__TOPIC_PREFIX": "crash.",
            "WIREWATCH_REDIS__URL": redis_url,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 70, ended.stderr
