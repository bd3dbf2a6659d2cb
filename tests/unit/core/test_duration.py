from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("value", ["", "soon", "15", "15 parsecs", "-3h", 15, None, "h", "30m1h", "1h1h", "٣s", True])
def test_anything_else_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="15s, 30m, 72h or 7d"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("15", "15s"),
        (15, "15s"),
        ("15 seconds", "15s"),
        ("5min", "5m"),
        ("1 hour", "1h"),
        ("2 Days", "2d"),
        ("3 s", "3s"),
    ],
)
def test_what_was_meant_is_suggested(value: object, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"\(did you mean {meant}\?\)"):
        parse_duration(value)


def test_a_span_beyond_all_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than that"):
        parse_duration("999999999999d")


@given(st.timedeltas(timedelta(), timedelta(days=3000)).map(lambda span: span - span % timedelta(milliseconds=1)))
def test_every_span_can_be_written(span: timedelta) -> None:
    hours, rest = divmod(span, timedelta(hours=1))
    minutes, rest = divmod(rest, timedelta(minutes=1))
    text = f"{hours}h{minutes}m{rest / timedelta(seconds=1):.3f}s"
    assert parse_duration(text) == span
