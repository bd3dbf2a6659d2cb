from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest

from connectors.interface import Context, SourceError
from connectors.registry import SOURCES, guess
from streams.core.records import Headline

CONTEXT = Context(None, None, UTC, datetime(2026, 2, 11, 20, tzinfo=UTC))
TICKER = b"Breaking 18:50 Ferry service resumes 18:00 Central bank holds rates\n"
ARTICLE = b"Mayor Opens The Second Lock\n\nMonday 02 June 2025 - 11:34\nBy: A. Writer\n\nThe mayor opened the lock on Monday.\n"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'\n {"headline": "Port reopens"}\n', "jsonl"),
        (TICKER, "ticker"),
        (ARTICLE, "article"),
        (TICKER + b"\n" + ARTICLE, "article"),
        (b"<!DOCTYPE html><html><body><h1>Mayor opens lock</h1></body></html>", "article"),
        (b"Port reopens\nMayor opens lock, 2:1\n", "lines"),
    ],
)
def test_what_an_input_is_is_guessed_by_how_it_begins(data: bytes, name: str) -> None:
    source, whole = guess("input", BytesIO(data))
    assert source.name == name
    assert whole.read() == data


@pytest.mark.parametrize("name", SOURCES)
def test_the_example_of_every_source_is_recognised_and_read(name: str) -> None:
    example = SOURCES[name].example.encode()
    source, whole = guess("example", BytesIO(example))
    assert source.name == name
    assert all(isinstance(reading, Headline) for reading in source.read(whole, CONTEXT))


@pytest.mark.parametrize(("data", "message"), [(b"", "is empty"), (b" \n", "is empty"), (b"\x89PNG\0\0", "no form")])
def test_what_is_nothing_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        guess("input", BytesIO(data))
