"""Quix Streams, doing nothing: a streaming dataframe over the topic, values left as bytes."""

from __future__ import annotations

import importlib
import logging
import sys
import tempfile
import time
from typing import Any


def main(servers: str, topic: str, count: int) -> None:
    """Print the seconds from the first of ``count`` records to the last."""
    quix: Any = importlib.import_module("quixstreams")  # of another environment, so no import for type checkers
    began, ended, seen = 0.0, 0.0, 0

    def nothing(_: bytes) -> None:
        nonlocal began, ended, seen
        began = began or time.perf_counter()
        seen += 1
        if seen == count:
            ended = time.perf_counter()

    app = quix.Application(
        broker_address=servers,
        consumer_group=f"quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=tempfile.mkdtemp(),
        loglevel=logging.ERROR,
    )
    app.dataframe(app.topic(topic, value_deserializer="bytes")).update(nothing)
    app.run(count=count, timeout=30)
    print(ended - began)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
