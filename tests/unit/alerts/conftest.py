"""Alerts to render and to send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.records import Alert, Classified, FiredRule, Grouping, Headline, Span, TopicMatch

PUBLISHED = datetime(2025, 3, 3, 12, 0, 0, tzinfo=UTC)


def spans(text: str, *words: str) -> tuple[Span, ...]:
    """The first place of each word in ``text``."""
    return tuple(Span(text.index(word), text.index(word) + len(word), word) for word in words)


@pytest.fixture(scope="session")
def make_alert() -> Callable[..., Alert]:
    """Builds an alert; ``matched`` are words of the headline, ``headline_fields`` go into the headline."""

    def build(
        text: str = "Ferries resume after storm warning lifted",
        *,
        matched: tuple[str, ...] = ("Ferries", "storm"),
        alert_id: str = "al_1",
        channel: str = "desk",
        severity: Any = "high",
        title: str = "Ferries and weather",
        topics: tuple[TopicMatch, ...] = (TopicMatch(topic="shipping", confidence=0.9),),
        received: datetime = PUBLISHED + timedelta(seconds=2),
        group: Grouping | None = None,
        **headline_fields: Any,
    ) -> Alert:
        fields: dict[str, Any] = {
            "published": PUBLISHED,
            "source": "harbour.example",
            "url": "https://harbour.example/n/1",
        } | headline_fields
        return Alert(
            alert_id=alert_id,
            channel=channel,
            group=group,
            rule=FiredRule(
                name="ferries",
                title=title,
                severity=severity,
                revision="r1",
                matched=spans(text, *matched),
            ),
            headline=Classified(
                id="h-1",
                seq=1,
                position="headlines.raw:0:1",
                received=received,
                headline=Headline(headline=text, **fields),
                story_id="st-1",
                topics=topics,
            ),
        )

    return build
