"""Publishing: what came of a chunk goes out in a few batches, and is confirmed before the chunk is acknowledged.

aiokafka's ``send`` costs a future and a task switch a record. Here all records for one partition go into batches that
are built at once and sent as one request, so that a chunk of 500 headlines costs a handful of futures.

A broker that is away, or has too few replicas, confirms the same batch later: :class:`PublishError`. A broker may also
refuse a batch for what is in it, and would for ever: then the batch is sent in parts, until each record is confirmed,
or known to be the one that is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import msgspec
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import (
    BrokerResponseError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    kafka_errors,
)
from faust.exceptions import NotReady
from faust.transport.drivers.aiokafka import Producer

log = structlog.get_logger(__name__)

#: A batch is one request to the broker for one partition, bytes. Kafka's own limit is 1,048,588 by default.
MAX_BATCH = 900_000
#: What a record adds to its key and value in a batch, bytes, at most.
_OVERHEAD = 32


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types for us
    """The broker does not want a record as it is: one without a key on a compacted topic, or against its schema."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The record is not what the topic takes."


# aiokafka 0.14 knows the codes up to 79, and takes others for UNKNOWN (-1), which passes.
kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)

#: How a broker says that a batch, or a record in it, is larger than the topic takes (max.message.bytes, segment.bytes).
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
#: What a broker would say again and again to the same records. All else may pass: rights can be granted, clocks set.
FOR_GOOD = (*TOO_LARGE, InvalidRecordError)


class Output(msgspec.Struct, frozen=True):
    """One record to publish. ``partition`` is taken modulo the number of partitions of the topic.

    ``source`` is the record of Kafka that it came of. Where it says that its source is invalid, ``reason`` says why, and
    ``error`` is the failure of ours, if it was one.
    """

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int = 0
    source: ConsumerRecord[bytes, bytes] | None = None
    reason: str = ""
    error: Exception | None = None


class Refused(NamedTuple):
    """An output that the broker refuses for good, and what it said."""

    output: Output
    error: KafkaError


class PublishError(Exception):
    """The broker did not confirm a batch; the same outputs may be published again."""


@dataclass(slots=True)
class _Parcel:
    """Outputs for one partition, and the batch that holds them; ``size`` in bytes."""

    topic: str
    partition: int
    batch: Any
    outputs: list[Output] = field(default_factory=list)
    size: int = 0


