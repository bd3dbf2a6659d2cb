"""A headline as it is read to tell stories apart: its words that carry meaning, its names, figures and turns."""

from __future__ import annotations

import re
from functools import cache, reduce
from itertools import chain
from operator import attrgetter, or_
from typing import Final, NamedTuple

from streams.core.story.figures import Figure, read_figures
from streams.core.story.lexicon import COUNTS, EXPECTS, GATHERS, NEGATES, Word, lexicon
from streams.core.story.vocabulary import listed
from streams.core.text import flatten

#: Names of two words, or written in two ways, that are one word to whoever reads the news.
_PHRASES: Final = {
    phrase: phrase.replace(" ", "") if name is None else name
    for phrase, name in {
        "united states": "us", "united kingdom": "uk", "united nations": "un", "european union": "eu",
        "prime minister": "pm", "attorney general": "ag", "north korea": None, "north korean": "northkorea",
        "n korea": "northkorea", "n korean": "northkorea", "south korea": None, "south korean": "southkorea",
        "s korea": "southkorea", "s korean": "southkorea", "saudi arabia": "saudi", "new zealand": None, "hong kong": None,
        "new york city": "newyork", "new york": None, "los angeles": None, "white house": None, "new jersey": None,
        "supreme court": None, "wall street": None, "wall st": "wallstreet", "west bank": None, "sri lanka": None,
        "central bank": None, "interest rate": None, "interest rates": "interestrate", "climate change": None,
        "artificial intelligence": "ai", "human rights": None, "real estate": None, "world cup": None,
        "death toll": "deaths", "cyber attack": "cyberattack", "cyber attacks": "cyberattack", "stock market": "stocks",
        "social media": None, "health care": "healthcare",
        "edge up": "rise", "edges up": "rises", "inch up": "rise", "inches up": "rises", "tick up": "rise",
        "ticks up": "rises", "edge higher": "rise", "edges higher": "rises", "edge down": "fall", "edges down": "falls",
        "inch down": "fall", "inches down": "falls", "tick down": "fall", "ticks down": "falls", "edge lower": "fall",
        "edges lower": "falls", "air strike": "airstrike", "air strikes": "airstrike",
    }.items()
}  # fmt: skip
_PHRASE = re.compile(rf"(?<= )(?:{'|'.join(sorted(_PHRASES, key=len, reverse=True))})(?= )")
_FLAGS = attrgetter("flags")
_TEXT = attrgetter("text")
#: The first and the second words of phrases.
_LEADS: Final = frozenset(phrase.split(" ")[0] for phrase in _PHRASES)
_SECONDS: Final = frozenset(phrase.split(" ")[1] for phrase in _PHRASES)
#: Words that announce a verb, and those that make it all but certain.
_ANNOUNCES: Final = frozenset(listed("to will may might could"))
_CERTAIN: Final = frozenset(listed("set about due poised expected likely"))
#: Words before the name of what is to come: "faces sentencing", "could face charges".
_AWAITS: Final = frozenset(listed("faces face facing nears"))
#: Words that may stand between what announces and what is announced.
_BETWEEN: Final = frozenset(listed("be to have been not soon also likely set expected get formally officially"))
#: Punctuation that may stand around a word without being part of it.
_AROUND: Final = "\"',.:;!?()[]\u2018\u2019\u201c\u201d"
#: Runs of text without a space that are remembered with their words.
_MOST_RUNS: Final = 100_000
#: From this weight on, a word that is not known to be common is taken for a name.
_RARE: Final = 10.0


class Prospect(NamedTuple):
    """What a headline expects: the verb as it is written there, and whether it is all but certain."""

    text: str
    certain: bool


