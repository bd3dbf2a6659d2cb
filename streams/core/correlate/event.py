"""What rules with a memory remember: events, in the order of a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from streams.core.match import RuleMatch
from streams.core.records import Classified, Span


class Hit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rule that a headline matched, by name, and the words by which it did."""

    rule: str
    spans: tuple[Span, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A headline with the rules it matched that have a memory, or without one a tick: time has come to ``at``.

    ``at`` is event time in milliseconds since 1970. ``position`` names the event: of two with one name the second is the
    first, told again. ``repeat`` tells that deduplication dropped the headline, which counts and says nothing new.
    """

    position: str
    at: int
    headline: Classified | None = None
    hits: tuple[Hit, ...] = ()
    repeat: bool = False

    @property
    def moment(self) -> datetime:
        """The event time."""
        return datetime.fromtimestamp(self.at / 1000, UTC)


def event_of(headline: Classified, matches: Iterable[RuleMatch], *, repeat: bool = False) -> Event | None:
    """The event of a headline; None if it matched no rule that has a memory, or none that counts repeats if it is one.

    It happened when the headline was published, and never after it was received, whatever its source says.
    """
    hits = tuple(
        [
            Hit(match.rule.name, match.spans)
            for match in matches
            if (match.rule.counts_repeats if repeat else match.rule.remembers)
        ]
    )
    if not hits:
        return None
    at = round(headline.moment.timestamp() * 1000)
    return Event(position=headline.position, at=at, headline=headline, hits=hits, repeat=repeat)


def tick(rule: str, due: int) -> Event:
    """The event that nothing happened: what ``rule`` waits for has not come by ``due``, milliseconds."""
    return Event(position=f"tick:{rule}:{due}", at=due)


def keys_of(headline: Classified, by: str) -> Sequence[str]:
    """What a headline is counted under: its story, its source, each of its topics, or one thing for all."""
    match by:
        case "story":
            return (headline.story_id,)
        case "source":
            return (headline.headline.source,)
        case "topic":
            return [match.topic for match in headline.topics] or ("",)
        case _:
            return ("",)
