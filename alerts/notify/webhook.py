"""A webhook by the Standard Webhooks specification, version 1.

How its answers are read follows the specification: 2xx is success; 410 says that the receiver is gone;
everything else, redirects and other 4xx included, is a failure that is tried again, since a receiver's
mistake is often mended within the three days of the schedule. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import AfterValidator, Field, PlainValidator

from alerts import egress, render, signature
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Fault, Result, Retry, Sent, message_id
from alerts.notify.reach import AllowPrivate, ChannelTls
from alerts.secret import WAY_OUT, Reference, SecretError, find_reference, looks_secret, reference, uncover
from alerts.template import BodyTemplate, TemplateError
from alerts.userfile import expanded, read_text
from streams.core.document import RefusedError
from streams.core.duration import Duration
from streams.core.records import Alert

#: Headers that this module or the HTTP client sets.
_RESERVED = frozenset({"content-length", "content-type", "host", "transfer-encoding", "connection"})

#: Old and new keys in one header: room for a rotation, and a header that every receiver takes.
_MOST_SECRETS = 5

#: Hosts whose webhooks have no other secret than their address.
_SECRET_ADDRESSES = ("hooks.slack.com", "discord.com", "discordapp.com", "webhook.office.com", "logic.azure.com")

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110, 5.6.2


def _in_bounds(timeout: timedelta) -> timedelta:
    if not timedelta(milliseconds=100) <= timeout <= timedelta(seconds=60):
        raise ValueError("a time-out lies between 100ms and 60s")
    return timeout


Timeout = Annotated[Duration, AfterValidator(_in_bounds)]


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
    if any(url.host == host or url.host.endswith(f".{host}") for host in _SECRET_ADDRESSES):
        raise ValueError(f"webhooks of {url.host} are secret addresses: {WAY_OUT}")
    secret = next(filter(looks_secret, url.params), None)
    if secret is not None:
        raise ValueError(f"a URL with a `{secret}` is a secret: {WAY_OUT}")
    return text


def _headers(value: Any) -> dict[str, Reference | str]:
    if not isinstance(value, dict):
        raise ValueError("headers are a mapping of names to texts")  # noqa: TRY004 - pydantic expects a ValueError
    return {str(name).lower(): _header(str(name).lower(), given) for name, given in value.items()}


def _header(name: str, value: Any) -> Reference | str:
    if not set(name) <= _TOKEN or not name:
        raise ValueError("a name of a header has letters, digits and `-` only")  # it may be `name: secret`
    if name in _RESERVED or name.startswith("webhook-"):
        raise ValueError(f"`{name}` is set by wirewatch: leave it out")
    found = find_reference(value)
    if found is not None:
        return found
    if looks_secret(name):
        raise ValueError(f"the value of `{name}` is a secret: {WAY_OUT}")
    text = uncover(value)
    if not isinstance(text, str) or not text.isprintable() or not text.isascii():
        raise ValueError(f"the value of `{name}` is not one line of ASCII text: put it in quotes")
    return text


def _content_type(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_.-]+)*", value):
        raise ValueError("a content type is written like application/json or text/plain")
    return value


def _secrets(value: Any) -> tuple[Reference, ...]:
    given = uncover(value)
    several = given if isinstance(given, list) else [value]
    if not 1 <= len(several) <= _MOST_SECRETS:
        raise ValueError(f"list 1 to {_MOST_SECRETS} secrets")
    return tuple(reference(one) for one in several)


class WebhookSettings(ChannelSettings):
    """A receiver of Standard Webhooks, signed with each ``secret``. Without one the webhooks are not signed."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url", "secret", "headers"})

    type: Literal["webhook"]
    url: Annotated[Reference | str, PlainValidator(_url)]
    secret: Annotated[tuple[Reference, ...], PlainValidator(_secrets)] | None = None
    headers: Annotated[dict[str, Reference | str], PlainValidator(_headers)] = Field(default_factory=dict)
    timeout: Timeout = timedelta(seconds=15)
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    allow_private: AllowPrivate = False
    tls: ChannelTls | None = None
    batch: Annotated[int, Field(ge=1, le=50)] = 10
    template: Annotated[str, Field(min_length=1)] | None = None
    content_type: Annotated[str, AfterValidator(_content_type)] = "application/json"

    def faults(self, folder: Path) -> Iterator[Fault]:
        if self.template is None:
            if self.content_type != "application/json":
                yield Fault(
                    "content_type", "without a template the body is JSON", hint="leave it out, or write a `template`"
                )
            return
        file = _template_file(self.template, folder)
        try:
            self._made(folder)
        except ChannelError as error:
            yield Fault("template", error.message, hint=error.hint)
        except TemplateError as error:
            yield Fault("template", f"the template: {error.message}", error.line, file)

    def _made(self, folder: Path) -> BodyTemplate | None:
        """The template, tried out.

        Raises:
            ChannelError: its file cannot be read.
            TemplateError: it is wrong.
        """
        if self.template is None:
            return None
        file, text = _template_file(self.template, folder), self.template
        if file is not None:
            try:
                text = read_text(file)
            except RefusedError as error:
                problem = error.problems[0]
                raise ChannelError(f"`template`: {problem.file} {problem.message}", problem.hint) from None
        template = BodyTemplate(text, self.content_type)
        template.check()
        return template

    def open(self, environ: Mapping[str, str], folder: Path) -> WebhookNotifier:
        url = open_url(self.url, environ, folder, allow_private=self.allow_private)
        keys = [_signing_key(place, environ, folder) for place in self.secret or ()]
        headers = {name: _header_value(name, value, environ, folder) for name, value in self.headers.items()}
        headers["content-type"] = self.content_type
        if url.userinfo and "authorization" in headers:
            problem = "`url` holds a user and password, and `headers` an `authorization`"
            raise ChannelError(problem, "leave one of them out: both are sent as `authorization`")
        try:
            template = self._made(folder)
        except TemplateError as error:
            raise ChannelError(f"`template`: {error}") from None
        return WebhookNotifier(
            url,
            egress.open_transport(
                allow_private=self.allow_private,
                connections=self.concurrency,
                tls=self.tls.context(folder) if self.tls else None,
            ),
            keys=keys,
            headers=headers,
            timeout=self.timeout.total_seconds(),
            concurrency=self.concurrency,
            batch=self.batch if template is None else 1,
            template=template,
        )


