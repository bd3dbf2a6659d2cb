"""Whether Kafka answers is asked of a real one, and of one that takes connections and says nothing."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from aiokafka.errors import KafkaError

from streams.worker.outage import PATIENCE, AsksKafka
from streams.worker.topics import Topics, create_topics

pytestmark = pytest.mark.services


async def test_a_kafka_that_answers_is_asked_again_and_again(kafka_client: dict[str, str]) -> None:
    topics = Topics(f"outage-{secrets.token_hex(4)}.")
    await create_topics(kafka_client, topics, partitions=1, replication=1)
    asks = AsksKafka(kafka_client, topics.raw)
    try:
        for _ in range(3):
            await asks()
    finally:
        await asks.close()


async def test_one_that_says_nothing_is_given_up_in_time() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client goes
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        asks = AsksKafka({"bootstrap_servers": f"127.0.0.1:{port}"}, "headlines.raw")
        for _ in range(2):
            async with asyncio.timeout(PATIENCE + 5):
                with pytest.raises(KafkaError):
                    await asks()
        await asks.close()
