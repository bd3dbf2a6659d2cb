from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from alerts.channels import read_channels
from alerts.notify.apprise import AppriseNotifier, AppriseSettings, digest, message
from alerts.notify.interface import Attempt, ChannelError, Dead, Result, Retry, Sent
from alerts.receiver import Answer, Receiver
from streams.core.document import RefusedError
from streams.core.records import Alert

Make = Callable[..., Alert]
ATTEMPT = Attempt(1, datetime(2025, 3, 3, 12, tzinfo=UTC))


def opened(url: str, **settings: Any) -> AppriseNotifier:
    given = {"type": "apprise", "url": "env:U"} | settings
    return AppriseSettings.model_validate(given).open({"U": url}, Path())


def address(receiver: Receiver, scheme: str = "json") -> str:
    return receiver.url.replace("http://", f"{scheme}://user:hunter2@") + "hunter3"


async def send(receiver: Receiver, alert: Alert, scheme: str = "json", **settings: Any) -> Result:
    notifier = opened(address(receiver, scheme), **settings)
    try:
        return await notifier.send(alert, ATTEMPT)
    finally:
        await notifier.close()


async def test_an_alert_arrives_with_its_severity(make_alert: Make) -> None:
    with Receiver() as receiver:
        assert await send(receiver, make_alert("Überfahrt 🚢 <b>", matched=(), severity="critical")) == Sent()
        (post,) = receiver.received
    said = post.json()
    assert (said["title"], said["type"]) == ("CRITICAL Ferries and weather", "failure")
    assert said["message"].startswith("Überfahrt 🚢 <b>\n\nrule ferries · topic shipping")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(410), Dead("JSON answered 410", 410)),
        (Answer(500), Retry("JSON answered 500", None, 500)),
        (Answer(404), Retry("JSON answered 404", None, 404)),
        (Answer(429), Retry("JSON answered 429", None, 429)),
        (Answer(reset=True), Retry("JSON did not take it")),
        (Answer(hang=True), Retry("no answer from JSON within 0.2 s")),
    ],
)
async def test_what_comes_of_an_answer(make_alert: Make, answer: Answer, expected: Result) -> None:
    with Receiver(otherwise=answer) as receiver:
        assert await send(receiver, make_alert(), timeout="200ms") == expected


async def test_while_an_attempt_is_still_on_its_way_no_other_begins(make_alert: Make) -> None:
    with Receiver(otherwise=Answer(hang=True)) as receiver:
        notifier = opened(address(receiver), timeout="200ms")
        await notifier.send(make_alert(), ATTEMPT)
        assert await notifier.send(make_alert(), ATTEMPT) == Retry("JSON: an attempt of before has not ended yet")


async def test_nothing_of_a_secret_is_in_a_log_an_error_or_a_repr(
    make_alert: Make, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for answer in (Answer(), Answer(500), Answer(reset=True)):
        with Receiver(otherwise=answer) as receiver:
            notifier = opened(address(receiver))
            said += [repr(notifier), repr(await notifier.send(make_alert(), ATTEMPT)), await notifier.probe()]
    with pytest.raises(ChannelError) as caught:
        opened("nonsense://user:hunter2@host/hunter3")
    said += [str(caught.value), caplog.text, *capfd.readouterr()]
    assert "does not hold a URL that Apprise understands" in str(caught.value)
    assert [text for text in said if "hunter" in text] == []


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChannelError, match="needs Apprise, which is not installed") as caught:
        opened("json://127.0.0.1")
    assert caught.value.hint == "pip install 'wirewatch[apprise]'"


def test_the_url_is_a_reference_and_an_error_does_not_repeat_it() -> None:
    with pytest.raises(RefusedError, match="does not stand in this file") as caught:
        read_channels("channels: {it: {type: apprise, url: 'json://user:hunter2@host'}}", "channels.yaml")
    assert "hunter2" not in str(caught.value)


HOSTILE = (
    "# *Bold* _it_ [a](http://b) `c` <b>d</b> &amp; ![x](y) | - 1. @everyone <!here> <@U1> ~~e~~ \\z https://f.example"
)


def test_a_headline_is_no_markdown_and_calls_nobody(make_alert: Make) -> None:
    title, body = message(make_alert(HOSTILE, matched=(), title="*t* @channel"), 9000, markdown=True)
    shown = MarkdownIt().render(body.split("\n")[0])
    assert shown.startswith(
        "<p># *Bold* _it_ [a](http://b) `c` &lt;b&gt;d&lt;/b&gt; &amp;amp; ![x](y) | - 1. @\u200beveryone &lt;\u200b!here"
    )
    assert shown.count("<") == 2, "the paragraph alone is markup"
    assert title == "HIGH \\*t\\* @\u200bchannel"
    plain = message(make_alert(HOSTILE, matched=()), 9000, markdown=False)[1]
    assert plain.startswith("# *Bold*")
    assert "@everyone" not in plain
    assert "<!here>" not in plain


@pytest.mark.parametrize(
    ("form", "shown"),
    [("html", "&lt;b&gt;x&lt;/b&gt;"), ("markdown", "\\<b\\>x\\</b\\>"), ("text", "<b>x</b>")],
)
async def test_a_headline_is_escaped_as_its_service_needs(make_alert: Make, form: str, shown: str) -> None:
    with Receiver() as receiver:
        await opened(f"{address(receiver)}?format={form}").send(make_alert("<b>x</b>", matched=()), ATTEMPT)
        (post,) = receiver.received
    assert post.json()["message"].startswith(shown)


@pytest.mark.parametrize("room", [100, 160, 300, 1000])
def test_a_body_fits_into_what_a_service_takes(make_alert: Make, room: int) -> None:
    for markdown_ in (True, False):
        title, body = message(make_alert("[storm] " * 200, matched=(), title="T" * 20), room, markdown=markdown_)
        assert len(title) + len(body) <= room
        assert "storm" in body


@pytest.mark.parametrize(
    ("fields", "begins"),
    [({"status": "corrected"}, "HIGH CORRECTED "), ({"status": "canceled"}, "HIGH WITHDRAWN "), ({}, "HIGH Ferries")],
)
def test_the_title_says_how_the_headline_stands(make_alert: Make, fields: dict[str, Any], begins: str) -> None:
    assert message(make_alert(**fields), 1000, markdown=False)[0].startswith(begins)


async def test_several_alerts_are_one_message_of_the_worst_severity(make_alert: Make) -> None:
    alerts = [make_alert(f"Storm {n} closes a port", matched=(), alert_id=f"al_{n}", severity="low") for n in range(3)]
    alerts.append(make_alert("Ferry sinks", matched=(), alert_id="al_9", severity="critical", title="Disasters"))
    with Receiver() as receiver:
        notifier = opened(address(receiver))
        assert await notifier.send_all(alerts, ATTEMPT) == Sent()
        (post,) = receiver.received
    said = post.json()
    assert (said["title"], said["type"]) == ("CRITICAL 4 alerts: Ferries and weather, Disasters", "failure")
    assert said["message"].splitlines()[0] == "Storm 0 closes a port (harbour.example)"
    assert len(said["message"].splitlines()) == 4


def test_a_digest_fits_and_says_how_many_it_leaves_out(make_alert: Make) -> None:
    alerts = [make_alert(f"Storm @everyone {n} " + "x" * 300, matched=(), alert_id=f"al_{n}") for n in range(20)]
    title, body = digest(alerts, 1000, markdown=False)
    assert len(title) + len(body) <= 1000
    assert "@everyone" not in body
    shown = len(body.splitlines()) - 1
    assert body.splitlines()[-1] == f"and {20 - shown} more"
