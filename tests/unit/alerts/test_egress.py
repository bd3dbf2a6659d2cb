from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpcore
import httpx
import pytest

from alerts import egress
from alerts.http1 import Http1Transport
from alerts.receiver import Answer, Receiver

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
async def transport() -> AsyncIterator[httpx.AsyncBaseTransport]:
    async with egress.open_transport(allow_private=True, connections=2) as opened:
        yield opened


async def post(transport: httpx.AsyncBaseTransport, url: str, within: float = 2.0) -> egress.Answer:
    return await egress.post(transport, httpx.URL(url), {"x-note": "hello"}, b"body", within)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::93.184.215.14", True),
    ],
)
def test_public_and_private_addresses(address: str, public: bool) -> None:
    assert egress.is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "localhost", "2130706433"])
async def test_a_private_address_is_refused_before_anything_is_sent(host: str) -> None:
    with Receiver() as receiver:
        port = httpx.URL(receiver.url).port
        async with egress.open_transport(allow_private=False, connections=1) as transport:
            with pytest.raises(egress.UnreachableError, match="private address"):
                await post(transport, f"http://{host}:{port}/")
        assert not receiver.received


class Detour(httpcore.AnyIOBackend):
    """Notes where it is to connect to, and connects to this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def connect_tcp(self, host: str, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        return await super().connect_tcp("127.0.0.1", *args, **kwargs)


async def test_only_checked_addresses_are_connected_to_and_the_name_is_kept() -> None:
    async def two_homed(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", "93.184.215.15"]

    detour = Detour()
    with Receiver() as receiver:
        port = httpx.URL(receiver.url).port
        async with httpcore.AsyncConnectionPool(network_backend=egress.PublicOnly(detour, two_homed)) as pool:
            answer = await pool.request("POST", f"http://two-homed.example:{port}/", content=b"")
            assert answer.status == 200
        assert detour.asked == ["93.184.215.14"]
        assert receiver.received[0].headers["host"] == f"two-homed.example:{port}"


class HalfDead(Detour):
    """A network in which nothing answers at addresses that end in .1."""

    async def connect_tcp(self, host: str, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        if host.endswith(".1"):
            self.asked.append(host)
            await asyncio.sleep(3600)
        return await super().connect_tcp(host, *args, **kwargs)


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_dead_address_does_not_use_up_the_time_of_the_next(allowed: bool) -> None:
    async def several(_host: str, _port: int) -> list[str]:
        return ["93.184.215.1", "93.184.216.1", "93.184.215.14"]

    detour = HalfDead()
    with Receiver() as receiver:
        port = httpx.URL(receiver.url).port
        context = httpx.create_ssl_context(trust_env=False)
        guard = egress.PublicOnly(detour, several, allowed)
        async with Http1Transport(guard, context, connections=1, keep_alive=60) as transport:
            assert (await post(transport, f"http://several.example:{port}/", within=10)).status == 200
    assert detour.asked == ["93.184.215.1", "93.184.216.1", "93.184.215.14"]


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_visibly_private_url_is_refused_unless_it_is_meant(host: str) -> None:
    with pytest.raises(ValueError, match="say `allow_private: true`"):
        egress.check_url(f"https://{host}/x", allow_private=False)
    assert egress.check_url(f"https://{host}/x", allow_private=True).path == "/x"


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org", "https://", "https:///x", "http://[::1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        egress.check_url(url, allow_private=True)


async def test_a_post_arrives_without_extras(
    transport: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Receiver(otherwise=Answer(headers={"set-cookie": "a=b"})) as receiver:
        for _ in range(2):
            answer = await post(transport, receiver.url + "in?x=1")
            assert (answer.status, answer.ok, answer.body) == (200, True, b"ok")
        one, two = receiver.received
        assert (one.path, one.body) == ("/in?x=1", b"body")
        assert one.headers["accept-encoding"] == "identity"
        assert one.headers["x-note"] == "hello"
        assert two.headers["host"] == httpx.URL(receiver.url).netloc.decode()


async def test_redirects_are_answers(transport: httpx.AsyncBaseTransport) -> None:
    with Receiver() as elsewhere, Receiver(otherwise=Answer(302, headers={"location": elsewhere.url})) as receiver:
        assert (await post(transport, receiver.url)).status == 302
        assert not elsewhere.received


async def test_a_long_answer_is_read_to_the_limit_only(transport: httpx.AsyncBaseTransport) -> None:
    with Receiver(otherwise=Answer(body=b"x" * 5_000_000)) as receiver:
        answer = await post(transport, receiver.url)
        assert (len(answer.body), answer.complete) == (egress.ANSWER_LIMIT, False)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(hang=True), "no answer from 127.0.0.1 within 0.2 s"),
        (Answer(delay=30), "no answer from 127.0.0.1 within 0.2 s"),
        (Answer(reset=True), "127.0.0.1: the connection broke off before an answer"),
    ],
)
async def test_no_answer(transport: httpx.AsyncBaseTransport, answer: Answer, message: str) -> None:
    with Receiver(otherwise=answer) as receiver:
        started = time.monotonic()
        with pytest.raises(egress.UnreachableError, match=message):
            await post(transport, receiver.url + "hunter2", within=0.2)
        assert time.monotonic() - started < 20


@contextlib.asynccontextmanager
async def answering(*parts: bytes, then: str) -> AsyncIterator[str]:
    """A server whose answers come in ``parts``, and ``then`` hang, break off or trickle on; its URL."""
    ended = asyncio.Event()
    serving: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        while then == "trickle" and not writer.is_closing() and not ended.is_set():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        if then == "hang":
            await ended.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        ended.set()
        await asyncio.gather(*(task for task in serving if task))


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"


@pytest.mark.parametrize("then", ["hang", "break off", "trickle"])
@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"200 OK", b"503 Busy")])
async def test_a_status_holds_though_the_body_does_not_come(
    transport: httpx.AsyncBaseTransport, head: bytes, then: str
) -> None:
    """What has a status is delivered or not; httpx's own time-outs begin anew with every byte, ours is for the whole."""
    async with answering(head, b"some", then=then) as url:
        for _ in range(3):  # more than there are connections
            started = time.monotonic()
            answer = await egress.post(transport, httpx.URL(url), {}, b"", within=30, body_within=0.3)
            assert time.monotonic() - started < 15, "nobody waits for it as long as for an answer"
            assert (answer.status, answer.complete, answer.body[:4]) == (int(head[9:12]), False, b"some")


