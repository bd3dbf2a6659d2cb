"""Time marks: which of the times in a ticker begin a headline, and which are part of what one says.

In "18:50 Talks resume at 10:30 GMT 18:20 Flights halted until 23:00 17:55 Reds win 2:1", the marks are 18:50, 18:20 and
17:55. A mark is HH:MM or H:MM on the 24-hour clock, or with am or pm. Not read as marks are 18.50, 18h50, 18:50:30
and 24:00.

They are found in two steps. First go the times that the words around show to be part of a sentence. Of the others,
the chain is taken that has the most marks and, going down through the hours, leaves the fewest long gaps: each mark
counts 1, and a gap of more than 12 hours costs 1 for every 4 hours beyond. Midnight is a gap like another, the time
from 23:50 to 00:10. A time inside a headline that is later than the headline's own would need almost a whole day to be
gone down from, so it falls out.

What this cannot tell: a time inside a headline that none of its words gives away, and that either lies between
the marks around it or is at least 8 hours later than the one before. And a last headline that is more than 16 hours
older than the one before it is taken to be part of that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DAY = 24 * 60
#: A gap up to this long, in minutes, is nothing unusual in a ticker.
USUAL_GAP = 12 * 60
#: For each of these beyond it, in minutes, a gap costs as much as a mark counts.
COSTLY_GAP = 4 * 60
#: Times left out one after the other, at most. It keeps the search linear in the length of a ticker.
SKIPPED = 100

_TIME = re.compile(
    r"(?<![\w:.,/$\u20ac\u00a3+(-])\[?(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
    r"(?:\s?(?P<half>[ap])\.?m\b\.?)?\]?(?=\s|$|\||[:\u2013\u2014-](?:\s|$))",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"([^\W\d_]+|@|~)[\s\"'\u2018\u201c(]*$")
_AFTER = re.compile(r"[\s|:\u2013\u2014\u2022\u00b7*-]*")
_NEXT_WORD = re.compile(r"[\"'\u2018\u2019\u201c\u201d(\[]*([^\s.,;:!?)\]]+)")
# Words that a time belongs to, before it and after it, in the languages that tickers in Latin letters use most.
_BEFORE_A_TIME = frozenset(
    "at by until till from since before after around between @ ~ um ab bis gegen dès vers à las às alle ore".split()  # noqa: SIM905
)
_AFTER_A_TIME = frozenset(
    "GMT gmt UTC utc ET EST EDT CT CST CDT PT PST PDT BST IST CET CEST EET EEST MSK Uhr hours hrs hour local".split()  # noqa: SIM905
)


_LONGEST_LABEL = 80
# What stands before the first time of a ticker without being a headline.
_LABEL = re.compile(
    r"[\W_]*(?:(?:breaking|latest|live|news|just|in|ticker|updates?|headlines?|now|flash|newsflash|alert|urgent|today|"
    r"top|stories|last|minute|wire)\b[\W_]*)*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A time in a text: ``minutes`` after midnight, standing at ``text[start:end]``.

    ``leads`` if nothing but a label, such as "Breaking", stands before it in its line.
    """

    minutes: int
    start: int
    end: int
    leads: bool

    def __str__(self) -> str:
        return f"{self.minutes // 60:02}:{self.minutes % 60:02}"


@dataclass(frozen=True, slots=True)
class Chain:
    """The marks of a ticker in the order of its text; ``rises`` if the newest headline comes last."""

    marks: tuple[Mark, ...]
    rises: bool = False

    def days_back(self) -> list[int]:
        """For each mark, how many days before the newest headline's it is."""
        newest_first = self.marks[::-1] if self.rises else self.marks
        back, days = 0, []
        for number, mark in enumerate(newest_first):
            if number and mark.minutes > newest_first[number - 1].minutes:
                back += 1
            days.append(back)
        return days[::-1] if self.rises else days


