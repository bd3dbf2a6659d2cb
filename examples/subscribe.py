"""Reads the topic `alerts` as any program may: `python subscribe.py HOST:PORT`. Needs `pip install aiokafka`."""

from __future__ import annotations

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer


async def main(servers: str) -> None:
    """Print every alert from now on."""
    consumer = AIOKafkaConsumer("alerts", bootstrap_servers=servers)
    await consumer.start()
    try:
        async for record in consumer:
            alert = json.loads(record.value)
            words = [span["text"] for span in alert["rule"].get("matched", ())]
            print(alert["rule"]["name"], words, alert["headline"]["headline"]["headline"])
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
