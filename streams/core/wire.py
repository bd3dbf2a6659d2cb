"""The conventions of wires and outlets: what stands around a headline without being part of what it says.

"UPDATE 2-Oil rises | Reuters" says "Oil rises". :func:`read_wire` takes such marks off and reports what they mean.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Mark = Literal["update", "repeat", "correction", "withdrawal", "flash", "brief"]

# Wire prefixes end in a hyphen ("UPDATE 2-", "RPT-UPDATE 1-", "CORRECTED-(OFFICIAL)-"), others in a colon or bar.
_PREFIX = re.compile(
    r"""\s*(?:
        (?P<update>(?:UPDATED?|WRAPUP|WRAP)\s?\d*) |
        (?P<repeat>RPT|REPEAT|REFILE|REFILED|RESEND) |
        (?P<correction>CORRECTED|CORRECTION|CORRECTING|CORRECTS|CORRECT) |
        (?P<withdrawal>WITHDRAWN|WITHDRAWAL|KILL|KILLED|RETRACTED|RETRACTION) |
        (?P<flash>BREAKING(?:\ NEWS)?|JUST\ IN|URGENT|FLASH|NEWS\ ALERT|ALERT|LIVE|EXCLUSIVE|DEVELOPING|WATCH) |
        (?P<brief>BRIEF)
    )(?:[\s-]?\(OFFICIAL\))?\s?(?:-(?=\S)|[:|]\s|\s[-\u2013\u2014]\s|\u2014)\s*""",
    re.VERBOSE,
)
_LOUD_PREFIX = re.compile(
    r"""\s*(?:
        (?P<flash>breaking(?:\ news)?|just\ in|urgent|exclusive|developing) |
        (?P<correction>corrected|correction) |
        (?P<withdrawal>(?:story\ )?(?:withdrawn|retracted)|retraction)
    )\s?[:|\u2014]\s*""",
    re.VERBOSE | re.IGNORECASE,
)
# Outlets that have no wire prefixes say at the end that a headline corrects or withdraws one: "(corrected)", "- correction".
_NOTE = re.compile(
    r"""(?:\s*[(\[]|\s+[-|\u2013\u2014]\s+)(?:
        (?P<correction>corrected|correction|corrects(?:\s[^()\[\]]{1,40})?) |
        (?P<withdrawal>(?:story\s)?(?:withdrawn|retracted)|retraction)
    )[)\]]?$""",
    re.VERBOSE | re.IGNORECASE,
)
#: What ends a prefix or begins a tail: most headlines have none of it, and so no mark.
_ENDS_MARK = re.compile("[-:|(\\[\u2013\u2014]")
_NO_MARKS: frozenset[Mark] = frozenset()
_BAR_TAIL = re.compile(r"\s+\|\s+([^|]{2,40})$")
_DASH_BEFORE_SPACE = re.compile(r"[-\u2013\u2014]\s")
_DASH_TAIL = re.compile(r"\s+[-\u2013\u2014]\s+([^-\u2013\u2014|]{2,40})$")
#: The end of an outlet's address: ".com", ".co.uk".
_TOP_LEVEL = re.compile(r"(?<=\w)(?:\.(?:co|com|org|net|ac|gov|edu))?\.[a-z]{2,}$")
_LETTERS = re.compile(r"[^a-z0-9]+")

#: Outlets whose name follows a dash or a bar at the end of their headlines, as lower-case letters.
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


class Wire(NamedTuple):
    """What a headline says, and the marks that stood around it."""

    text: str
    marks: frozenset[Mark]


def read_wire(headline: str, source: str = "") -> Wire:
    """Take wire prefixes and outlet tails off a headline.

    A tail after a bar or a dash goes ("Oil rises | Reuters") if it names ``source`` or an outlet that is known to sign
    so. Others stay, because a dash also parts the two halves of a sentence, and a bar what is said from more of it.
    """
    if headline.isascii():
        plain = not ("-" in headline or ":" in headline or "|" in headline or "(" in headline or "[" in headline)
    else:
        plain = not _ENDS_MARK.search(headline)
    if plain:
        return Wire(headline.strip(), _NO_MARKS)
    marks: set[Mark] = set()
    text = headline
    while match := _prefix(text):
        if not text[match.end() :].strip():
            break
        marks.update(_named(match))
        text = text[match.end() :]
    text = _without_tail(text.strip(), source)
    if may_tell_status(text) and (note := _NOTE.search(text)) and note.start():
        marks.update(_named(note))
        text = text[: note.start()]
    return Wire(text, frozenset(marks))


def may_tell_status(text: str) -> bool:
    """Whether ``text`` has what stands in every mark of a correction or withdrawal; most have none, and need no search."""
    small = text.lower()
    return "correct" in small or "thdraw" in small or "retract" in small or "kill" in small


def _named(match: re.Match[str]) -> set[Mark]:
    """The marks that ``match`` found."""
    return {name for name, found in match.groupdict().items() if found}  # type: ignore[misc]


def _prefix(text: str) -> re.Match[str] | None:
    """The prefix that ``text`` begins with."""
    return (_PREFIX.match(text) if text.lstrip()[:2].isupper() else None) or _LOUD_PREFIX.match(text)


def _without_tail(text: str, source: str) -> str:
    if " " not in text:
        return text
    if "|" in text:
        text = _without_outlet(text, _BAR_TAIL, source)
    if _DASH_BEFORE_SPACE.search(text):
        text = _without_outlet(text, _DASH_TAIL, source)
    return text


def _without_outlet(text: str, tail: re.Pattern[str], source: str) -> str:
    found = tail.search(text)
    return text[: found.start()] if found and found.start() and _names_outlet(found[1], source) else text


def _names_outlet(tail: str, source: str) -> bool:
    name = _LETTERS.sub("", _TOP_LEVEL.sub("", tail.lower()).removeprefix("the "))
    if name in _OUTLETS or f"the{name}" in _OUTLETS:
        return True
    host = _TOP_LEVEL.sub("", source.lower().removeprefix("rss:").removeprefix("www."))
    names = {_LETTERS.sub("", known.removeprefix("the ")) for known in (host, host.rsplit(".", 1)[-1])}
    return len(name) > 2 and not names.isdisjoint((name, f"the{name}"))
