from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
from msgspec.structs import replace

from alerts import egress
from alerts.silence import MemorySilences, Snapshot
from alerts.slack.card import card_of
from alerts.slack.click import ClickError, read_click, verify
from alerts.slack.clicks import Buttons, Clicks
from alerts.slack.message import MUTE_RULE, MUTE_STORY, NOISE, USEFUL, card_message
from streams.core.records import Alert, Feedback
from tests.standins.slack import DESK, SIGNING_SECRET, Message, Slack, signed
from tests.unit.alerts.routing import firing

Make = Callable[..., Alert]
NOW = datetime(2025, 3, 3, 23, 30, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as workspace:
        yield workspace


@dataclass
class Desk:
    """What takes clicks, where mutes and opinions go, and a message with buttons."""

    slack: Slack
    message: Message
    clicks: Clicks
    silences: MemorySilences
    said: list[Feedback] = field(default_factory=list)

    async def click(self, button: str, *, at: datetime = NOW, user: str = "ann") -> HTTPStatus:
        headers, body = self.slack.click(self.message, button, user=user, at=at.timestamp())
        return await self.clicks.take(headers, body)


@asynccontextmanager
async def desk(slack: Slack, alert: Alert, **buttons: Buttons) -> AsyncIterator[Desk]:
    silences, said = MemorySilences(), list[Feedback]()

    async def publish(one: Feedback) -> None:
        said.append(one)

    clicks = Clicks(
        {"desk": Buttons(SIGNING_SECRET, allow_private=True), "other": Buttons("another"), **buttons},
        silences,
        publish,
        clock=lambda: NOW,
    )
    shown = card_message(card_of(alert), channel="desk")
    yield Desk(slack, Message(DESK, "1.1", shown["text"], shown["blocks"]), clicks, silences, said)
    await clicks.close()


async def test_a_story_is_muted_for_two_hours_in_its_channel(slack: Slack, make_alert: Make) -> None:
    async with desk(slack, make_alert()) as at:
        assert await at.click(MUTE_STORY) == HTTPStatus.OK
        assert await at.click(MUTE_STORY) == HTTPStatus.OK, "the same click, told again"
        (silence,) = await at.silences.all()
    assert (silence.query, silence.by) == ('story:"st-1" AND channel:"desk"', "ann")
    assert (silence.starts, silence.ends) == (NOW.replace(microsecond=0), NOW.replace(hour=1, day=4, microsecond=0))
    assert silence.comment == "muted in Slack: Ferries resume after storm warning lifted"
    assert slack.responses[0]["response_type"] == "ephemeral"
    assert "This story is muted in this channel until 2025-03-04 01:30 UTC" in slack.responses[0]["text"]
    assert f"wirewatch silence expire {silence.id}" in slack.responses[0]["text"]


async def test_a_headline_with_newer_emoji_can_be_muted(slack: Slack, make_alert: Make) -> None:
    text = "England \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f win \U0001fa77\nat last"
    async with desk(slack, make_alert(text, matched=())) as at:
        assert await at.click(MUTE_STORY) == HTTPStatus.OK
        (silence,) = await at.silences.all()
    assert silence.comment == f"muted in Slack: {text}".replace("\n", " ")


async def test_a_rule_is_muted_until_the_morning_and_the_silence_keeps_it(slack: Slack, make_alert: Make) -> None:
    alert = make_alert()
    async with desk(slack, alert) as at:
        await at.click(MUTE_RULE)
        (silence,) = await at.silences.all()
    assert silence.ends == datetime(2025, 3, 4, 6, tzinfo=UTC)
    fired = firing(rule="ferries", at=NOW + timedelta(hours=3))
    assert Snapshot([silence]).reason(fired, "desk") is not None
    assert Snapshot([silence]).reason(fired, "log") is None


@pytest.mark.parametrize(("button", "useful"), [(USEFUL, True), (NOISE, False)])
async def test_an_opinion_is_a_record(slack: Slack, make_alert: Make, button: str, useful: bool) -> None:
    async with desk(slack, make_alert()) as at:
        await at.click(button)
        await at.click(button)
        await at.click(button, user="bob", at=NOW + timedelta(seconds=1))
        assert await at.silences.all() == []
    first, again, other = at.said
    assert (first.useful, first.by, first.at, first.channel, first.rule) == (useful, "ann", NOW, "desk", "ferries")
    assert (first.headline_id, first.story_id) == ("h-1", "st-1")
    assert first == again
    assert first.id != other.id
    assert slack.responses[0]["text"] == "Noted, thank you."


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"x-slack-signature": "v0=" + "0" * 64}, HTTPStatus.UNAUTHORIZED),
        ({"x-slack-signature": ""}, HTTPStatus.UNAUTHORIZED),
        ({"x-slack-signature": "v0=é"}, HTTPStatus.UNAUTHORIZED),
        ({"x-slack-request-timestamp": "soon"}, HTTPStatus.UNAUTHORIZED),
        ({"x-slack-request-timestamp": "9" * 400}, HTTPStatus.UNAUTHORIZED),
        ({"x-slack-request-timestamp": str(int(NOW.timestamp()) + 1)}, HTTPStatus.UNAUTHORIZED),
        ({}, HTTPStatus.OK),
    ],
)
async def test_what_slack_did_not_sign_is_refused(
    slack: Slack, make_alert: Make, change: dict[str, str], status: HTTPStatus
) -> None:
    async with desk(slack, make_alert()) as at:
        headers, body = slack.click(at.message, NOISE, at=NOW.timestamp())
        assert await at.clicks.take(headers | change, body) == status
        assert len(at.said) == (status == HTTPStatus.OK)
        assert await at.clicks.take(headers, body + b"&x=y") == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(("apart", "taken"), [(-301, False), (-299, True), (299, True), (301, False)])
