"""A short run of faults of every kind, on a Kafka and a Redis of its own; the long run is ``make faults``."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import embedded
from tests.faults.bench import bench, free_port
from tests.faults.nemesis import (
    BadReceiver,
    EmptyRedis,
    KillAtStep,
    KillBroker,
    KillRedis,
    Pause,
    RebalanceStorm,
)
from tests.faults.run import run

pytestmark = pytest.mark.services

SEED = 20260301


async def test_no_headline_and_no_alert_is_lost_whatever_fails(tmp_path: Path) -> None:
    with (
        embedded.Redis(tmp_path, progress=print) as redis,
        embedded.Kafka(tmp_path, port=free_port(), progress=print) as kafka,
    ):
        async with bench(
            seed=SEED,
            folder=tmp_path,
            bootstrap_servers=kafka.bootstrap_servers,
            redis_url=redis.url,
            kafka=kafka,
            redis=redis,
        ) as stage:
            outcome = await run(
                stage,
                [
                    [KillAtStep("deduplicate:decided"), BadReceiver("500")],
                    [KillAtStep("alert:published"), BadReceiver("hangs")],
                    [Pause(), BadReceiver("429")],
                    [KillBroker(), BadReceiver("resets")],
                    [KillAtStep("outbox:posted")],
                    [KillRedis(), BadReceiver("too slow")],
                    [EmptyRedis(), BadReceiver("gone", 0.5)],
                    [RebalanceStorm()],
                ],
            )
    print(outcome.table())
    assert not outcome.findings, "\n".join(outcome.findings[:20])
    assert outcome.verdict.alerts > 100
    assert outcome.bench.counts["steps at which a worker died"] >= 3
