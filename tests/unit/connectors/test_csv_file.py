from __future__ import annotations

import gzip
import io
import tracemalloc
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.csv_file import Csv
from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.stored import LONGEST_LINE, plain
from streams.core.records import Headline

CONTEXT = Context("Gazette", None, ZoneInfo("Europe/Paris"), datetime(2026, 2, 11, 20, tzinfo=UTC))


def read(text: str | bytes) -> list[Reading]:
    data = text.encode() if isinstance(text, str) else text
    return list(Csv().read(plain(io.BytesIO(data)), CONTEXT))


def test_a_row_has_the_fields_that_the_first_line_names_and_empty_ones_have_no_value() -> None:
    header = "\ufeffpublished,Headline,outlet,id,colour\n"
    first, second = read(
        f'{header}2026-02-11 18:50,"Tanker held, off Malta",Courier,7,red\n1770836000,Port reopens,,,\n'
    )
    assert first == Headline(
        headline="Tanker held, off Malta",
        published=datetime(2026, 2, 11, 17, 50, tzinfo=UTC),
        source="Courier",
        id="7",
    )
    assert isinstance(second, Headline)
    assert (second.source, second.published.year, second.id) == ("Gazette", 2026, None)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_columns_may_be_parted_by_semicolons_and_tabs(separator: str) -> None:
    (headline,) = read(f"source{separator}title\nCourier{separator}Port, and rail, reopen\n")
    assert isinstance(headline, Headline)
    assert (headline.source, headline.headline) == ("Courier", "Port, and rail, reopen")


def test_a_bad_row_is_told_with_its_first_line_and_the_rest_goes_on() -> None:
    text = 'headline,source\n"Port\nreopens",a\none,two,three\n,b\n"Lock"x,c\n"Bank\nholds",d\n'
    readings = read(text)
    bad = [(one.line, one.reason) for one in readings if isinstance(one, Unreadable)]
    assert [one.headline for one in readings if isinstance(one, Headline)] == ["Port reopens", "Bank holds"]
    assert [line for line, _ in bad] == [4, 5, 6]
    assert bad[0][1] == "the row has 3 columns, and the first line names 2"
    assert bad[1][1].startswith("there is no headline")
    assert bad[2][1].startswith("not a row of CSV: ")


def test_a_cell_may_be_as_long_as_a_row() -> None:
    rest = len("Tanker held off Malta,\n")
    first, second, bad, last = read(
        "headline,body\n"
        + "".join(f"Tanker held off Malta,{'x' * size}\n" for size in (140_000, LONGEST_LINE - rest, LONGEST_LINE))
        + "Port reopens,short\n"
    )
    assert all(isinstance(one, Headline) for one in (first, second, last))
    assert isinstance(bad, Unreadable)
    assert (bad.line, bad.reason) == (4, "a quote is not closed within 1,000,000 bytes, or the line is longer")


@pytest.mark.parametrize("rows", [3, 40_000])
def test_a_quote_that_is_not_closed_costs_its_own_line(rows: int) -> None:
    after = "".join(f"Port {number} reopens on the coast today,a\n" for number in range(rows))
    bad, *rest = read(f'headline,source\n"Tanker held,a\n{after}')
    assert isinstance(bad, Unreadable)
    assert (bad.line, bad.original) == (2, b'"Tanker held,a')
    assert [one.headline for one in rest if isinstance(one, Headline)] == [
        f"Port {number} reopens on the coast today" for number in range(rows)
    ]


def test_a_line_without_end_is_told_and_takes_no_more_memory_than_the_longest() -> None:
    data = b"headline,source\n" + b"x" * (9 * LONGEST_LINE) + b"\nPort reopens,a\n"
    tracemalloc.start()
    bad, good = read(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(bad, Unreadable)
    assert bad.line == 2
    assert isinstance(good, Headline)
    assert most < 5 * LONGEST_LINE


def test_a_table_without_a_column_for_the_headline_is_refused() -> None:
    with pytest.raises(SourceError, match="none of these is the headline's") as caught:
        read("published,url\n2026-02-11,https://a.example\n")
    assert "headline,published" in caught.value.hint


def test_damage_is_told_with_the_line_after_which_it_comes() -> None:
    table = "headline,source\n" + "".join(f"Port {number} reopens,a\n" for number in range(50_000))
    with pytest.raises(SourceError, match="damaged after line"):
        read(gzip.compress(table.encode())[:-2000])
