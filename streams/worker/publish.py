"""Publishing: what came of a chunk goes out in a few batches, and is confirmed before the chunk is acknowledged.

aiokafka's ``send`` costs a future and a task switch a record. Here all records for one partition go into batches that
are built at once and sent as one request, so that a chunk of 500 headlines costs a handful of futures.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.transport.drivers.aiokafka import Producer

log = structlog.get_logger(__name__)

#: A batch is one request to the broker for one partition, bytes. Kafka's own limit is 1,048,588 by default.
MAX_BATCH = 900_000


class Output(msgspec.Struct, frozen=True):
    """One record to publish. ``partition`` is taken modulo the number of partitions of the topic."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int = 0


class PublishError(Exception):
    """The broker did not confirm a batch; the same outputs may be published again."""


class BatchProducer(Producer):
    """Faust's Kafka producer, idempotent, with :meth:`publish` for whole batches."""

    logger = logging.getLogger("faust.publish")

    _renewing: asyncio.Lock | None = None

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True, "max_batch_size": MAX_BATCH}

    async def publish(self, outputs: Sequence[Output], *, timestamp_ms: int) -> None:
        """Send the outputs, and wait until the broker has confirmed every one.

        Records for one partition keep their order.

        Raises:
            PublishError: a batch was not confirmed. Some of the others may have been: publish all of them again, and
                let the readers recognise by their ids what they have.
        """
        producer = self._ensure_producer()
        try:
            futures = [
                await producer.send_batch(batch, topic, partition=partition)
                for topic, partition, batch in await self._batches(producer, outputs, timestamp_ms)
            ]
            await asyncio.gather(*futures)
        except KafkaError as error:
            await self._renew(producer)
            raise PublishError(repr(error)) from error

    async def _batches(
        self, producer: AIOKafkaProducer, outputs: Sequence[Output], timestamp_ms: int
    ) -> list[tuple[str, int, Any]]:
        by_partition: dict[tuple[str, int], list[Output]] = {}
        for output in outputs:
            by_partition.setdefault((output.topic, output.partition), []).append(output)
        batches: list[tuple[str, int, Any]] = []
        for (topic, number), of_partition in by_partition.items():
            partition = number % len(await producer.partitions_for(topic))
            batches += [(topic, partition, batch) for batch in _packed(producer, of_partition, timestamp_ms)]
        return batches

    async def _renew(self, failed: Any) -> None:
        """Replace a producer that failed: an idempotent one may have lost count of its sequence numbers for good."""
        self._renewing = self._renewing or asyncio.Lock()
        async with self._renewing:
            if self._producer is not failed:
                return
            fresh: Any = self._new_producer()
            try:
                await fresh.start()
            except KafkaError as error:
                log.warning("the broker is away", error=repr(error))
                with contextlib.suppress(KafkaError):
                    await fresh.stop()
                return
            self._producer = fresh
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(1.0):
                await cast("AIOKafkaProducer", failed).stop()


def _packed(producer: AIOKafkaProducer, outputs: Sequence[Output], timestamp_ms: int) -> list[Any]:
    """Outputs for one partition in as few batches as hold them."""
    batches = [producer.create_batch()]
    for output in outputs:
        if batches[-1].append(timestamp=timestamp_ms, key=output.key, value=output.value) is None:
            batches.append(producer.create_batch())
            if batches[-1].append(timestamp=timestamp_ms, key=output.key, value=output.value) is None:
                raise MessageSizeTooLargeError(f"a record of {len(output.value)} bytes for {output.topic}")
    return batches
