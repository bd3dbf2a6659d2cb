"""The ways around the guard of what a channel may reach, each tried."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from alerts import egress
from alerts.http1 import Http1Transport
from alerts.network import AsyncioBackend
from alerts.notify.interface import ChannelError
from alerts.notify.reach import ChannelTls
from alerts.notify.webhook import WebhookSettings
from alerts.receiver import Answer, Receiver

PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("::ffff:127.0.0.1", "mapped"),
        ("::ffff:a9fe:a9fe", "mapped, in hexadecimals: the metadata of clouds"),
        ("::ffff:100.64.0.1", "mapped, CGNAT"),
        ("::127.0.0.1", "compatible (RFC 4291, 2.5.5.1)"),
        ("::ffff:0:127.0.0.1", "translated (RFC 2765)"),
        ("64:ff9b::127.0.0.1", "NAT64"),
        ("64:ff9b::a9fe:a9fe", "NAT64"),
        ("64:ff9b:1::7f00:1", "NAT64 of a local prefix (RFC 8215)"),
        ("2002:7f00:1::1", "6to4"),
        ("2002:a00:1::", "6to4"),
        ("2002:6440:1::", "6to4, CGNAT"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "Teredo"),
        ("192.88.99.1", "a relay of 6to4"),
        ("100.64.0.1", "CGNAT"),
        ("100.127.255.254", "CGNAT"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local with a zone"),
        ("::1%lo", "loopback with a zone"),
        ("fec0::1", "site-local"),
        ("fd00:ec2::254", "unique local: the metadata of a cloud"),
        ("0.0.0.0", "this host"),
        ("0.1.2.3", "this network"),
        ("::", "this host"),
        ("192.0.0.8", "of the IETF"),
        ("192.0.2.1", "documentation"),
        ("198.18.0.1", "benchmarks"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("5f00::1", "segment routing"),
        ("100::1", "discarded"),
        ("4000::1", "given to nobody"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("239.1.1.1", "multicast"),
        ("ff0e::1", "multicast, global"),
    ],
)
def test_an_address_that_leads_inside_is_not_public(address: str, way: str) -> None:
    assert not egress.is_public(address), way


@given(st.ip_addresses(v=4))
def test_an_address_that_carries_another_is_as_public_as_that(inner: Any) -> None:
    number = int(inner)
    carriers = [
        f"::ffff:{inner}",
        f"64:ff9b::{inner}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ]
    assert {egress.is_public(carrier) for carrier in carriers} == {egress.is_public(str(inner))}


@given(st.ip_addresses(v=6))
def test_what_iana_has_given_to_nobody_is_not_public(address: Any) -> None:
    carries = address.ipv4_mapped or address.sixtofour or str(address).startswith("64:ff9b::")
    if not carries and not 0x2000 <= int(address) >> 112 <= 0x3FFF:
        assert not egress.is_public(str(address))


LITERALS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0177.1",
    "017700000001",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "localhost",
    "LOCALHOST",
    "127。0。0。1",  # full stops of another script, which IDNA makes dots
]


@pytest.mark.parametrize("host", LITERALS)
def test_however_an_address_is_written_the_file_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is a private address"):
        egress.check_url(f"https://{host}/x", allow_private=False)


@pytest.mark.parametrize("host", ["[fe80::1%25eth0]", "[::1%25lo]", "127.0.0.1.", "localhost.", "a.localhost."])
def test_zones_and_final_dots_are_seen_through(host: str) -> None:
    with pytest.raises(ValueError, match="is a private address"):
        egress.check_url(f"https://{host}/x", allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://①②⑦.⓪.⓪.①/",
        "http://0177.0.0.1/",
        "http://127.0.0.256/",
        "http://[127.0.0.1]/",
        "http://[::1/",
        "http://ex\tample.com/",
        "http:/127.0.0.1/",
    ],
)
def test_what_only_some_would_read_as_an_address_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        egress.check_url(url, allow_private=True)


@pytest.mark.parametrize("host", LITERALS)
async def test_and_so_is_the_connection(host: str) -> None:
    """Where the URL is a secret, and its check was for any address."""
    with Receiver() as receiver:
        port = httpx.URL(receiver.url).port
        async with egress.open_transport(allow_private=False, connections=1) as transport:
            with pytest.raises(egress.UnreachableError):
                await egress.post(transport, httpx.URL(f"http://{host}:{port}/"), {}, b"", 5)
        assert not receiver.received


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com@127.0.0.1/", "127.0.0.1"),
        ("https://example.com:80@127.0.0.1:443/", "127.0.0.1"),
        ("https://example.com%40127.0.0.1/", "example.com%40127.0.0.1"),
        ("https://127.0.0.1\\@example.com/", "example.com"),
        ("https://example.com#@127.0.0.1/", "example.com"),
        ("https://example.com?@127.0.0.1/", "example.com"),
        ("https://example.com/@127.0.0.1/", "example.com"),
    ],
)
async def test_the_host_that_is_checked_is_the_one_that_is_resolved(url: str, host: str) -> None:
    """A user in front of the host, and what browsers and libraries read differently."""
    asked: list[str] = []

    async def nowhere(name: str, _port: int) -> list[str]:
        asked.append(name)
        return []

    checked = egress.check_url(url, allow_private=True)
    guard, context = egress.PublicOnly(resolve=nowhere), ssl.create_default_context()
    async with Http1Transport(guard, context, connections=1, keep_alive=60.0) as transport:
        with contextlib.suppress(egress.UnreachableError):
            await egress.post(transport, checked, {}, b"", 2)
    assert asked == [checked.host] == [host]


def test_a_user_in_front_of_the_host_is_refused_in_a_file() -> None:
    with pytest.raises(ValueError, match="a user and password in a URL are a secret"):
        WebhookSettings.model_validate({"type": "webhook", "url": "https://example.com@93.184.215.14/"})


class Redirected(AsyncioBackend):
    """Notes where it is to connect to, and connects to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        return await super().connect_tcp("127.0.0.1", self.port, *args, **kwargs)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"]])
