"""A stock Faust agent that does nothing, with the settings that help it most; values are left as bytes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time

import faust
import uvloop
from faust.types import StreamT


def main(servers: str, topic: str, count: int) -> None:
    """Print the seconds from the first of ``count`` records to the last, and exit."""
    app = faust.App(
        f"stock-{time.time_ns()}",
        broker=f"kafka://{servers}",
        broker_max_poll_records=5000,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16384,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        datadir=tempfile.mkdtemp(),
    )
    read = asyncio.Event()

    @app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw"))
    async def nothing(stream: StreamT[bytes]) -> None:
        began, seen = 0.0, 0
        async for _ in stream:
            began = began or time.perf_counter()
            seen += 1
            if seen == count:
                print(time.perf_counter() - began, flush=True)
                read.set()

    async def run() -> None:
        await app.start()
        await read.wait()
        os._exit(0)  # the figure is printed; Faust would take its time to stop

    uvloop.run(run())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