def times(text: str) -> list[Mark]:
    """The times in ``text`` that may be marks: with something after them, and no part of a sentence to the eye."""
    found = [(time, _following(text, time.end())) for time in _TIME.finditer(text)]
    capitals = sum(not _is_small(word) for _, word in found) * 2 > len(found)
    padded = any(time["hour"].startswith("0") for time, _ in found)
    end = len(text.rstrip())
    marks = []
    for time, word in found:
        line = text.rfind("\n", max(0, time.start() - _LONGEST_LABEL - 1), time.start()) + 1
        leads = time.start() - line <= _LONGEST_LABEL and is_label(text[line : time.start()])
        last = word == "" and time.end() >= end
        in_sentence = last or _is_in_sentence(text, time, word) or (capitals and _is_small(word))
        other_style = padded and len(time["hour"]) == 1 and time["half"] is None
        if leads or not (in_sentence or other_style):
            marks.append(Mark(_minutes(time), time.start(), time.end(), leads))
    return marks


def is_label(text: str) -> bool:
    """Whether ``text`` is empty, or one of the labels that tickers begin with."""
    return len(text) <= _LONGEST_LABEL and _LABEL.fullmatch(text) is not None


def starts_headline(text: str, mark: Mark) -> bool:
    """Whether anything stands after ``mark`` that could be its headline."""
    return _following(text, mark.end) != ""


def _following(text: str, place: int) -> str:
    """The word after ``place``; empty at the end of the text, or before another time."""
    place = _AFTER.match(text, place).end()  # type: ignore[union-attr]  # it matches the empty text
    word = _NEXT_WORD.match(text, place)
    return "" if word is None or _TIME.match(text, place) else word[1]


def _is_small(word: str) -> bool:
    return word.islower()


def _is_in_sentence(text: str, time: re.Match[str], word: str) -> bool:
    before = _WORD_BEFORE.search(text, max(0, time.start() - 40), time.start())
    return (before is not None and before[1].lower() in _BEFORE_A_TIME) or word in _AFTER_A_TIME


def _minutes(time: re.Match[str]) -> int:
    hour, minute, half = int(time["hour"]), int(time["minute"]), time["half"]
    if half is not None and hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return hour * 60 + minute


def best_chain(text: str, marks: Sequence[Mark]) -> Chain:
    """The chain of the headlines' times, out of the ``marks`` found in ``text``.

    Where most of them begin a line, the others are none. The first always counts. A ticker that goes up is told
    by all of its times going up, if there are three, or two that begin lines.
    """
    leading = [mark for mark in marks if mark.leads]
    by_lines = len(leading) > 1 and len(leading) * 2 > len(marks)
    candidates = leading if by_lines else list(marks)
    falling, worth = _best(text, candidates, rises=False)
    if len(candidates) >= (2 if by_lines else 3):
        rising, worth_rising = _best(text, candidates, rises=True)
        if len(rising) == len(candidates) and worth_rising > worth:
            return Chain(rising, rises=True)
    return Chain(tuple(candidates) if by_lines else falling)


def _best(text: str, marks: Sequence[Mark], *, rises: bool) -> tuple[tuple[Mark, ...], float]:
    """The chain from the first mark with the highest worth, and its worth."""
    if not marks:
        return (), 0.0
    begins = [_AFTER.match(text, mark.end).end() for mark in marks]  # type: ignore[union-attr]  # as above
    worth = [1.0] + [float("-inf")] * (len(marks) - 1)
    previous = [0] * len(marks)
    for here in range(1, len(marks)):
        for there in range(max(0, here - SKIPPED), here):
            if begins[there] >= marks[here].start:  # there is no headline between the two
                continue
            total = worth[there] + 1 - _cost(marks[there], marks[here], rises=rises)
            if total >= worth[here]:
                worth[here], previous[here] = total, there
    place = max(range(len(marks)), key=lambda index: worth[index])
    best, chain = worth[place], [marks[place]]
    while place:
        place = previous[place]
        chain.append(marks[place])
    return tuple(reversed(chain)), best


def _cost(mark: Mark, following: Mark, *, rises: bool) -> float:
    gap = (following.minutes - mark.minutes if rises else mark.minutes - following.minutes) % DAY
    return max(0, gap - USUAL_GAP) / COSTLY_GAP
