"""``python -m tests.parity``; ``make parity`` starts it: the whole stream, live and replayed, and what differs."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from alerts.receiver import Receiver
from benchmarks.pipeline import Bed
from benchmarks.stream import headlines, name
from connectors import embedded
from connectors.embedded.process import choose_port
from tests.parity.parity import printed, run


def main() -> None:
    """Run, print the table and all differences, and exit with 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--headlines", type=int, default=None, help="so many of the stream; all of it by default")
    parser.add_argument("--rate", type=int, default=None, help="so many a second; all at once by default")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that are made this moment have no leader yet
    stream = headlines(options.headlines)
    print(f"{len(stream):,} headlines of {name()}", flush=True)
    began = time.perf_counter()
    ports = [choose_port(None, [], service="parity") for _ in range(2)]
    with (
        tempfile.TemporaryDirectory(prefix="wirewatch-parity-") as folder,
        embedded.start(Path(folder), kafka_port=ports[0], redis_port=ports[1], progress=print) as services,
        Receiver() as receiver,
    ):
        outcome = run(Bed(services, receiver, Path(folder)), "parity", stream, options.rate)
    print(f"\n{printed(outcome)}\n\n{time.perf_counter() - began:.0f} s")
    if outcome.differences:
        sys.exit(1)


if __name__ == "__main__":
    main()
