"""Where Kafka and Redis are: the cluster's of the settings, or the embedded ones that ``wirewatch up`` runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from connectors import embedded
from streams.cli.common import UnreachableError, err, progress
from streams.settings import Loaded
from streams.worker.clients import admin_client
from streams.worker.topics import Topics, create_topics

T = TypeVar("T")

#: How long a command waits for Kafka and Redis to be there, seconds.
PATIENCE = 60.0

#: How often those who use embedded services look whether they are there, seconds. A Kafka takes longer to start, so
#: another one cannot be met on the port in between.
_LOOK_EVERY = 0.2


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the two services are, ready for their clients. Redis' are empty where only Kafka was asked for."""

    kafka: dict[str, Any] = field(repr=False)  # these two may hold passwords
    redis_url: str = field(repr=False)
    redis_options: dict[str, Any]
    group: str
    data_dir: Path
    embedded: embedded.Services | None  # those that `wirewatch up` runs, where the settings leave one to it


class WrongServiceError(UnreachableError):
    """At an address of ours a service answers that is not ours."""


def addresses(loaded: Loaded, *, redis: bool = True) -> Addresses:
    """Where the services of these settings are; without ``redis``, only Kafka.

    Raises:
        UnreachableError: they are to be embedded, and none are running.
    """
    settings, data_dir = loaded.settings, loaded.path(loaded.settings.data_dir).absolute()
    servers, url, running = settings.kafka.bootstrap_servers, loaded.redis_url() if redis else "", None
    if (servers is None or url is None) and (running := embedded.find(data_dir)):
        servers = servers or running.bootstrap_servers
        url = running.redis_url if url is None else url
    if not servers or (redis and not url):
        raise _not_running(data_dir)
    ours = running.cluster_id if running and settings.kafka.bootstrap_servers is None else ""
    return Addresses(
        kafka=loaded.kafka_client(servers),
        redis_url=url or "",
        redis_options=loaded.redis_options(url) if url else {},
        group=_group(loaded, ours),
        data_dir=data_dir,
        embedded=running,
    )


def _group(loaded: Loaded, cluster_id: str) -> str:
    """The workers' group. On an embedded Kafka it has part of the cluster's id in its name unless the user named it:
    so two projects of one machine never share a group, should they ever meet on a broker."""
    kafka = loaded.settings.kafka
    return f"{kafka.group}-{cluster_id[:8]}" if cluster_id and "group" not in kafka.model_fields_set else kafka.group


def _not_running(data_dir: Path) -> UnreachableError:
    if embedded.in_between(data_dir):
        message = f"the Kafka and Redis of {data_dir} are starting, or stopping"
        return UnreachableError(message, "try again in a few seconds: `wirewatch up` says `up` when they are there")
    return UnreachableError(
        f"no Kafka and Redis are running for {data_dir}",
        "start them with `wirewatch up`, or set kafka.bootstrap_servers and redis.url",
    )


@contextlib.contextmanager
def serve(loaded: Loaded) -> Iterator[Callable[[], None]]:
    """Run what the settings leave to us: an embedded Kafka, an embedded Redis, both or none.

    The block gets a function that looks whether they still run, and raises EmbeddedError if not.
    """
    kafka = loaded.settings.kafka.bootstrap_servers is None
    redis = loaded.settings.redis.url is None
    if not kafka and not redis:
        yield lambda: None
        return
    data_dir = loaded.path(loaded.settings.data_dir)
    with embedded.start(data_dir, kafka=kafka, redis=redis, progress=progress()) as running:
        yield running.check


async def reach(loaded: Loaded, patience: float = PATIENCE, *, redis: bool = True) -> Addresses:
    """The addresses, once both services answer there; waits for them up to ``patience`` seconds. Without ``redis``,
    Redis is neither asked nor told of.

    Raises:
        UnreachableError: one does not answer.
        WrongServiceError: one is another project's.
    """
    found = addresses(loaded, redis=redis)
    servers = found.kafka["bootstrap_servers"]
    await _until(lambda: ask_kafka(found), f"Kafka at {servers}", patience)
    if redis:
        await _until(lambda: ask_redis(found), "Redis", patience)
    return found


async def make_topics(loaded: Loaded, where: Addresses, topics: Topics | None = None) -> Topics:
    """Create those of the settings' topics, or of ``topics``, that do not exist, and give their names.

    Raises:
        UnreachableError: Kafka refuses one, or does not answer.
    """
    kafka = loaded.settings.kafka
    topics = topics or Topics(kafka.topic_prefix)
    try:
        await create_topics(
            where.kafka,
            topics,
            partitions=kafka.partitions,
            replication=kafka.replication,
            window=loaded.settings.dedupe.longest,
        )
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"Kafka did not make the topics: {error}", "`wirewatch doctor` shows more") from None
    return topics


async def stopped(where: Addresses) -> UnreachableError:
    """Wait until the embedded services at these addresses are gone, which is noticed before others can be there; give
    what to tell then. Services of the user's own never are.

    Whoever uses the embedded ones for long has to end with them: a client that waits for its Kafka to come back would
    go on with another project's once that has the port.
    """
    while where.embedded is None or embedded.find(where.data_dir) == where.embedded:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(_LOOK_EVERY)
    return UnreachableError(
        f"the Kafka and Redis of {where.data_dir} have stopped", "start them again with `wirewatch up`"
    )


async def ask_kafka(where: Addresses) -> int:
    """How many brokers there are.

    Raises:
        WrongServiceError: it is another cluster than the embedded one that is meant.
        KafkaError, OSError: it does not answer.
    """
    async with admin_client(where.kafka) as admin:
        cluster = await admin.describe_cluster()
    if where.embedded and where.kafka["bootstrap_servers"] == where.embedded.bootstrap_servers:
        expected = where.embedded.cluster_id
        _compare("Kafka", where.kafka["bootstrap_servers"], cluster["cluster_id"], expected, where.data_dir)
    return len(cluster["brokers"])


async def ask_redis(where: Addresses) -> dict[str, Any]:
    """What Redis says of itself.

    Raises:
        WrongServiceError: it is another one than the embedded one that is meant.
        RedisError, OSError: it does not answer.
    """
    client = Redis.from_url(where.redis_url, socket_connect_timeout=2, socket_timeout=2, **where.redis_options)
    try:
        info: dict[str, Any] = await client.info()
    finally:
        await client.aclose()
    if where.embedded and where.redis_url == where.embedded.redis_url:
        _compare("Redis", where.redis_url, info["run_id"], where.embedded.run_id, where.data_dir)
    return info


def _compare(what: str, address: str, answers: str, expected: str, data_dir: Path) -> None:
    if answers != expected:
        raise WrongServiceError(
            f"the {what} at {address} is another project's: it is {answers}, and that of {data_dir} is {expected}",
            "stop `wirewatch up` for this project and start it again: it takes a port that is free",
        )


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
