"""The least that a consumer in Python does: aiokafka's ``getmany``, thousands of records at a time."""

from __future__ import annotations

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer


async def read(servers: str, topic: str, count: int) -> float:
    """The seconds from the first of ``count`` records to the last."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        began, seen = 0.0, 0
        while seen < count:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).values():
                began = began or time.perf_counter()
                seen += len(records)
        return time.perf_counter() - began
    finally:
        await consumer.stop()


if __name__ == "__main__":
    print(asyncio.run(read(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
