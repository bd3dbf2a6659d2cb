"""The parts of the count that need no Kafka; ``tests/integration/test_tally.py`` has the others."""

from __future__ import annotations

from collections import Counter

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.worker.tally import (
    _CLASSIFIED,
    _DROPPED,
    _INVALID,
    _IS_NOWHERE,
    _IS_TWOFOLD,
    _IS_UNCLASSIFIED,
    _TO_CLASSIFY,
    _UNIQUE,
    Offsets,
    Tally,
    _find,
    _read_place,
)


def test_a_count_is_finished_when_it_balances_and_nothing_is_on_its_way() -> None:
    assert Tally(lag={"headlines.raw": 0}, alerts=2, outcomes=Counter(delivered=1, suppressed=1)).finished
    assert not Tally(lag={"headlines.raw": 1}).finished
    assert not Tally(alerts=2, outcomes=Counter(delivered=1)).finished
    assert not Tally(missing=["headlines.raw:0:1"]).finished
    assert not Tally(twofold=["headlines.raw:0:1"]).balanced


def test_the_lag_of_a_topic_is_that_of_all_its_partitions() -> None:
    raw, other = [TopicPartition("raw", n) for n in (0, 1)], TopicPartition("unique", 0)
    offsets = Offsets({}, {raw[0]: 10, raw[1]: 5, other: 7}, {raw[0]: 4, raw[1]: 5, other: 0})
    assert offsets.lag("raw") == 6
    assert offsets.lag("nothing") == 0


@given(st.binary(max_size=200))
def test_what_is_known_of_a_record_tells_what_is_wrong_with_it(known: bytes) -> None:
    fates = [[mark for mark in (_UNIQUE, _DROPPED, _INVALID) if byte & mark] for byte in known]
    assert list(_find(known, _IS_NOWHERE)) == [index for index, of_one in enumerate(fates) if not of_one]
    assert list(_find(known, _IS_TWOFOLD)) == [index for index, of_one in enumerate(fates) if len(of_one) > 1]
    late = [index for index, byte in enumerate(known) if byte & _TO_CLASSIFY and not byte & _CLASSIFIED]
    assert list(_find(known, _IS_UNCLASSIFIED)) == late


@pytest.mark.parametrize("position", ["", "nonsense", "page.txt:7", "a:b:c", "a:1:", "headlines.raw:1:2:3"])
def test_what_is_no_place_in_kafka_is_no_place_of_ours(position: str) -> None:
    assert _read_place(position) == (TopicPartition("", 0), 0)


def test_a_place_in_kafka_is_read() -> None:
    assert _read_place("my.headlines.raw:3:1700") == (TopicPartition("my.headlines.raw", 3), 1700)
