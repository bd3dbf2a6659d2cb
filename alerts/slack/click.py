"""A click on a button below a message: that it came from Slack, what it says, and what comes of it. Pure.

Sources: https://docs.slack.dev/authentication/verifying-requests-from-slack,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from alerts import render
from alerts.silence import Silence, make_silence, quoted
from alerts.slack.message import MUTE_RULE, MUTE_STORY, NOISE, USEFUL, Click
from streams.core.records import Feedback

#: How far the time of a request may lie from our clock, so that one that was overheard cannot be sent again later.
TOLERANCE = timedelta(minutes=5)
#: How long a story is muted, and until which hour of the next day, in UTC, a rule is.
STORY_MUTED = timedelta(hours=2)
MORNING = 6

_SIGNATURE, _TIMESTAMP = "x-slack-signature", "x-slack-request-timestamp"


class ClickError(Exception):
    """A request is not from Slack, or is no click on a button of ours. The message holds no secret."""


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct):
    action_id: str
    action_ts: str
    value: str = ""


class _Payload(msgspec.Struct):
    type: str
    user: _User
    actions: list[_Action]
    response_url: str = ""


_payload = msgspec.json.Decoder(_Payload)
_click = msgspec.json.Decoder(Click)


@dataclass(frozen=True, slots=True)
class Clicked:
    """Who clicked which ``button`` and when, and what it is about. ``response_url`` takes an answer for them, for a while."""

    button: str
    about: Click
    by: str
    user: str
    at: datetime
    response_url: str


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Check that Slack signed a request, lately. Names of ``headers`` are in lower case.

    Raises:
        ClickError: it did not, or not lately.
    """
    stamp, signature = headers.get(_TIMESTAMP, ""), headers.get(_SIGNATURE, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and signature):
        raise ClickError("not signed by Slack")
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "replace")):
        raise ClickError("not signed with our secret")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        raise ClickError("signed too long ago, or the clock is wrong")


def read_click(body: bytes, channels: Collection[str]) -> Clicked:
    """The click that a request tells of, on a message in one of some ``channels`` of ours.

    Raises:
        ClickError: it tells of something else.
    """
    try:
        (text,) = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)["payload"]
        payload = _payload.decode(text)
        (action,) = payload.actions
        about = _click.decode(action.value)
        at = datetime.fromtimestamp(float(action.action_ts), UTC)
    except (ValueError, KeyError, OverflowError, OSError, RecursionError):  # msgspec's errors are ValueErrors
        raise ClickError("no click on a button of wirewatch's") from None
    if payload.type != "block_actions" or action.action_id not in {USEFUL, NOISE, MUTE_STORY, MUTE_RULE}:
        raise ClickError("no click on a button of wirewatch's")
    if about.channel not in channels:
        raise ClickError("a click in a channel that this app does not serve")
    by = render.cut(render.one_line(payload.user.username or payload.user.name or payload.user.id), 80)
    return Clicked(action.action_id, about, by, payload.user.id, at, payload.response_url)


def sender(secrets: Mapping[str, str], headers: Mapping[str, str], body: bytes, now: datetime) -> frozenset[str]:
    """The channels of ours from which a request may come, of those whose ``secrets`` these are.

    Raises:
        ClickError: from none.
    """
    last = ClickError("no channel has a signing secret")
    for secret in dict.fromkeys(secrets.values()):
        try:
            verify(headers, body, secret, now)
        except ClickError as error:
            last = error
        else:
            return frozenset(name for name, own in secrets.items() if own == secret)
    raise last


def silence(clicked: Clicked, now: datetime) -> Silence | None:
    """The silence that a click asks for, for its channel alone; None where it is about something else.

    The same click, told again, makes the same silence.

    Raises:
        SilenceError: it cannot be so.
    """
    about, at = clicked.about, clicked.at.replace(microsecond=0)
    if clicked.button == MUTE_STORY:
        asked, ends = quoted("story", about.story), at + STORY_MUTED
    elif clicked.button == MUTE_RULE:
        asked, ends = quoted("rule", about.rule), (at + timedelta(days=1)).replace(hour=MORNING, minute=0, second=0)
    else:
        return None
    comment = render.one_line(f"muted in Slack: {about.text}")
    query = f"{asked} AND {quoted('channel', about.channel)}"
    return make_silence(query, starts=at, ends=ends, comment=render.cut(comment, 300), by=clicked.by, now=now)


def feedback(clicked: Clicked) -> Feedback | None:
    """What a click says of an alert; None where it says nothing of it. Told again, it has the same id."""
    if clicked.button == USEFUL:
        useful = True
    elif clicked.button == NOISE:
        useful = False
    else:
        return None
    about = clicked.about
    made_of = f"{clicked.user}\n{clicked.at.isoformat()}\n{about.channel}\n{about.rule}\n{about.headline}"
    return Feedback(
        id=f"fb_{hashlib.sha256(made_of.encode()).hexdigest()[:32]}",
        at=clicked.at,
        by=clicked.by,
        useful=useful,
        channel=about.channel,
        rule=about.rule,
        headline_id=about.headline,
        story_id=about.story,
        headline=about.text,
    )