async def test_a_name_with_any_private_address_is_refused(addresses: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    backend = Redirected(0)
    with pytest.raises(egress.RefusedAddressError, match="has a private address"):
        await egress.PublicOnly(backend, resolve).connect_tcp("rebound.example", 443)
    assert backend.asked == []


async def test_a_name_that_changes_between_check_and_use_gains_nothing() -> None:
    """DNS rebinding: the first answer is public, each one after it private."""
    answers = [[PUBLIC], ["127.0.0.1"]]

    async def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    with Receiver(otherwise=Answer(headers={"connection": "close"})) as receiver:
        backend = Redirected(httpx.URL(receiver.url).port or 0)
        async with httpcore.AsyncConnectionPool(network_backend=egress.PublicOnly(backend, rebinding)) as pool:
            assert (await pool.request("POST", "http://rebound.example/", content=b"")).status == 200
            with pytest.raises(egress.RefusedAddressError):
                await pool.request("POST", "http://rebound.example/", content=b"")
    assert backend.asked == [PUBLIC], "connected to what was checked, and never to the name"


async def test_a_redirect_inside_is_not_followed() -> None:
    for status in (301, 302, 303, 307, 308):
        with Receiver() as inside, Receiver(otherwise=Answer(status, headers={"location": inside.url})) as receiver:
            async with egress.open_transport(allow_private=True, connections=1) as transport:
                answer = await egress.post(transport, httpx.URL(receiver.url), {}, b"secret", 5)
            assert (answer.status, answer.ok) == (status, False)
            assert not inside.received


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with egress.open_transport(allow_private=True, connections=1) as transport:
            await egress.post(transport, httpx.URL(receiver.url), {}, b"", 5)
        assert (len(receiver.received), len(proxy.received)) == (1, 0)


async def test_a_bomb_stays_packed() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with Receiver(otherwise=Answer(body=bomb, headers={"content-encoding": "gzip"})) as receiver:
        async with egress.open_transport(allow_private=True, connections=1) as transport:
            answer = await egress.post(transport, httpx.URL(receiver.url), {}, b"", 5)
        assert answer.body == bomb[: egress.ANSWER_LIMIT]
        assert receiver.received[0].headers["accept-encoding"] == "identity"


async def test_endless_headers_are_no_answer() -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x-more: " + b"x" * 10_000 + b"\r\n")
                await writer.drain()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    async with egress.open_transport(allow_private=True, connections=1) as transport:
        with pytest.raises(egress.UnreachableError):
            await egress.post(transport, url, {}, b"", 5)
    server.close()


NETWORKS = WebhookSettings.model_validate(
    {"type": "webhook", "url": "https://a.example", "allow_private": ["10.20.0.0/16", "192.168.7.9", "fd12::/16"]}
).allow_private


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        (PUBLIC, True),
        ("10.20.3.4", True),
        ("::ffff:10.20.3.4", True),
        ("192.168.7.9", True),
        ("fd12::1", True),
        ("10.21.0.1", False),
        ("192.168.7.8", False),
        ("127.0.0.1", False),
        ("fd13::1", False),
    ],
)
async def test_of_private_networks_only_those_that_are_allowed_are_reached(address: str, reached: bool) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [address]

    with Receiver() as receiver:
        backend = Redirected(httpx.URL(receiver.url).port or 0)
        guard = egress.PublicOnly(backend, resolve, NETWORKS)
        if reached:
            await (await guard.connect_tcp("internal.example", 80)).aclose()
        else:
            with pytest.raises(egress.RefusedAddressError, match="does not allow it by `allow_private`"):
                await guard.connect_tcp("internal.example", 80)
    assert bool(backend.asked) is reached
    host = f"[{address}]" if ":" in address else address
    if reached:
        assert egress.check_url(f"https://{host}/", allow_private=NETWORKS).host
    else:
        with pytest.raises(ValueError, match="private address"):
            egress.check_url(f"https://{host}/", allow_private=NETWORKS)


