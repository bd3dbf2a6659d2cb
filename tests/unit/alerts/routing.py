"""What the tests of routing share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from streams.core.decide import Firing
from streams.core.query import compile_query
from streams.core.records import Classified, Headline, Severity, TopicMatch
from streams.core.rule import Rule

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)  # a Monday


def firing(
    *,
    rule: str = "iran-oil",
    severity: Severity = "high",
    channels: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    topics: Sequence[str] = ("iran",),
    source: str = "reuters.com",
    at: datetime = NOON,
    text: str = "Tanker adrift off Iran",
    story: str = "s-1",
    suppressed: str | None = None,
) -> Firing:
    """A rule that fires on a headline."""
    headline = Headline(headline=text, published=at, source=source)
    return Firing(
        rule=Rule(rule, rule, compile_query("tanker"), severity, tuple(channels), labels=labels or {}),
        headline=Classified(
            id="h-1",
            seq=1,
            position="headlines.raw:0:1",
            received=at,
            headline=headline,
            story_id=story,
            topics=tuple(TopicMatch(topic=topic, confidence=0.9) for topic in topics),
        ),
        suppressed=suppressed,
    )