class BatchProducer(Producer):
    """Faust's Kafka producer, idempotent, with :meth:`publish` for whole batches."""

    logger = logging.getLogger("faust.publish")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._renewing = asyncio.Lock()
        self._begun = asyncio.Event()
        self._holders: Counter[Any] = Counter()
        self._largest: dict[str, int] = {}
        super().__init__(*args, **kwargs)

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True, "max_batch_size": MAX_BATCH}

    async def on_start(self) -> None:
        """Connect to Kafka."""
        await super().on_start()
        self._begun.set()

    async def begun(self) -> None:
        """Return once it is started: there is something to publish before that, where a worker finds alerts that wait."""
        await self._begun.wait()

    async def publish(self, outputs: Sequence[Output], *, timestamp_ms: int) -> list[Refused]:
        """Send the outputs, and wait until the broker has confirmed every one, or refused it for good.

        Records for one partition keep their order, unless one among them is refused.

        Returns:
            the outputs that the broker would refuse for ever; all others are confirmed.

        Raises:
            PublishError: a batch was not confirmed. Some of the others may have been: publish all of them again, and
                let the readers recognise by their ids what they have.
        """
        refused: list[Refused] = []
        parcels = await self._packed(outputs, timestamp_ms)
        while parcels:
            async with self._held() as producer:
                failed = await _send(producer, parcels)
            if not failed:
                break
            await self._renew(producer)
            if not any(isinstance(error, FOR_GOOD) for _, error in failed):
                raise PublishError(repr(failed[0][1])) from failed[0][1]
            parcels = []
            for parcel, error in failed:
                if isinstance(error, FOR_GOOD) and len(parcel.outputs) == 1:
                    refused.append(Refused(parcel.outputs[0], error))
                elif isinstance(error, FOR_GOOD):
                    parcels += self._divided(parcel, error, timestamp_ms)
                else:  # it came after one that was refused, and so out of sequence
                    parcels += self._parcels(parcel.topic, parcel.partition, parcel.outputs, parcel.size, timestamp_ms)
        return refused

    async def _packed(self, outputs: Sequence[Output], timestamp_ms: int) -> list[_Parcel]:
        by_partition: dict[tuple[str, int], list[Output]] = {}
        for output in outputs:
            by_partition.setdefault((output.topic, output.partition), []).append(output)
        parcels: list[_Parcel] = []
        for (topic, number), of_partition in by_partition.items():
            try:
                async with self._held() as producer:
                    partition = number % len(await producer.partitions_for(topic))
            except KafkaError as error:
                raise PublishError(repr(error)) from error
            limit = self._largest.get(topic, MAX_BATCH)
            parcels += self._parcels(topic, partition, of_partition, limit, timestamp_ms)
        return parcels

    def _divided(self, refused: _Parcel, error: KafkaError, timestamp_ms: int) -> Iterator[_Parcel]:
        """A parcel that was refused, in parts; if for its size, a lesson for all that follow.

        It was larger than its topic takes, so half of it is no less than half of what the topic takes.
        """
        half = refused.size // 2
        if isinstance(error, TOO_LARGE):
            self._largest[refused.topic] = min(half, self._largest.get(refused.topic, MAX_BATCH))
        return self._parcels(refused.topic, refused.partition, refused.outputs, half, timestamp_ms)

    def _parcels(
        self, topic: str, partition: int, outputs: Sequence[Output], limit: int, timestamp_ms: int
    ) -> Iterator[_Parcel]:
        """Outputs for one partition in as few parcels of up to ``limit`` bytes as hold them; one that is larger, alone."""
        producer = self._current()
        parcel = _Parcel(topic, partition, producer.create_batch())
        for output in outputs:
            size = len(output.key or b"") + len(output.value) + _OVERHEAD
            if parcel.outputs and parcel.size + size > limit:
                yield parcel
                parcel = _Parcel(topic, partition, producer.create_batch())
            if not _added(parcel, output, timestamp_ms):  # fuller than was reckoned
                yield parcel
                parcel = _Parcel(topic, partition, producer.create_batch())
                _added(parcel, output, timestamp_ms)  # the first, whatever its size
            parcel.outputs.append(output)
            parcel.size += size
        if parcel.outputs:
            yield parcel

    def _current(self) -> AIOKafkaProducer:
        try:
            return self._ensure_producer()
        except NotReady as error:
            raise PublishError("the producer has stopped") from error

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[AIOKafkaProducer]:
        """The producer of the moment. It is stopped after its last holder has left: one that is stopped leaves whoever
        waits for its metadata waiting for ever.
        """
        producer = self._current()
        self._holders[producer] += 1
        try:
            yield producer
        finally:
            self._holders[producer] -= 1
            await self._stop_if_left(producer)

    async def _renew(self, failed: Any) -> None:
        """Replace a producer that failed: an idempotent one may have lost count of its sequence numbers for good."""
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
        await self._stop_if_left(failed)

    async def _stop_if_left(self, producer: Any) -> None:
        if self._holders[producer]:
            return
        del self._holders[producer]
        if producer is not self._producer:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await cast("AIOKafkaProducer", producer).stop()


def _added(parcel: _Parcel, output: Output, timestamp_ms: int) -> bool:
    """Whether the batch took a record. It takes its first whatever its size, and others up to `MAX_BATCH` bytes."""
    return parcel.batch.append(timestamp=timestamp_ms, key=output.key, value=output.value) is not None


async def _send(producer: AIOKafkaProducer, parcels: Sequence[_Parcel]) -> list[tuple[_Parcel, KafkaError]]:
    """Send the parcels, and return those that were not confirmed, with the broker's answer or what kept it away."""
    answers: list[Any] = []
    for parcel in parcels:
        try:
            answers.append(await producer.send_batch(parcel.batch, parcel.topic, partition=parcel.partition))
        except KafkaError as error:
            answers.append(_failed(error))
    confirmed = await asyncio.gather(*answers, return_exceptions=True)
    failed: list[tuple[_Parcel, KafkaError]] = []
    for parcel, answer in zip(parcels, confirmed, strict=True):
        if isinstance(answer, KafkaError):
            failed.append((parcel, answer))
        elif isinstance(answer, BaseException):
            raise answer
    return failed


def _failed(error: KafkaError) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
