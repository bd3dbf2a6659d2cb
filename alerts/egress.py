"""The way out: every HTTP request that delivers an alert passes here.

A channel's URL is given by a user, so what it may reach is limited: public addresses only, unless the channel
says ``allow_private: true``; no redirects; no proxies from the environment; a bounded answer in a bounded
time. The URL may be a secret (Slack's is), so no log line and no error holds more of it than the host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from streams.core.records import utc

#: The most of an answer that is read, in bytes.
ANSWER_LIMIT = 64 * 1024

#: The longest pause a receiver can ask for, in seconds; it keeps a mistaken header from silencing a channel
#: for days.
LONGEST_PAUSE = 3600.0

#: Most servers keep an idle connection for a minute or more, and httpx notices when one was closed earlier.
_KEEP_ALIVE = 60.0

#: Gives the addresses of a host and port.
Resolve = Callable[[str, int], Awaitable[list[str]]]

_TRANSLATED_IPV4 = ipaddress.ip_network("64:ff9b::/96")  # NAT64, RFC 6052


class UnreachableError(Exception):
    """No answer came. The message says why, and names at most the host."""


class RefusedAddressError(Exception):
    """A host has no address outside private and reserved networks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said. ``body`` holds its first :data:`ANSWER_LIMIT` bytes."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        """The receiver took what was sent."""
        return 200 <= self.status < 300


def check_url(text: str, *, allow_private: bool) -> httpx.URL:
    """A URL to post to.

    Raises:
        ValueError: it is no http(s) URL with a host, or its host is visibly private. The message does not
        quote it.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("this is no URL") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the URL begins with https:// or http:// and a host")
    if not allow_private and _visibly_private(url.host):
        raise ValueError(f"{url.host} is a private address: say `allow_private: true` if it is meant")
    return url


def _visibly_private(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, by the registries that :mod:`ipaddress` follows.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is as public as that one.

    Raises:
        ValueError: this is no IP address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _TRANSLATED_IPV4:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


class PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only.

    The name is resolved once and the connection made to the address that was checked, so that a name which
    changes between check and use (DNS rebinding) gains nothing. Above this, TLS and the Host header still see
    the name.
    """

    def __init__(self, network: httpcore.AsyncNetworkBackend | None = None, resolve: Resolve | None = None) -> None:
        self._network = network or httpcore.AnyIOBackend()
        self._resolve = resolve or _addresses

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        public = [address for address in addresses if is_public(address)]
        if addresses and not public:
            raise RefusedAddressError(
                f"{host} has a private address, and the channel does not say `allow_private: true`"
            )
        failure: Exception | None = None
        for address in public:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise httpcore.ConnectError("the name has no address") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class _PublicTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over :class:`PublicOnly`; it takes no backend, so its connection pool is replaced."""

    def __init__(self, limits: httpx.Limits) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=PublicOnly(),
        )


def open_client(*, allow_private: bool, connections: int) -> httpx.AsyncClient:
    """A client for one channel, which keeps up to ``connections`` connections open."""
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEP_ALIVE
    )
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(trust_env=False, limits=limits)
        if allow_private
        else _PublicTransport(limits),
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": "wirewatch", "accept": "*/*", "accept-encoding": "identity"},
    )


async def post(
    client: httpx.AsyncClient, url: httpx.URL, headers: Mapping[str, str], body: bytes, within: float
) -> Answer:
    """Post ``body`` and read the answer, all of it ``within`` so many seconds.

    Raises:
        UnreachableError: no answer came, or not in time.
    """
    with _translated(url, within):
        async with (
            asyncio.timeout(within),
            client.stream("POST", url, headers=dict(headers), content=body, timeout=within) as response,
        ):
            return Answer(response.status_code, response.headers, await _first_bytes(response))


async def probe(client: httpx.AsyncClient, url: httpx.URL, within: float) -> str:
    """Ask for the head of ``url``, which sends nothing; who answered, for a person. Any answer will do.

    Raises:
        UnreachableError: none came, or not in time.
    """
    with _translated(url, within):
        async with asyncio.timeout(within):
            response = await client.head(url, timeout=within)
    return f"{url.host} answers ({response.status_code} to a request for the head alone)"


@contextmanager
def _translated(url: httpx.URL, within: float) -> Iterator[None]:
    """Turn what goes wrong on the way into words that hold nothing of the URL but its host."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        raise UnreachableError(f"no answer from {url.host} within {within:g} s") from None
    except RefusedAddressError as error:
        raise UnreachableError(str(error)) from None
    except httpx.TransportError as error:
        # The texts of httpx and h11 may quote URLs and headers; the class and the TLS reason are enough.
        raise UnreachableError(f"{url.host}: {_why(error)}") from None


async def _first_bytes(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) >= ANSWER_LIMIT:
            break
    return bytes(body[:ANSWER_LIMIT])


def _why(error: httpx.TransportError) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return "the connection broke off before an answer"
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds a receiver asks to be left alone, by its Retry-After header (RFC 9110, 10.2.3).

    The header holds seconds or a date; what is unreadable or past counts as absent. At most
    :data:`LONGEST_PAUSE`.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            seconds = (utc(parsedate_to_datetime(value)) - now).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else None


class _HostOnly(logging.Filter):
    """Cuts the URL in httpx's own log lines ("HTTP Request: POST https://...") down to scheme and host."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{arg.scheme}://{arg.host}" if isinstance(arg, httpx.URL) else arg for arg in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_HostOnly())
