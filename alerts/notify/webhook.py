"""A webhook by the Standard Webhooks specification, version 1.

How its answers are read follows the specification: 2xx is success; 410 says that the receiver is gone;
everything else, redirects and other 4xx included, is a failure that is tried again, since a receiver's
mistake is often mended within the three days of the schedule. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import BeforeValidator, Field, PlainValidator

from alerts import egress, render, signature
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Result, Retry, Sent
from alerts.secret import WAY_OUT, Reference, SecretError, find_reference, reference, uncover
from streams.core.records import Alert

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

#: Headers that this module or the HTTP client sets.
_RESERVED = frozenset({"content-length", "content-type", "host", "transfer-encoding", "connection"})

#: Names of headers whose value is a secret.
_SECRETIVE = ("authorization", "cookie", "token", "secret", "key", "password")

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110, 5.6.2


def seconds(value: Any) -> Any:
    """A duration such as ``15s``, ``500ms`` or ``1m`` in seconds; anything else is left to pydantic."""
    if isinstance(value, str):
        figure = value.rstrip("ms ")
        unit = value[len(figure) :].strip()
        if unit in _UNITS and figure.replace(".", "", 1).isdigit():
            return float(figure) * _UNITS[unit]
        raise ValueError("a duration is a figure and `ms`, `s` or `m`, such as 15s")
    return value


def _url(value: Any) -> Reference | str:
    found = find_reference(value)
    if found is not None:
        return found
    text = uncover(value)
    if not isinstance(text, str):
        raise ValueError("this is no URL")  # noqa: TRY004 - pydantic expects a ValueError
    url = egress.check_url(text, allow_private=True)  # `allow_private` is known once the channel is opened
    if url.userinfo:
        raise ValueError(f"a user and password in a URL are a secret: {WAY_OUT}")
    return text


def _headers(value: Any) -> dict[str, Reference | str]:
    if not isinstance(value, dict):
        raise ValueError("headers are a mapping of names to texts")  # noqa: TRY004 - pydantic expects a ValueError
    return {str(name).lower(): _header(str(name).lower(), given) for name, given in value.items()}


def _header(name: str, value: Any) -> Reference | str:
    if not set(name) <= _TOKEN or not name:
        raise ValueError(f"`{name}` is no name of an HTTP header")
    if name in _RESERVED or name.startswith("webhook-"):
        raise ValueError(f"`{name}` is set by wirewatch: leave it out")
    found = find_reference(value)
    if found is not None:
        return found
    if any(part in name for part in _SECRETIVE):
        raise ValueError(f"the value of `{name}` is a secret: {WAY_OUT}")
    text = uncover(value)
    if not isinstance(text, str) or not text.isprintable() or not text.isascii():
        raise ValueError(f"the value of `{name}` is not one line of ASCII text: put it in quotes")
    return text


class WebhookSettings(ChannelSettings):
    """A receiver of Standard Webhooks. Without a ``secret`` the webhooks are not signed."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url", "secret", "headers"})

    type: Literal["webhook"]
    url: Annotated[Reference | str, PlainValidator(_url)]
    secret: Annotated[Reference, PlainValidator(reference)] | None = None
    headers: Annotated[dict[str, Reference | str], PlainValidator(_headers)] = Field(default_factory=dict)
    timeout: Annotated[float, BeforeValidator(seconds), Field(ge=0.1, le=60)] = 15.0
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    allow_private: bool = False

    def open(self, environ: Mapping[str, str]) -> WebhookNotifier:
        url = open_url(self.url, environ, allow_private=self.allow_private)
        secrets = [_signing_key(self.secret, environ)] if self.secret else []
        headers = {name: _header_value(name, value, environ) for name, value in self.headers.items()}
        return WebhookNotifier(
            url,
            egress.open_client(allow_private=self.allow_private, connections=self.concurrency),
            secrets=secrets,
            headers=headers,
            timeout=self.timeout,
            concurrency=self.concurrency,
        )


def open_url(url: Reference | str, environ: Mapping[str, str], *, allow_private: bool) -> httpx.URL:
    """The URL of a channel, read from where it is kept.

    Raises:
        ChannelError: it is not there, is no URL, or leads to a private address against the channel's
        settings.
    """
    text = _read(url, environ, "url") if isinstance(url, Reference) else url
    try:
        return egress.check_url(text, allow_private=allow_private)
    except ValueError as error:
        raise ChannelError(f"`url`: {error}") from None


def _read(place: Reference, environ: Mapping[str, str], setting: str) -> str:
    try:
        return place.resolve(environ).get_secret_value()
    except SecretError as error:
        raise ChannelError(f"`{setting}`: {error}", f"set it, or point `{setting}` elsewhere") from None


def _signing_key(place: Reference, environ: Mapping[str, str]) -> bytes:
    try:
        return signature.parse_secret(_read(place, environ, "secret"))
    except signature.SignatureError as error:
        raise ChannelError(f"`secret`: {place} does not fit: {error}") from None


def _header_value(name: str, value: Reference | str, environ: Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    text = _read(value, environ, f"headers.{name}")
    if not text.isprintable() or not text.isascii():
        raise ChannelError(f"`headers.{name}`: {value} is not one line of ASCII text")
    return text


class WebhookNotifier:
    """Posts alerts to one URL, signed where there are ``secrets``."""

    def __init__(
        self,
        url: httpx.URL,
        client: httpx.AsyncClient,
        *,
        secrets: Sequence[bytes],
        headers: Mapping[str, str],
        timeout: float,
        concurrency: int,
    ) -> None:
        self.timeout = timeout
        self.concurrency = concurrency
        self._url = url
        self._client = client
        self._secrets = secrets
        self._headers = {**headers, "content-type": "application/json"}

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Post the alert. Every attempt has the alert's id as ``webhook-id``, and the same bytes as body."""
        body = render.webhook_body(alert)
        headers = self._headers | signature.headers(self._secrets, alert.alert_id, attempt.at, body)
        try:
            answer = await egress.post(self._client, self._url, headers, body, self.timeout)
        except egress.UnreachableError as error:
            return Retry(str(error))
        if answer.ok:
            return Sent(answer.status)
        reason = f"{self._url.host} answered {answer.status}"
        if answer.status == 410:
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