@pytest.mark.parametrize("wrong", [[], "10.0.0.0/8", ["10.0.0.1/8"], ["internal.example"], [10], None])
def test_what_is_no_list_of_networks_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="write `true` for all private addresses, or networks such as"):
        WebhookSettings.model_validate({"type": "webhook", "url": "https://a.example", "allow_private": wrong})


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TlsServer:
    """A receiver over TLS that notes for whom it was asked, and who asked."""

    def __init__(self, authority: trustme.CA, name: str, *, asks: bool = False) -> None:
        self.names: list[str | None] = []
        self.clients: list[Any] = []
        self.heads: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._context.sni_callback = lambda _socket, asked, _context: self.names.append(asked)
        if asks:
            self._context.verify_mode = ssl.CERT_REQUIRED
            authority.configure_trust(self._context)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.clients.append(writer.get_extra_info("peercert"))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=self._context)
        yield server.sockets[0].getsockname()[1]
        server.close()
        await asyncio.sleep(0.02)


def files(authority: trustme.CA, folder: Path, *, client: bool = False) -> ChannelTls:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    given = {"ca_file": "ca.pem"}
    if client:
        issued = authority.issue_cert("ann@desk.example")
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        given |= {"cert_file": "cert.pem", "key_file": "key.pem"}
    return ChannelTls.model_validate(given)


async def post(port: int, tls: ssl.SSLContext | None) -> egress.Answer:
    async with egress.open_transport(allow_private=True, connections=1, tls=tls) as transport:
        return await egress.post(transport, httpx.URL(f"https://localhost:{port}/"), {}, b"", 5)


async def test_an_authority_of_ones_own(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = files(authority, tmp_path)
    async with TlsServer(authority, "localhost").serving() as port:
        assert (await post(port, tls.context(tmp_path))).ok
        with pytest.raises(egress.UnreachableError, match="its TLS certificate is refused"):
            await post(port, None)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(egress.UnreachableError, match="its TLS certificate is refused"):
            await post(port, None)  # the environment is not asked whom to trust
    async with TlsServer(authority, "other.example").serving() as port:
        with pytest.raises(egress.UnreachableError, match="its TLS certificate is refused"):
            await post(port, tls.context(tmp_path))


async def test_a_certificate_of_ones_own(authority: trustme.CA, tmp_path: Path) -> None:
    server = TlsServer(authority, "localhost", asks=True)
    async with server.serving() as port:
        with pytest.raises(egress.UnreachableError):
            await post(port, files(authority, tmp_path).context(tmp_path))
        assert (await post(port, files(authority, tmp_path, client=True).context(tmp_path))).ok
    assert server.clients[-1]["subjectAltName"] == (("email", "ann@desk.example"),)


async def test_tls_and_the_receiver_are_told_the_name_and_not_the_address(authority: trustme.CA) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [PUBLIC]

    server = TlsServer(authority, "hooks.example")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with server.serving() as port:
        backend = Redirected(port)
        guard = egress.PublicOnly(backend, resolve)
        async with httpcore.AsyncConnectionPool(ssl_context=trusting, network_backend=guard) as pool:
            assert (await pool.request("POST", "https://hooks.example/", content=b"")).status == 200
    assert backend.asked == [PUBLIC]
    assert server.names == ["hooks.example"]
    assert b"host: hooks.example\r\n" in server.heads[0].lower()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca_file": "absent.pem"}, "`tls.ca_file`: .*absent.pem cannot be read"),
        ({"ca_file": "words.pem"}, "`tls`: a certificate or key does not fit"),
        ({"cert_file": "words.pem"}, "`tls`: a certificate or key does not fit"),
        ({"cert_file": "words.pem", "key_file": "absent.pem"}, "`tls.key_file`: .*absent.pem cannot be read"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, given: dict[str, str], message: str) -> None:
    (tmp_path / "words.pem").write_text("no certificate", "utf-8")
    settings = WebhookSettings.model_validate({"type": "webhook", "url": "https://a.example", "tls": given})
    with pytest.raises(ChannelError, match=message):
        settings.open({}, tmp_path)


def test_a_key_needs_its_certificate() -> None:
    with pytest.raises(ValueError, match="a `key_file` needs its `cert_file`"):
        WebhookSettings.model_validate({"type": "webhook", "url": "https://a.example", "tls": {"key_file": "k"}})
