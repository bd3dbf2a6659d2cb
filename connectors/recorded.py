"""What a Kafka cluster has recorded: the records of some topics, once, up to their ends, and nobody's offsets are touched.

The partitions are assigned, no group is joined and nothing is committed: whoever works on the topics does not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.core.headline import given_id

#: Records of one partition that are read at once, at most.
_AT_ONCE = 1_000
#: So long Kafka may give nothing of what it has before that is an error, seconds.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Record:
    """A record. ``id`` is the producer's name for it or else the ``position``, as it is for those who work on it live.

    ``timestamp`` is when Kafka received it, milliseconds since 1970, or whatever its producer said instead.
    """

    topic: str
    id: str
    position: str
    timestamp: int
    value: bytes


class Recording:
    """The records of topics that Kafka received from ``since`` until before ``until``, both aware, by its own clock.

    None means from the first and to the last: what comes after the reading began is left out, too. ``client`` holds the
    connection settings of aiokafka. ``total`` counts the records by their offsets, once reading has begun.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        topics: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self._client = client
        self._topics = topics
        self._since = since
        self._until = until
        self._ends: dict[TopicPartition, int] = {}
        self._held: dict[TopicPartition, deque[Any]] = {}
        self.total = 0

    def records(self) -> Iterator[Record]:
        """The records; those of a partition in its order, those of several by when Kafka received them.

        Runs an event loop of its own between them. Not to be called where one runs.

        Raises:
            KafkaError, OSError: Kafka does not answer, refuses, or has no such topic.
        """
        with asyncio.Runner() as runner:
            reading = contextlib.AsyncExitStack()
            try:
                consumer = runner.run(self._begin(reading))
                while runner.run(self._fill(consumer)):
                    yield from self._merged()
            finally:
                runner.run(reading.aclose())

    async def _begin(self, reading: contextlib.AsyncExitStack) -> AIOKafkaConsumer:
        partitions = await _partitions(self._client, self._topics)
        consumer = await reading.enter_async_context(_consumer(self._client))
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        if self._since is not None:
            starts = await _offsets_at(consumer, self._since, ends)
        if self._until is not None:
            ends = await _offsets_at(consumer, self._until, ends)
        for tp in partitions:
            if starts[tp] < ends[tp]:
                consumer.seek(tp, starts[tp])
                self._ends[tp], self._held[tp] = ends[tp], deque()
                self.total += ends[tp] - starts[tp]
        return consumer

    async def _fill(self, consumer: AIOKafkaConsumer) -> bool:
        """Have a record of every partition that is not at its end; False if all are."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while wanted := [tp for tp, held in self._held.items() if not held]:
            for tp, records in (await consumer.getmany(*wanted, timeout_ms=500, max_records=_AT_ONCE)).items():
                self._held[tp].extend(record for record in records if record.offset < self._ends[tp])
                deadline = loop.time() + PATIENCE
            for tp in wanted:
                if not self._held[tp] and await consumer.position(tp) >= self._ends[tp]:
                    del self._held[tp]
            if loop.time() > deadline:
                raise KafkaTimeoutError(f"Kafka has given nothing for {PATIENCE:.0f} seconds")
        return bool(self._held)

    def _merged(self) -> Iterator[Record]:
        """The earliest that are held, until a partition has none left and its next are to be asked for."""
        while all(self._held.values()):
            earliest = min(self._held.values(), key=lambda held: held[0].timestamp)
            yield _record(earliest.popleft())


async def _partitions(client: Mapping[str, Any], topics: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    if missing := [topic["topic"] for topic in described if topic["error_code"]]:
        raise UnknownTopicOrPartitionError(f"there is no topic {', '.join(missing)}")
    return [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]


@contextlib.asynccontextmanager
async def _consumer(client: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _offsets_at(
    consumer: AIOKafkaConsumer, moment: datetime, otherwise: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The offset of the first record of ``moment`` or after it, by partition; ``otherwise`` where there is none."""
    asked = {tp: int(moment.timestamp() * 1000) for tp in otherwise}
    found = await consumer.offsets_for_times(asked)
    return {tp: min(place.offset, otherwise[tp]) if (place := found.get(tp)) else otherwise[tp] for tp in otherwise}


def _record(record: Any) -> Record:
    position = f"{record.topic}:{record.partition}:{record.offset}"
    return Record(record.topic, given_id(record.headers) or position, position, record.timestamp, record.value or b"")
