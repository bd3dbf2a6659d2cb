from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alerts.notify.interface import Attempt, Dead, Result, Retry, Sent
from alerts.notify.slack import SlackSettings
from alerts.receiver import Answer, Receiver
from alerts.slack.message import alert_message
from streams.core.records import Alert

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)


async def send(receiver: Receiver, alert: Alert, **settings: Any) -> Result:
    given = {"type": "slack", "url": "env:U", "allow_private": True} | settings
    slack = SlackSettings.model_validate(given).open({"U": receiver.url + "services/T0/B0/hunter2"}, Path())
    try:
        return await slack.send(alert, Attempt(1, NOW))
    finally:
        await slack.close()


async def test_a_message_is_posted(make_alert: Callable[..., Alert]) -> None:
    alert = make_alert("Ferries resume & storm warning lifted 🚢")
    with Receiver() as receiver:
        assert await send(receiver, alert) == Sent(200)
        (post,) = receiver.received
    assert post.path == "/services/T0/B0/hunter2"
    assert post.json() == alert_message(alert)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, b"invalid_blocks"), Dead("Slack answered 400 invalid_blocks", 400)),
        (Answer(403, b"action_prohibited"), Dead("Slack answered 403 action_prohibited", 403)),
        (Answer(404, b"no_service"), Dead("Slack answered 404 no_service", 404)),
        (Answer(410, b"channel_is_archived"), Dead("Slack answered 410 channel_is_archived", 410)),
        (Answer(404, b"<html>/services/T0/B0/hunter2</html>"), Dead("Slack answered 404", 404)),
        (Answer(429, b"", headers={"retry-after": "30"}), Retry("Slack answered 429", 30.0, 429)),
        (Answer(500, b"rollup_error"), Retry("Slack answered 500 rollup_error", None, 500)),
        (Answer(302, b"", headers={"location": "/"}), Retry("Slack answered 302", None, 302)),
        (Answer(408, b""), Retry("Slack answered 408", None, 408)),
        (Answer(hang=True), Retry("no answer from 127.0.0.1 within 0.2 s")),
    ],
)
async def test_what_comes_of_an_answer(make_alert: Callable[..., Alert], answer: Answer, expected: Result) -> None:
    with Receiver(otherwise=answer) as receiver:
        assert await send(receiver, make_alert(), timeout="200ms") == expected


async def test_the_url_is_in_no_log_line(make_alert: Callable[..., Alert], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (Answer(), Answer(500), Answer(reset=True)):
        with Receiver(otherwise=answer) as receiver:
            await send(receiver, make_alert())
    assert caplog.records
    assert "hunter2" not in caplog.text
