from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from connectors.interface import Context, Unreadable
from connectors.lines import Lines
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
