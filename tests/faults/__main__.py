"""The long run: ``python -m tests.faults --minutes 5 --brokers 3 --workers 3 --seed N``; ``make faults`` starts it."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from connectors import embedded
from tests.faults.bench import Bench, bench, free_port
from tests.faults.nemesis import STEPS, KillAtStep, at_random
from tests.faults.run import Moment, Outcome, run


def main() -> None:
    """Run, print the table, and exit with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults go on")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None, help="chooses load and faults; printed, to run them again")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix=f"wirewatch-faults-{seed}-"))
    outcome = asyncio.run(long_run(folder, seed, options.minutes, options.brokers, options.workers))
    print(outcome.table())
    if not outcome.findings:
        shutil.rmtree(folder)
        return
    print("\n".join(["", *outcome.findings[:50]]))
    (folder / "findings.txt").write_text("\n".join(outcome.findings), "utf-8")
    print(f"\n{len(outcome.findings)} findings (seed {seed}); logs and topics are kept in {folder}")
    sys.exit(1)


async def long_run(folder: Path, seed: int, minutes: float, brokers: int, workers: int) -> Outcome:
    """A run on a Kafka and a Redis of its own."""
    with (
        embedded.Redis(folder, progress=print) as redis,
        embedded.Kafka(folder, port=free_port() if brokers == 1 else None, brokers=brokers, progress=print) as kafka,
    ):
        async with bench(
            seed=seed,
            folder=folder,
            bootstrap_servers=kafka.bootstrap_servers,
            redis_url=redis.url,
            kafka=kafka,
            redis=redis,
            brokers=brokers,
            workers=workers,
        ) as stage:
            return await run(stage, moments(stage, minutes * 60), drain=120.0)


def moments(stage: Bench, seconds: float) -> Iterator[Moment]:
    """Faults at random, and now and then a worker's death at the next step of the protocol, until the time is up."""
    end = time.monotonic() + seconds
    steps = list(STEPS)
    stage.random.shuffle(steps)
    while time.monotonic() < end:
        if steps and stage.random.random() < 0.4:
            yield [KillAtStep(steps.pop())]
        else:
            yield at_random(stage.random)


if __name__ == "__main__":
    main()
