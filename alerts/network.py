"""Connections for httpx over asyncio alone.

httpcore's own backend goes through anyio, with cancel scopes around each read and write and a look at every idle socket at
each request, a good part of what a small POST costs. Here a connection notices at once when its server closes it, and the
head and the body of a request leave together: what is written waits for the first read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from typing import Any

import httpcore

#: From so many bytes on that nobody has read, no more are taken.
_UNREAD = 256 * 1024
#: What is written waits up to so many bytes for the first read.
_TOGETHER = 64 * 1024
#: How long an address has for itself until the next one is tried beside it, seconds (RFC 8305, 5).
_HEAD_START = 0.25

#: Connects to an address.
_Connect = Callable[[str], Coroutine[Any, Any, httpcore.AsyncNetworkStream]]

#: What is being closed; the loop itself holds no tasks.
_closing: set[asyncio.Task[None]] = set()


class _Connection(asyncio.Protocol):
    """One connection: what came in, whether it has ended, and who waits for either."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.received = bytearray()
        self.ended = False
        self._failure: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > _UNREAD:
            self.transport.pause_reading()
        self._tell(self._waiting)

    def take(self, most: int) -> bytes:
        """The first bytes of what came in, so many at most; there is room for more then."""
        data = bytes(self.received[:most])
        del self.received[:most]
        if len(self.received) <= _UNREAD and not self.ended and not self.transport.is_closing():
            self.transport.resume_reading()
        return data

    def eof_received(self) -> None:
        self.ended = True
        self._tell(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self._failure = True, exc
        self._tell(self._waiting)
        self._tell(self._room)

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._tell(self._room)
        self._room = None

    @staticmethod
    def _tell(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def news(self) -> None:
        """Return when something has come in, or the connection has ended."""
        if not self.received and not self.ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        if self._failure is not None and not self.received:
            raise self._failure

    async def room(self) -> None:
        """Return when what was written is on its way, or little of it waits."""
        if self._room is not None:
            await self._room
        if self._failure is not None:
            raise self._failure


class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore uses one."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._unsent = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        with _translated(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                await self._flush()
                await self._connection.news()
        return self._connection.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._unsent += buffer
        if len(self._unsent) >= _TOGETHER:
            with _translated(httpcore.WriteTimeout, httpcore.WriteError):
                async with asyncio.timeout(timeout):
                    await self._flush()

    async def _flush(self) -> None:
        if self._unsent:
            self._connection.transport.write(bytes(self._unsent))
            self._unsent.clear()
            await self._connection.room()

    async def aclose(self) -> None:
        self._connection.transport.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        loop, plain = asyncio.get_running_loop(), self._connection.transport
        try:
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    self._connection.transport = await loop.start_tls(
                        plain, self._connection, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            plain.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        connection = self._connection
        if info == "is_readable":  # asked of an idle connection, where anything but silence means that it is over
            return bool(connection.received) or connection.ended or connection.transport.is_closing()
        name = {"ssl_object": "ssl_object", "client_addr": "sockname", "server_addr": "peername", "socket": "socket"}
        return connection.transport.get_extra_info(name.get(info, info))


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                transport, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, host, port, local_addr=(local_address, 0) if local_address else None
                )
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(connection)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def connect_to_any(addresses: Sequence[str], connect: _Connect) -> httpcore.AsyncNetworkStream:
    """A connection to the first of some addresses of one host that takes one, by Happy Eyeballs (RFC 8305, 4 and 5).

    Each is tried as soon as one before has failed, or a quarter of a second after the one before; IPv6 and IPv4 take turns,
    the family of the first address first. What else is under way once there is a connection is given up.

    Raises:
        httpcore.ConnectError, httpcore.ConnectTimeout: none takes one, or there are none.
    """
    waiting = deque(_in_turns(addresses))
    trying: set[asyncio.Task[httpcore.AsyncNetworkStream]] = set()
    failure: Exception = httpcore.ConnectError("the name has no address")
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(connect(waiting.popleft())))
            patience = _HEAD_START if waiting else None
            done, _ = await asyncio.wait(trying, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.discard(task)
                try:
                    return task.result()
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failure = error
    finally:
        # Beside us, so that nothing can come between a connection and who has asked for it.
        for task in trying:
            task.cancel()
            task.add_done_callback(_close)
    raise failure


def _close(given_up: asyncio.Task[httpcore.AsyncNetworkStream]) -> None:
    """Close what was connected in the moment in which it was given up."""
    if not given_up.cancelled() and given_up.exception() is None:
        closing = asyncio.create_task(given_up.result().aclose())
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


def _in_turns(addresses: Sequence[str]) -> Iterator[str]:
    """One of each family of addresses after the other, each family in its order."""
    first = [one for one in addresses if (":" in one) == (":" in addresses[0])]
    second = [one for one in addresses if (":" in one) != (":" in addresses[0])]
    return filter(None, chain.from_iterable(zip_longest(first, second)))


@contextmanager
def _translated(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """httpcore's errors for those of sockets and TLS."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, ssl.SSLError) as error:
        raise failed(str(error)) from error
