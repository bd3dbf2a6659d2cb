"""What is routed to nobody: it goes to ``alerts`` with the reason, and ends as suppressed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from alerts.outbox import MemoryOutbox
from alerts.route import ChannelRouter
from streams.core.classify import Classifier
from streams.core.decide import Firing
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Alert, Classified, Delivery, Headline
from streams.core.rule import Rule, RuleSet
from streams.core.taxonomy import Taxonomy
from streams.worker.agents import Alerting, Deliver
from streams.worker.correlation import CorrelationLog
from streams.worker.reload import Current
from streams.worker.rules import InForce
from streams.worker.topics import Topics

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADLINE = Classified(
    id="h-1",
    seq=1,
    position="headlines.raw:0:1",
    received=NOON,
    headline=Headline(headline="Oil tanker adrift", published=NOON),
    story_id="h-1",
)


def record(value: object) -> Any:
    encoded = msgspec.json.encode(value)
    return ConsumerRecord(
        *("headlines.classified", 0, 7), timestamp=0, timestamp_type=0, key=None, value=encoded, checksum=None,
        serialized_key_size=0, serialized_value_size=len(encoded), headers=(),
    )  # fmt: skip


class DeskSleeps:
    """Keeps everything from the desk."""

    def reason(self, firing: Firing, channel: str) -> str | None:
        return f"silenced, {firing.rule.name}" if channel == "desk" else None


async def test_what_is_silenced_goes_to_alerts_and_ends_as_suppressed() -> None:
    rules = RuleSet([Rule("oil", "Oil", compile_query("oil"), "high", ("desk", "log"))])
    router = ChannelRouter(silences=DeskSleeps())
    async with Redis(port=1) as nobody:  # no rule has a memory that it would be asked for
        log = CorrelationLog(nobody, "p", rules, token="t")
        alerting = Alerting(
            Topics(), Current(InForce(Matcher(rules))), router, log, Current(Classifier(Taxonomy((), "")))
        )
        outputs = await alerting.work([record(HEADLINE)])
    alerts = [msgspec.json.decode(output.value, type=Alert) for output in outputs]
    assert [(alert.channel, alert.suppressed) for alert in alerts] == [("desk", "silenced, oil"), ("log", None)]

    outbox, kicked = MemoryOutbox(), list[str]()
    deliver = Deliver(Topics(), outbox, kicked.append, lambda: NOON)
    (output,) = await deliver.work([record(alert) for alert in alerts])
    assert output.topic == "deliveries"
    end = msgspec.json.decode(output.value, type=Delivery)
    assert (end.channel, end.outcome, end.attempt, end.reason) == ("desk", "suppressed", 0, "silenced, oil")
    assert end.alert_id == alerts[0].alert_id
    assert kicked == ["log"]
    assert (await outbox.counts("desk", NOON)).queued == 0
    assert (await outbox.counts("log", NOON)).queued == 1
