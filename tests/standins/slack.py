"""A stand-in for Slack, over real HTTP, that refuses what Slack's documentation says it refuses.

It has the methods that wirewatch calls, incoming webhooks and ``response_url``; one message a second for each channel;
the limits of Block Kit; and what goes wrong on the way: an answer that never arrives though the message did.

Sources: https://docs.slack.dev/reference/methods (chat.postMessage, chat.update, conversations.history,
conversations.replies, auth.test), https://docs.slack.dev/reference/block-kit, https://docs.slack.dev/apis/web-api/rate-limits.
That blocks of more than 13,200 characters together are ``msg_blocks_too_long`` is documented nowhere but in
https://github.com/slackapi/bolt-js/issues/2509.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "xoxb-1-hunter2"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
DESK = "C0DESK"

_TOTAL = 13_200
_BLOCKS = 50
#: The most characters of a text, by where it stands.
_SECTION, _HEADER, _CONTEXT, _BUTTON, _VALUE, _ACTION_ID, _URL = 3000, 150, 3000, 75, 2000, 255, 3000
_CONTEXT_ELEMENTS, _ACTION_ELEMENTS = 10, 25
_RICH = {"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}
_RICH_PARTS = {"text", "link", "emoji", "date", "user", "channel", "broadcast", "usergroup", "color"}

#: What may happen to a call: nobody hears of it, it is done and nobody hears so, or an HTTP status.
Mishap = Literal["lost", "unheard"] | int


@dataclass
class Message:
    """One message of a channel, as it is shown now."""

    channel: str
    ts: str
    text: str
    blocks: list[Any]
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    edits: int = 0


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    arguments: dict[str, Any]
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What is said to a request."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Slack:
    """A workspace with one channel, ``#desk``; a context manager that serves it.

    ``pace`` is how many seconds lie between two messages to a channel, by ``clock``; 0 lets everything pass. ``mishaps``
    befall one call each, in turn. With ``tls`` it is served by https.
    """

    def __init__(
        self, *, pace: float = 0.0, clock: Callable[[], float] = time.monotonic, tls: ssl.SSLContext | None = None
    ) -> None:
        self.pace = pace
        self.clock = clock
        self.messages: list[Message] = []
        self.calls: list[Call] = []
        self.responses: list[Any] = []
        self.mishaps: deque[Mishap] = deque()
        self.scopes = {"chat:write", "channels:history"}
        self.token = TOKEN
        self.channels = {"desk": DESK}
        self._posted: dict[str, float] = {}
        self._count = 0
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), self)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address of the workspace, without a slash at the end."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def webhook(self) -> str:
        """An incoming webhook to ``#desk``."""
        return f"{self.url}/services/T0/B0/hunter2"

    @property
    def heads(self) -> list[Message]:
        """The messages that stand in the channel itself."""
        return [message for message in self.messages if message.thread_ts is None]

    def thread(self, head: Message) -> list[Message]:
        """The replies below a message."""
        return [message for message in self.messages if message.thread_ts == head.ts]

    def click(self, message: Message, button: str, *, user: str = "ann", at: float) -> tuple[dict[str, str], bytes]:
        """The headers and body of the request that Slack sends when ``button`` is clicked, by its action id."""
        found = next(
            element
            for block in message.blocks
            for element in block.get("elements", ())
            if element.get("action_id") == button
        )
        payload = {
            "type": "block_actions",
            "user": {"id": "U1", "username": user, "name": user},
            "channel": {"id": message.channel, "name": "desk"},
            "message": {"ts": message.ts},
            "response_url": f"{self.url}/response/T0/1",
            "actions": [{"action_id": button, "value": found.get("value"), "type": "button", "action_ts": f"{at:.6f}"}],
        }
        return signed(urlencode({"payload": json.dumps(payload)}).encode(), at)

    def answer(self, path: str, arguments: dict[str, Any], headers: Mapping[str, str]) -> Answer | None:
        """What is said to a request; None breaks the connection off."""
        with self._lock:
            method = path.removeprefix("/api/") if path.startswith("/api/") else path.split("/")[1]
            self.calls.append(Call(method, arguments, headers))
            mishap = self.mishaps.popleft() if self.mishaps else None
            if mishap == "lost":
                return None
            if isinstance(mishap, int):
                return Answer(mishap, b"", {"retry-after": "30"} if mishap == 429 else {})
            answer = self._answer(path, method, arguments, headers)
            return None if mishap == "unheard" else answer

    def _answer(self, path: str, method: str, arguments: dict[str, Any], headers: Mapping[str, str]) -> Answer:
        if method == "services":
            return self._incoming(path, arguments)
        if method == "response":
            self.responses.append(arguments)
            return Answer(200, b"ok")
        if headers.get("authorization") != f"Bearer {self.token}":
            return _says(error="invalid_auth" if headers.get("authorization") else "not_authed")
        call = {
            "auth.test": lambda _: _says(team="Desk", user="wirewatch", team_id="T0"),
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }.get(method)
        return call(arguments) if call else _says(error="unknown_method")

    def _incoming(self, path: str, arguments: dict[str, Any]) -> Answer:
        if path != "/services/T0/B0/hunter2":
            return Answer(404, b"no_service")
        answer = self._post({**arguments, "channel": DESK})
        said = json.loads(answer.body or b"{}")
        if answer.status != 200 or said["ok"]:
            return Answer(answer.status, b"ok" if answer.status == 200 else b"", answer.headers)
        return Answer(400, said["error"].encode())

    def _post(self, arguments: dict[str, Any]) -> Answer:
        channel = self._channel(arguments.get("channel"))
        if channel is None:
            return _says(error="channel_not_found")
        if "chat:write" not in self.scopes:
            return _says(error="missing_scope", needed="chat:write")
        error = refusal(arguments)
        if error:
            return _says(error=error)
        thread = arguments.get("thread_ts")
        if thread is not None and not any(message.ts == thread for message in self.messages):
            return _says(error="thread_not_found")
        now = self.clock()
        if now < self._posted.get(channel, -1e9) + self.pace:
            return Answer(429, json.dumps({"ok": False, "error": "ratelimited"}).encode(), {"retry-after": "1"})
        self._posted[channel] = now
        self._count += 1
        message = Message(
            channel,
            f"1741003200.{self._count:06}",
            arguments.get("text", ""),
            arguments.get("blocks", []),
            thread,
            arguments.get("metadata"),
        )
        self.messages.append(message)
        return _says(channel=channel, ts=message.ts, message={"text": message.text})

    def _update(self, arguments: dict[str, Any]) -> Answer:
        if arguments.get("channel") not in self.channels.values():  # a name will not do here
            return _says(error="channel_not_found")
        error = refusal(arguments)
        if error:
            return _says(error=error)
        for message in self.messages:
            if message.ts == arguments.get("ts"):
                message.text, message.blocks = arguments.get("text", ""), arguments.get("blocks", [])
                message.metadata = arguments.get("metadata", message.metadata)
                message.edits += 1
                return _says(channel=message.channel, ts=message.ts, text=message.text)
        return _says(error="message_not_found")

    def _history(self, arguments: dict[str, Any]) -> Answer:
        return self._list(arguments, [message for message in reversed(self.messages) if message.thread_ts is None])

    def _replies(self, arguments: dict[str, Any]) -> Answer:
        head = arguments.get("ts")
        found = [message for message in self.messages if head in {message.ts, message.thread_ts}]
        return self._list(arguments, found) if found else _says(error="thread_not_found")

    def _list(self, arguments: dict[str, Any], messages: list[Message]) -> Answer:
        if "channels:history" not in self.scopes:
            return _says(error="missing_scope", needed="channels:history")
        if arguments.get("channel") not in self.channels.values():
            return _says(error="channel_not_found")
        shown = []
        for message in messages[: int(arguments.get("limit", 100))]:
            one: dict[str, Any] = {"type": "message", "ts": message.ts, "text": message.text}
            if message.metadata and arguments.get("include_all_metadata") in {"true", "1"}:
                one["metadata"] = message.metadata
            shown.append(one)
        return _says(messages=shown, has_more=False)

    def _channel(self, name: Any) -> str | None:
        if name in self.channels.values():
            return str(name)
        return self.channels.get(str(name).removeprefix("#"))


