from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from streams.core.records import Alert, Classified, FiredRule, Grouping, Headline

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADLINE = Classified(
    id="h-1", seq=1, position="headlines.raw:0:1", received=NOON, story_id="h-1",
    headline=Headline(headline="Oil rises", published=NOON),
)  # fmt: skip
ALERT = Alert(
    alert_id="al_1",
    channel="desk",
    rule=FiredRule(name="oil", title="Oil", severity="high", revision="1", matched=()),
    headline=HEADLINE,
    group=Grouping(key="story", wait=1.0, interval=2.0),
)


def changed(path: str, value: Any) -> bytes:
    """The alert as JSON, with something else at a place."""
    alert = msgspec.to_builtins(ALERT)
    *way, last = path.split(".")
    place = alert
    for step in way:
        place = place[step]
    place[last] = value
    return msgspec.json.encode(alert)


def test_an_alert_is_read_as_it_was_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(ALERT), type=Alert) == ALERT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("headline.received", "2026-03-01T12:00:00"),
        ("headline.headline.published", "2026-03-01T12:00:00"),
        ("headline.story_began", "2026-03-01T12:00:00"),
        ("alert_id", "al_1\nal_2"),
        ("alert_id", ""),
        ("group.interval", -1),
        ("group.wait", -0.5),
    ],
)
def test_what_nobody_can_reckon_with_is_no_record(path: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(changed(path, value), type=Alert)
