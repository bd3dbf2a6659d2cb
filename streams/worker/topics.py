"""The Kafka topics by name, and their creation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from streams.worker.clients import admin_client

_DAY_MS = 24 * 3600 * 1000
#: How Kafka is told to choose (KIP-464).
_BY_DEFAULT = -1


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one pipeline; ``prefix`` keeps pipelines apart that share a cluster."""

    prefix: str = ""
    raw: str = field(init=False)
    unique: str = field(init=False)
    dropped: str = field(init=False)
    invalid: str = field(init=False)
    classified: str = field(init=False)
    correlated: str = field(init=False)
    alerts: str = field(init=False)
    deliveries: str = field(init=False)
    dead: str = field(init=False)
    feedback: str = field(init=False)

    def __post_init__(self) -> None:
        for attribute, name in NAMES.items():
            object.__setattr__(self, attribute, self.prefix + name)

    def all(self) -> tuple[str, ...]:
        """Every topic, in the order in which a headline meets them; what people say of alerts comes last."""
        return tuple(getattr(self, attribute) for attribute in NAMES)


NAMES: Mapping[str, str] = {
    "raw": "headlines.raw",
    "unique": "headlines.unique",
    "dropped": "headlines.dropped",
    "invalid": "headlines.invalid",
    "classified": "headlines.classified",
    "correlated": "headlines.correlated",
    "alerts": "alerts",
    "deliveries": "deliveries",
    "dead": "deliveries.dead",
    "feedback": "feedback",
}

#: How long a topic keeps its records, milliseconds. Alerts outlive the retry horizon of delivery (three and a half days
#: by default), because the outbox can be rebuilt from them.
_RETENTION_MS = {
    "invalid": 30 * _DAY_MS,
    "alerts": 30 * _DAY_MS,
    "deliveries": 30 * _DAY_MS,
    "dead": 90 * _DAY_MS,
    "feedback": 365 * _DAY_MS,
}


async def create_topics(
    client: Mapping[str, Any], topics: Topics, *, partitions: int, replication: int | None = None
) -> tuple[str, ...]:
    """Create the topics that do not exist, and return their names. ``client`` holds aiokafka's connection settings.

    Without a ``replication`` they have as many copies as the cluster's ``default.replication.factor`` says.

    Raises:
        KafkaError: the broker refused one, for another reason than that it exists.
    """
    async with admin_client(client) as admin:
        existing = set(await admin.list_topics())
        wanted = [
            NewTopic(
                name=getattr(topics, attribute),
                num_partitions=partitions,
                replication_factor=replication or 1,
                topic_configs={"retention.ms": str(_RETENTION_MS.get(attribute, 14 * _DAY_MS))},
            )
            for attribute in NAMES
            if getattr(topics, attribute) not in existing
        ]
        if replication is None:
            for topic in wanted:
                topic.replication_factor = _BY_DEFAULT  # NewTopic takes this by no argument
        if wanted:
            response = await admin.create_topics(wanted)
            for name, code, *_ in response.topic_errors:
                if code and code != TopicAlreadyExistsError.errno:
                    raise for_code(code)(f"cannot create the topic {name}")
        return tuple(topic.name for topic in wanted)
