"""HTTP/1.1 for httpx: h11 over a backend of httpcore, without httpcore's pool.

That pool serves requests of many hosts and two versions of HTTP, and its locks, traces and connection states were most of
what a small POST cost. Who sends alerts has one host, and as many requests at once as connections. What reaches whom is
decided by the backend, as before; what is well-formed, by h11.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import httpcore
import httpx

log = logging.getLogger(__name__)

#: Bytes taken from the network at once.
_READ = 64 * 1024
#: The longest head of an answer, bytes.
_HEAD = 100 * 1024

#: Scheme, host and port: what a connection is good for.
_Origin = tuple[str, str, int]


class Http1Transport(httpx.AsyncBaseTransport):
    """Keeps up to ``connections`` connections open, and uses none that has been idle for ``keep_alive`` seconds.

    A request waits where all are in use. No request is sent twice, none follows a redirect or a proxy.
    """

    def __init__(
        self, backend: httpcore.AsyncNetworkBackend, context: ssl.SSLContext, *, connections: int, keep_alive: float
    ) -> None:
        context.set_alpn_protocols(["http/1.1"])
        self._backend = backend
        self._context = context
        self._keep_alive = keep_alive
        self._free = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the head of its answer; whoever closes the answer frees its connection.

        Raises:
            httpx.TransportError: no answer came. Errors of the backend that are not httpcore's pass as they are.
        """
        await self._free.acquire()
        connection: _Connection | None = None
        try:
            with _translated():
                connection = await self._connection(request.url)
                await connection.send(request)
                head = await connection.head()
        except BaseException:
            try:
                if connection is not None:
                    await connection.close()
            finally:
                self._free.release()
            raise
        return httpx.Response(
            head.status_code, headers=head.headers.raw_items(), stream=_Body(self, connection), request=request
        )

    async def _connection(self, url: httpx.URL) -> _Connection:
        """One that is idle, the last used first, or a new one."""
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))
        while self._idle:
            idle = self._idle.pop()
            if idle.origin == origin and idle.usable(time.monotonic() - self._keep_alive):
                return idle
            await idle.close()
        _, host, port = origin
        stream = await self._backend.connect_tcp(host, port)
        if url.scheme == "https":
            stream = await stream.start_tls(self._context, server_hostname=host)
        log.debug("connected to %s", host)  # no more of the URL: it may be a secret
        return _Connection(origin, stream)

    async def leave(self, connection: _Connection) -> None:
        """Take a connection back, for another request if its answer was read to the end."""
        try:
            if connection.ready() and not self._closed:
                self._idle.append(connection)
            else:
                await connection.close()
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close the connections that are not in use, and the others once they are left."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()


class _Connection:
    """A connection to one origin: one request and its answer at a time."""

    def __init__(self, origin: _Origin, stream: httpcore.AsyncNetworkStream) -> None:
        self.origin = origin
        self._stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._used = 0.0

    async def send(self, request: httpx.Request) -> None:
        """The head and the body; the backend sends both together."""
        head = h11.Request(
            method=request.method.encode("ascii"), target=request.url.raw_path, headers=request.headers.raw
        )
        body = await request.aread()
        parts = (head, h11.Data(body), h11.EndOfMessage()) if body else (head, h11.EndOfMessage())
        # A server may answer and hang up before it has read everything: what it said is read all the same.
        with contextlib.suppress(httpcore.WriteError):
            await self._stream.write(b"".join(self._state.send(part) or b"" for part in parts))

    async def head(self) -> h11.Response:
        """The head of the final answer; those of interim ones are passed over."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event

    async def body(self) -> AsyncIterator[bytes]:
        """The parts of the answer's body, as they come."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def _event(self) -> Any:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            data = await self._stream.read(_READ)
            if not data and self._state.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("the server hung up without an answer")
            self._state.receive_data(data)
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("the server hung up, or speaks another protocol")
        return event

    def ready(self) -> bool:
        """Make ready for another request, if that may be: nothing is left unread, and nobody wants to hang up."""
        done = self._state.our_state is h11.DONE and self._state.their_state is h11.DONE
        if not done or self._state.trailing_data[0]:
            return False
        self._state.start_next_cycle()
        self._used = time.monotonic()
        return True

    def usable(self, since: float) -> bool:
        """Whether it was used since a moment of the monotonic clock, and the server neither hung up nor spoke unasked."""
        return self._used > since and not self._stream.get_extra_info("is_readable")

    async def close(self) -> None:
        await self._stream.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, whose end gives its connection back."""

    def __init__(self, transport: Http1Transport, connection: _Connection) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is not None:
            with _translated():
                async for part in self._connection.body():
                    yield part

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._transport.leave(connection)


@contextmanager
def _translated() -> Iterator[None]:
    """httpx's errors for those of the backend and of h11."""
    try:
        yield
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
