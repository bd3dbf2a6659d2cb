from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("15s", timedelta(seconds=15)),
        ("500ms", timedelta(milliseconds=500)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("1h 30m", timedelta(minutes=90)),
    ],
)
def test_spans_are_read(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("value", ["", "soon", "15", "15 parsecs", "-3h", 15, None, "h"])
def test_anything_else_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="15s, 30m, 72h or 7d"):
        parse_duration(value)
