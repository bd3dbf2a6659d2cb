"""``python -m tests.parity``; ``make parity`` starts it: the whole stream, live and replayed, and what differs."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from alerts.receiver import Receiver
from benchmarks.pipeline import Bed
from benchmarks.stream import headlines, name
from connectors import embedded
from connectors.embedded.process import choose_port
from streams.core.records import Headline
from tests.parity.parity import printed, run

#: Headlines of the paced run, and how many a second: few at once, as by day.
PACED, RATE = 4_000, 100


def main() -> None:
    """Run at full speed and paced, print the tables and all differences, and exit with 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--headlines", type=int, default=None, help="so many of the stream; all of it by default")
    parser.add_argument("--rate", type=int, default=None, help="these alone, so many a second")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that are made this moment have no leader yet
    stream = headlines(options.headlines)
    runs = [(stream, options.rate)] if options.rate else [(stream, None), (stream[:PACED], RATE)]
    differ = [_run(f"parity{number}", *run) for number, run in enumerate(runs)]
    if any(differ):
        sys.exit(1)


def _run(title: str, stream: Sequence[Headline], rate: int | None) -> bool:
    """Whether anything differs, which is printed. Each run has a Kafka and Redis of its own."""
    pace = f"{rate:,} a second" if rate else "all at once"
    print(f"{len(stream):,} headlines of {name()}, {pace}", flush=True)
    began = time.perf_counter()
    ports = [choose_port(None, [], service="parity") for _ in range(2)]
    with (
        tempfile.TemporaryDirectory(prefix="wirewatch-parity-") as folder,
        embedded.start(Path(folder), kafka_port=ports[0], redis_port=ports[1], progress=print) as services,
        Receiver() as receiver,
    ):
        outcome = run(Bed(services, receiver, Path(folder)), title, stream, rate)
    print(f"\n{printed(outcome)}\n\n{time.perf_counter() - began:.0f} s\n", flush=True)
    return bool(outcome.differences)


if __name__ == "__main__":
    main()
