"""The records that travel through the topics.

Each topic carries one kind of record as JSON, one record a Kafka message. ``docs/reference/topics.md`` documents the
fields for readers in any language; the classes here are what encodes and validates them. All times are aware and in
UTC; all spans count code points. None can be part of a cycle, so the garbage collector leaves them alone (``gc=False``):
it took a fifth of a headline's time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

#: The version of the schemas below. It rises with any change that a reader of a topic must know of.
SCHEMA = 1

#: A time. One without a zone is no record of ours: whoever reckons with it fails.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

#: The id of an alert: one word.
AlertId = Annotated[str, msgspec.Meta(pattern=r"^\S{1,200}$")]

#: What became of a headline after it was sent (IPTC ninjs ``pubstatus``, in a desk's words).
Status = Literal["usable", "corrected", "canceled"]

#: What a unique headline is to its story.
Kind = Literal["first", "update"]

#: How much an alert matters, least first.
Severity = Literal["info", "low", "medium", "high", "critical"]

#: How one attempt to deliver an alert ended. ``retry`` is followed by another attempt, the others are final.
Outcome = Literal["delivered", "retry", "dead", "suppressed"]


class Headline(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A headline as its source gave it: the value of ``headlines.raw``.

    ``published`` is the event time. ``id`` is the source's own identifier, where it has one.
    """

    headline: str
    published: Moment
    source: str = "unknown"
    url: str | None = None
    id: str | None = None
    author: str | None = None
    body: str | None = None
    language: str | None = None
    status: Status = "usable"


class Unique(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A headline that says something new: the value of ``headlines.unique``.

    ``id`` is the producer's UUID or the ``position``, which is ``topic:partition:offset`` of the raw record.
    ``received`` is when the raw record reached Kafka. ``seq`` orders all decisions of deduplication, drops included. An
    update names the headline of its story that it is nearest to, and what is new. ``story_sources`` is how many sources
    have told the story so far, this one included, and ``story_began`` when its first headline was published, if not now.
    """

    id: str
    seq: int
    position: str
    received: Moment
    headline: Headline
    story_id: str
    kind: Kind = "first"
    update_of: str | None = None
    reason: str | None = None
    story_sources: int = 1
    story_began: Moment | None = None
    schema: int = SCHEMA


class Dropped(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A headline that repeats another: the value of ``headlines.dropped``. ``duplicate_of`` is the other's ``id``."""

    id: str
    seq: int
    position: str
    received: Moment
    headline: Headline
    story_id: str
    duplicate_of: str
    reason: str
    story_sources: int = 1
    story_began: Moment | None = None
    schema: int = SCHEMA


class Invalid(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A record that could not be read: the value of ``headlines.invalid``.

    ``original`` holds the bytes as they came (base64 in JSON), the first 64,000 of them, ``stage`` the agent that refused
    them.
    """

    position: str
    received: Moment
    stage: str
    reason: str
    original: bytes
    schema: int = SCHEMA


class Span(msgspec.Struct, frozen=True, order=True, gc=False):
    """Words of a headline: ``headline[start:end] == text``."""

    start: int
    end: int
    text: str


class Evidence(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Why a headline belongs to a topic: the words, the entity they name, and the condition that they meet."""

    span: Span
    entity: str
    condition: str


class TopicMatch(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One topic of a headline. ``confidence`` lies between 0 and 1."""

    topic: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()


class Classified(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A unique headline and its topics: the value of ``headlines.classified``."""

    id: str
    seq: int
    position: str
    received: Moment
    headline: Headline
    story_id: str
    kind: Kind = "first"
    update_of: str | None = None
    reason: str | None = None
    story_sources: int = 1
    story_began: Moment | None = None
    topics: tuple[TopicMatch, ...] = ()
    schema: int = SCHEMA

    @property
    def moment(self) -> datetime:
        """When it happened: when it was published, and never after it was received, whatever its source says."""
        return min(self.headline.published, self.received)


class Place(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Where one event stands in the log of what rules remember.

    ``number`` is that of the log, ``milliseconds-count`` by the clock of Redis, and rises. The event is the headline of a
    ``position``, or without one that time had come to ``at``.
    """

    number: Annotated[str, msgspec.Meta(pattern=r"^\d+-\d+$")]
    position: str | None = None
    at: Moment | None = None


class Correlated(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The places of some events: the value of ``headlines.correlated``.

    ``log`` names the log; where it is another than before, the one before was lost, and rules began anew with nothing
    remembered. ``absences`` are the revisions of the rules that wait for a time of the log, and for no other.
    """

    log: str
    places: tuple[Place, ...]
    absences: tuple[str, ...] = ()
    schema: int = SCHEMA


class FiredRule(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The rule behind an alert. ``revision`` is a hash of the rule as it stood, ``matched`` the words that fired it.

    ``because`` says what of several headlines it took, where it took several, such as "5 headlines of 3 sources in 10m".
    """

    name: str
    title: str
    severity: Severity
    revision: str
    matched: tuple[Span, ...] = ()
    labels: dict[str, str] = {}
    owner: str = ""
    because: str | None = None


class Grouping(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """How an alert is collected with others of its channel and ``key`` into one message.

    The first of a group goes after ``wait`` seconds, with what came meanwhile; the next not before ``interval`` seconds
    after that.
    """

    key: str
    wait: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    interval: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Alert(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One rule that fired on one headline, for one channel: the value of ``alerts``.

    ``alert_id`` depends on the rule's name, the headline's id and text, and the channel alone (and on what else tells two
    firings of a rule on one headline apart), so that an alert that is decided twice is the same alert. ``suppressed`` is why
    it is sent to nobody, where that is so.
    """

    alert_id: AlertId
    channel: str
    rule: FiredRule
    headline: Classified
    suppressed: str | None = None
    group: Grouping | None = None
    schema: int = SCHEMA


class Delivery(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One attempt to deliver an alert: the value of ``deliveries``, and of ``deliveries.dead`` where it was the last.

    ``attempt`` counts from 1, and is that of the last attempt, or 0, where nothing was sent: the outcome is ``suppressed``, or
    the channel is disabled. ``status_code`` is the receiver's HTTP status, where it gave one.
    """

    alert_id: AlertId
    channel: str
    rule: str
    outcome: Outcome
    attempt: int
    at: Moment
    status_code: int | None = None
    reason: str | None = None
    schema: int = SCHEMA


class Feedback(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """What somebody who got an alert says of it: the value of ``feedback``.

    ``useful`` is False where they call it noise. ``by`` is their name where they said it; ``headline`` the text that they
    saw, perhaps cut.
    """

    id: str
    at: Moment
    by: str
    useful: bool
    channel: str
    rule: str
    headline_id: str
    story_id: str
    headline: str
    schema: int = SCHEMA


def utc(moment: datetime) -> datetime:
    """``moment`` in UTC; a naive one is taken to be in UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
