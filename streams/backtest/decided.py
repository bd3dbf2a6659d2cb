"""What replay says of each headline: the record that reports, comparisons and scores are made of.

Replay gives these one after the other, in the order in which they were decided, so that whoever sums them up needs no
more memory than the sums.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from streams.core.records import Alert, Classified, Dropped

#: The moment up to which an alert was held back, at the end of the reason.
_UNTIL = re.compile(r"(,|:) the next from .*$")


def held_for(reason: str) -> str:
    """Why an alert was held back without the moment up to which it was, so that equal reasons count as one."""
    return _UNTIL.sub("", reason)


def delay(at: datetime, alert: Alert) -> float:
    """How long after its story was first published an alert comes that goes out at ``at``, seconds."""
    began = alert.headline.story_began or alert.headline.headline.published
    return (at - began).total_seconds()


def span_days(first: datetime | None, last: datetime | None) -> float:
    """How long a stream is in days, 1 at least, so that a short one does not look worse than it is."""
    return 1.0 if first is None or last is None else max(1.0, (last - first).total_seconds() / 86_400)


class Decided(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A headline that has gone all the way, and the alerts that came of it, those that are held back included.

    ``at`` is the event time at which it was decided. Without a headline, the alerts came of time alone, as an absence does.
    """

    at: datetime
    headline: Classified | Dropped | None
    alerts: tuple[Alert, ...] = ()


class Message(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What a channel would have been sent ``at`` an event time: the alerts of one message, by id, in order.

    ``key`` is that of the group they were collected in; an alert that goes by itself has none.
    """

    at: datetime
    channel: str
    alerts: tuple[str, ...]
    key: str | None = None
