"""What is known of single words: their stem, the word they stand for, how rare they are, and whether they are names.

The knowledge lies beside this module, as text that a person can read and mend: ``words.txt`` and ``nations.txt`` have the
words that newsrooms use for one another, ``opposites.txt`` those that exclude each other, ``stages.txt`` how stories go on,
``weights.tsv`` how many of 100,000 headlines use a word and how often it stands in capitals where an ordinary word would
not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Final

import msgspec
from Stemmer import Stemmer

from streams.core.story.figures import SPELLED

#: Words that say nothing about which event a headline tells.
STOP_WORDS: Final = frozenset(
    """
    a an the of in on at to for from by with and or but as is are was were be been being has have had having its it this
    that these those his her hers their theirs he she they them him we our ours you your yours i me my who whose whom
    what which how why when where after before over amid into about up out off than more says say said saying will would
    can could may might shall should must s t just now still also so if all one some any each every both few many much here
    there do does did done get gets got per via against during since until while because between under report
    reports reported reportedly according sources source amp very too only even yet again ever else such other others own
    same then through around across along within without among toward towards onto upon like make makes made
    """.split()  # noqa: SIM905 - a column of quotes would hide the words
) - {"without", "may", "could", "might"}

#: A word that is in no table is as rare as one that two of 100,000 headlines use.
_UNKNOWN_FREQUENCY: Final = 2.0
_HEADLINES: Final = 100_000
#: Words in memory. Past that the oldest half is looked up anew: a stream's vocabulary has no end.
_MOST_WORDS: Final = 100_000


_UNKNOWN: Final = (math.log(_HEADLINES / _UNKNOWN_FREQUENCY), None)
#: What the heaviest word weighs, in thousandths.
HEAVIEST: Final = round(1000 * math.log(_HEADLINES / _UNKNOWN_FREQUENCY))
#: The bits of a meaning's number that tell it from others as heavy; those above say how much lighter than the heaviest.
_TELLING_BITS: Final = 40

#: What a word says of the headline that it stands in.
NEGATES: Final = 1
EXPECTS: Final = 2
GATHERS: Final = 4
FOLLOWS: Final = 8
COUNTS: Final = 16
SINCE: Final = 32
_FLAGS: Final = {
    SINCE: "after following despite",
    NEGATES: "not no never without denies deny denied rejects rejected refuses refused refusal fails failed isnt wont wouldnt "
    "cant cannot dont doesnt didnt unlikely halts halted cancels cancelled canceled",
    EXPECTS: "to will plans plan planning set expected could may might seeks seek wants considers considering eyes mulls looks "
    "likely proposes proposed poised talks near nears close faces facing ahead about upcoming",
    GATHERS: "live updates roundup wrap digest answers answer hints hint explained analysis opinion letters briefing "
    "highlights recap quiz best deals deal glance guide takeaways everything things ways reasons review preview",
    FOLLOWS: "threatens threaten threatened vows vow responds respond response reacts reaction retaliates retaliation condemns "
    "condemn apologises apologizes apology resigns resign quits tributes tribute investigate investigation probe praises "
    "praise anger outrage mourns mourn sues inquest fallout lawsuit defends defend denies blames blame backlash criticism "
    "slams slam hails suspended suspends fired cancelled urges demands aftermath funeral released reversed overturned appeal "
    "delayed cleanup recovery",
}


class Word(msgspec.Struct, frozen=True, gc=False):
    """A word as stories are told apart by it.

    ``meaning`` is the stem of the word that it stands for, and empty for a stop word or a figure. ``weight`` is its inverse
    document frequency, the natural logarithm of headlines per headline with the word. ``number`` stands for the meaning
    where headlines are sought (`number_of`), and is 0 where there is none. ``name`` tells whether it is a name however it
    is written, ``common`` whether it is none; an unknown word is neither. ``stages`` has the steps of stories that it
    tells of, as scale and step, ``opposites`` the meanings that exclude its own, and ``flags`` what it says of the headline
    around it.
    """

    text: str
    stem: str
    meaning: str
    weight: float
    name: bool
    common: bool
    number: int
    flags: int
    stages: tuple[tuple[int, int], ...]
    opposites: frozenset[str]


class Lexicon:
    """Looks words up, each once."""

    def __init__(self) -> None:
        self._stemmer = Stemmer("english")
        self._meanings: dict[str, str] = {}
        for group in (*_lines("nations.txt"), *_lines("words.txt")):
            stems = [self._stem(word) for word in group.split()]
            for stem in stems:
                self._meanings.setdefault(stem, stems[0])
        self._nations = {self._meaning(group.split()[0]) for group in _lines("nations.txt")}
        self._stages: dict[str, list[tuple[int, int]]] = {}
        for scale, step, word in _steps():
            places = self._stages.setdefault(self._stem(word), [])
            if (scale, step) not in places:
                places.append((scale, step))
        self._opposites: dict[str, set[str]] = {}
        for line in _lines("opposites.txt"):
            meanings = [self._meaning(word) for word in line.split()]
            for meaning in meanings:
                self._opposites.setdefault(meaning, set()).update(other for other in meanings if other != meaning)
        self._flags: dict[str, int] = dict.fromkeys(SPELLED, COUNTS)
        for flag, words in _FLAGS.items():
            for word in words.split():
                self._flags[word] = self._flags.get(word, 0) | flag
        self._weights: dict[str, tuple[float, float | None]] = {}
        for line in _lines("weights.tsv"):
            stem, frequency, capitals = line.split("\t")
            self._weights[stem] = (math.log(_HEADLINES / float(frequency)), float(capitals) if capitals else None)
        self._words: dict[str, Word] = {}

    def look(self, word: str) -> Word:
        """The entry of a folded word."""
        found = self._words.get(word)
        return found if found is not None else self._read(word)

    def _read(self, word: str) -> Word:
        if len(self._words) >= _MOST_WORDS:
            for old in list(self._words)[: _MOST_WORDS // 2]:
                del self._words[old]
        stem = self._stem(word)
        flags = COUNTS if word[0].isdigit() else self._flags.get(word, 0)
        meaning = "" if flags & COUNTS or word in STOP_WORDS else self._meanings.get(stem, stem)
        weight, capitals = self._weights.get(meaning, _UNKNOWN)
        entry = Word(
            text=word,
            stem=stem,
            meaning=meaning,
            weight=weight,
            number=number_of(meaning, weight) if meaning else 0,
            name=meaning in self._nations or (capitals is not None and capitals > 0.8),
            common=meaning not in self._nations and capitals is not None and capitals < 0.5,
            flags=flags,
            stages=tuple(self._stages.get(stem, ())),
            opposites=frozenset(self._opposites.get(meaning, ())),
        )
        self._words[word] = entry
        return entry

    def _meaning(self, word: str) -> str:
        stem = self._stem(word)
        return self._meanings.get(stem, stem)

    def _stem(self, word: str) -> str:
        return str(self._stemmer.stemWord(word))


def number_of(meaning: str, weight: float) -> int:
    """A number for a meaning, the same wherever it is worked out. Sorted, the rarest meanings come first.

    Its upper bits hold the weight, so that `weigh` needs no table, and its lower ones a digest that tells equal weights
    apart. Two meanings that share a number, one pair in a million million, would only be compared in vain.
    """
    lighter = max(HEAVIEST - round(1000 * weight), 0)
    digest = int.from_bytes(blake2b(meaning.encode(), digest_size=_TELLING_BITS // 8).digest(), "big")
    return lighter << _TELLING_BITS | digest


def lightest(weight: float) -> int:
    """The number above those of all meanings of ``weight`` or more."""
    return (HEAVIEST - round(1000 * weight) + 1) << _TELLING_BITS


def weigh(numbers: Collection[int]) -> int:
    """What meanings weigh together, in thousandths. Whole, and so the same in whatever order they are added."""
    return len(numbers) * HEAVIEST - (sum(numbers) >> _TELLING_BITS)


@cache
def lexicon() -> Lexicon:
    """The one lexicon, read at first use."""
    return Lexicon()


def _lines(name: str) -> Iterator[str]:
    text = resources.files(__package__ or __name__).joinpath(name).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def _steps() -> Iterator[tuple[int, int, str]]:
    """Scale, step and word of every word in ``stages.txt``."""
    text = resources.files(__package__ or __name__).joinpath("stages.txt").read_text(encoding="utf-8")
    for scale, paragraph in enumerate(text.split("\n\n")[1:]):
        steps = [line for line in paragraph.splitlines() if line and not line.startswith("#")]
        for step, line in enumerate(steps):
            for word in line.split():
                yield scale, step, word
