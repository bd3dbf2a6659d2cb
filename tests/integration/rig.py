"""A pipeline of its own in the session's Kafka and Redis: what the tests of whole workers share."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer

from alerts.receiver import Receiver
from streams.worker.app import Plan, Worker
from streams.worker.history import read_tail
from streams.worker.tally import count
from streams.worker.topics import Topics

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WINDOW = timedelta(hours=72)
FOREVER = 10**12

TAXONOMY = """
topic: ships
title: Ships
description: Ships and ports.
threshold: 0.5
entities:
  vessels: [tanker, ferry]
conditions:
  - {name: a vessel, any: [vessels], weight: 0.9}
"""


@dataclass
class Pipeline:
    """One pipeline of its own, in the session's Kafka and Redis."""

    plan: Callable[[], Plan]
    topics: Topics
    group: str
    client: dict[str, str]
    receiver: Receiver

    async def produce(self, values: Sequence[tuple[int, bytes, str | None]]) -> None:
        """Put (partition, value, id) onto headlines.raw."""
        producer = AIOKafkaProducer(**self.client, acks="all", linger_ms=1)
        await producer.start()
        for partition, value, name in values:
            headers = [("id", name.encode())] if name else []
            await producer.send(self.topics.raw, value, partition=partition, headers=headers)
        await producer.stop()

    async def records(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) async for _, value in read_tail(self.client, [topic], FOREVER)]

    async def drained(self, expected: int) -> None:
        """Wait until so many raw records, and all that came of them, are through."""
        async with asyncio.timeout(120):  # a machine may be busy
            while True:
                tally = await count(self.client, self.topics, self.group, now=datetime.now(UTC))
                if tally.read >= expected and tally.finished:
                    return
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def workers(self, number: int = 1) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(Worker(self.plan()).run(stop=stop)) for _ in range(number)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


def raw(text: str, published: str = "2026-03-01T12:00:00Z") -> bytes:
    return json.dumps({"headline": text, "published": published, "source": "example.com"}).encode()


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.05)