async def test_a_body_has_no_longer_than_the_whole(transport: httpx.AsyncBaseTransport) -> None:
    async with answering(HEAD, then="trickle") as url:
        started = time.monotonic()
        assert not (await egress.post(transport, httpx.URL(url), {}, b"", within=0.3, body_within=30)).complete
        assert time.monotonic() - started < 15


@pytest.mark.parametrize("then", ["hang", "break off"])
async def test_half_a_head_is_no_answer(transport: httpx.AsyncBaseTransport, then: str) -> None:
    async with answering(HEAD[:20], then=then) as url:
        with pytest.raises(egress.UnreachableError):
            await post(transport, url, within=0.3)


async def test_errors_name_the_host_and_nothing_more(transport: httpx.AsyncBaseTransport) -> None:
    with Receiver() as receiver:
        url = receiver.url
    for target in (
        url + "services/hunter2",
        url.replace("http:", "https:") + "hunter2",
        "http://nowhere.invalid/hunter2",
    ):
        with pytest.raises(egress.UnreachableError) as caught:
            await post(transport, target)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_an_illegal_header_is_not_repeated(transport: httpx.AsyncBaseTransport) -> None:
    with Receiver() as receiver, pytest.raises(egress.UnreachableError) as caught:
        await egress.post(transport, httpx.URL(receiver.url), {"authorization": "hunter2\nx"}, b"", 1)
    assert "hunter2" not in str(caught.value)


async def test_logs_show_nothing_of_the_address(
    transport: httpx.AsyncBaseTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver() as receiver:
        await post(transport, receiver.url + "services/hunter2?token=hunter3")
    assert "hunter" not in caplog.text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 1 ", 1.0),
        ("0", None),
        ("-5", None),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        ("Mon, 03 Mar 2025 12:00:10 GMT", 10.0),
        ("Mon, 03 Mar 2025 11:00:00 GMT", None),
        ("Tue, 04 Mar 2025 12:00:00 GMT", 3600.0),
        ("soon", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert egress.retry_after({"retry-after": value}, NOW) == seconds


def test_no_retry_after() -> None:
    assert egress.retry_after({}, NOW) is None
