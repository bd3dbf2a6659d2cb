from __future__ import annotations

import base64
import time
from datetime import UTC, datetime

import httpx
import pytest

from alerts import signature
from alerts.receiver import Answer, Receiver

KEY = bytes(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def post(receiver: Receiver, message_id: str = "m", *, key: bytes = KEY, body: bytes = b"{}") -> httpx.Response:
    fields = signature.headers([key], message_id, datetime.now(UTC), body)
    return httpx.post(receiver.url, content=body, headers=fields, timeout=1, trust_env=False)


def test_posts_are_kept_in_order_and_repeats_counted() -> None:
    with Receiver() as receiver:
        for name in ("a", "b", "a", "a"):
            post(receiver, name, body=b'{"n": 1}')
        assert [one.id for one in receiver.received] == ["a", "b", "a", "a"]
        assert receiver.repeats == {"a": 2}
        assert receiver.received[0].json() == {"n": 1}
        assert receiver.received[0].verified is None


def test_signatures_are_checked() -> None:
    with Receiver(secret=SECRET) as receiver:
        post(receiver)
        post(receiver, key=bytes(range(32)))
        httpx.post(receiver.url, content=b"{}", trust_env=False)
        assert [one.verified for one in receiver.received] == [True, False, False]


def test_answers_are_given_in_turn() -> None:
    answers = [Answer(503, headers={"retry-after": "7"}), Answer(410, b"gone")]
    with Receiver(answers=answers, otherwise=Answer(204, b"")) as receiver:
        first, second, third, fourth = (post(receiver) for _ in range(4))
        assert (first.status_code, first.headers["retry-after"]) == (503, "7")
        assert (second.status_code, second.text) == (410, "gone")
        assert third.status_code == fourth.status_code == 204
        assert [one.answered.status for one in receiver.received] == [503, 410, 204, 204]


def test_it_can_be_slow_and_break_connections() -> None:
    with Receiver(answers=[Answer(delay=0.2), Answer(reset=True)]) as receiver:
        started = time.monotonic()
        assert post(receiver).status_code == 200
        assert time.monotonic() - started >= 0.2
        with pytest.raises(httpx.TransportError):
            post(receiver)
        assert len(receiver.received) == 2


def test_it_closes_at_once_even_with_a_sender_that_hangs() -> None:
    with Receiver(otherwise=Answer(hang=True)) as receiver:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(receiver.url, content=b"", timeout=0.1, trust_env=False)
        started = time.monotonic()
    assert time.monotonic() - started < 20


def test_waiting_for_posts() -> None:
    with Receiver() as receiver:
        post(receiver)
        assert len(receiver.wait_for(1)) == 1
        with pytest.raises(TimeoutError, match="1 of 2 posts came within"):
            receiver.wait_for(2, within=0.05)


def test_each_post_is_told() -> None:
    told: list[str] = []
    with Receiver(on_post=lambda one: told.append(one.id)) as receiver:
        post(receiver, "a")
        assert told == ["a"]
