"""An article page, as text or HTML: its title, dateline, author and body make one headline.

In text, the dateline is the anchor: the title stands before it, the author beside it, the body after it. What surrounds an
article is left out by its form, not by the names of one site: tickers, bullets, single words (menus, prayer times), lines
that repeat the title, and lines that begin as notices do ("Read more", "This website uses cookies"). In HTML, what the
page states about itself comes first (schema.org JSON-LD, OpenGraph), then its elements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, BinaryIO

from selectolax.lexbor import LexborHTMLParser

from connectors.dates import find_date, find_dateline
from connectors.interface import Context, Reading, SourceError
from connectors.page import is_html, parse_page, published_on, seen_text, stated, text_of
from connectors.prose import AUTHOR, BULLET, is_notice, is_sentence, may_be_headline, paragraphs
from connectors.stored import read_page
from connectors.ticker import read_ticker
from streams.core.headline import NAME_LIMIT, tidy, tidy_body
from streams.core.records import Headline
from streams.core.text import clean

#: A page is guessed to be an article if its dateline is among so many of its first lines, blank ones not counted.
FIRST_LINES = 30
_CLUTTER = "script, style, nav, header nav, footer, aside, form, noscript, figure"


@dataclass(frozen=True, slots=True)
class Page:
    """What an article page says. ``beside`` are the other lines on it, with their numbers from 1."""

    title: str
    published: datetime | None
    author: str
    body: str
    beside: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the lines of a text its article stands: the places of its title and its dateline."""

    title: int
    dateline: int


class Article:
    """Reads one article page."""

    name = "article"
    description = "an article page, as text or HTML: title, dateline, author, body"
    example = "Tanker held off Malta\n\nMonday 02 June 2025 - 11:34\nBy: A. Writer\n\nA tanker was held on Monday ..."

    def recognises(self, head: str) -> bool:
        """Whether a title, a dateline and then running text stand near its top; HTML may state as much of itself."""
        if not is_html(head):
            return _is_article([clean(line) for line in head.splitlines()])
        tree = parse_page(head)
        return bool(_stated_article(tree)) or stated(tree, "og:type") == "article" or _has_dated_text(tree)

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """The one headline of the page. HTML without a date is published now.

        Raises:
            SourceError: there is no title, or in text no dateline after it.
        """
        text, zone = read_page(data), context.zone or UTC
        page = read_html(text, zone) if is_html(text) else read_text(text, zone)
        if page is None or not (headline := tidy(page.title)):
            hint = "an article has a title, and a dateline such as `Monday 02 June 2025 - 11:34` on a line of its own"
            raise SourceError("no article stands here", hint)
        yield Headline(
            headline=headline,
            published=page.published or context.now,
            source=context.outlet,
            author=tidy(page.author, NAME_LIMIT) or None,
            body=tidy_body(page.body) or None,
        )
        _tell_of(page.beside, context.left_out)


def _tell_of(beside: Sequence[tuple[int, str]], left_out: Callable[[int, str], None]) -> None:
    for number, line in beside:
        items = read_ticker(line)
        for text in [item.text for item in items] if len(items) > 1 else [BULLET.sub("", line)]:
            if may_be_headline(text):
                left_out(number, text)


def _is_article(lines: Sequence[str]) -> bool:
    """Whether the first lines hold a dateline with running text after it.

    Two paragraphs tell for sure. One sentence may be a headline with a full stop, in a list that has a date above; so it
    must stand alone, and such sentences must be half of what follows.
    """
    place = _place(lines)
    if place is None or sum(map(bool, lines[: place.dateline])) >= FIRST_LINES:
        return False
    after = [line if _belongs(line, lines[place.title]) else "" for line in lines[place.dateline + 1 :]]
    if sum(1 for _ in paragraphs(after)) > 1:
        return True
    alone = sum(
        is_sentence(line) and not before and not following
        for before, line, following in zip(["", *after], after, [*after[1:], ""], strict=False)
    )
    return alone > 0 and 2 * alone >= sum(map(bool, after))


def _place(lines: Sequence[str]) -> _Place | None:
    """The first dateline with a title before it: the nearest line above that could be one."""
    above = 0
    for dateline, line in enumerate(lines):
        if find_dateline(line):
            for title in range(dateline - 1, above - 1, -1):
                if lines[title] and not AUTHOR.match(lines[title]) and not _is_clutter(lines[title]):
                    return _Place(title, dateline)
            above = dateline
    return None


