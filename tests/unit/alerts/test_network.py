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

from alerts.network import AsyncioBackend

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
