from __future__ import annotations

import gzip
from datetime import UTC, datetime
from io import BytesIO

import pytest

from connectors.interface import Context, SourceError, Unreadable
from connectors.lines import Lines
from connectors.stored import plain
from streams.core.records import Headline

NOW = datetime(2026, 2, 11, 20, tzinfo=UTC)


def test_every_line_that_is_not_blank_is_a_headline_of_now() -> None:
    data = "Port reopens\r\n\n  Mayor \u2018wins\u2019  vote\n".encode() + "Caf\u00e9 shuts".encode("cp1252")
    assert list(Lines().read(BytesIO(data), Context("Gazette", None, UTC, NOW))) == [
        Headline(headline="Port reopens", published=NOW, source="Gazette"),
        Headline(headline="Mayor \u2018wins\u2019 vote", published=NOW, source="Gazette"),
        Headline(headline="Caf\u00e9 shuts", published=NOW, source="Gazette"),
    ]


def test_a_line_without_a_visible_character_is_unreadable() -> None:
    line = "\u200b".encode()
    (reading,) = Lines().read(BytesIO(line + b"\n"), Context(None, None, UTC, NOW))
    assert reading == Unreadable(1, "the line holds no visible character", line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x" * 2_001, "the line is longer than 2,000 characters, as no headline is"),
        ("x" * 1_500_000, "the line is longer than 1,000,000 bytes"),
        ("Port\0reopens", "the line is not text: it holds a NUL"),
        ("Wednesday 11 February 2026", "the line is a date, and no headline"),
    ],
)
def test_a_line_that_is_no_headline_is_kept_as_unreadable_and_the_rest_goes_on(line: str, reason: str) -> None:
    data = BytesIO(f"{line}\nPort reopens\n".encode())
    bad, good = Lines().read(data, Context(None, None, None, NOW))
    assert isinstance(bad, Unreadable)
    assert (bad.line, bad.reason) == (1, reason)
    assert bad.original == line.encode()[:100_000]
    assert isinstance(good, Headline)


def test_damaged_gzip_is_told_after_what_could_be_read() -> None:
    data = gzip.compress(b"".join(b"Port %d reopens\n" % number for number in range(20_000)))[:-2_000]
    readings = Lines().read(plain(BytesIO(data)), Context(None, None, None, NOW))
    assert isinstance(next(readings), Headline)
    with pytest.raises(SourceError, match="damaged after line"):
        list(readings)
