"""What the agents do with records that are too large for the broker to take back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from aiokafka import ConsumerRecord

from streams.core.dedupe import Candidate, Entry
from streams.core.records import Invalid
from streams.worker.agents import KEPT, LARGEST, Deduplicate
from streams.worker.ledger import Ledger
from streams.worker.publish import MAX_BATCH
from streams.worker.topics import Topics


class NothingToDecide:
    """A ledger that is asked about no headline."""

    async def decide(self, candidates: Sequence[Candidate]) -> list[Entry]:
        assert not candidates
        return []


async def refused(value: bytes) -> Invalid:
    """What becomes of a raw record, which must fit into one request to the broker."""
    record: Any = ConsumerRecord(
        *("headlines.raw", 0, 7), timestamp=0, timestamp_type=0, key=None, value=value, checksum=None,
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


async def test_a_headline_of_which_more_can_be_read_than_the_broker_takes_is_refused() -> None:
    long = {"headline": "Letter from afar", "published": "2026-03-01T12:00:00Z", "id": "1" * LARGEST}
    invalid = await refused(msgspec.json.encode(long))
    assert invalid.reason == "larger than 700,000 bytes: shorten its fields"
