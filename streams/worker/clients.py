"""Clients of Kafka, which aiokafka leaves open when they are cancelled and these do not, and of Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

#: Connections of a worker to Redis. Its channels ask in the same moment, however many there are; who finds none waits.
CONNECTIONS = 32


def open_redis(url: str, options: Mapping[str, Any]) -> Redis:
    """A client for all parts of a worker; ``options`` are redis-py's. It connects when it is used."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=5,
        socket_timeout=5,  # longer than what WAITAOF is given
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),  # whoever asks tries again in place, and says so
        **options,
    )
    return Redis.from_pool(pool)


async def started(starting: Coroutine[Any, Any, None]) -> None:
    """Await the start of one of aiokafka's clients, to its end even if we are cancelled meanwhile.

    Cancelled between a connection and the answer to its first question, aiokafka leaves the connection open, where nobody
    can close it.
    """
    task = asyncio.create_task(_begin(starting))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(KafkaError, OSError):
            await task
        raise


async def _begin(starting: Coroutine[Any, Any, None]) -> None:
    await starting
    await asyncio.sleep(0)  # lets its tasks begin: aiokafka cannot stop one that has not


@asynccontextmanager
async def admin_client(client: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the length of a block. ``client`` holds the connection settings of aiokafka."""
    admin = AIOKafkaAdminClient(**client)
    try:
        await started(admin.start())
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def reader(
    client: Mapping[str, Any], partitions: Sequence[TopicPartition] = ()
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of some partitions that belongs to no group and commits nothing, for the length of a block."""
    # aiokafka has one fetch in flight a broker: one that waited long for news would hold up every seek.
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False, fetch_max_wait_ms=10)
    try:
        await started(consumer.start())
        if partitions:
            consumer.assign(partitions)  # without, it learns who leads each topic by one failed request after the other
        yield consumer
    finally:
        await consumer.stop()
