"""HTML in what should be plain text: the entities and tags that feeds leave in headlines and bodies.

This is no parser of pages. It takes out what is clearly markup, by known names, and leaves what may be meant:
"AT&T", "2 < 3", "Exxon <XOM.N>". Its time grows with the length of the text only, whatever the text is.
"""

from __future__ import annotations

import re
from html import unescape

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ATTRIBUTES = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'|[^\s"'<>]+))*\s*/?"""
_BLOCK_NAMES = (
    "address|article|aside|blockquote|br|button|center|dd|div|dl|dt|figcaption|figure|footer|form|h[1-6]|header|hr|"
    "iframe|li|main|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul|video"
)
_INLINE_NAMES = (
    "a|abbr|b|cite|code|del|em|font|i|img|input|ins|label|mark|noscript|picture|q|s|small|source|span|strike|strong|"
    "sub|sup|time|tt|u|wbr"
)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK_NAMES}){_ATTRIBUTES}>", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE_NAMES}){_ATTRIBUTES}>", re.IGNORECASE)
# What a browser does not show, from and to.
_HIDDEN = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<script\b[^<>]*>", re.IGNORECASE), re.compile(r"</script\s*>", re.IGNORECASE)),
    (re.compile(r"<style\b[^<>]*>", re.IGNORECASE), re.compile(r"</style\s*>", re.IGNORECASE)),
)


def without_markup(text: str, between_blocks: str = " ") -> str:
    """``text`` with entities decoded and known tags taken out, ``between_blocks`` in the place of a paragraph's.

    Feeds escape markup, and some escape it twice, so entities are decoded two times over.
    """
    if "<" not in text and "&" not in text:
        return text
    for _ in range(2):
        text = _ENTITY.sub(lambda entity: unescape(entity[0]), text)
    if "<" not in text:
        return text
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    for opening, closing in _HIDDEN:
        text = _without(text, opening, closing)
    return _INLINE_TAG.sub("", _BLOCK_TAG.sub(between_blocks, text))


def _without(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    kept, place = [], 0
    while (begin := opening.search(text, place)) and (end := closing.search(text, begin.end())):
        kept.append(text[place : begin.start()])
        place = end.end()
    return "".join((*kept, text[place:]))
