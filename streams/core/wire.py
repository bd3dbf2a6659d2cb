"""The conventions of wires and outlets: what stands around a headline without being part of what it says.

"UPDATE 2-Oil rises | Reuters" says "Oil rises". :func:`read_wire` takes such marks off and reports what they mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal["update", "repeat", "correction", "withdrawal", "flash", "brief"]

# Wire prefixes end in a hyphen ("UPDATE 2-", "RPT-UPDATE 1-", "CORRECTED-(OFFICIAL)-"), others in a colon or bar.
_PREFIX = re.compile(
    r"""\s*(?:
        (?P<update>(?:UPDATE|WRAPUP|WRAP)\s?\d*) |
        (?P<repeat>RPT|REPEAT|REFILE|REFILED|RESEND) |
        (?P<correction>CORRECTED|CORRECTION|CORRECTING|CORRECTS|CORRECT) |
        (?P<withdrawal>WITHDRAWN|WITHDRAWAL|KILL|KILLED|RETRACTED|RETRACTION) |
        (?P<flash>BREAKING(?:\ NEWS)?|JUST\ IN|URGENT|FLASH|NEWS\ ALERT|ALERT|LIVE|EXCLUSIVE|DEVELOPING|WATCH) |
        (?P<brief>BRIEF)
    )(?:[\s-]?\(OFFICIAL\))?\s?(?:-(?=\S)|[:|]\s|\s[-\u2013\u2014]\s|\u2014)\s*""",
    re.VERBOSE,
)
_LOUD_PREFIX = re.compile(
    r"\s*(?P<flash>breaking(?: news)?|just in|urgent|exclusive|developing)\s?[:|\u2014]\s*", re.IGNORECASE
)
_PREFIX_END = re.compile("[-:|\u2013\u2014]")
_BAR_TAIL = re.compile(r"\s+\|\s+[^|]{2,40}$")
_DASH_BEFORE_SPACE = re.compile(r"[-\u2013\u2014]\s")
_DASH_TAIL = re.compile(r"\s+[-\u2013\u2014]\s+([^-\u2013\u2014|]{2,40})$")
_LETTERS = re.compile(r"[^a-z0-9]+")

#: Outlets whose name follows a dash at the end of their headlines, as lower-case letters.
_OUTLETS = frozenset(
    """
    abcnews afp aljazeera ap apnews arstechnica axios bbc bbcnews bloomberg businessinsider businesswire cbsnews
    cnbc cnet cnn dw economist euronews financialtimes forbes fortune foxnews france24 ft guardian haaretz
    huffpost independent marketwatch msnbc nbcnews newsweek newyorktimes npr nytimes politico reuters rferl
    skynews tass techcrunch theguardian thehill theindependent thenewyorktimes thetimes theverge
    thewallstreetjournal thewashingtonpost time timesofisrael usatoday wallstreetjournal washingtonpost wired wsj
    xinhua yahoofinance yahoonews zdnet
    """.split()  # noqa: SIM905 - a column of quotes would hide the names
)


@dataclass(frozen=True, slots=True)
class Wire:
    """What a headline says, and the marks that stood around it."""

    text: str
    marks: frozenset[Mark]


def read_wire(headline: str, source: str = "") -> Wire:
    """Take wire prefixes and outlet tails off a headline.

    A tail after a bar goes ("Oil rises | Reuters"); one after a dash goes only if it names ``source`` or an outlet that
    is known to sign so, because a dash also parts the two halves of a sentence.
    """
    marks: set[Mark] = set()
    text = headline
    while match := _prefix(text):
        if not text[match.end() :].strip():
            break
        marks.update(name for name, found in match.groupdict().items() if found)  # type: ignore[misc]
        text = text[match.end() :]
    return Wire(_without_tail(text.strip(), source), frozenset(marks))


def _prefix(text: str) -> re.Match[str] | None:
    """The prefix that ``text`` begins with. Looks first whether there can be one: most headlines have none."""
    if not _PREFIX_END.search(text):
        return None
    return (_PREFIX.match(text) if text.lstrip()[:2].isupper() else None) or _LOUD_PREFIX.match(text)


def _without_tail(text: str, source: str) -> str:
    if " " not in text:
        return text
    if "|" in text:
        text = _BAR_TAIL.sub("", text)
    tail = _DASH_TAIL.search(text) if _DASH_BEFORE_SPACE.search(text) else None
    if tail and tail.start() > 0 and _names_outlet(tail.group(1), source):
        text = text[: tail.start()]
    return text


def _names_outlet(tail: str, source: str) -> bool:
    letters = _LETTERS.sub("", tail.lower())
    if letters in _OUTLETS:
        return True
    domain = source.lower().removeprefix("rss:").removeprefix("www.")
    name = _LETTERS.sub("", domain.rsplit(".", 1)[0])
    return len(letters) > 2 and letters == name
