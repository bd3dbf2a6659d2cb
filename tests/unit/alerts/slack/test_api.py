"""What a call to Slack's Web API gives where its answer does not come whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from alerts import egress
from alerts.slack.api import SlackApi, SlackError

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


async def call(answer: bytes) -> None:
    """Call a method of a server that gives this answer and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/")
        api = SlackApi(url, "xoxb-1", egress.open_transport(allow_private=True, connections=1), 5.0)
        try:
            await api.write("chat.postMessage", {}, NOON)
        finally:
            await api.close()


async def test_a_success_that_breaks_off_is_none_for_certain() -> None:
    with pytest.raises(SlackError, match=r"127\.0\.0\.1: the answer breaks off") as caught:
        await call(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"ok": true}')
    assert (caught.value.refused, caught.value.status) == (False, None)


@pytest.mark.parametrize(("status", "refused"), [(403, True), (429, True), (503, False)])
async def test_another_status_holds_without_its_body(status: int, refused: bool) -> None:
    with pytest.raises(SlackError) as caught:
        await call(f"HTTP/1.1 {status} No\r\nretry-after: 7\r\ncontent-length: 100\r\n\r\n".encode())
    assert (caught.value.refused, caught.value.status, caught.value.after) == (refused, status, 7.0)
