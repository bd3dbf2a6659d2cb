"""A Slack incoming webhook: one URL, which is a secret, posts to one channel of a workspace.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Slack takes about one
message a second for a channel and answers 429 with Retry-After beyond that, so messages go one at a time. It
knows no message ids: should a worker die between Slack's receipt and the note of it, the message is posted
twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import httpx
import msgspec
from pydantic import BeforeValidator, Field, PlainValidator

from alerts import egress, render
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Result, Retry, Sent
from alerts.notify.webhook import open_url, seconds
from alerts.secret import Reference, reference
from streams.core.records import Alert

_ERROR_CODE = re.compile(rb"[a-z_]{2,64}")


class SlackSettings(ChannelSettings):
    """An incoming webhook of Slack, or of what speaks its language (Mattermost, Rocket.Chat)."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url"})

    type: Literal["slack"]
    url: Annotated[Reference, PlainValidator(reference)]
    timeout: Annotated[float, BeforeValidator(seconds), Field(ge=0.1, le=60)] = 15.0
    allow_private: bool = False

    def open(self, environ: Mapping[str, str]) -> SlackNotifier:
        url = open_url(self.url, environ, allow_private=self.allow_private)
        client = egress.open_client(allow_private=self.allow_private, connections=1)
        return SlackNotifier(url, client, timeout=self.timeout)


class SlackNotifier:
    """Posts alerts to one Slack channel."""

    concurrency = 1

    def __init__(self, url: httpx.URL, client: httpx.AsyncClient, *, timeout: float) -> None:
        self.timeout = timeout
        self._url = url
        self._client = client

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Post the alert. A 4xx is final: Slack will never take this message, or the channel is gone."""
        body = msgspec.json.encode(render.slack_message(alert))
        headers = {"content-type": "application/json; charset=utf-8"}
        try:
            answer = await egress.post(self._client, self._url, headers, body, self.timeout)
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
            return await egress.probe(self._client, self._url, self.timeout)
        except egress.UnreachableError as error:
            raise ChannelError(str(error), "is the URL right, and may this machine reach it?") from None

    async def close(self) -> None:
        await self._client.aclose()
