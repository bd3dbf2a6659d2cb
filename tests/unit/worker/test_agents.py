"""What the agents do with records that are too large for the broker to take back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError

from streams.core.dedupe import Candidate, Entry
from streams.core.headline import read_headline
from streams.core.records import Invalid
from streams.worker.agents import KEPT, Deduplicate, Refusals
from streams.worker.ledger import Ledger
from streams.worker.publish import MAX_BATCH, Output, Refused
from streams.worker.topics import Topics


class NothingToDecide:
    """A ledger that is asked about no headline."""

    async def decide(self, candidates: Sequence[Candidate]) -> list[Entry]:
        assert not candidates
        return []


async def refused(value: bytes, timestamp: int = 0) -> Invalid:
    """What becomes of a raw record, which must fit into one request to the broker."""
    record: Any = ConsumerRecord(
        *("headlines.raw", 0, 7), timestamp=timestamp, timestamp_type=0, key=None, value=value, checksum=None,
        serialized_key_size=0, serialized_value_size=len(value), headers=(),
    )  # fmt: skip
    stage = Deduplicate(Topics(), cast("Ledger", NothingToDecide()))
    [output] = await stage.work([record])
    assert output.topic == "headlines.invalid"
    assert len(output.value) < MAX_BATCH
    return msgspec.json.decode(output.value, type=Invalid)


async def test_a_large_record_that_is_unreadable_is_refused_with_as_much_of_it_as_fits() -> None:
    invalid = await refused(b"{" + b"x" * 1_000_000)
    assert invalid.original == b"{" + b"x" * (KEPT - 1)
    assert invalid.position == "headlines.raw:0:7"


@pytest.mark.parametrize("timestamp", [1_764_284_400_000_000, -62_135_596_800_001, 2**63 - 1])
async def test_a_record_whose_time_is_none_is_refused_as_any_other(timestamp: int) -> None:
    invalid = await refused(b'{"headline": "Oil rises", "published": "2026-03-01T12:00:00Z"}', timestamp)
    assert invalid.reason == f"its timestamp in Kafka, {timestamp}, is no time in milliseconds since 1970"
    assert invalid.original


def test_the_largest_headline_that_can_be_read_leaves_room_for_what_the_agents_add() -> None:
    endless = "\U0001f6a2" * 300_000  # four bytes each
    fields = dict.fromkeys(("headline", "source", "author", "body", "language"), endless)
    value = msgspec.json.encode(fields | {"url": "https://example.com/" + "x" * 7_000, "id": "1" * 1_000})
    headline = read_headline(value, received=datetime(2026, 3, 1, tzinfo=UTC))
    assert 400_000 < len(msgspec.json.encode(headline)) < MAX_BATCH // 2


def refusal_of(value: bytes) -> tuple[Refusals, Output]:
    refusals = Refusals("deduplicate", Topics())
    record: Any = ConsumerRecord(
        *("headlines.raw", 0, 7), timestamp=0, timestamp_type=0, key=None, value=value, checksum=None,
        serialized_key_size=0, serialized_value_size=len(value), headers=(),
    )  # fmt: skip
    return refusals, refusals.refuse(record, "not JSON")


def test_in_place_of_an_output_that_kafka_refuses_comes_the_refusal_of_its_source() -> None:
    refusals, refusal = refusal_of(b"a headline")
    output = Output("headlines.unique", b"x" * 1234, b"id", 0, refusal.source)
    invalid = msgspec.json.decode(refusals.instead(Refused(output, MessageSizeTooLargeError())).value, type=Invalid)
    assert invalid.reason == ("Kafka refuses what came of it, 1,234 bytes for headlines.unique: MESSAGE_SIZE_TOO_LARGE")
    assert (invalid.position, invalid.original) == ("headlines.raw:0:7", b"a headline")


def test_a_refusal_that_kafka_refuses_keeps_less_until_there_is_nothing_left_to_leave_out() -> None:
    refusals, refusal = refusal_of(b"x" * 100_000)
    kept = []
    for _ in range(4):
        kept.append(len(msgspec.json.decode(refusal.value, type=Invalid).original))
        refusal = refusals.instead(Refused(refusal, MessageSizeTooLargeError()))
        assert refusal.reason == "not JSON"
    assert kept == [KEPT, 1000, 0, 0]


def test_the_reason_of_a_refusal_is_no_novel() -> None:
    refusals, refusal = refusal_of(b"")
    assert refusal.source is not None
    told = refusals.stumbled(refusal.source, ValueError("x" * 5000))
    assert len(msgspec.json.decode(told.value, type=Invalid).reason) == 1000