def signed(body: bytes, at: float, secret: str = SIGNING_SECRET) -> tuple[dict[str, str], bytes]:
    """Headers by which Slack signs a request (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }
    return headers, body


def refusal(arguments: Mapping[str, Any]) -> str | None:
    """The error by which Slack refuses a message, or None."""
    blocks = arguments.get("blocks", [])
    if not blocks and not arguments.get("text"):
        return "no_text"
    if len(arguments.get("text", "")) > 40_000:
        return "msg_too_long"
    if len(blocks) > _BLOCKS or not all(_fits(block) for block in blocks):
        return "invalid_blocks"
    if len(json.dumps(blocks, ensure_ascii=False)) > _TOTAL:
        return "msg_blocks_too_long"
    metadata = arguments.get("metadata")
    if metadata is not None and not ({"event_type", "event_payload"} <= set(metadata)):
        return "invalid_metadata_format"
    return None


def _fits(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements", [])
    kind = block.get("type")
    if kind == "divider":
        return True
    if kind == "header":
        return block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= _HEADER
    if kind == "section":
        return 0 < len(block["text"]["text"]) <= _SECTION
    if kind == "context":
        return 0 < len(elements) <= _CONTEXT_ELEMENTS and all(0 < len(one["text"]) <= _CONTEXT for one in elements)
    if kind == "actions":
        names = [one.get("action_id") for one in elements]
        return 0 < len(elements) <= _ACTION_ELEMENTS and len(set(names)) == len(names) and all(map(_button, elements))
    return kind == "rich_text" and bool(elements) and all(map(_rich, elements))


def _button(element: Mapping[str, Any]) -> bool:
    return (
        element["type"] == "button"
        and element["text"]["type"] == "plain_text"
        and 0 < len(element["text"]["text"]) <= _BUTTON
        and len(element.get("value", "")) <= _VALUE
        and len(element["action_id"]) <= _ACTION_ID
        and element.get("style") in {None, "primary", "danger"}
    )


def _rich(element: Mapping[str, Any]) -> bool:
    if element["type"] not in _RICH:
        return False
    if element["type"] == "rich_text_list":
        return bool(element["elements"]) and all(map(_rich, element["elements"]))
    return bool(element["elements"]) and all(map(_rich_part, element["elements"]))


def _rich_part(part: Mapping[str, Any]) -> bool:
    if part["type"] == "text":
        return len(part["text"]) > 0
    if part["type"] == "link":
        return 0 < len(part["url"]) <= _URL and urlsplit(part["url"]).scheme in {"http", "https"}
    return part["type"] in _RICH_PARTS


def shown_text(blocks: list[Any]) -> str:
    """All that a person reads in some blocks, a line for each block."""
    return "\n".join("".join(_texts(block)) for block in blocks)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        text = node.get("text")
        if isinstance(text, str):
            yield text
        elif text is not None:
            yield from _texts(text)
        yield from _texts(node.get("elements", []))
    elif isinstance(node, list):
        for one in node:
            yield from _texts(one)


def _says(*, error: str | None = None, **fields: Any) -> Answer:
    said = {"ok": error is None, **({"error": error} if error else {}), **fields}
    return Answer(200, json.dumps(said).encode(), {"content-type": "application/json; charset=utf-8"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], slack: Slack) -> None:
        self.slack = slack
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "json" in self.headers.get("content-type", ""):
            arguments = json.loads(body)
        else:
            arguments = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        answer = self.server.slack.answer(
            self.path, arguments, {name.lower(): value for name, value in self.headers.items()}
        )
        if answer is None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """What arrives is kept, not printed."""
