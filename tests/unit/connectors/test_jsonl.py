from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pytest

from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.jsonl import JsonLines
from connectors.stored import plain
from streams.core.records import Headline

CONTEXT = Context("Gazette", None, ZoneInfo("Europe/Paris"), datetime(2026, 2, 11, 20, tzinfo=UTC))
GOOD = b'{"headline": "Port reopens", "published": "2026-02-11T18:50:00Z"}\n'


def read(data: bytes | BinaryIO) -> list[Reading]:
    return list(JsonLines().read(plain(io.BytesIO(data) if isinstance(data, bytes) else data), CONTEXT))


def test_a_bad_line_is_told_with_its_number_and_the_rest_goes_on() -> None:
    first, bad, last = read(GOOD + b'\n{"headline": 12}\n' + GOOD.replace(b"reopens", b"shuts"))
    assert isinstance(first, Headline)
    assert bad == Unreadable(3, "`headline` is not a text: 12", b'{"headline": 12}')
    assert isinstance(last, Headline)
    assert last.headline == "Port shuts"


def test_the_outlet_and_the_zone_are_those_given_where_a_line_names_none() -> None:
    (headline,) = read(b'{"title": "Port reopens", "date": "2026-02-11 18:50"}')
    assert isinstance(headline, Headline)
    assert headline.source == "Gazette"
    assert headline.published == datetime(2026, 2, 11, 17, 50, tzinfo=UTC)
    (named,) = read(b'{"title": "Port reopens", "publisher": "Courier"}')
    assert isinstance(named, Headline)
    assert named.source == "Courier"


def test_gzip_is_known_by_its_first_bytes() -> None:
    assert read(io.BufferedReader(io.BytesIO(gzip.compress(GOOD * 3)))) == read(GOOD * 3)


def test_gzip_that_ends_early_is_refused_after_what_could_be_read() -> None:
    lines = b"".join(GOOD.replace(b"reopens", str(number).encode()) for number in range(20_000))
    cut = gzip.compress(lines)[:-2000]
    readings = JsonLines().read(plain(io.BytesIO(cut)), CONTEXT)
    taken: list[Reading] = []
    with pytest.raises(SourceError, match="the compressed data end or are damaged after line"):
        taken.extend(readings)
    assert len(taken) > 1000


def test_a_line_is_read_as_soon_as_it_has_come() -> None:
    """The input has no end: reading all of it first would wait for ever."""

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase has a wider buffer
            buffer[: len(GOOD)] = GOOD
            return len(GOOD)

    readings = JsonLines().read(io.BufferedReader(Endless()), CONTEXT)
    assert isinstance(next(readings), Headline)
    assert isinstance(next(readings), Headline)


@pytest.mark.parametrize(
    "written", ['[{"headline": "a"}, {"headline": "b"}]', '[\n{"headline": "a"}\n]', '{\n"headline": "a"\n}']
)
def test_json_that_is_not_one_object_a_line_is_refused_with_the_way_out(written: str) -> None:
    with pytest.raises(SourceError, match="not one object a line") as caught:
        read(written.encode())
    assert "jq -c" in caught.value.hint


def test_a_line_that_is_no_headline_for_its_length_is_kept_in_part() -> None:
    long, after = read(b'{"headline": "' + b"x" * 2_000_000 + b'"}\n' + GOOD)
    assert isinstance(long, Unreadable)
    assert long.reason == "the line is longer than 1,000,000 bytes"
    assert len(long.original) == 100_000
    assert isinstance(after, Headline)
