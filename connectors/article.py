"""An article page, as text or HTML: its title, dateline, author and body make one headline.

In text, the dateline is the anchor: the title stands before it, the author beside it, the body after it. What surrounds an
article is left out by its form, not by the names of one site: tickers, bullets, single words (menus, prayer times), lines
that repeat the title, and lines that begin as notices do ("Read more", "This website uses cookies"). In HTML, what the
page states about itself comes first (schema.org JSON-LD, OpenGraph), then its elements.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, BinaryIO

from selectolax.lexbor import LexborHTMLParser as HTMLParser

from connectors.dates import Dateline, find_date
from connectors.interface import Context, Reading, SourceError, decode
from connectors.page import parse_page
from connectors.ticker import read_ticker
from streams.core.headline import tidy, tidy_body
from streams.core.records import Headline
from streams.core.text import clean

_HTML = re.compile(r"<(?:!doctype html|html|head|body|article|meta|div|p|h1)[\s>]", re.IGNORECASE)
_AUTHOR = re.compile(r"^(?:by|written by|author|reported by)\s*:?\s+(?P<name>\S.{1,80})$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*[\u2022\u00b7\u25aa\u25cf\u2023*\u2013-]\s+\S")
#: How the notices around articles begin ...
_NOTICE = re.compile(
    r"""^\W*(?:
        read\ (?:more|also|next|the\ full) | see\ also | follow\ us | sign\ up | subscribe\ (?:to|now) | copy\ link |
        most\ (?:read|popular) | all\ rights\ reserved | copyright\ \W*(?:\d{4}|\() | \u00a9 | privacy\ policy |
        (?:this|our)\ (?:web)?site\b.*\bcookies? | we\ use\ cookies | accept\ (?:all|cookies) |
        by\ continuing\ to\ (?:browse|use) | terms\ of\ (?:use|service) | (?:photo|image)\ (?:credit|source)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
#: ... and, where nothing but a word or three follows, their labels.
_LABEL = re.compile(
    r"^\W*(?:related|share|advertisement|sponsored|newsletter|subscribe|comments?|tags?|topics?|print|more)\b",
    re.IGNORECASE,
)
#: A dateline line holds little beside its date.
_DATELINE_SPARE = 40


@dataclass(frozen=True, slots=True)
class Page:
    """What an article page says."""

    title: str
    published: datetime | None
    author: str | None
    body: str


class Article:
    """Reads one article page."""

    name = "article"
    description = "an article page, as text or HTML: title, dateline, author, body"
    example = "Tanker held off Malta\n\nMonday 02 June 2025 - 11:34\nBy: A. Writer\n\nA tanker was held on Monday ..."

    def recognises(self, head: bytes) -> bool:
        """Whether it is HTML, or a dateline stands on a line of its own."""
        text = decode(head)
        return _HTML.search(text) is not None or any(_dateline(line) for line in text.splitlines())

    def read(self, data: BinaryIO, context: Context) -> Iterator[Reading]:
        """The one headline of the page. Without a dateline it is published now."""
        text = decode(data.read())
        page = read_html(text, context.zone) if _HTML.search(text) else read_text(text, context.zone)
        if page is None:
            hint = "an article has a title, and a dateline such as `Monday 02 June 2025 - 11:34` on a line of its own"
            raise SourceError("no article stands here", hint)
        yield Headline(
            headline=tidy(page.title),
            published=page.published or context.now,
            source=context.source or "unknown",
            author=page.author,
            body=tidy_body(page.body) or None,
        )


def read_text(text: str, zone: tzinfo) -> Page | None:
    """An article of plain text, or None where there is no dateline with a title before it."""
    lines = [clean(line) for line in text.replace("\r\n", "\n").split("\n")]
    at = next((n for n, line in enumerate(lines) if _dateline(line) and _title(lines[:n])), None)
    if at is None:
        return None
    dateline = _dateline(lines[at])
    assert dateline is not None
    title = _title(lines[:at])
    author = next((found["name"] for line in lines[max(0, at - 2) : at + 4] if (found := _AUTHOR.match(line))), None)
    body = [line for line in lines[at + 1 :] if _belongs(line, title)]
    return Page(title, dateline.moment(zone), author, "\n\n".join(body))


def _dateline(line: str) -> Dateline | None:
    found = find_date(line)
    if found is None or len(line) - (found.end - found.start) > _DATELINE_SPARE:
        return None
    return found


def _title(before: Sequence[str]) -> str:
    """The nearest line above that could be a title."""
    for line in reversed(before):
        if line and not _AUTHOR.match(line) and not _is_clutter(line):
            return line
    return ""


def _belongs(line: str, title: str) -> bool:
    return bool(line) and line != title and not _AUTHOR.match(line) and not _is_clutter(line)


def _is_clutter(line: str) -> bool:
    words = len(line.split())
    if _BULLET.match(line) or _NOTICE.match(line) or (words <= 4 and _LABEL.match(line)):
        return True
    return words < 3 or len(read_ticker(line)) >= 2


def read_html(text: str, zone: tzinfo) -> Page | None:
    """An article of HTML, or None where it has no title."""
    tree = parse_page(text)
    stated = _stated(tree)
    for clutter in tree.css("script, style, nav, header nav, footer, aside, form, noscript, figure"):
        clutter.decompose()
    heading = tree.css_first("article h1, main h1, h1")
    title = clean(
        stated.get("headline") or _meta(tree, "og:title") or (heading.text() if heading else "") or _text(tree, "title")
    )
    if not title:
        return None
    root = tree.css_first("article, main, body") or tree.root
    paragraphs = [clean(p.text()) for p in root.css("p")] if root else []
    when = find_date(
        stated.get("datePublished") or _meta(tree, "article:published_time") or _time(tree) or _shown_date(paragraphs)
    )
    author = stated.get("author") or _meta(tree, "author") or _byline(paragraphs)
    body = [line for line in paragraphs if _belongs(line, title) and not _dateline(line)]
    return Page(title, when.moment(zone) if when else None, clean(author) or None, "\n\n".join(body))


def _stated(tree: HTMLParser) -> dict[str, str]:
    """Headline, date and author of the first schema.org article in the page's JSON-LD."""
    for script in tree.css('script[type="application/ld+json"]'):
        try:
            data = json.loads(script.text())
        except ValueError:
            continue  # a page's broken JSON-LD is no reason to leave the page unread
        for thing in _things(data):
            if "Article" in str(thing.get("@type")):
                found = {
                    "headline": thing.get("headline"),
                    "datePublished": thing.get("datePublished"),
                    "author": _names(thing.get("author")),
                }
                return {key: value for key, value in found.items() if isinstance(value, str)}
    return {}


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


def _meta(tree: HTMLParser, name: str) -> str:
    node = tree.css_first(f'meta[property="{name}"], meta[name="{name}"]')
    return (node.attributes.get("content") or "") if node else ""


def _text(tree: HTMLParser, selector: str) -> str:
    node = tree.css_first(selector)
    return node.text() if node else ""


def _time(tree: HTMLParser) -> str:
    node = tree.css_first("time[datetime]")
    return (node.attributes.get("datetime") or "") if node else ""


def _shown_date(paragraphs: Sequence[str]) -> str:
    return next((line for line in paragraphs if _dateline(line)), "")


def _byline(paragraphs: Sequence[str]) -> str:
    return next((found["name"] for line in paragraphs if (found := _AUTHOR.match(line))), "")
