from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.backtest.report.timeline import Timeline

START = datetime(2026, 3, 4, 10, 0, 30, tzinfo=UTC)
OFFSETS = st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from("abc")), max_size=60)


@given(OFFSETS)
def test_nothing_is_lost_and_bars_stay_few_however_long_the_stream(added: list[tuple[int, str]]) -> None:
    over = Timeline(most=20)
    for seconds, name in added:
        over.add(START + timedelta(seconds=seconds), "rule", name)
    assert len(over.starts()) <= 20
    for name in "abc":
        assert sum(over.counts("rule", name)) == over.totals("rule")[name] == [n for _, n in added].count(name)


def test_a_count_stands_in_the_bar_of_its_time() -> None:
    over = Timeline(most=10)
    for hours in (0, 1, 1, 7):
        over.add(START + timedelta(hours=hours), "rule", "a")
    assert over.width == 3600
    assert over.starts()[0] == datetime(2026, 3, 4, 10, tzinfo=UTC)
    assert over.counts("rule", "a") == [1, 2, 0, 0, 0, 0, 0, 1]
    assert over.counts("topic", "a") == [0] * 8


def test_weeks_begin_on_mondays() -> None:
    over = Timeline(most=10)
    for days in (0, 40):
        over.add(START + timedelta(days=days), "rule", "a")
    assert (over.width, over.starts()[0].weekday()) == (7 * 86_400, 0)
