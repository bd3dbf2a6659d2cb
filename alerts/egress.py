"""The way out: every HTTP request that delivers an alert passes here, but for those of Apprise, which makes its own.

A channel's URL is given by a user, so what it may reach is limited: public addresses only, and private ones that the
channel allows (``allow_private``); no redirects; no proxies from the environment; a bounded answer in a bounded
time. The URL may be a secret (Slack's is), so no log line and no error holds more of it than the host.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from alerts.http1 import Http1Transport
from alerts.network import AsyncioBackend, connect_to_any
from streams.core.records import utc

#: The most of an answer that is read, in bytes.
ANSWER_LIMIT = 64 * 1024

#: How long the body of an answer is waited for whose status is known, in seconds. It says no more than the status to most
#: who post; it is read so that the connection can be used again.
BODY_WITHIN = 1.0

#: The longest pause a receiver can ask for, in seconds; it keeps a mistaken header from silencing a channel
#: for days.
LONGEST_PAUSE = 3600.0

#: Most servers keep an idle connection for a minute or more, and httpx notices when one was closed earlier.
_KEEP_ALIVE = 60.0

#: What every request says beside its own headers.
_HEADERS: dict[str, str] = {"user-agent": "wirewatch", "accept": "*/*", "accept-encoding": "identity"}

#: Gives the addresses of a host and port.
Resolve = Callable[[str, int], Awaitable[list[str]]]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Which private addresses may be reached: all, none, or those of some networks.
Allowed = bool | tuple[Network, ...]

_TRANSLATED_IPV4 = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64, RFC 6052
#: All that IANA gives out for the public internet. Outside of it are the forms that carry an IPv4 address to somewhere on
#: this side of a translator (``::127.0.0.1``, ``::ffff:0:127.0.0.1``, ``64:ff9b:1::/48``), site-local addresses, and what is
#: reserved, which :mod:`ipaddress` takes for public.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
#: What :mod:`ipaddress` takes for public, at least in some versions: what the IETF keeps (RFC 6890), relays of 6to4 (RFC
#: 7526), Teredo, whose addresses carry an IPv4 address (RFC 4380), and documentation (RFC 9637).
_NOT_PUBLIC: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv6Network("2001::/32"),
    ipaddress.IPv6Network("3fff::/20"),
)


class UnreachableError(Exception):
    """No answer came. The message says why, and names at most the host."""


class RefusedAddressError(Exception):
    """A host has an address in a private or reserved network that is not allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said. ``body`` holds its first :data:`ANSWER_LIMIT` bytes, unless it was not ``complete``.

    That is an answer whose body was longer, broke off, or did not come in time; its status holds all the same.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    complete: bool = True

    @property
    def ok(self) -> bool:
        """The receiver took what was sent."""
        return 200 <= self.status < 300


def check_url(text: str, *, allow_private: Allowed) -> httpx.URL:
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
    if allow_private is not True and _visibly_private(url.host, allow_private):
        raise ValueError(f"{url.host} is a private address: say `allow_private: true` if it is meant")
    return url


def _visibly_private(host: str, allowed: Allowed) -> bool:
    """Whether a host is a private address, however it is written, or a name of this machine."""
    name = host.rstrip(".")
    try:
        return not may_reach(_written_out(name), allowed)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _written_out(host: str) -> str:
    """An address as usual where it is one of the forms of ``inet_aton``: ``2130706433``, ``0x7f.1``, ``0177.0.0.1``."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return host


def may_reach(address: str, allowed: Allowed) -> bool:
    """Whether an IP address is public, or one of the private ones that are allowed.

    Raises:
        ValueError: this is no IP address.
    """
    if allowed is True or is_public(address):
        return True
    ip = _carried(_parsed(address))
    return any(ip in network for network in allowed or ())


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, by the registries that :mod:`ipaddress` follows and beyond.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is as public as that one.

    Raises:
        ValueError: this is no IP address.
    """
    ip = _carried(_parsed(address))
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GIVEN_OUT:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(address.partition("%")[0])  # without a zone


