"""Slack: an incoming webhook, one URL, which is a secret, that posts to one channel of a workspace; or an app's token.

What a token does is in :mod:`alerts.notify.slackbot`; the rest is about incoming webhooks.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Slack takes about one
message a second for a channel and answers 429 with Retry-After beyond that, so messages go one at a time. It
knows no message ids: should a worker die between Slack's receipt and the note of it, the message is posted
twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
import msgspec
from pydantic import AfterValidator, PlainValidator, model_validator

from alerts import egress
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Rate, Result, Retry, Sent
from alerts.notify.reach import AllowPrivate, ChannelTls
from alerts.notify.slackbot import SlackBotNotifier
from alerts.notify.webhook import Timeout, open_url, read_secret
from alerts.secret import Reference, reference
from alerts.slack.api import API, SlackApi
from alerts.slack.message import LISTED, alert_message, digest_message
from streams.core.records import Alert

#: A channel of Slack by its name (80 characters at most), or by its id.
_PLACE = re.compile(r"#[^\s#@,<>&]{1,80}|[CGD][A-Z0-9]{2,30}")
_ERROR_CODE = re.compile(rb"[a-z_]{2,64}")


def _place(value: str) -> str:
    if not _PLACE.fullmatch(value):
        raise ValueError('a channel of Slack is written like "#desk", in quotes, or by its id, like C024BE91L')
    return value


class SlackSettings(ChannelSettings):
    """An incoming webhook of Slack, or of what speaks its language (Mattermost, Rocket.Chat); or a channel and a token."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url", "token", "signing_secret"})

    type: Literal["slack"]
    url: Annotated[Reference, PlainValidator(reference)] | None = None
    token: Annotated[Reference, PlainValidator(reference)] | None = None
    channel: Annotated[str, AfterValidator(_place)] | None = None
    signing_secret: Annotated[Reference, PlainValidator(reference)] | None = None
    api: str = API
    timeout: Timeout = timedelta(seconds=15)
    allow_private: AllowPrivate = False
    tls: ChannelTls | None = None
    rate: Rate | None = timedelta(seconds=1)  # what Slack takes for a channel

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.token is None):
            raise ValueError(
                "a Slack channel has a `url` of an incoming webhook, or the `token` of an app; one of them"
            )
        if (self.channel is None) != (self.token is None):
            raise ValueError('a `token` needs its `channel`, such as "#desk"; a `url` has one already')
        if self.signing_secret is not None and self.token is None:
            raise ValueError("buttons, and their `signing_secret`, need a `token`")
        return self

    def read_signing_secret(self, environ: Mapping[str, str], folder: Path) -> str | None:
        """The secret by which Slack signs what it tells of clicks; None where the channel has no buttons.

        Raises:
            ChannelError: it is not where it should be.
        """
        if self.signing_secret is None:
            return None
        return read_secret(self.signing_secret, environ, folder, "signing_secret").strip()

    def open(self, environ: Mapping[str, str], folder: Path) -> SlackNotifier | SlackBotNotifier:
        tls = self.tls.context(folder) if self.tls else None
        timeout = self.timeout.total_seconds()
        if self.url is not None:
            url = open_url(self.url, environ, folder, allow_private=self.allow_private)
            transport = egress.open_transport(allow_private=self.allow_private, connections=1, tls=tls)
            return SlackNotifier(url, transport, timeout=timeout)
        assert self.token is not None
        assert self.channel is not None
        token = read_secret(self.token, environ, folder, "token").strip()
        if not token.isascii() or not token.isprintable():
            raise ChannelError(f"`token`: {self.token} holds no token of Slack's", "it begins with xoxb-")
        try:
            base = egress.check_url(self.api.rstrip("/") + "/", allow_private=self.allow_private)
        except ValueError as error:
            raise ChannelError(f"`api`: {error}") from None
        if base.userinfo:
            raise ChannelError("`api`: a user and password cannot go beside the token", "leave them out")
        if base.scheme != "https" and not self.allow_private:
            raise ChannelError("`api`: the token would go out in plain sight", "write https://")
        transport = egress.open_transport(allow_private=self.allow_private, connections=1, tls=tls)
        api = SlackApi(base, token, transport, timeout)
        return SlackBotNotifier(api, self.channel, timeout=timeout, buttons=self.signing_secret is not None)


class SlackNotifier:
    """Posts alerts to one Slack channel."""

    concurrency = 1
    batch = LISTED

    def __init__(self, url: httpx.URL, transport: httpx.AsyncBaseTransport, *, timeout: float) -> None:
        self.timeout = timeout
        self._url = url
        self._transport = transport

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Post the alert. A 4xx is final: Slack will never take this message, or the channel is gone."""
        return await self._post(alert_message(alert), attempt)

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        """Post one digest."""
        return await self._post(digest_message(alerts), attempt)

    async def _post(self, message: Mapping[str, Any], attempt: Attempt) -> Result:
        body = msgspec.json.encode(message)
        headers = {"content-type": "application/json; charset=utf-8"}
        try:
            answer = await egress.post(self._transport, self._url, headers, body, self.timeout)
        except egress.UnreachableError as error:
            return Retry(str(error))
        if answer.ok:
            return Sent(answer.status)
        code = answer.body.strip()
        reason = f"Slack answered {answer.status}" + (f" {code.decode()}" if _ERROR_CODE.fullmatch(code) else "")
        if 400 <= answer.status < 500 and answer.status not in {408, 429}:
            return Dead(reason, answer.status)
        return Retry(reason, egress.retry_after(answer.headers, attempt.at), answer.status)

    async def probe(self) -> str:
        """Ask for the head of the URL, which posts nothing."""
        try:
            return await egress.probe(self._transport, self._url, self.timeout)
        except egress.UnreachableError as error:
            raise ChannelError(str(error), "is the URL right, and may this machine reach it?") from None

    async def close(self) -> None:
        await self._transport.aclose()