class Reading:
    """What comparing needs of one headline. What is asked for seldom is worked out when it is first asked for.

    ``words`` are the meanings in order, without stop words and figures, and ``by_meaning`` has the word behind each;
    ``tokens`` are all folded words in order, and ``flags`` is what any of them says of the headline.
    """

    __slots__ = (
        "_figures",
        "_names",
        "_prospects",
        "by_meaning",
        "flags",
        "text",
        "tokens",
        "words",
    )

    def __init__(self, text: str) -> None:
        """Read ``text``, from which wire prefixes and outlet tails were taken off."""
        self.text = text
        tokens = self.tokens = _tokens(text)
        self.words = [token.meaning for token in tokens if token.meaning]
        self.by_meaning = {token.meaning: token for token in tokens if token.meaning}
        self.flags = reduce(or_, map(_FLAGS, tokens), 0)
        self._figures: tuple[Figure, ...] | None = None
        self._names: frozenset[str] | None = None
        self._prospects: dict[str, Prospect] | None = None

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of the headline."""
        if self._figures is None:
            self._figures = read_figures(self.text) if self.flags & COUNTS else ()
        return self._figures

    @property
    def names(self) -> frozenset[str]:
        """Meanings that name somebody or something: by what is known of the word, or by how it is written."""
        if self._names is None:
            self._names = _names(self)
        return self._names

    @property
    def prospects(self) -> dict[str, Prospect]:
        """What is still to come, by its stem: "to be sentenced", "will resign", "faces sentencing"."""
        if self._prospects is None:
            self._prospects = _prospects(self.tokens) if self.flags & EXPECTS else {}
        return self._prospects

    @property
    def negated(self) -> bool:
        """Whether it denies something."""
        return bool(self.flags & NEGATES)

    @property
    def expectant(self) -> bool:
        """Whether it tells of something to come."""
        return bool(self.flags & EXPECTS)

    @property
    def gathers(self) -> bool:
        """Whether it looks like a live page, a round-up or a guide."""
        return bool(self.flags & GATHERS)


class _Runs(dict[str, tuple[Word, ...]]):
    """The words of every run of text without a space that was read: runs recur, and are looked up whole."""

    def __missing__(self, run: str) -> tuple[Word, ...]:
        if len(self) >= _MOST_RUNS:
            self.clear()
        words = self[run] = _read_run(run)
        return words


class _Numbers(dict[str, int]):
    """The number of the meaning in every run in small letters: all that most headlines are ever asked for.

    It is 0 for a run without meaning, and negative for one of several words: a key of ``several``, which has the
    numbers of all. ``leading`` and ``seconds`` are the runs that may begin a phrase and go on with one.
    """

    def __init__(self) -> None:
        self.leading: set[str] = set()
        self.seconds: set[str] = set()
        self.several: dict[int, tuple[int, ...]] = {}

    def make_room(self) -> None:
        """Forget all if they are many. Only between two headlines: the numbers of one must not change meanwhile."""
        if len(self) >= _MOST_RUNS:
            self.clear()
            self.leading.clear()
            self.seconds.clear()
            self.several.clear()

    def __missing__(self, run: str) -> int:
        words = _read_run(run)
        for word in words:
            if word.text in _LEADS:
                self.leading.add(run)
            if word.text in _SECONDS:
                self.seconds.add(run)
        if len(words) > 1:
            number = -1 - len(self.several)
            self.several[number] = tuple([word.number for word in words])
        else:
            number = words[0].number if words else 0
        self[run] = number
        return number

    def may_have_phrase(self, runs: list[str]) -> bool:
        """Whether there may be a phrase in ``runs``, all of which were read."""
        return not (self.leading.isdisjoint(runs) or self.seconds.isdisjoint(runs))


@cache
def _runs() -> _Runs:
    return _Runs()


@cache
def _numbers() -> _Numbers:
    return _Numbers()


def rare_words(text: str) -> tuple[int, ...]:
    """The numbers of the meanings in ``text``, once each, the rarest first: as many as `Reading.by_meaning` has."""
    known = _numbers()
    known.make_room()
    runs = text.lower().split(" ")
    found = set(map(known.__getitem__, runs))
    if known.may_have_phrase(runs):
        found = {token.number for token in _tokens(text)}
    elif min(found) < 0:
        for number in [number for number in found if number < 0]:
            found.remove(number)
            found.update(known.several[number])
    found.discard(0)
    return tuple(sorted(found))


def _tokens(text: str) -> list[Word]:
    """The words of a text, as `flatten` gives them, with phrases made one word."""
    tokens = list(chain.from_iterable(map(_runs().__getitem__, text.split(" "))))
    if _LEADS.isdisjoint(map(_TEXT, tokens)) or _SECONDS.isdisjoint(map(_TEXT, tokens)):
        return tokens
    return _joined(tokens)


def _read_run(run: str) -> tuple[Word, ...]:
    word = run.strip(_AROUND)
    return (lexicon().look(word.lower()),) if word.isascii() and word.isalnum() else _words(run)


def _words(run: str) -> tuple[Word, ...]:
    return tuple(map(lexicon().look, flatten(run).split()))


def _joined(tokens: list[Word]) -> list[Word]:
    """The words, with phrases made one word."""
    flat = f" {' '.join([token.text for token in tokens])} "
    joined = _PHRASE.sub(lambda match: _PHRASES[match[0]], flat)
    return tokens if joined == flat else list(map(lexicon().look, joined.split()))


def _names(reading: Reading) -> frozenset[str]:
    here = reading.by_meaning
    found = [meaning for meaning, word in here.items() if word.name or (not word.common and word.weight > _RARE)]
    runs = reading.text.split(" ")
    initials = [run[0] for run in runs if len(run) >= 4 and run[0].isalpha()]
    if sum(map(str.isupper, initials)) <= 0.7 * len(initials):
        known = _runs()
        for run in runs[1:]:
            if run[:1].isupper() and (words := known[run]):
                first = words[0]
                if first.meaning in here and not first.common:
                    found.append(first.meaning)
    return frozenset(found)


def _prospects(tokens: list[Word]) -> dict[str, Prospect]:
    found = {}
    for place, token in enumerate(tokens):
        following = tokens[place + 1 : place + 4]
        if token.text in _ANNOUNCES:
            verb = next((word for word in following if word.text not in _BETWEEN), None)
            if verb is not None and verb.meaning and not verb.name and not verb.text.endswith("s"):
                certain = place > 0 and tokens[place - 1].text in _CERTAIN
                found[verb.stem] = Prospect(verb.text, certain)
        elif token.text in _AWAITS and following and following[0].meaning and not following[0].name:
            found[following[0].stem] = Prospect(following[0].text, certain=False)
    return found
