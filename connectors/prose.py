"""What the lines of a text look like to the eye: headlines, running text, or the notices and labels around both.

These are signs, not proofs. They decide what an input is guessed to be, and which of the lines that a page has beside what
is read from it are worth telling of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from connectors.dates import find_dateline

#: A line at least this long, code points, may go on in the next one.
WRAPPED = 54
#: A sentence at least this long, code points, is one of running text rather than a headline with a full stop.
LONG_SENTENCE = 80
#: No headline is longer, code points.
LONGEST_HEADLINE = 300

AUTHOR = re.compile(r"^(?:by|written by|author|reported by)\s*:?\s+(?P<name>\S.{1,80})$", re.IGNORECASE)
BULLET = re.compile(r"^\s*[\u2022\u00b7\u25aa\u25cf\u2023*\u2013-]\s+(?=\S)")
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
_SENTENCE_END = re.compile(r"(?:[.!?\u2026]|[\u3002\uff01\uff1f])[\"'\u2019\u201d)\]]*$")
# Chinese, Japanese and Thai have no spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")


def is_notice(line: str) -> bool:
    """Whether ``line`` is one of the notices and labels that stand around articles ("Read more", "Advertisement")."""
    return _NOTICE.match(line) is not None or (len(line.split()) <= 4 and _LABEL.match(line) is not None)


def is_sentence(line: str) -> bool:
    """Whether ``line`` ends as a sentence does, and has words enough to be one."""
    return _SENTENCE_END.search(line) is not None and words(line) >= 5


def may_be_headline(line: str) -> bool:
    """Whether ``line``, cleaned, could be a headline: some words, neither a notice nor a dateline nor a paragraph."""
    text = BULLET.sub("", line)
    return (
        words(text) >= 3
        and len(text) <= LONGEST_HEADLINE
        and not (len(text) >= LONG_SENTENCE and is_sentence(text))
        and not is_notice(text)
        and not AUTHOR.match(text)
        and find_dateline(text) is None
    )


def words(text: str) -> int:
    """How many words ``text`` has; of writing without spaces, two characters count as one."""
    return len(text.split()) + len(_UNSPACED.findall(text)) // 2


def is_running_text(lines: Sequence[str]) -> bool:
    """Whether there are three lines or more, and at least half are of running text."""
    written = sum(bool(line.strip()) for line in lines)
    return written >= 3 and 2 * sum(len(paragraph) for paragraph in paragraphs(lines)) >= written


def paragraphs(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The running text among ``lines``: a long sentence or more in one line, or lines that go on in the next."""
    paragraph: list[str] = []
    for line in (*(line.strip() for line in lines), ""):
        if paragraph and _is_capital(paragraph[0]) and _goes_on(paragraph[-1], line):
            paragraph.append(line)
            continue
        if len(paragraph) > 1 or (paragraph and _is_long_sentence(paragraph[0])):
            yield tuple(paragraph)
        paragraph = [line] if line else []


def _is_long_sentence(line: str) -> bool:
    return len(line) >= LONG_SENTENCE and is_sentence(line)


def _is_capital(line: str) -> bool:
    """Whether a sentence may begin with ``line``: a list in small letters has none."""
    return not line[:1].islower()


def _goes_on(line: str, following: str) -> bool:
    """Whether a sentence is broken between the two lines."""
    return len(line) >= WRAPPED and following[:1].islower() and not _SENTENCE_END.search(line)
