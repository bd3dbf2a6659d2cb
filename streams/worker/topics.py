"""The Kafka topics by name, and their creation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
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

#: How long a topic keeps its records at least, milliseconds, where nothing else is said. Alerts outlive the retry horizon
#: of delivery (three and a half days by default), because the outbox can be rebuilt from them.
_RETENTION_MS = {
    "invalid": 30 * _DAY_MS,
    "alerts": 30 * _DAY_MS,
    "deliveries": 30 * _DAY_MS,
    "dead": 90 * _DAY_MS,
    "feedback": 365 * _DAY_MS,
}
_RETENTION_OTHERS_MS = 14 * _DAY_MS
#: The topics of which the ledger is rebuilt where Redis has lost it.
_TESTIFYING = frozenset({"unique", "dropped"})


def reach_ms(window: timedelta) -> int:
    """How far back the ledger goes, milliseconds: two of the longest windows of deduplication, for event times come late."""
    return round(window.total_seconds() * 2000)


def retention_ms(attribute: str, window: timedelta) -> int:
    """How long a topic, by its name in :class:`Topics`, keeps its records when it is made, milliseconds.

    The ledger must find in Kafka all that it goes back to, by the longest ``window`` of deduplication.
    """
    kept = _RETENTION_MS.get(attribute, _RETENTION_OTHERS_MS)
    return max(kept, reach_ms(window)) if attribute in _TESTIFYING else kept


def short_lived(topics: Topics, kept_ms: Mapping[str, int], window: timedelta) -> dict[str, int]:
    """Of the topics that the ledger is rebuilt from, those that keep too little for a ``window``, and what they keep.

    ``kept_ms`` is what topics keep by their names, milliseconds; -1 is for ever.
    """
    names = [getattr(topics, attribute) for attribute in NAMES if attribute in _TESTIFYING]
    return {name: kept_ms[name] for name in names if 0 <= kept_ms[name] < reach_ms(window)}


async def create_topics(
    client: Mapping[str, Any],
    topics: Topics,
    *,
    partitions: int,
    replication: int | None = None,
    window: timedelta = timedelta(),
) -> tuple[str, ...]:
    """Create the topics that do not exist, and return their names. ``client`` holds aiokafka's connection settings.

    Without a ``replication`` they have as many copies as the cluster's ``default.replication.factor`` says. ``window`` is
    the longest of deduplication.

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
                topic_configs={"retention.ms": str(retention_ms(attribute, window))},
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
