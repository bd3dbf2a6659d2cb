from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from alerts.health import RULE, Disabled, Failing, Health, Limits, Seen, notice
from alerts.notify.interface import Dead, Result, Retry, Sent

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAILED, THROTTLED, REFUSED, GONE = Retry("no answer"), Retry("slow down", 1.0, 429), Dead("no", 404), Dead("gone", 410)


@pytest.mark.parametrize(("result", "passes"), [(FAILED, 0), (THROTTLED, 8), (REFUSED, 8), (Sent(200), 8)])
def test_only_a_receiver_that_does_not_answer_is_paused(result: Result, passes: int) -> None:
    channel = Health(Limits(failures=2)).of("desk")
    channel.note(result, NOON)
    channel.note(result, NOON)
    assert channel.room(NOON, 0, 8) == passes


def test_the_pause_is_logged_once_and_its_end() -> None:
    channel = Health(Limits(failures=1)).of("desk")
    with capture_logs() as logs:
        for result in (FAILED, FAILED, Sent(200), Sent(200)):
            channel.note(result, NOON)
    assert [one["event"] for one in logs] == ["channel fails, pausing it", "channel answers again"]


def failing(since: int, last: int) -> Failing:
    return Failing(NOON + since * MINUTE, NOON + last * MINUTE)


def test_what_was_seen_is_told_once() -> None:
    health = Health()
    health.of("desk").note(Sent(200), NOON)
    health.of("desk").note(FAILED, NOON + MINUTE)
    health.of("desk").note(FAILED, NOON + 2 * MINUTE)
    health.of("log").note(THROTTLED, NOON)
    assert health.take() == {"desk": Seen(worked=True, failing=failing(1, 2))}
    assert health.take() == {}


@pytest.mark.parametrize(
    ("result", "fails"),
    [
        (FAILED, True),
        (GONE, True),
        (Dead("Slack answered 404 no_service", 404), True),
        (Dead("Slack answered 403 invalid_token", 403), True),
        (Dead("the template, line 3: there is no `x`"), False),
        (Dead("Slack answered 400 invalid_blocks", 400), False),
        (Dead("Slack refuses it: invalid_blocks", 200), False),
        (THROTTLED, False),
        (Sent(200), False),
    ],
)
def test_only_what_would_meet_any_alert_says_that_a_channel_fails(result: Result, fails: bool) -> None:
    health = Health()
    health.of("desk").note(result, NOON)
    assert bool(health.of("desk").seen.failing) is fails


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ([], Seen(worked=False, failing=failing(0, 0))),
        ([FAILED], Seen(worked=False, failing=failing(0, 1))),
        ([Sent(200)], Seen(worked=True)),
        ([Sent(200), FAILED], Seen(worked=True, failing=failing(1, 1))),
    ],
)
def test_what_could_not_be_told_comes_before_what_was_seen_later(later: list[Result], told: Seen) -> None:
    health = Health()
    health.of("desk").note(FAILED, NOON)
    taken = health.take()
    for result in later:
        health.of("desk").note(result, NOON + MINUTE)
    health.put_back(taken)
    assert health.take() == {"desk": told}


def test_410_disables_at_once_and_what_waits_is_not_held_back_by_the_breaker() -> None:
    health = Health(Limits(failures=1))
    channel = health.of("desk")
    channel.note(FAILED, NOON)
    channel.note(GONE, NOON)
    assert channel.disabled == Disabled(channel="desk", since=NOON, reason="gone")
    assert channel.room(NOON, 3, 8) == 5
    assert health.take()["desk"].gone == channel.disabled


def test_a_channel_is_enabled_where_others_say_so_and_that_is_logged_once_each() -> None:
    health, disabled = Health(Limits(failures=1)), Disabled(channel="desk", since=NOON, reason="gone")
    health.of("desk").note(FAILED, NOON)
    with capture_logs() as logs:
        for known in ({"desk": disabled, "other": disabled}, {"desk": disabled}, {}, {}):
            health.learn(known)
    assert [(one["log_level"], one["event"]) for one in logs] == [
        ("error", "channel is disabled, its alerts are dead"),
        ("info", "channel is enabled again"),
    ]
    assert health.of("desk").disabled is None
    assert health.of("desk").room(NOON, 0, 8) == 8, "it begins anew, without a pause of before"


def test_all_workers_make_the_same_notice_and_another_one_of_another_failure() -> None:
    first = notice(Disabled(channel="desk", since=NOON, reason="gone"), "ops")
    assert first == notice(Disabled(channel="desk", since=NOON, reason="gone", told=True), "ops")
    assert (first.channel, first.rule.name) == ("ops", RULE)
    assert "desk is disabled" in first.headline.headline.headline
    assert "wirewatch channels enable desk" in first.headline.headline.headline
    assert first.alert_id != notice(Disabled(channel="desk", since=NOON + MINUTE, reason="gone"), "ops").alert_id