def _template_file(template: str, folder: Path) -> Path | None:
    """The file of a template that is written ``file:PATH``."""
    return folder / expanded(Path(template.removeprefix("file:"))) if template.startswith("file:") else None


def open_url(
    url: Reference | str, environ: Mapping[str, str], folder: Path, *, allow_private: egress.Allowed
) -> httpx.URL:
    """The URL of a channel, read from where it is kept.

    Raises:
        ChannelError: it is not there, is no URL, or leads to a private address against the channel's
        settings.
    """
    text = read_secret(url, environ, folder, "url") if isinstance(url, Reference) else url
    try:
        return egress.check_url(text, allow_private=allow_private)
    except ValueError as error:
        raise ChannelError(f"`url`: {error}") from None


def read_secret(place: Reference, environ: Mapping[str, str], folder: Path, setting: str) -> str:
    """What is kept at ``place``, which ``setting`` names.

    Raises:
        ChannelError: it is not there.
    """
    try:
        return place.resolve(environ, folder).get_secret_value()
    except SecretError as error:
        raise ChannelError(f"`{setting}`: {error}", f"set it, or point `{setting}` elsewhere") from None


def _signing_key(place: Reference, environ: Mapping[str, str], folder: Path) -> signature.Key:
    try:
        return signature.parse_key(read_secret(place, environ, folder, "secret"))
    except signature.SignatureError as error:
        raise ChannelError(f"`secret`: {place} does not fit: {error}") from None


def _header_value(name: str, value: Reference | str, environ: Mapping[str, str], folder: Path) -> str:
    if isinstance(value, str):
        return value
    text = read_secret(value, environ, folder, f"headers.{name}")
    if not text.isprintable() or not text.isascii():
        raise ChannelError(f"`headers.{name}`: {value} is not one line of ASCII text")
    return text


class WebhookNotifier:
    """Posts alerts to one URL, signed with each of the ``keys``."""

    def __init__(  # noqa: PLR0913 - the settings of a channel, named by who opens one
        self,
        url: httpx.URL,
        transport: httpx.AsyncBaseTransport,
        *,
        keys: Sequence[signature.Key],
        headers: Mapping[str, str],
        timeout: float,
        concurrency: int,
        batch: int = 1,
        template: BodyTemplate | None = None,
    ) -> None:
        self.timeout = timeout
        self.concurrency = concurrency
        self.batch = batch
        self._url = url
        self._transport = transport
        self._keys = keys
        self._headers = {"content-type": "application/json", **headers}
        self._template = template

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Post the alert. Every attempt has the alert's id as ``webhook-id``, and the same bytes as body."""
        try:
            body = self._template.body(alert) if self._template else render.webhook_body(alert)
        except TemplateError as error:
            return Dead(f"the template, {error}")
        return await self._post(alert.alert_id, body, attempt)

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        """Post several alerts in one webhook, whose id follows from theirs."""
        return await self._post(message_id(alerts), render.webhook_bodies(alerts), attempt)

    async def _post(self, name: str, body: bytes, attempt: Attempt) -> Result:
        headers = self._headers | signature.headers(self._keys, name, attempt.at, body)
        try:
            answer = await egress.post(self._transport, self._url, headers, body, self.timeout)
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
            return await egress.probe(self._transport, self._url, self.timeout)
        except egress.UnreachableError as error:
            raise ChannelError(str(error), "is the URL right, and may this machine reach it?") from None

    async def close(self) -> None:
        await self._transport.aclose()
