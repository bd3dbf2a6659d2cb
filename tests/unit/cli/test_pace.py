from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from streams.cli.pace import Pace
from streams.core.dedupe import Candidate
from streams.core.pipeline import candidate_of
from streams.core.records import Headline

START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def candidate(minutes: int) -> Candidate:
    at = START + timedelta(minutes=minutes)
    return candidate_of(Headline(headline="Port reopens", published=at), id="1", position="r:0:1", received=at)


@pytest.mark.parametrize(("speed", "expected"), [("max", [0, 0, 0, 0]), ("1", [0, 60, 60, 600]), ("60", [0, 1, 1, 10])])
def test_each_headline_comes_when_it_is_its_turn_and_a_late_one_at_once(speed: str, expected: list[int]) -> None:
    clock = Clock()
    pace = Pace(Pace.read(speed).speed, clock.sleep, clock)
    came = [clock() - 100.0 for _ in pace.of(map(candidate, [0, 1, -5, 10]))]
    assert came == pytest.approx(expected)


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "inf", ""])
def test_other_speeds_are_refused(speed: str) -> None:
    with pytest.raises(typer.BadParameter, match="--speed is max, 1 for real time"):
        Pace.read(speed)
