from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from alerts import render
from alerts.notify.interface import Attempt, ChannelError, Dead, Result, Retry, Sent
from alerts.notify.webhook import WebhookNotifier, WebhookSettings
from alerts.receiver import Answer, Receiver
from streams.core.records import Alert

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def now() -> datetime:
    """The real time: receivers check it."""
    return datetime.now(UTC)


def notifier(receiver: Receiver, **settings: Any) -> WebhookNotifier:
    given = {"type": "webhook", "url": receiver.url, "secret": "env:S", "allow_private": True} | settings
    return WebhookSettings.model_validate(given).open({"S": SECRET, "H": "Bearer hunter2"}, Path())


async def send(receiver: Receiver, alert: Alert, **settings: Any) -> Result:
    webhook = notifier(receiver, **settings)
    try:
        return await webhook.send(alert, Attempt(1, now()))
    finally:
        await webhook.close()


async def test_the_reference_library_verifies_what_arrives(make_alert: Callable[..., Alert]) -> None:
    alert = make_alert("Überfahrt 🚢 Ferries storm")
    with Receiver(secret=SECRET) as receiver:
        assert await send(receiver, alert) == Sent(200)
        (post,) = receiver.received
    data = Webhook(SECRET).verify(post.body, dict(post.headers))
    assert data["data"]["alert_id"] == post.id == alert.alert_id
    assert post.verified
    assert post.headers["content-type"] == "application/json"


async def test_while_secrets_are_rotated_receivers_of_either_verify_it(make_alert: Callable[..., Alert]) -> None:
    new = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
    private = "whsk_" + base64.b64encode(bytes(range(32))).decode()
    settings = {"type": "webhook", "secret": ["env:NEW", "env:OLD", "env:PRIVATE"], "allow_private": True}
    with Receiver(secret=SECRET) as receiver:
        webhook = WebhookSettings.model_validate(settings | {"url": receiver.url}).open(
            {"NEW": new, "OLD": SECRET, "PRIVATE": private}, Path()
        )
        assert await webhook.send(make_alert(), Attempt(1, now())) == Sent(200)
        await webhook.close()
        (post,) = receiver.received
    assert post.verified
    assert [one.split(",")[0] for one in post.headers["webhook-signature"].split()] == ["v1", "v1", "v1a"]
    for secret in (SECRET, new):
        Webhook(secret).verify(post.body, dict(post.headers))


@pytest.mark.parametrize("secrets", [[], ["env:S"] * 6, ["env:S", SECRET]])
def test_a_list_of_secrets_has_a_few_references_and_no_secret(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match=r"list 1 to 5 secrets|does not stand in this file"):
        WebhookSettings.model_validate({"type": "webhook", "url": "https://a.example", "secret": secrets})


async def test_every_attempt_has_the_same_id_and_body_and_its_own_time(make_alert: Callable[..., Alert]) -> None:
    alert, at = make_alert(), now()
    with Receiver(secret=SECRET, otherwise=Answer(500)) as receiver:
        webhook = notifier(receiver)
        for number in range(1, 4):
            await webhook.send(alert, Attempt(number, at + timedelta(seconds=number)))
        await webhook.close()
        posts = receiver.received
    assert {post.id for post in posts} == {alert.alert_id}
    assert {post.body for post in posts} == {render.webhook_body(alert)}
    assert [int(post.timestamp) - int(at.timestamp()) for post in posts] == [1, 2, 3]
    assert all(post.verified for post in posts)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(204, b""), Sent(204)),
        (Answer(410), Dead("127.0.0.1 answered 410", 410)),
        (Answer(500), Retry("127.0.0.1 answered 500", None, 500)),
        (Answer(302, headers={"location": "/"}), Retry("127.0.0.1 answered 302", None, 302)),
        (Answer(404), Retry("127.0.0.1 answered 404", None, 404)),
        (Answer(429, headers={"retry-after": "12"}), Retry("127.0.0.1 answered 429", 12.0, 429)),
        (Answer(503, headers={"retry-after": "99999"}), Retry("127.0.0.1 answered 503", 3600.0, 503)),
        (Answer(reset=True), Retry("127.0.0.1: the connection broke off before an answer")),
        (Answer(hang=True), Retry("no answer from 127.0.0.1 within 0.2 s")),
    ],
)
async def test_what_comes_of_an_answer(make_alert: Callable[..., Alert], answer: Answer, expected: Result) -> None:
    with Receiver(otherwise=answer) as receiver:
        assert await send(receiver, make_alert(), timeout="200ms") == expected


async def test_what_was_taken_is_delivered_though_the_answer_breaks_off(make_alert: Callable[..., Alert]) -> None:
    with Receiver(otherwise=Answer(headers={"transfer-encoding": "chunked"}, body=b"64\r\nhalf")) as receiver:
        assert await send(receiver, make_alert(), timeout="10s") == Sent(200)


async def test_a_receiver_that_is_not_there_is_tried_again(make_alert: Callable[..., Alert]) -> None:
    with Receiver() as receiver:
        pass
    assert await send(receiver, make_alert()) == Retry("127.0.0.1: no connection")


async def test_own_headers_are_sent(make_alert: Callable[..., Alert]) -> None:
    with Receiver() as receiver:
        await send(receiver, make_alert(), headers={"Authorization": "env:H", "x-desk": "energy"})
        (post,) = receiver.received
    assert post.headers["authorization"] == "Bearer hunter2"
    assert post.headers["x-desk"] == "energy"


