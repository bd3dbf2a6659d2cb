"""Bytewax, doing nothing: a dataflow from Kafka that counts, a batch at a time."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any


def main(servers: str, topic: str, count: int) -> None:
    """Print the seconds from the first of ``count`` records to the last."""
    operators: Any = importlib.import_module("bytewax.operators")  # of another environment: see quix_streams.py
    kafka: Any = importlib.import_module("bytewax.connectors.kafka")
    dataflow: Any = importlib.import_module("bytewax.dataflow")
    testing: Any = importlib.import_module("bytewax.testing")
    began, seen = 0.0, 0

    def nothing(batch: list[Any]) -> list[Any]:
        nonlocal began, seen
        began = began or time.perf_counter()
        seen += len(batch)
        if seen == count:
            print(time.perf_counter() - began, flush=True)
            os._exit(0)
        return []

    flow = dataflow.Dataflow("nothing")
    records = operators.input("read", flow, kafka.KafkaSource([servers], [topic], tail=False, batch_size=1000))
    operators.inspect("show", operators.flat_map_batch("nothing", records, nothing), lambda *_: None)
    testing.run_main(flow)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
