from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.core.grouping import next_message
from streams.core.records import Grouping

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)
GROUP = Grouping(key="iran", wait=30, interval=300)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_message_waits_for_company() -> None:
    assert next_message(GROUP, NOW, None) == later(30)


def test_the_next_message_goes_when_the_interval_is_over_however_late_its_alerts_came() -> None:
    assert next_message(GROUP, later(1), later(300)) == later(300)
    assert next_message(GROUP, later(299), later(300)) == later(300)


def test_a_group_that_was_quiet_for_its_interval_begins_anew() -> None:
    assert next_message(GROUP, later(300), later(300)) == later(330)


def test_a_group_with_no_times_goes_at_once() -> None:
    assert next_message(Grouping(key="k"), NOW, None) == NOW
    assert next_message(Grouping(key="k"), NOW, NOW) == NOW


@given(
    wait=st.integers(0, 1000),
    interval=st.integers(0, 1000),
    began=st.integers(-1000, 3000),
    last=st.none() | st.integers(0, 1000),
)
def test_it_goes_after_its_alerts_and_its_interval_and_waits_for_no_longer_than_both(
    wait: int, interval: int, began: int, last: int | None
) -> None:
    group = Grouping(key="k", wait=wait, interval=interval)
    due = next_message(group, later(began), None if last is None else later(last + interval))
    assert due >= later(began)
    if last is not None:
        assert due >= later(last + interval)
    assert due <= max(later(began + wait), later((last or 0) + interval))
