"""What a POST of an alert costs the sender: processor time, beside httpx's own transport and bare aiohttp.

A body of 900 bytes to a receiver on the loopback in another process, eight at a time, over kept connections, in turns in one
process. httpx's transport is given what ours has: as many connections, kept as long, and no client around it. aiohttp's
session is the bare client, without httpx's requests and answers, and without the guard that says which addresses may be
reached: what a parser in C could save at most.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import httpx
import uvloop

from alerts import egress
from benchmarks.receiving import receiving
from benchmarks.report import Row, row

POSTS, AT_ONCE, ROUNDS = 2_000, 8, 6
#: As long as alerts keep a connection, seconds.
KEPT = 60
BODY = b"{" + b"x" * 898 + b"}"
HEADERS = {"webhook-id": "al_bench", "content-type": "application/json"}

Post = Callable[[], Awaitable[int]]


def run() -> Iterator[Row]:
    """Ours beside each peer: medians of rounds in turns."""
    with tempfile.TemporaryDirectory() as folder, receiving(Path(folder) / "posts") as (port, _):
        costs = uvloop.run(measure(f"http://127.0.0.1:{port}/"))
    ours = costs.pop("ours")
    for name, cost in costs.items():
        yield row("processor time of a POST", ours, "microseconds", peer=cost, peer_name=name)


async def measure(url: str) -> dict[str, float]:
    """Microseconds of processor time that a POST takes, by whom it is sent."""
    async with AsyncExitStack() as stack:
        ways = await opened(stack, url)
        rounds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, post in ways.items():
                rounds[name].append(await cost(post))
    return {name: statistics.median(costs) for name, costs in rounds.items()}


async def opened(stack: AsyncExitStack, url: str) -> dict[str, Post]:
    """Each way to post."""
    ours = await stack.enter_async_context(egress.open_transport(allow_private=True, connections=AT_ONCE))
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=KEPT)
    theirs = await stack.enter_async_context(httpx.AsyncHTTPTransport(trust_env=False, limits=limits))
    connector = aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=KEPT)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    def over(transport: httpx.AsyncBaseTransport) -> Post:
        async def post() -> int:
            return (await egress.post(transport, httpx.URL(url), HEADERS, BODY, 5)).status

        return post

    async def bare() -> int:
        async with session.post(url, data=BODY, headers=HEADERS) as answer:
            await answer.read()
            return answer.status

    return {"ours": over(ours), "httpx's transport": over(theirs), "bare aiohttp, no guard": bare}


async def cost(post: Post) -> float:
    """Microseconds of processor time for one of many."""

    async def some() -> None:
        for _ in range(POSTS // AT_ONCE):
            assert await post() == 200

    began = time.process_time()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / POSTS * 1e6
