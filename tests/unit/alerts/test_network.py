"""Connections over asyncio alone, as httpcore uses them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import httpcore
import pytest
import trustme

from alerts.network import AsyncioBackend, connect_to_any

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def serving(
    answer: Callable[[Reader, Writer], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on this machine; its port."""
    served: list[asyncio.Task[None]] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*served)


async def take(reader: Reader) -> bytes:
    """The body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return await reader.readexactly(length)


async def post(pool: httpcore.AsyncConnectionPool, port: int, body: bytes = b"x", scheme: str = "http") -> bytes:
    response = await pool.request("POST", f"{scheme}://127.0.0.1:{port}/", content=body)
    return response.content


async def test_one_connection_serves_many_requests_each_in_one_piece() -> None:
    connections, pieces = [], []

    async def answer(reader: Reader, writer: Writer) -> None:
        connections.append(writer)
        while piece := await reader.read(65536):
            pieces.append(piece)
            writer.write(OK)

    async with serving(answer) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        for _ in range(3):
            assert await post(pool, port, b"body") == b"ok"
    assert len(connections) == 1
    assert len(pieces) == 3
    assert all(piece.endswith(b"\r\n\r\nbody") for piece in pieces)


async def test_a_large_body_arrives_whole() -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await asyncio.sleep(0.1)  # so that the sender must wait for room
        length = str(len(await take(reader))).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(length) + length)

    async with serving(answer) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        assert await post(pool, port, b"x" * 20_000_000) == b"20000000"


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
async def test_a_connection_that_the_server_gave_up_is_not_used_again(farewell: bytes) -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await take(reader)
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(farewell)

    async with serving(answer) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        for _ in range(2):
            assert await post(pool, port) == b"ok"
            await asyncio.sleep(0.15)


async def test_a_server_that_floods_an_idle_connection_fills_no_memory() -> None:
    sent = 0

    async def flood(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await take(reader)
        writer.write(OK)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    writer.write(b"x" * 1_000_000)
                    await writer.drain()
                    sent += 1_000_000
        writer.transport.abort()

    async with serving(flood) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        assert await post(pool, port) == b"ok"
        await asyncio.sleep(0.6)
        assert await post(pool, port) == b"ok", "by a new connection"
    assert sent < 20_000_000


async def test_a_long_answer_is_taken_as_it_is_read() -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n" + b"x" * 5_000_000)
        await writer.drain()

    async with serving(answer) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        assert len(await post(pool, port)) == 5_000_000


async def test_a_connection_that_breaks_off_is_an_error_of_httpcore() -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await take(reader)
        writer.transport.abort()

    async with serving(answer) as port, httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
        with pytest.raises((httpcore.ReadError, httpcore.RemoteProtocolError)):
            await post(pool, port)


async def test_where_nobody_listens_there_is_no_connection() -> None:
    async with serving(take) as port:  # type: ignore[arg-type]
        pass
    with pytest.raises(httpcore.ConnectError):
        await AsyncioBackend().connect_tcp("127.0.0.1", port)


async def test_a_read_ends_in_time() -> None:
    async def silent(reader: Reader, _: Writer) -> None:
        await reader.read()

    async with serving(silent) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(10, timeout=0.05)
        await stream.aclose()


async def test_tls_is_verified() -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    trusting, strict = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)

    async def answer(reader: Reader, writer: Writer) -> None:
        for _ in range(2):
            await take(reader)
            writer.write(OK)
            await writer.drain()

    backend = AsyncioBackend()
    async with serving(answer, theirs) as port:
        async with httpcore.AsyncConnectionPool(ssl_context=trusting, network_backend=backend) as pool:
            for _ in range(2):
                assert await post(pool, port, b"x" * 100_000, scheme="https") == b"ok"
        async with httpcore.AsyncConnectionPool(ssl_context=strict, network_backend=backend) as pool:
            with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await post(pool, port, scheme="https")


class Road(httpcore.AsyncMockStream):
    """A connection that notes whether it was closed."""

    def __init__(self) -> None:
        super().__init__([])
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


class Roads:
    """Addresses, each with how long it takes to connect to and what comes of it; None never answers."""

    def __init__(self, **after: float | None) -> None:
        self._after = after
        self.tried: list[str] = []
        self.given_up: list[str] = []
        self.made: dict[str, Road] = {}

    async def connect(self, address: str) -> httpcore.AsyncNetworkStream:
        self.tried.append(address)
        seconds = self._after[address]
        try:
            await asyncio.sleep(3600 if seconds is None else abs(seconds))
        except asyncio.CancelledError:
            self.given_up.append(address)
            raise
        if seconds is not None and seconds < 0:
            raise httpcore.ConnectError(f"{address} refuses")
        self.made[address] = Road()
        return self.made[address]


async def test_an_address_that_does_not_answer_keeps_nobody_from_the_next() -> None:
    roads = Roads(dead=None, dumb=None, good=0.0, spare=0.0)
    async with asyncio.timeout(10):
        stream = await connect_to_any(["dead", "dumb", "good", "spare"], roads.connect)
    await asyncio.sleep(0)
    assert stream is roads.made["good"]
    assert (roads.tried, sorted(roads.given_up)) == (["dead", "dumb", "good"], ["dead", "dumb"])


async def test_the_next_address_is_tried_at_once_where_one_refuses() -> None:
    roads = Roads(shut=-0.001, good=0.0)
    async with asyncio.timeout(10):
        assert await connect_to_any(["shut", "good"], roads.connect) is roads.made["good"]


async def test_an_address_that_is_slow_may_still_come_first() -> None:
    roads = Roads(slow=0.4, slower=3000.0)
    async with asyncio.timeout(10):
        assert await connect_to_any(["slow", "slower"], roads.connect) is roads.made["slow"]
    await asyncio.sleep(0)
    assert roads.given_up == roads.tried[1:]


async def test_of_two_connections_of_the_same_moment_one_is_closed() -> None:
    going = asyncio.Event()
    made: list[Road] = []

    async def connect(_address: str) -> httpcore.AsyncNetworkStream:
        if not made:
            asyncio.get_running_loop().call_later(0.3, going.set)
        made.append(Road())
        mine = made[-1]
        await going.wait()
        return mine

    stream = await connect_to_any(["a", "b"], connect)
    for _ in range(3):
        await asyncio.sleep(0)
    assert [road.closed for road in made] == [road is not stream for road in made]


async def test_where_no_address_answers_it_says_so_and_where_there_are_none() -> None:
    with pytest.raises(httpcore.ConnectError, match="b refuses"):
        await connect_to_any(["a", "b"], Roads(a=-0.01, b=-0.01).connect)
    with pytest.raises(httpcore.ConnectError, match="no address"):
        await connect_to_any([], Roads().connect)


async def test_families_of_addresses_take_turns_and_who_stops_waiting_gives_up_all() -> None:
    addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"]
    roads = Roads(**dict.fromkeys(addresses))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.6):
            await connect_to_any(addresses, roads.connect)
    await asyncio.sleep(0)
    assert roads.tried[:2] == ["2001:db8::1", "192.0.2.1"]
    assert sorted(roads.given_up) == sorted(roads.tried)
