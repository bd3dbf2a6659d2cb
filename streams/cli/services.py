"""Where Kafka and Redis are: the cluster's of the settings, or the embedded ones that ``wirewatch up`` runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from connectors import embedded
from streams.cli.common import UnreachableError, err, progress
from streams.settings import Loaded
from streams.worker.history import admin_client

T = TypeVar("T")

#: How long a command waits for Kafka and Redis to be there, seconds.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the two services are, ready for their clients."""

    kafka: dict[str, Any]
    redis_url: str
    redis_options: dict[str, Any]


def _note(loaded: Loaded) -> Path:
    return loaded.path(loaded.settings.data_dir) / "services.json"


def addresses(loaded: Loaded) -> Addresses:
    """Where the services of these settings are.

    Raises:
        UnreachableError: they are to be embedded, and none are running.
    """
    servers, url = loaded.settings.kafka.bootstrap_servers, loaded.redis_url()
    if servers is None or url is None:
        running = _running(loaded)
        servers, url = servers or running["bootstrap_servers"], url or running["redis_url"]
    tls = loaded.settings.redis.tls
    options = {
        "ssl_ca_certs": tls and tls.ca_file and str(tls.ca_file),
        "ssl_certfile": tls and tls.cert_file and str(tls.cert_file),
        "ssl_keyfile": tls and tls.key_file and str(tls.key_file),
    }
    return Addresses(loaded.kafka_client(servers), url, {k: v for k, v in options.items() if v})


def _running(loaded: Loaded) -> dict[str, str]:
    try:
        running: dict[str, str] = json.loads(_note(loaded).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UnreachableError(
            f"no Kafka and Redis are running for {loaded.path(loaded.settings.data_dir)}",
            "start them with `wirewatch up`, or set kafka.bootstrap_servers and redis.url",
        ) from None
    return running


@contextlib.contextmanager
def serve(loaded: Loaded) -> Iterator[None]:
    """Run what the settings leave to us: an embedded Kafka, an embedded Redis, both or none; and say where."""
    kafka = loaded.settings.kafka.bootstrap_servers is None
    redis = loaded.settings.redis.url is None
    if not kafka and not redis:
        yield
        return
    data_dir = loaded.path(loaded.settings.data_dir)
    with embedded.start(data_dir, kafka=kafka, redis=redis, progress=progress()) as running:
        note = _note(loaded)
        note.write_text(
            json.dumps({"bootstrap_servers": running.bootstrap_servers, "redis_url": running.redis_url}),
            encoding="utf-8",
        )
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


async def reach(loaded: Loaded, patience: float = PATIENCE) -> Addresses:
    """The addresses, once both services answer there; waits for them up to ``patience`` seconds.

    Raises:
        UnreachableError: one does not answer.
    """
    found = addresses(loaded)
    servers = found.kafka["bootstrap_servers"]
    await _until(lambda: ask_kafka(found), f"Kafka at {servers}", patience)
    await _until(lambda: ask_redis(found), "Redis", patience)
    return found


async def ask_kafka(where: Addresses) -> int:
    """How many brokers there are."""
    client = AIOKafkaClient(**where.kafka)
    try:
        await client.bootstrap()
        return len(client.cluster.brokers())
    finally:
        await client.close()


async def ask_redis(where: Addresses) -> dict[str, Any]:
    """What Redis says of itself."""
    client = Redis.from_url(where.redis_url, socket_connect_timeout=2, socket_timeout=2, **where.redis_options)
    try:
        info: dict[str, Any] = await client.info()
        return info
    finally:
        await client.aclose()


async def members(where: Addresses, group: str) -> int:
    """How many workers have joined a group and been given their partitions."""
    async with admin_client(where.kafka) as admin:
        responses = await admin.describe_consumer_groups([group])
    found = [described for response in responses for described in response.groups]
    return sum(len(described[5]) for described in found if described[2] == "Stable")


async def _until(ask: Callable[[], Awaitable[T]], what: str, patience: float) -> T:
    loop = asyncio.get_running_loop()
    deadline, told = loop.time() + patience, False
    while True:
        try:
            return await ask()
        except (KafkaError, RedisError, OSError) as error:
            if loop.time() >= deadline:
                message = f"{what} does not answer: {error}"
                raise UnreachableError(message, "`wirewatch doctor` shows what can be reached") from None
            if not told:
                err.print(f"[dim]waiting for {what} ...[/dim]")
                told = True
        await asyncio.sleep(0.5)