def test_a_signature_counts_for_five_minutes(apart: int, taken: bool) -> None:
    headers, body = signed(b"payload=x", NOW.timestamp() + apart)
    if taken:
        verify(headers, body, SIGNING_SECRET, NOW.replace(microsecond=0))
    else:
        with pytest.raises(ClickError, match="too long ago"):
            verify(headers, body, SIGNING_SECRET, NOW.replace(microsecond=0))


async def test_an_app_mutes_nothing_in_the_channels_of_another(slack: Slack, make_alert: Make) -> None:
    async with desk(slack, make_alert(), desk=Buttons("another"), log=Buttons(SIGNING_SECRET)) as at:
        assert await at.click(MUTE_RULE) == HTTPStatus.BAD_REQUEST
        assert await at.silences.all() == []


@pytest.mark.parametrize(
    ("allowed", "told"),
    [(True, 1), ((ip_network("127.0.0.0/8"),), 1), ((ip_network("10.20.0.0/16"),), 0), (False, 0)],
)
async def test_an_answer_goes_to_private_addresses_that_its_own_channel_allows(
    slack: Slack, make_alert: Make, allowed: egress.Allowed, told: int
) -> None:
    own, other = Buttons(SIGNING_SECRET, allow_private=allowed), Buttons(SIGNING_SECRET, allow_private=True)
    async with desk(slack, make_alert(), desk=own, other=other) as at:
        assert await at.click(USEFUL) == HTTPStatus.OK
    assert len(at.said) == 1
    assert len(slack.responses) == told


async def test_an_answer_goes_by_the_tls_of_its_own_channel(make_alert: Make) -> None:
    authority = trustme.CA()
    theirs, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(trusting)
    with Slack(tls=theirs) as slack:
        for tls, told in ((None, 0), (trusting, 1)):
            own = Buttons(SIGNING_SECRET, allow_private=True, tls=tls)
            async with desk(slack, make_alert(), desk=own, other=Buttons(SIGNING_SECRET, tls=trusting)) as at:
                assert await at.click(USEFUL) == HTTPStatus.OK
            assert len(slack.responses) == told


def payload(**changes: Any) -> dict[str, Any]:
    about = {"channel": "desk", "rule": "r", "story": "s", "headline": "h", "text": "t"}
    action = {"action_id": "noise", "action_ts": "1741003200.5", "value": json.dumps(about)}
    return {"type": "block_actions", "user": {"id": "U1"}, "actions": [action | changes.pop("action", {})]} | changes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"payload=",
        b"payload=%7B%7D",
        b"a=b",
        b"payload=" + b"[" * 2000,
        urlencode({"payload": json.dumps(payload(type="view_submission"))}).encode(),
        urlencode({"payload": json.dumps(payload(actions=[]))}).encode(),
        urlencode({"payload": json.dumps(payload(action={"action_id": "other"}))}).encode(),
        urlencode({"payload": json.dumps(payload(action={"action_ts": "NaN"}))}).encode(),
        urlencode({"payload": json.dumps(payload(action={"value": '{"channel": "desk"}'}))}).encode(),
    ],
)
def test_what_is_no_click_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(ClickError):
        read_click(body, {"desk"})


def test_who_clicked_is_named_by_the_best_name_there_is() -> None:
    for user, by in (({"id": "U1"}, "U1"), ({"id": "U1", "username": "an\nn"}, "an n")):
        assert read_click(urlencode({"payload": json.dumps(payload(user=user))}).encode(), {"desk"}).by == by


async def test_a_click_that_cannot_be_noted_is_told_to_slack(slack: Slack, make_alert: Make) -> None:
    async with desk(slack, make_alert()) as at:

        async def away(_: Feedback) -> None:
            raise ConnectionError("no broker")

        at.clicks._publish = away
        assert await at.click(USEFUL) == HTTPStatus.SERVICE_UNAVAILABLE
    assert slack.responses == []


def test_a_message_whose_ids_no_button_can_carry_has_no_buttons(make_alert: Make) -> None:
    alert = make_alert('"' * 900, matched=())
    for story, expected in (("s" * 900, True), ("s" * 1990, False)):
        one = replace(alert, headline=replace(alert.headline, story_id=story))
        blocks = card_message(card_of(one), channel="desk")["blocks"]
        values = [element["value"] for element in blocks[-1]["elements"] if "value" in element]
        assert bool(values) == expected
        assert all(len(value) <= 2000 for value in values)
