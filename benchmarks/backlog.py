"""How soon alerts go out while a worker is behind: ``python -m benchmarks backlog``.

The stream stands in ``headlines.raw`` before one worker starts, as after an outage. The time of an alert runs from when it
was published to ``alerts`` until its webhook was received, as ``deliveries`` has it. What it is beside is how long the worker
was busy with all of the backlog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from benchmarks.pipeline import Bed, Project, fill, laid, make_project, percentile, pipeline_rate
from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.core.records import Alert, Delivery
from streams.worker.clients import reader
from streams.worker.history import partitions_of
from streams.worker.lookback import records


def run() -> Iterator[Row]:
    """The delays, with exact repeats only and by story."""
    stream = headlines()
    with laid() as bed:
        for what, stories in (("exact repeats only", False), ("by story", True)):
            project = make_project(bed, f"backlog{int(stories)}", stream, stories=stories)
            asyncio.run(fill(bed, project, stream))
            seconds = len(stream) / asyncio.run(pipeline_rate(bed, project, 1, len(stream)))
            delays = asyncio.run(delays_of(bed, project))
            for quantile in (50, 95, 99):
                title = f"an alert of a backlog, decided to delivered, {what}, {name()}, p{quantile}"
                yield row(title, percentile(delays, quantile), "ms", peer=seconds * 1000, peer_name="the whole backlog")


async def delays_of(bed: Bed, project: Project) -> list[float]:
    """Milliseconds from when each alert was published until it was delivered."""
    decided: dict[str, int] = {}
    delivered: dict[str, float] = {}
    topics, client = project.topics, {"bootstrap_servers": bed.servers}
    partitions = await partitions_of(client, [topics.alerts, topics.deliveries])
    async with reader(client, partitions) as consumer:
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        async for record in records(consumer, starts, ends):
            if record.topic == topics.alerts:
                decided[msgspec.json.decode(record.value, type=Alert).alert_id] = record.timestamp
                continue
            delivery = msgspec.json.decode(record.value, type=Delivery)
            if delivery.outcome == "delivered":
                delivered[delivery.alert_id] = delivery.at.timestamp() * 1000
    if decided.keys() != delivered.keys():
        raise RuntimeError(f"{len(decided)} alerts were decided, and {len(delivered)} delivered")
    return [delivered[alert] - decided[alert] for alert in decided]
