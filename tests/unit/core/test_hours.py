from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.hours import DAYS, Hours, parse_hours, parse_several, within

MONDAY = datetime(2025, 3, 3, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("mon-fri 08:00-18:00 Europe/Paris", "mon-fri 08:00-18:00 Europe/Paris"),
        ("Monday - Friday 8:00 - 18:00", "mon-fri 08:00-18:00 UTC"),
        ("sat, sun", "sat,sun 00:00-24:00 UTC"),
        ("fri-mon America/New_York", "mon,fri,sat,sun 00:00-24:00 America/New_York"),
        ("22:00-06:00", "daily 22:00-06:00 UTC"),
        ("daily 13:00-18:00,08:00-12:00", "daily 08:00-12:00,13:00-18:00 UTC"),
        ("Asia/Tokyo 09:00-15:00 mon-fri", "mon-fri 09:00-15:00 Asia/Tokyo"),
    ],
)
def test_hours_are_read_and_told(written: str, read: str) -> None:
    hours = parse_hours(written)
    assert str(hours) == read
    assert parse_hours(str(hours)) == hours


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "written like `mon-fri 08:00-18:00 Europe/Paris`"),
        (8, "written like"),
        ("mon-fry 08:00-18:00", "`fry` is no day: did you mean `fri`"),
        ("mondy", "did you mean `mon`"),
        ("08:00", "`08:00` are no times"),
        ("08:00-25:00", "are no times"),
        ("08:00-24:30", "beyond 24:00"),
        ("24:00-06:00", "beyond 24:00"),
        ("08:00-08:00", "the whole day is `00:00-24:00`"),
        ("mon-fri Europe/Pariss", "did you mean `Europe/Paris`"),
        ("paris", "did you mean `Europe/Paris`"),
        ("mon Nowhere/Atall", "such as `Europe/Paris`"),
        ("mon UTC Europe/Paris", "one zone too many"),
        ("mon ../../etc/passwd", "no zone"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_out(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_hours(written)


@pytest.mark.parametrize(
    ("written", "moment", "contained"),
    [
        ("mon-fri 08:00-18:00 Europe/Paris", "2025-03-03T07:00:00+00:00", True),
        ("mon-fri 08:00-18:00 Europe/Paris", "2025-03-03T06:59:59+00:00", False),
        ("mon-fri 08:00-18:00 Europe/Paris", "2025-03-03T17:00:00+00:00", False),
        ("mon-fri 08:00-18:00 Europe/Paris", "2025-07-07T06:00:00+00:00", True),  # in summer, one hour earlier
        ("mon-fri 08:00-18:00 Europe/Paris", "2025-03-08T12:00:00+00:00", False),
        ("fri 22:00-06:00", "2025-03-08T05:59:00+00:00", True),  # the night that began on Friday
        ("fri 22:00-06:00", "2025-03-07T05:59:00+00:00", False),
        ("sun 22:00-06:00", "2025-03-03T01:00:00+00:00", True),
        ("mon Asia/Tokyo", "2025-03-02T15:00:00+00:00", True),  # Monday there, Sunday here
        ("02:00-03:00 Europe/Paris", "2025-03-30T01:30:00+00:00", False),  # the hour that there is not
        ("02:00-03:00 Europe/Paris", "2025-10-26T00:30:00+00:00", True),  # and the one that comes twice
        ("02:00-03:00 Europe/Paris", "2025-10-26T01:30:00+00:00", True),
    ],
)
def test_whether_a_moment_lies_within(written: str, moment: str, contained: bool) -> None:
    assert parse_hours(written).contain(at(moment)) is contained


def test_several_hours() -> None:
    some = parse_several(["mon 08:00-09:00", "tue 08:00-09:00"])
    assert within(some, MONDAY + timedelta(hours=8))
    assert within(some, MONDAY + timedelta(hours=32))
    assert not within(some, MONDAY + timedelta(hours=56))
    assert parse_several("mon") == (parse_hours("mon"),)
    with pytest.raises(ValueError, match="written like"):
        parse_several([])


minutes = st.integers(0, 24 * 60 - 1)


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    times=st.lists(st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns"]),
    minute=st.integers(0, 7 * 24 * 60 - 1),
)
def test_hours_contain_the_minutes_that_their_text_counts(
    days: frozenset[int], times: list[tuple[int, int]], zone: str, minute: int
) -> None:
    """Against a week of minutes written out one by one; it has no change of clocks in it."""
    hours = Hours(days, tuple(times), ZoneInfo(zone))
    week = {
        (day * 1440 + start + passed) % 10_080
        for day in days
        for start, end in times
        for passed in range((end - start) % 1440)
    }
    local = datetime(2025, 1, 6, tzinfo=ZoneInfo(zone)) + timedelta(minutes=minute)
    assert hours.contain(local.astimezone(UTC)) == (minute in week)
    names = ",".join(DAYS[day] for day in sorted(days))
    assert parse_hours(f"{names} {str(hours).split(maxsplit=1)[1]}").contain(local) == (minute in week)
