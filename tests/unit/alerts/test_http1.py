"""Connections are used again only where the last answer came to its end, and no more than are allowed are open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from alerts import egress

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Gives one answer to every request, and counts connections."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0
        self.url = httpx.URL("http://127.0.0.1")
        self.serving: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                writer.write(self.answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[Server]:
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = httpx.URL(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    async with listening:
        yield server
        await asyncio.gather(*(task for task in server.serving if task))


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        pytest.param(OK, 1, id="complete"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, 1, id="after an interim answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1, id="in chunks"),
        pytest.param(OK + OK, 3, id="more than was asked for"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), 3, id="the server hangs up"),
    ],
)
async def test_a_connection_is_used_again_where_its_answer_is_over(answer: bytes, connections: int) -> None:
    async with (
        serving(answer) as server,
        egress.open_transport(allow_private=True, connections=1) as transport,
    ):
        answers = [await egress.post(transport, server.url, {}, b"news", 5) for _ in range(3)]
    assert [(one.status, one.body) for one in answers] == [(200, b"ok")] * 3
    assert server.connections == connections


@pytest.mark.parametrize("answer", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"220 mail.example ESMTP\r\n"])
async def test_what_is_no_answer_frees_its_place(answer: bytes) -> None:
    async with (
        serving(answer) as server,
        egress.open_transport(allow_private=True, connections=1) as transport,
    ):
        for _ in range(2):
            with pytest.raises(egress.UnreachableError):
                await egress.post(transport, server.url, {}, b"news", 5)
    assert server.connections == 2


async def test_no_more_connections_than_allowed() -> None:
    async with (
        serving(OK) as server,
        egress.open_transport(allow_private=True, connections=2) as transport,
    ):
        await asyncio.gather(*(egress.post(transport, server.url, {}, b"news", 5) for _ in range(20)))
    assert server.connections == 2
