"""A Slack incoming webhook: one URL, which is a secret, posts to one channel of a workspace.

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
from typing import Annotated, Any, ClassVar, Literal

import httpx
import msgspec
from pydantic import PlainValidator

from alerts import egress
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Rate, Result, Retry, Sent
from alerts.notify.reach import AllowPrivate, ChannelTls
from alerts.notify.webhook import Timeout, open_url
from alerts.secret import Reference, reference
from alerts.slack.message import LISTED, alert_message, digest_message
from streams.core.records import Alert

_ERROR_CODE = re.compile(rb"[a-z_]{2,64}")


class SlackSettings(ChannelSettings):
    """An incoming webhook of Slack, or of what speaks its language (Mattermost, Rocket.Chat)."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url"})

    type: Literal["slack"]
    url: Annotated[Reference, PlainValidator(reference)]
    timeout: Timeout = timedelta(seconds=15)
    allow_private: AllowPrivate = False
    tls: ChannelTls | None = None
    rate: Rate | None = timedelta(seconds=1)  # what Slack takes for a channel

    def open(self, environ: Mapping[str, str], folder: Path) -> SlackNotifier:
        url = open_url(self.url, environ, folder, allow_private=self.allow_private)
        tls = self.tls.context(folder) if self.tls else None
        transport = egress.open_transport(allow_private=self.allow_private, connections=1, tls=tls)
        return SlackNotifier(url, transport, timeout=self.timeout.total_seconds())


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
