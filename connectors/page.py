"""HTML pages: their text as it is seen, and the time that they say they were published."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from itertools import islice

from selectolax.lexbor import LexborHTMLParser

from connectors.dates import find_date
from connectors.interface import SourceError

#: Elements open within each other at most; the parser's time grows with the square of it.
DEPTH_LIMIT = 5_000

_FRAME = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_HTML = re.compile(r"<(?:article|section|main|meta|div|p|h[1-6]|ul|ol|li|table|time)[\s>]", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9-]*)", re.IGNORECASE)
# Elements that do not nest: they are empty, or end where the next of their kind begins.
_FLAT = frozenset(
    "area base br col dd dt embed hr img input li link meta option p source td th tr track wbr".split()  # noqa: SIM905
)
_UNSEEN = ["script", "style", "template", "noscript", "svg", "head", "iframe", "button", "select", "textarea"]
_BLOCKS = (
    "address,article,aside,blockquote,br,dd,div,dl,dt,figcaption,footer,form,h1,h2,h3,h4,h5,h6,header,hr,li,main,nav,"
    "ol,p,pre,section,table,td,th,tr,ul"
)
_PUBLISHED = (
    ('meta[property="article:published_time"]', "content"),
    ('meta[itemprop="datePublished"], [itemprop="datePublished"]', "content"),
    ("time[datetime]", "datetime"),
)


def is_html(text: str) -> bool:
    """Whether ``text`` is HTML: it begins with a tag, has the frame of a page, or at least three blocks."""
    if _FRAME.search(text):
        return True
    tags = [tag.start() for tag in islice(_HTML.finditer(text), 3)]
    return len(tags) == 3 or (bool(tags) and text.lstrip("\ufeff \t\r\n").startswith("<"))


def parse_page(html: str) -> LexborHTMLParser:
    """The tree of a page.

    Raises:
        SourceError: its elements nest too deeply to be a page.
    """
    depth = 0
    for closing, name in _TAG.findall(html):
        if name.lower() not in _FLAT:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > DEPTH_LIMIT:
                raise SourceError("its HTML nests too deeply to be a page", "save the page again, or give its text")
    return LexborHTMLParser(html)


def published_on(tree: LexborHTMLParser, zone: tzinfo) -> datetime | None:
    """When the page says in its metadata that it was published, in UTC."""
    for selector, attribute in _PUBLISHED:
        node = tree.css_first(selector)
        found = find_date((node.attributes.get(attribute) or "") if node else "")
        if found:
            return found.moment(zone)
    return None


def stated(tree: LexborHTMLParser, *names: str) -> str:
    """The content of the first ``meta`` element of these names that has one; else nothing."""
    for name in names:
        node = tree.css_first(f'meta[property="{name}"], meta[name="{name}"]')
        if node and (content := node.attributes.get("content")):
            return content
    return ""


def text_of(tree: LexborHTMLParser, selectors: str) -> str:
    """The text of the first element that fits; else nothing."""
    node = tree.css_first(selectors)
    return node.text() if node else ""


def seen_text(tree: LexborHTMLParser) -> str:
    """All the text of a page that is seen, each block on lines of its own. It changes the tree."""
    if tree.body is None:
        return ""
    tree.body.strip_tags(_UNSEEN)
    for node in tree.body.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    return tree.body.text()