def read_text(text: str, zone: tzinfo) -> Page | None:
    """An article of plain text, or None where there is no dateline with a title before it."""
    lines = [clean(line) for line in text.splitlines()]
    place = _place(lines)
    if place is None:
        return None
    dateline = find_dateline(lines[place.dateline])
    assert dateline is not None
    title = lines[place.title]
    near = lines[max(0, place.dateline - 2) : place.dateline + 4]
    author = next((found["name"] for line in near if (found := AUTHOR.match(line))), "")
    body, beside = [], []
    for number, line in enumerate(lines):
        if number > place.dateline and _belongs(line, title):
            body.append(line)
        elif line not in ("", title) and number != place.dateline:
            beside.append((number + 1, line))
    return Page(title.lstrip("# "), dateline.moment(zone), author, "\n\n".join(body), tuple(beside))


def _belongs(line: str, title: str) -> bool:
    return bool(line) and line != title and not AUTHOR.match(line) and not _is_clutter(line)


def _is_clutter(line: str) -> bool:
    if BULLET.match(line) or is_notice(line):
        return True
    return len(line.split()) < 3 or len(read_ticker(line)) >= 2


def read_html(text: str, zone: tzinfo) -> Page | None:
    """An article of HTML, or None where it has no title."""
    tree = parse_page(text)
    says = _stated_article(tree)
    when = find_date(says.get("datePublished", ""))
    published = when.moment(zone) if when else published_on(tree, zone)
    seen = [clean(line) for line in seen_text(parse_page(text)).splitlines()]
    for clutter in tree.css(_CLUTTER):
        clutter.decompose()
    heading = text_of(tree, "article h1, main h1, h1")
    title = clean(says.get("headline") or stated(tree, "og:title") or heading or text_of(tree, "title"))
    if not title:
        return None
    written = _paragraphs(tree)
    if published is None:
        published = next((line.moment(zone) for line in map(find_dateline, written) if line), None)
    byline = next((found["name"] for line in written if (found := AUTHOR.match(line))), "")
    body = [line for line in written if _belongs(line, title) and not find_dateline(line)]
    used = {"", title, clean(heading), *written}
    beside = tuple((number, line) for number, line in enumerate(seen, start=1) if line not in used)
    return Page(
        title, published, clean(says.get("author") or stated(tree, "author") or byline), "\n\n".join(body), beside
    )


def _paragraphs(tree: LexborHTMLParser) -> list[str]:
    root = tree.css_first("article, main, body") or tree.root
    return [clean(paragraph.text()) for paragraph in root.css("p")] if root else []


def _has_dated_text(tree: LexborHTMLParser) -> bool:
    """Whether the page has one main heading, a date, and paragraphs of running text."""
    written = _paragraphs(tree)
    dated = published_on(tree, UTC) is not None or any(map(find_dateline, written))
    return dated and len(tree.css("h1")) == 1 and any(map(is_sentence, written))


def _stated_article(tree: LexborHTMLParser) -> dict[str, str]:
    """Headline, date and author of the first schema.org article in the page's JSON-LD."""
    for script in tree.css('script[type="application/ld+json"]'):
        try:
            article = next((thing for thing in _things(json.loads(script.text())) if _is_stated(thing)), None)
        except (ValueError, RecursionError):
            continue  # a page's broken JSON-LD is no reason to leave the page unread
        if article is not None:
            found = {
                "headline": article.get("headline"),
                "datePublished": article.get("datePublished"),
                "author": _names(article.get("author")),
            }
            return {key: value for key, value in found.items() if isinstance(value, str)}
    return {}


def _is_stated(thing: Mapping[str, Any]) -> bool:
    return "Article" in str(thing.get("@type"))


def _names(authors: Any) -> str | None:
    """ "A. Writer, B. Writer" of the one or many persons or names that schema.org allows."""
    names = [
        who.get("name") if isinstance(who, dict) else who
        for who in (authors if isinstance(authors, list) else [authors])
    ]
    return ", ".join(name for name in names if isinstance(name, str)) or None


def _things(data: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(data, dict):
        yield data
        yield from _things(data.get("@graph"))
    elif isinstance(data, list):
        for item in data:
            yield from _things(item)
