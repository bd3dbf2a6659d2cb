"""A small HTTP server for what Slack tells of clicks. TLS, and a name on the internet, are for a proxy in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

#: Where Slack posts to, and where a proxy may look whether it is up.
PATH, HEALTH = "/slack/actions", "/health"
#: The most bytes of a request, and of requests at once.
_LONGEST, _AT_ONCE = 64 * 1024, 32

#: Gives the status for a request of some headers, their names in lower case, and a body; from any thread.
Handle = Callable[[Mapping[str, str], bytes], HTTPStatus]


class Listener:
    """Serves while its block lasts; ``port`` 0 takes a free one."""

    def __init__(self, host: str, port: int, handle: Handle) -> None:
        self._server = _Server((host, port), handle)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True, name="slack")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _AT_ONCE

    def __init__(self, address: tuple[str, int], handle: Handle) -> None:
        self.handle = handle
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):  # whoever holds them all is slow, or means no good
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks off is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0
    server_version, sys_version = "wirewatch", ""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if self.path != PATH:
            self._say(HTTPStatus.NOT_FOUND)
        elif not (length.isascii() and length.isdigit()):
            self._say(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > 7 or int(length) > _LONGEST:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(length))
            self._say(self.server.handle({name.lower(): value for name, value in self.headers.items()}, body))

    def do_GET(self) -> None:
        self._say(HTTPStatus.OK if self.path == HEALTH else HTTPStatus.NOT_FOUND)

    def _say(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Paths that strangers try are not logged; clicks are, by who takes them."""
