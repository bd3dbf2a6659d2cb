"""The checker is worth what it catches: pipelines that break a promise on purpose must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bench import bench
from tests.faults.nemesis import KillAtStep
from tests.faults.run import Outcome, run
from tests.faults.worker import Mutant

pytestmark = pytest.mark.services


async def killed_at(step: str, mutant: Mutant, folder: Path, bootstrap_servers: str, redis_url: str) -> Outcome:
    """A run of one worker that is killed once, at a step."""
    async with bench(
        seed=7, folder=folder, bootstrap_servers=bootstrap_servers, redis_url=redis_url, workers=1, mutant=mutant
    ) as stage:
        return await run(stage, [[KillAtStep(step, 5, seconds=45.0)]], lead=1.0, drain=45.0)


async def test_what_is_acknowledged_before_it_is_published_is_found_lost(
    tmp_path: Path, kafka_client: dict[str, str], redis_url: str
) -> None:
    outcome = await killed_at(
        "deduplicate:acknowledged", "ack-first", tmp_path, kafka_client["bootstrap_servers"], redis_url
    )
    assert outcome.bench.counts["steps at which a worker died"] == 1
    assert not any(outcome.tally.lag.values()), "what is missing may only be late"
    assert outcome.verdict.lost >= 1
    assert any(finding.startswith("lost: ") for finding in outcome.verdict.violations)


async def test_what_is_taken_for_a_repeat_of_itself_is_found_to_have_two_fates(
    tmp_path: Path, kafka_client: dict[str, str], redis_url: str
) -> None:
    outcome = await killed_at(
        "deduplicate:published", "forgets-positions", tmp_path, kafka_client["bootstrap_servers"], redis_url
    )
    assert outcome.bench.counts["steps at which a worker died"] == 1
    assert any(finding.endswith("is dropped and unique") for finding in outcome.verdict.violations)
