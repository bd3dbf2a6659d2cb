from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.backtest.report.delays import Delays, in_words


@given(st.lists(st.floats(0, 10**7), min_size=1, max_size=80), st.sampled_from([0.5, 0.95, 1.0]))
def test_quantiles_are_right_to_two_percent_or_a_second(seconds: list[float], share: float) -> None:
    delays = Delays()
    for each in seconds:
        delays.add(each)
    ranked = sorted(seconds)
    exact = next(value for place, value in enumerate(ranked, start=1) if place >= share * len(ranked))
    assert delays.quantile(share) == pytest.approx(exact, rel=0.02, abs=1.01)
    assert delays.steps.total() == len(seconds)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(0, "at once"), (59, "under 1 min"), (60, "1 to 5 min"), (3_599, "15 to 60 min"), (10**6, "over 3 days")],
)
def test_each_delay_is_in_its_step(seconds: float, step: str) -> None:
    delays = Delays()
    delays.add(seconds)
    assert dict(delays.steps) == {step: 1}


def test_no_delays_have_no_median_to_tell() -> None:
    assert (Delays().count, Delays().quantile(0.5)) == (0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (42, "42 s"), (180, "3 min"), (7_800, "2 h 10 min"), (3_600, "1 h"), (100_000, "1 d 3 h")],
)
def test_a_delay_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