async def test_a_user_and_password_in_the_url_are_sent_as_basic_auth_and_shown_nowhere(
    make_alert: Callable[..., Alert], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(answers=[Answer(), Answer(500), Answer(reset=True)]) as receiver:
        url = receiver.url.replace("http://", "http://ann:hunter2%40%C3%BC@") + "in?x=1"
        webhook = WebhookSettings.model_validate({"type": "webhook", "url": "env:U", "allow_private": True}).open(
            {"U": url}, Path()
        )
        results = [await webhook.send(make_alert(), Attempt(1, now())) for _ in range(3)]
        await webhook.close()
        posts = receiver.received
    assert {post.headers["authorization"] for post in posts} == {
        "Basic " + base64.b64encode("ann:hunter2@ü".encode()).decode()
    }
    assert {(post.path, post.headers["host"]) for post in posts} == {("/in?x=1", receiver.url[7:-1])}
    assert "hunter2" not in caplog.text + repr(results) + repr(webhook)


async def test_the_head_is_asked_for_with_the_user_and_password_too() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://ann:hunter2@127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        webhook = WebhookSettings.model_validate({"type": "webhook", "url": "env:U", "allow_private": True}).open(
            {"U": url}, Path()
        )
        assert "hunter2" not in await webhook.probe()
        await webhook.close()
    assert b"authorization: basic " + base64.b64encode(b"ann:hunter2").lower() in heads[0].lower()
    assert b"hunter2" not in heads[0]


def test_a_user_in_the_url_and_an_authorization_of_ones_own_are_one_too_many() -> None:
    settings = WebhookSettings.model_validate(
        {"type": "webhook", "url": "env:U", "headers": {"Authorization": "env:H"}}
    )
    with pytest.raises(
        ChannelError, match="`url` holds a user and password, and `headers` an `authorization`"
    ) as caught:
        settings.open({"U": "https://ann:hunter2@a.example/", "H": "Bearer hunter3"}, Path())
    assert "hunter" not in str(caught.value)
    settings.open({"U": "https://a.example/", "H": "Bearer hunter3"}, Path())


async def test_without_a_secret_it_is_not_signed(make_alert: Callable[..., Alert]) -> None:
    with Receiver() as receiver:
        await send(receiver, make_alert(), secret=None)
        (post,) = receiver.received
    assert "webhook-signature" not in post.headers
    assert post.id == "al_1"


async def test_no_log_line_has_a_secret(make_alert: Callable[..., Alert], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (Answer(), Answer(500), Answer(302, headers={"location": "/hunter3"}), Answer(reset=True)):
        with Receiver(otherwise=answer) as receiver:
            url = receiver.url + "hunter4?token=hunter5"
            settings = {"type": "webhook", "url": "env:U", "headers": {"authorization": "env:H"}, "allow_private": True}
            webhook = WebhookSettings.model_validate(settings).open({"U": url, "H": "Bearer hunter2"}, Path())
            await webhook.send(make_alert(), Attempt(1, now()))
            await webhook.close()
    assert caplog.records
    assert [word for word in ("hunter2", "hunter4", "hunter5") if word in caplog.text] == []


def test_settings_and_notifiers_show_no_secret() -> None:
    settings = WebhookSettings.model_validate(
        {"type": "webhook", "url": "env:U", "secret": "env:S", "headers": {"authorization": "env:H"}}
    )
    opened = settings.open({"U": "https://a.example/hunter2", "S": SECRET, "H": "Bearer hunter2"}, Path())
    assert "hunter2" not in repr(settings) + repr(opened) + str(settings)
    assert SECRET[10:] not in repr(settings) + repr(opened)


async def test_a_probe_says_who_answers_and_posts_nothing() -> None:
    with Receiver() as receiver:
        webhook = notifier(receiver)
        assert (await webhook.probe()).startswith("127.0.0.1 answers")
        assert list(receiver.received) == []
        await webhook.close()


async def test_a_probe_of_what_is_not_there_says_so_without_the_url() -> None:
    with Receiver() as receiver:
        webhook = notifier(receiver, url=receiver.url + "secret-path")
    with pytest.raises(ChannelError, match=r"127\.0\.0\.1: no connection") as caught:
        await webhook.probe()
    assert "secret-path" not in str(caught.value)
    await webhook.close()


async def test_a_body_of_ones_own_is_signed_and_sent_as_what_it_is(
    make_alert: Callable[..., Alert], tmp_path: Path
) -> None:
    (tmp_path / "body.j2").write_text("{{ alert.rule.severity }}: {{ alert.headline.headline.headline }} ü", "utf-8")
    with Receiver(secret=SECRET) as receiver:
        given = {"type": "webhook", "url": receiver.url, "secret": "env:S", "allow_private": True}
        given |= {"template": "file:body.j2", "content_type": "text/plain; charset=utf-8"}
        webhook = WebhookSettings.model_validate(given).open({"S": SECRET}, tmp_path)
        assert await webhook.send(make_alert("Storm", matched=()), Attempt(1, now())) == Sent(200)
        await webhook.close()
        (post,) = receiver.received
    assert post.body.decode() == "high: Storm ü"
    assert post.headers["content-type"] == "text/plain; charset=utf-8"
    assert post.verified


async def test_an_alert_that_a_template_makes_nothing_of_is_dead_and_not_sent(make_alert: Callable[..., Alert]) -> None:
    template = "\n{{ 1 // (alert.headline.headline.headline | length - 5) }}"
    with Receiver() as receiver:
        result = await send(receiver, make_alert("Storm", matched=()), template=template, content_type="text/plain")
        assert list(receiver.received) == []
    assert isinstance(result, Dead)
    assert result.reason.startswith("the template, line 2: ZeroDivisionError: integer")
