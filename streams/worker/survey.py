"""What the cluster says of the topics and of the workers: settings, copies, and who is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from streams.worker.clients import admin_client


@dataclass(frozen=True, slots=True)
class Copies:
    """How well a topic is kept, by its worst partition.

    ``replicas`` is on how many brokers it shall be, ``in_sync`` on how many it is, and ``needed`` how many must have a record
    before it is confirmed (``min.insync.replicas``).
    """

    topic: str
    replicas: int
    in_sync: int
    needed: int


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group. ``state`` is Kafka's word for it: ``Stable``, ``PreparingRebalance``, ``Empty`` and so on."""

    state: str
    members: int


async def read_copies(client: Mapping[str, Any], topics: Sequence[str]) -> list[Copies]:
    """The copies of topics that exist, in the order of ``topics``.

    Raises:
        KafkaError: Kafka does not say.
    """
    settings = await topic_settings(client, topics)
    async with admin_client(client) as admin:
        described = await admin.describe_topics(list(topics))
    return [
        Copies(
            topic["topic"],
            replicas=min(len(partition["replicas"]) for partition in topic["partitions"]),
            in_sync=min(len(partition["isr"]) for partition in topic["partitions"]),
            needed=int(settings[topic["topic"]]["min.insync.replicas"]),
        )
        for topic in sorted(described, key=lambda topic: topics.index(topic["topic"]))
    ]


async def read_group(client: Mapping[str, Any], group: str) -> Group:
    """What a consumer group is doing.

    Raises:
        KafkaError: Kafka does not say, even when asked again for ten seconds. A young broker needs a moment.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10.0
    async with admin_client(client) as admin:
        while True:
            try:
                (response,) = await admin.describe_consumer_groups([group])
                ((code, _, state, _, _, members, *_),) = response.groups
                if code:
                    raise for_code(code)(f"the group {group} cannot be described")
            except KafkaError as error:
                if not error.retriable or loop.time() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return Group(state, len(members))


async def topic_settings(client: Mapping[str, Any], topics: Collection[str]) -> dict[str, dict[str, str]]:
    """The settings of topics that exist, by topic and name, the broker's defaults included.

    Raises:
        KafkaError: Kafka does not say.
    """
    async with admin_client(client) as admin:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in sorted(topics)]
        responses = await admin.describe_configs(asked)
    found: dict[str, dict[str, str]] = {}
    for response in responses:
        for code, message, _, topic, settings in response.resources:
            if code:
                raise for_code(code)(f"{topic}: {message}")
            found[topic] = {name: value for name, value, *_ in settings}
    return found
