"""A small receiver of webhooks: for the demo, and for tests of senders, that look at what really arrives.

It runs in threads of its own, on the loopback address, and answers as it is told: slowly, never, with an
error, or by breaking the connection.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from alerts import signature

#: The most of a post that is read, in bytes.
_LONGEST_POST = 1 << 20


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the outermost place: a receiver reads its own clock


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer one post, after ``delay`` seconds.

    ``hang`` never answers and keeps the connection; ``reset`` breaks it off.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One post. ``verified`` tells whether its signature holds; None where the receiver has no secret."""

    id: str
    timestamp: str
    body: bytes
    headers: Mapping[str, str]
    path: str
    at: datetime
    verified: bool | None
    answered: Answer

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Receiver:
    """An HTTP server that takes posts; a context manager that runs it.

    ``secret`` (``whsec_...``) checks signatures. ``answers`` are given one a post, in turn; then, and without
    them, every post is answered by ``otherwise``. ``on_post`` is called, in the server's thread, for each
    post. ``keep`` is how many posts it keeps, the newest; all of them where it is None.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        secret: str | None = None,
        answers: Iterable[Answer] = (),
        otherwise: Answer | None = None,
        on_post: Callable[[Received], object] | None = None,
        keep: int | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.answers: deque[Answer] = deque(answers)
        self.otherwise = otherwise or Answer()
        self._secrets = [signature.parse_secret(secret)] if secret else []
        self._on_post = on_post
        self._clock = clock
        self._received: deque[Received] = deque(maxlen=keep)
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and let go of the connections that hang."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def received(self) -> Sequence[Received]:
        """The posts that are kept, in the order of their arrival."""
        with self._news:
            return tuple(self._received)

    @property
    def repeats(self) -> dict[str, int]:
        """The ids that came more than once, each with how often beyond the first."""
        counts = Counter(post.id for post in self.received)
        return {name: count - 1 for name, count in counts.items() if count > 1}

    def wait_for(self, count: int, within: float = 5.0) -> Sequence[Received]:
        """The posts so far, once there are ``count`` of them.

        Raises:
            TimeoutError: there were fewer after so many seconds.
        """
        with self._news:
            if not self._news.wait_for(lambda: len(self._received) >= count, within):
                raise TimeoutError(f"{len(self._received)} of {count} posts came within {within:g} s")
            return tuple(self._received)

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Note a post, and choose its answer."""
        verified: bool | None = None
        now = self._clock()
        if self._secrets:
            try:
                signature.verify(self._secrets, headers, body, now)
                verified = True
            except signature.SignatureError:
                verified = False
        with self._news:
            answer = self.answers.popleft() if self.answers else self.otherwise
            post = Received(
                headers.get(signature.ID, ""),
                headers.get(signature.TIMESTAMP, ""),
                body,
                headers,
                path,
                now,
                verified,
                answer,
            )
            self._received.append(post)
            self._news.notify_all()
        if self._on_post:
            self._on_post(post)
        return answer

    def pause(self, seconds: float | None) -> None:
        """Wait so long, or until the receiver closes."""
        self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a connection kept alive by its client must not hold up the end
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        told = self.headers.get("content-length", "")
        if not (told.isascii() and told.isdigit()):
            self.close_connection = True
            self.send_error(411)
            return
        length = int(told)
        if length > _LONGEST_POST:
            self.send_error(413)
            return
        body = self.rfile.read(length)
        if len(body) < length:  # the sender has gone in the middle: this is no post
            self.close_connection = True
            return
        fields = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver.take(self.path, fields, body)
        self.server.receiver.pause(None if answer.hang else answer.delay)
        if answer.reset or answer.hang:
            self._break_off()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _break_off(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """What arrives is kept, not printed."""
