"""The way of a headline, composed of the pure parts: read, deduplicate, classify, match, decide.

The live agents and replay call these functions; each takes what came out of the one before.
"""

from __future__ import annotations

from datetime import datetime

from streams.core.dedupe import Candidate, Entry
from streams.core.headline import read_headline
from streams.core.records import Classified, Dropped, TopicMatch, Unique


def read(value: bytes, *, id: str, position: str, received: datetime) -> Candidate:  # noqa: A002 - the field's name
    """A raw record, read.

    Raises:
        UnreadableError: with the reason for a person.
    """
    return Candidate(id, position, received, read_headline(value, received=received))


def decided(candidate: Candidate, entry: Entry) -> Unique | Dropped:
    """The record that says what was decided on ``candidate``."""
    if entry.verdict == "duplicate":
        return Dropped(
            id=candidate.id,
            seq=entry.seq,
            position=candidate.position,
            received=candidate.received,
            headline=candidate.headline,
            story_id=entry.story_id,
            duplicate_of=entry.duplicate_of,
            reason=entry.reason,
        )
    return Unique(
        id=candidate.id,
        seq=entry.seq,
        position=candidate.position,
        received=candidate.received,
        headline=candidate.headline,
        story_id=entry.story_id,
        kind=entry.verdict,
    )


def classified(unique: Unique, topics: tuple[TopicMatch, ...]) -> Classified:
    """The unique headline with its topics."""
    return Classified(
        id=unique.id,
        seq=unique.seq,
        position=unique.position,
        received=unique.received,
        headline=unique.headline,
        story_id=unique.story_id,
        kind=unique.kind,
        topics=topics,
    )
