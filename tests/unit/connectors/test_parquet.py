from __future__ import annotations

import gzip
import io
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.parquet import Parquet
from connectors.registry import guess
from streams.core.records import Headline

pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")

CONTEXT = Context("Gazette", None, ZoneInfo("Europe/Paris"), datetime(2026, 2, 11, 20, tzinfo=UTC))


def table(columns: dict[str, Any]) -> bytes:
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, row_group_size=1_000)
    return written.getvalue()


def read(data: bytes) -> list[Reading]:
    source, whole = guess("a.parquet", io.BytesIO(data))
    assert source.name == "parquet"
    return list(source.read(whole, CONTEXT))


def test_a_row_has_the_fields_that_its_columns_are_called() -> None:
    moment = datetime(2026, 2, 11, 18, 50)  # noqa: DTZ001 - such a column has no zone
    columns = {
        "title": pa.array(["Port reopens", "Lock opens", None]),
        "published": pa.array([moment, moment, moment], pa.timestamp("ns")),
        "outlet": pa.array([b"Courier", None, b"x"]),
        "author": pa.array([["A", "B"], None, None]),
        "section": pa.array([1, 2, 3]),
    }
    first, second, third = read(table(columns))
    published = datetime(2026, 2, 11, 17, 50, tzinfo=UTC)
    assert first == Headline(headline="Port reopens", published=published, source="Courier", author="A, B")
    assert second == Headline(headline="Lock opens", published=published, source="Gazette")
    assert isinstance(third, Unreadable)
    assert third.line == 3
    assert third.reason.startswith("there is no headline")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (datetime(2026, 2, 11, 17, 50, 0, 1, tzinfo=UTC), pa.timestamp("us", "UTC")),
        (date(2026, 2, 11), pa.date32()),
        (1770835830, pa.int64()),
        ("2026-02-11T17:50:00Z", pa.string()),
    ],
)
def test_times_of_every_type_are_read(value: Any, kind: Any) -> None:
    (one,) = read(table({"headline": ["Port reopens"], "published": pa.array([value], kind)}))
    assert isinstance(one, Headline)
    assert one.published.date() in {date(2026, 2, 11), date(2026, 2, 10)}
    assert one.published != CONTEXT.now


def test_a_file_is_read_in_place_and_what_is_packed_or_piped_by_way_of_another(tmp_path: Path) -> None:
    data = table({"headline": [f"Port {number} reopens" for number in range(5_000)]})
    (tmp_path / "a.parquet").write_bytes(data)
    with (tmp_path / "a.parquet").open("rb") as file:
        placed = list(Parquet().read(file, CONTEXT))
    packed = gzip.compress(data)
    assert read(packed) == read(data) == placed
    assert len(placed) == 5_000


def test_a_table_without_the_headline_and_a_damaged_one_are_refused() -> None:
    with pytest.raises(SourceError, match=r"none of its columns is the headline's: url"):
        read(table({"url": ["https://a.example"]}))
    with pytest.raises(SourceError, match="no Parquet that can be read"):
        read(table({"headline": ["Port reopens"]})[:-9])


def test_without_pyarrow_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table({"headline": ["Port reopens"]})
    packed = pa.compress(b'{"headline": "Port reopens"}\n', "zstd", asbytes=True)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match="pyarrow reads a Parquet file, and is not installed") as caught:
        read(data)
    assert "wirewatch[parquet]" in caught.value.hint
    with pytest.raises(SourceError, match="pyarrow reads what is compressed by Zstandard"):
        guess("a.jsonl.zst", io.BytesIO(packed))