def _carried(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address carries, to which a packet is passed on; or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _TRANSLATED_IPV4:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


class PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to those of the networks that are ``allowed``, whichever of a name answers first.

    A name of which one address is neither is refused as a whole. The name is resolved once and the connection made to the
    address that was checked, so that a name which changes between check and use (DNS rebinding) gains nothing. Above this,
    TLS and the Host header still see the name.
    """

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend | None = None,
        resolve: Resolve | None = None,
        allowed: Allowed = False,
    ) -> None:
        self._allowed = allowed
        self._network = network or AsyncioBackend()
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
        if not all(may_reach(address, self._allowed) for address in addresses):
            way = "does not say `allow_private: true`" if not self._allowed else "does not allow it by `allow_private`"
            raise RefusedAddressError(f"{host} has a private address, and the channel {way}")
        return await connect_to_any(
            addresses,
            lambda address: self._network.connect_tcp(address, port, timeout, local_address, socket_options),
        )

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise httpcore.ConnectError("the name has no address") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def open_transport(
    *, allow_private: Allowed, connections: int, tls: ssl.SSLContext | None = None
) -> httpx.AsyncBaseTransport:
    """The way out for one channel, which keeps up to ``connections`` connections open.

    Without ``tls`` the authorities that browsers trust are trusted.

    It is httpx without its client, which follows redirects, keeps cookies and reads the environment for those who want
    that. None of it is wanted here, and all of it takes its time at each POST.
    """
    context = tls or httpx.create_ssl_context(trust_env=False)
    return Http1Transport(PublicOnly(allowed=allow_private), context, connections=connections, keep_alive=_KEEP_ALIVE)


async def post(
    transport: httpx.AsyncBaseTransport,
    url: httpx.URL,
    headers: Mapping[str, str],
    body: bytes,
    within: float,
    *,
    body_within: float = BODY_WITHIN,
) -> Answer:
    """Post ``body`` and read the answer, all of it ``within`` so many seconds, and its body in ``body_within`` of them.

    What was posted has arrived where a status came: whoever needs the body asks whether the answer is complete.

    Raises:
        UnreachableError: no answer came, or not in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    with _translated(url, within):
        async with asyncio.timeout_at(deadline):
            response = await transport.handle_async_request(_request("POST", url, headers, body))
    try:
        return await _read(response, min(deadline, loop.time() + body_within))
    finally:
        await response.aclose()


async def probe(transport: httpx.AsyncBaseTransport, url: httpx.URL, within: float) -> str:
    """Ask for the head of ``url``, which sends nothing; who answered, for a person. Any answer will do.

    Raises:
        UnreachableError: none came, or not in time.
    """
    with _translated(url, within):
        async with asyncio.timeout(within):
            response = await transport.handle_async_request(_request("HEAD", url, {}, b""))
            await response.aclose()
    return f"{url.host} answers ({response.status_code} to a request for the head alone)"


def _request(method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> httpx.Request:
    """A request, with the user and password of its URL as Basic authentication (RFC 7617), and nowhere else.

    An ``authorization`` among the headers comes before them.
    """
    own = _HEADERS
    if url.userinfo:
        pair = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        own = {**_HEADERS, "authorization": f"Basic {pair}"}
        url = url.copy_with(userinfo=b"")
    return httpx.Request(method, url, headers={**own, **headers}, content=body)


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


async def _read(response: httpx.Response, deadline: float) -> Answer:
    """The answer, with as much of its body as has come until a moment of the loop's clock."""
    body = bytearray()
    complete = False
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout_at(deadline):
            async for part in response.aiter_raw():
                body += part
                if len(body) > ANSWER_LIMIT:
                    break
            else:
                complete = True
    return Answer(response.status_code, response.headers, bytes(body[:ANSWER_LIMIT]), complete)


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
