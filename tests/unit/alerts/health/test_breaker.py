from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.health import Breaker, Limits

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
LIMITS = Limits(failures=3, first_pause=timedelta(seconds=5), longest_pause=timedelta(seconds=15))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def opened() -> Breaker:
    breaker = Breaker(LIMITS)
    assert [breaker.failed(NOON) for _ in range(3)] == [False, False, True]
    return breaker


def test_it_lets_through_what_the_channel_takes_while_fewer_have_failed_in_a_row() -> None:
    breaker = Breaker(LIMITS)
    for _ in range(5):
        breaker.failed(NOON)
        breaker.failed(NOON)
        assert breaker.answered() is False
    assert breaker.room(NOON, sending=3, most=8) == 5
    assert not breaker.open


def test_after_failures_in_a_row_nothing_passes_until_the_pause_is_over_and_then_one_alert_alone() -> None:
    breaker = opened()
    assert breaker.room(at(4.9), 0, 8) == 0
    assert breaker.room(at(5), sending=1, most=8) == 0, "an attempt of before is still on its way"
    assert breaker.room(at(5), sending=0, most=8) == 1


def test_a_success_closes_it_and_all_begins_anew() -> None:
    breaker = opened()
    assert breaker.answered() is True
    assert breaker.room(at(1), 0, 8) == 8
    assert [breaker.failed(at(60)) for _ in range(3)] == [False, False, True]
    assert breaker.room(at(64), 0, 8) == 0
    assert breaker.room(at(65), 0, 8) == 1


def test_each_failed_trial_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now, pauses = opened(), 5.0, []
    for _ in range(3):
        assert breaker.failed(at(now)) is False, "it was open already"
        pause = next(n for n in range(100) if breaker.room(at(now + n), 0, 8))
        pauses.append(pause)
        now += pause
    assert pauses == [10, 15, 15]


def test_failures_of_attempts_that_began_before_the_pause_do_not_lengthen_it() -> None:
    breaker = opened()
    for _ in range(5):
        breaker.failed(at(2))
    assert breaker.room(at(5), 0, 8) == 1
