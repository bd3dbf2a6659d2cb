from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import pytest

from alerts.slack.listener import HEALTH, PATH, Listener

Taken = list[tuple[Mapping[str, str], bytes]]


@contextmanager
def listening() -> Iterator[tuple[Taken, http.client.HTTPConnection]]:
    taken: Taken = []

    def handle(headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        taken.append((headers, body))
        return HTTPStatus.OK

    with Listener("127.0.0.1", 0, handle) as listener:
        connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=5)
        try:
            yield taken, connection
        finally:
            connection.close()


def test_a_request_is_handed_on_with_its_headers_and_body() -> None:
    with listening() as (taken, connection):
        connection.request("POST", PATH, body=b"payload=x", headers={"X-Slack-Signature": "v0=1"})
        assert connection.getresponse().status == 200
    ((headers, body),) = taken
    assert (headers["x-slack-signature"], body) == ("v0=1", b"payload=x")


@pytest.mark.parametrize(
    ("method", "path", "length", "status"),
    [
        ("GET", HEALTH, None, 200),
        ("GET", PATH, None, 404),
        ("POST", "/", "0", 404),
        ("POST", PATH, "100000", 413),
        ("POST", PATH, "9" * 400, 413),
        ("POST", PATH, "-1", 411),
        ("PUT", PATH, "0", 501),
    ],
)
def test_all_else_is_refused_unread(method: str, path: str, length: str | None, status: int) -> None:
    with listening() as (taken, connection):
        connection.putrequest(method, path)
        if length is not None:
            connection.putheader("content-length", length)
        connection.endheaders()
        assert connection.getresponse().status == status
    assert taken == []
