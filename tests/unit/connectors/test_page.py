from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest

from connectors.interface import Context, SourceError
from connectors.page import DEPTH_LIMIT, is_html, parse_page, published_on, seen_text
from connectors.ticker import Ticker
from streams.core.records import Headline


def test_blocks_stand_on_lines_of_their_own_and_inline_elements_do_not() -> None:
    tree = parse_page("<body><script>x</script><ul><li><b>18:50</b> One</li><li>18:20 <a>T<i>w</i>o</a></li></ul>tail")
    assert seen_text(tree).split("\n") == ["", "", "18:50 One", "", "18:20 Two", "", "tail"]


@pytest.mark.parametrize(
    "html",
    [
        '<meta property="article:published_time" content="2026-02-11T18:50:00+01:00">',
        '<body><time datetime="2026-02-11T17:50:00Z">an hour ago</time>',
    ],
)
def test_the_time_of_publication_is_taken_from_metadata(html: str) -> None:
    assert published_on(parse_page(html), UTC) == datetime(2026, 2, 11, 17, 50, tzinfo=UTC)


def test_a_page_that_nests_too_deeply_is_refused() -> None:
    with pytest.raises(SourceError, match="nests too deeply"):
        parse_page("<div>" * (DEPTH_LIMIT + 1))


def test_a_ticker_is_read_from_a_page_of_html() -> None:
    page = b"""<html><head><meta property="article:published_time" content="2026-02-11T19:00:00Z"></head><body>
        <nav>Home</nav><ul><li><time>18:50</time> <a href="/1">Ferry <b>service</b> resumes</a></li>
        <li><div>18:00</div><div>Central bank holds rates</div></li></ul><p>Other text.</p></body></html>"""
    headlines = list(Ticker().read(BytesIO(page), Context("Gazette", None, UTC, datetime(2026, 3, 1, tzinfo=UTC))))
    assert [(h.published.isoformat(), h.headline) for h in headlines if isinstance(h, Headline)] == [
        ("2026-02-11T18:50:00+00:00", "Ferry service resumes"),
        ("2026-02-11T18:00:00+00:00", "Central bank holds rates"),
    ]


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("<!DOCTYPE html>\n<title>Gazette</title>", True),
        ("<!-- saved -->\n<body>", True),
        ("\ufeff<div>18:50 Ferry resumes</div>", True),
        ("LIVE <ul><li>18:50 One</li><li>18:20 Two</li></ul>", True),
        ("Ferry <p>resumes", False),
        ("Exxon <XOM.N> rises, 2 < 3", False),
    ],
)
def test_a_text_with_a_stray_tag_is_no_page(text: str, page: bool) -> None:
    assert is_html(text) is page
