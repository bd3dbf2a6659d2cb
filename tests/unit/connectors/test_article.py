from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.article import Article
from connectors.interface import Context, SourceError
from streams.core.records import Headline

SEED = Path(__file__).parents[4] / "shared" / "data" / "seed_article.txt"
NOW = datetime(2026, 2, 11, 20, tzinfo=UTC)

PAGE = """\
Breaking 18:50 Ferry service resumes after storm 18:00 Central bank holds rates 17:40 Orchestra tours north

Harbour Mayor Opens Second Lock After Ten Years

{dateline}
By: Ann Writer
Harbour Mayor Opens Second Lock After Ten Years

The mayor opened the lock on Monday, ten years after the first stone was laid.

Ships of up to 12,000 tonnes can pass, the port said.

  • Fajr
  • Isha

Read more

This website, gazette.example, uses cookies to give you a good experience.
"""


def read(page: str, zone: str = "UTC") -> Headline:
    (headline,) = Article().read(BytesIO(page.encode()), Context("Gazette", None, ZoneInfo(zone), NOW))
    assert isinstance(headline, Headline)
    return headline


@pytest.mark.skipif(not SEED.exists(), reason="the seed's article is not beside this checkout")
def test_the_seed_article_is_read_without_the_clutter_around_it() -> None:
    (headline,) = Article().read(BytesIO(SEED.read_bytes()), Context(None, None, ZoneInfo("UTC"), NOW))
    assert isinstance(headline, Headline)
    assert headline.published == datetime(2025, 6, 2, 11, 34, tzinfo=UTC)
    assert headline.author == "Zahouani Ilham"
    assert headline.headline.endswith("Tensions")
    body = (headline.body or "").split("\n\n")
    assert len(body) == 9
    assert body[0].endswith("escalating tensions.")
    assert body[-1].endswith("stalls negotiations.")


def test_a_page_of_text_gives_title_author_time_and_body() -> None:
    assert read(PAGE.format(dateline="Monday 02 June 2025 - 11:34")) == Headline(
        headline="Harbour Mayor Opens Second Lock After Ten Years",
        published=datetime(2025, 6, 2, 11, 34, tzinfo=UTC),
        source="Gazette",
        author="Ann Writer",
        body="The mayor opened the lock on Monday, ten years after the first stone was laid.\n\n"
        "Ships of up to 12,000 tonnes can pass, the port said.",
    )


@pytest.mark.parametrize(
    "dateline",
    [
        "Monday 02 June 2025 - 11:34",
        "June 2, 2025 11:34 AM",
        "2 Jun 2025, 11:34",
        "Published: Mon, 2 June 2025 at 11:34",
        "2025-06-02T11:34",
        "Sunday 02 June 2025 - 11:34",
    ],
)
def test_datelines_are_read_in_the_usual_forms(dateline: str) -> None:
    assert read(PAGE.format(dateline=dateline)).published == datetime(2025, 6, 2, 11, 34, tzinfo=UTC)


def test_a_dateline_is_of_the_zone_given_unless_it_names_its_own() -> None:
    assert read(PAGE.format(dateline="2 June 2025 - 11:34"), "Europe/Paris").published.hour == 9
    assert read(PAGE.format(dateline="2025-06-02T11:34+03:00"), "Europe/Paris").published.hour == 8


def test_an_html_page_is_read_by_what_it_says_about_itself() -> None:
    headline = read(
        """<!DOCTYPE html><html><head><title>Second lock | Gazette</title>
        <script type="application/ld+json">{"@graph": [{"@type": "NewsArticle", "headline": "Mayor opens lock",
        "datePublished": "2025-06-02T11:34:00+03:00", "author": [{"name": "Ann Writer"}]}]}</script></head>
        <body><nav><p>All the sections of the paper</p></nav><article><h1>Mayor opens <i>lock</i></h1>
        <p>The mayor opened the lock on <b>Monday</b>.</p></article></body></html>"""
    )
    assert headline.headline == "Mayor opens lock"
    assert headline.published == datetime(2025, 6, 2, 8, 34, tzinfo=UTC)
    assert headline.author == "Ann Writer"
    assert headline.body == "The mayor opened the lock on Monday."


def test_what_may_be_a_headline_beside_the_article_is_told() -> None:
    told: list[tuple[int, str]] = []
    page = PAGE.format(dateline="2 June 2025") + "\n  \u2022 Storm closes ports on the coast\n"
    context = Context(None, None, None, NOW, left_out=lambda line, text: told.append((line, text)))
    list(Article().read(BytesIO(page.encode()), context))
    assert told == [
        (1, "Ferry service resumes after storm"),
        (1, "Central bank holds rates"),
        (1, "Orchestra tours north"),
        (20, "Storm closes ports on the coast"),
    ]


def test_what_a_page_of_html_has_beside_the_article_is_told() -> None:
    told: list[str] = []
    page = """<html><body><nav><a>Sports</a></nav><article><h1>Mayor opens lock</h1><p>2 June 2025</p>
        <p>The mayor opened the lock on Monday.</p></article><aside><a>Storm closes ports</a></aside></body></html>"""
    context = Context(None, None, None, NOW, left_out=lambda _line, text: told.append(text))
    (headline,) = Article().read(BytesIO(page.encode()), context)
    assert isinstance(headline, Headline)
    assert headline.published == datetime(2025, 6, 2, 12, tzinfo=UTC)
    assert told == ["Storm closes ports"]


@pytest.mark.parametrize(
    "stated",
    [
        '{"@type": "NewsArticle", "datePublished": "0001-01-01T00:00:00+14:00", "headline": "Mayor opens lock"}',
        '{"@type": "NewsArticle", "datePublished": 17, "headline": ["Mayor"], "author": {"name": 7}}',
        "[" * 100_000,
        "{broken",
    ],
)
def test_what_a_page_states_amiss_about_itself_is_overlooked(stated: str) -> None:
    headline = read(f'<html><script type="application/ld+json">{stated}</script><h1>Mayor opens lock</h1></html>')
    assert headline.headline == "Mayor opens lock"
    assert headline.published == NOW
    assert headline.author is None


def test_a_page_that_is_too_long_is_refused() -> None:
    with pytest.raises(SourceError, match="longer than 10,000,000 bytes"):
        read("x" * 10_000_001)


def test_a_text_that_is_no_article_is_refused_with_the_way_out() -> None:
    with pytest.raises(SourceError, match="no article stands here") as caught:
        read("Nothing of the sort.\nAnd nothing either.")
    assert "Monday 02 June 2025 - 11:34" in caught.value.hint
