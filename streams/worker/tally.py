"""In = out: what became of every headline and every alert, counted from the topics themselves.

A record that an agent has acknowledged must have come out somewhere: a raw headline as unique, dropped or invalid, a
unique one as classified, an alert as delivered, suppressed or dead, or else it waits in the outbox. Records are
counted by what they are about, so one that was published twice, as may happen after a crash, counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import TopicPartition

from streams.worker.history import committed_offsets, partitions_of, read_tail, reader
from streams.worker.topics import Topics


class _Brief(msgspec.Struct):
    """As much of any record as counting needs."""

    id: str = ""
    position: str = ""
    stage: str = ""
    alert_id: str = ""
    outcome: str = ""


@dataclass(slots=True)
class Tally:
    """What the topics say. ``lag`` is in records by topic, ``outcomes`` counts alerts by their last known outcome."""

    read: int = 0
    unique: int = 0
    dropped: int = 0
    invalid: int = 0
    refused_at_the_door: int = 0
    classified: int = 0
    alerts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    lag: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Every acknowledged headline and alert is accounted for."""
        return not self.missing

    @property
    def finished(self) -> bool:
        """Balanced, and nothing is on its way."""
        return self.balanced and not any(self.lag.values()) and self.pending == 0

    @property
    def pending(self) -> int:
        """Alerts that wait in the outbox, for their first attempt or the next."""
        return self.alerts - sum(self.outcomes[final] for final in ("delivered", "dead", "suppressed"))


async def count(client: Mapping[str, Any], topics: Topics, group: str, *, reach_ms: int) -> Tally:
    """Count what the newest records of the topics say, those of ``reach_ms`` milliseconds before the last of each.

    Raises:
        KafkaError: Kafka cannot be asked.
    """
    committed, starts, ends = await _offsets(client, topics, group)
    seen: dict[str, set[str]] = {"unique": set(), "dropped": set(), "invalid": set(), "classified": set()}
    refused_in: dict[str, set[str]] = {"classify": set()}
    names = {getattr(topics, name): name for name in (*seen, "alerts", "deliveries")}
    outcomes: dict[str, str] = {}
    alerts: set[str] = set()
    ids_of_unique: dict[str, str] = {}
    tally = Tally()
    decode = msgspec.json.Decoder(_Brief).decode
    records = 0
    async for topic, value in read_tail(client, list(names), reach_ms):
        try:
            brief, name = decode(value), names[topic]
        except (ValueError, RecursionError):
            continue  # not ours; the agents put it to headlines.invalid
        if name == "alerts":
            alerts.add(brief.alert_id)
        elif name == "deliveries":
            if outcomes.get(brief.alert_id) in (None, "retry"):
                outcomes[brief.alert_id] = brief.outcome
        elif name == "invalid" and brief.stage != "deduplicate":
            refused_in.setdefault(brief.stage, set()).add(brief.position)
        else:
            records += 1
            seen[name].add(brief.position)
            if name == "unique":
                ids_of_unique[brief.position] = brief.id
    decided = seen["unique"] | seen["dropped"] | seen["invalid"]
    tally.repeats = records - sum(len(positions) for positions in seen.values())
    tally.unique, tally.dropped, tally.invalid = (len(seen[n]) for n in ("unique", "dropped", "invalid"))
    tally.classified = len(seen["classified"]) + len(refused_in["classify"])
    tally.refused_at_the_door = len(refused_in.get("ingest", ()))
    tally.alerts = len(alerts)
    tally.outcomes = Counter(outcomes[alert] for alert in alerts if alert in outcomes)
    tally.lag = {
        topic: sum(end - max(committed.get(tp, 0), starts[tp]) for tp, end in ends.items() if tp.topic == topic)
        for topic in (topics.raw, topics.unique, topics.classified, topics.alerts)
    }
    raw = {tp: (starts[tp], committed.get(tp, starts[tp])) for tp in ends if tp.topic == topics.raw}
    tally.read = sum(max(0, upto - start) for start, upto in raw.values())
    tally.missing = list(_missing(raw, decided))
    if not tally.lag[topics.unique] and len(seen["unique"]) > tally.classified:
        tally.missing += sorted(f"{place} (never classified)" for place in seen["unique"] - seen["classified"])[:20]
    return tally


def _missing(raw: Mapping[TopicPartition, tuple[int, int]], decided: set[str]) -> Iterable[str]:
    for tp, (start, upto) in raw.items():
        prefix = f"{tp.topic}:{tp.partition}:"
        known = sorted(int(place[len(prefix) :]) for place in decided if place.startswith(prefix))
        # What is older than the reach of the count was decided before it, and says nothing.
        since = max(start, known[0]) if known else upto
        have = set(known)
        yield from (f"{prefix}{offset}" for offset in range(since, upto) if offset not in have)


async def _offsets(
    client: Mapping[str, Any], topics: Topics, group: str
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int], dict[TopicPartition, int]]:
    partitions = await partitions_of(client, topics.all())
    committed = await committed_offsets(client, group)
    async with reader(client, partitions) as consumer:
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    return committed, starts, ends
