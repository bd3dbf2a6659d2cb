"""Watches whether Kafka answers at all.

Each of Kafka's clients waits and asks again by itself, for minutes and without a word, where a broker keeps its
connections and does not answer. A look every few seconds, with a client of its own, tells of that within seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from alerts.outage import Outage
from streams.worker.agents import is_cancelled
from streams.worker.clients import started

#: Seconds from one look to the next, and how long Kafka may take to answer it.
EVERY, PATIENCE = 2.0, 3.0
#: Who has not answered for so long is told of, seconds: longer than a broker takes to hand over to another.
SILENT_FOR = 10.0


class KafkaWatch:
    """Tells the log where Kafka has not answered for some seconds, and where it answers again.

    ``ask`` returns when it has answered, and raises KafkaError, OSError or TimeoutError where it does not; ``seconds`` is
    a clock that never goes back.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], seconds: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answered = seconds()
        self._outage = Outage("Kafka")

    async def run(self) -> None:
        """Look until cancelled."""
        while not is_cancelled():
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once."""
        try:
            await self._ask()
        except (KafkaError, OSError, TimeoutError) as error:
            silent = self._seconds() - self._answered
            if silent >= SILENT_FOR:
                self._outage.begins(error, silent_for=round(silent))
        else:
            self._answered = self._seconds()
            self._outage.ends()


class AsksKafka:
    """Asks Kafka where one topic is, over a connection that it keeps as long as answers come. Close it in the end."""

    def __init__(self, client: Mapping[str, Any], topic: str) -> None:
        self._settings = {**client, "request_timeout_ms": int(PATIENCE * 1000)}
        self._topic = topic
        self._client: AIOKafkaClient | None = None

    async def __call__(self) -> None:
        """Return when a broker has answered.

        Raises:
            KafkaError, OSError: none has.
        """
        if self._client is None:
            self._client = AIOKafkaClient(**self._settings)
            try:
                await started(self._client.bootstrap())
                asking = self._client.set_topics([self._topic])
            except BaseException:
                await self.close()
                raise
        else:
            asking = self._client.force_metadata_update()
        if not await asking:
            await self.close()
            raise KafkaConnectionError("no broker answers")

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
