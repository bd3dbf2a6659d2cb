"""Two headlines side by side: the measurements from which a story is recognised.

Every measurement lies between 0 and 1 or a little above, or below 0 where it does not apply. It has a name that a
person understands, and the same value whichever of the two comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec
from rapidfuzz.distance import JaroWinkler, LCSseq, Levenshtein

from streams.core.story.figures import Comparison, compare
from streams.core.story.lexicon import FOLLOWS, SINCE, Word
from streams.core.story.reading import Reading

#: What `Measured.values` holds, in this order.
MEASUREMENTS: Final = (
    "shared weight", "share of the shorter", "left over in the poorer", "left over in the richer", "common order",
    "names in conflict", "names on one side", "names shared", "names swapped",
    "figures agreed", "figures in conflict", "series in conflict", "figures in doubt", "figures on one side",
    "negation on one side", "prospect on one side", "to come in one, done in the other",
    "stages apart", "stage on one side", "sequel on one side", "told as what came before", "opposites",
    "difference in length", "hours apart", "same source", "round-up",
    # What one of these means depends on another.
    "common order, of one source", "left over, of one source", "shared weight, of one source",
    "shared weight, fading", "share of the shorter, fading", "left over, growing",
    "shared weight, in a round-up", "hours apart, in a round-up", "left over, figures in conflict",
)  # fmt: skip

#: Figures that number things in a series: where they differ, another thing is meant.
SERIES: Final = frozenset(("label", "date", "ordinal", "year"))
#: The value of a measurement that does not apply.
_OUT: Final = -0.1
#: From this order on, two headlines are told in the same words; with so much left over, one tells little else.
_ALIKE: Final = 0.95
_LITTLE: Final = 4.5
#: Words without a meaning of their own that exclude each other.
_TURNS: Final = tuple(
    turn
    for one, other in (("up", "down"), ("before", "after"), ("above", "below"), ("for", "against"), ("with", "without"))
    for turn in ((one, other), (other, one))
)
_LOG_HOURS: Final = math.log1p(200)
_NO_FIGURES: Final = Comparison(0, (), (), 0)


class Measured(msgspec.Struct, frozen=True, gc=False):
    """The measurements of a pair, and what an explanation shows of it.

    ``swapped`` tells that a name stands in the place of another name: the same said of somebody else. ``moved_on`` tells
    that they stand on different steps of a story: held and charged. ``fulfilled`` tells that the first reports what the
    second expects. ``opposites`` are words of the first and of the second that exclude each other: rise and fall. ``denied``
    tells that one says what the other denies, and ``reversed`` that who does it to whom is the other way round.
    """

    values: tuple[float, ...]
    shared: list[str]
    only_first: list[str]
    only_second: list[str]
    figures: Comparison
    swapped: bool
    moved_on: bool
    fulfilled: bool
    opposites: tuple[tuple[str, str], ...]
    denied: bool
    reversed: bool

    @property
    def contradicts(self) -> bool:
        """Whether the first cannot be a mere repeat of the second, however alike they are."""
        return (
            bool(self.figures.conflicts or self.opposites)
            or self.swapped
            or self.moved_on
            or self.fulfilled
            or self.denied
            or self.reversed
        )


def measure(first: Reading, second: Reading, hours: float, *, same_source: bool) -> Measured:
    """Measure two headlines that were published ``hours`` apart."""
    shared, ours, theirs, weight = _match_words(first, second)
    here, there = first.by_meaning, second.by_meaning
    our_words, their_words = [here[word] for word in ours], [there[word] for word in theirs]
    left, right = sum([word.weight for word in our_words]), sum([word.weight for word in their_words])
    lesser, greater = (left, right) if left < right else (right, left)
    figures = compare(first.figures, second.figures) if first.figures or second.figures else _NO_FIGURES
    series = sum([one.kind in SERIES for one, _ in figures.conflicts])
    length, other_length = len(first.words), len(second.words)
    gathers = first.gathers or second.gathers
    names = _compare_names(first, second, ours, theirs)
    # In the order of the headlines: that of a set of words is another in every process, and these are told to people.
    opposed = [word for word in our_words if word.opposites]
    opposites = tuple([(word.meaning, other) for word in opposed for other in theirs if other in word.opposites])
    if not opposites and lesser <= _LITTLE:
        opposites = _turned(first, second)
    stages = _compare_stages(our_words, their_words)
    share, order = weight / (weight + lesser or 1), LCSseq.normalized_similarity(first.words, second.words)
    came_true = _came_true(second, first)
    said_alike = order > _ALIKE and not lesser
    fulfilled = came_true or (said_alike and not second.prospects.keys() <= first.prospects.keys())
    denied = first.negated != second.negated and lesser <= _LITTLE
    heavy, left_over, apart = min(weight, 40.0) / 40, lesser / 30, math.log1p(min(hours, 200.0)) / _LOG_HOURS
    values = (
        heavy,
        share,
        left_over,
        min(greater, 60.0) / 30,
        order,
        *names,
        min(figures.agreed, 2) / 2,
        min(len(figures.conflicts) - series, 2) / 2,
        min(series, 2) / 2,
        float(bool(figures.doubtful)),
        min(figures.single, 3) / 3,
        float(first.negated != second.negated),
        float(first.expectant != second.expectant),
        float(came_true or _came_true(first, second)),
        *stages,
        _sequel(our_words, their_words),
        max(_told_as_past(first, second), _told_as_past(second, first)),
        float(bool(opposites)),
        abs(length - other_length) / max(length, other_length, 1),
        apart,
        float(same_source),
        float(gathers),
        order if same_source else _OUT,
        left_over if same_source else _OUT,
        heavy if same_source else _OUT,
        heavy * (1 - apart),
        share * (1 - apart),
        left_over * apart,
        heavy if gathers else _OUT,
        apart if gathers else _OUT,
        left_over if len(figures.conflicts) > series else _OUT,
    )
    return Measured(
        values,
        shared,
        ours,
        theirs,
        figures,
        swapped=names[3] == 1.0,
        moved_on=stages[0] > 0,
        fulfilled=fulfilled,
        opposites=opposites,
        denied=denied,
        reversed=not greater and order < 1 and _reversed(first, second),
    )


def _match_words(first: Reading, second: Reading) -> tuple[list[str], list[str], list[str], float]:
    """The meanings that both have, those that only one has, and what the shared ones weigh.

    Misspelt and joined words find each other, and weigh what the lighter of the two does.
    """
    here, there = first.by_meaning, second.by_meaning
    shared, ours, weight = [], [], 0.0
    for word, entry in here.items():
        if word in there:
            shared.append(word)
            weight += entry.weight
        else:
            ours.append(word)
    theirs = [word for word in there if word not in here]
    if ours and theirs:
        for word in tuple(ours):
            if len(word) >= 5 and (twin := _misspelt(word, theirs)):
                shared.append(word)
                weight += min(here[word].weight, there[twin].weight)
                ours.remove(word)
                theirs.remove(twin)
        weight += _match_joined(first, ours, theirs, shared) + _match_joined(second, theirs, ours, shared)
    return shared, ours, theirs, weight


def _misspelt(word: str, others: list[str]) -> str:
    """The word among others that is this one in another spelling: long, of one beginning, nearly the same."""
    initial = word[0]
    for other in others:
        if other[0] == initial and len(other) >= 5 and JaroWinkler.similarity(word, other) > 0.93:
            return other
    return ""


def _match_joined(reading: Reading, ours: list[str], theirs: list[str], shared: list[str]) -> float:
    """Find "winemak" where the other headline has "wine" and "maker" beside each other; what the parts found weigh."""
    long = [word for word in theirs if len(word) >= 7] if len(ours) >= 2 else None
    if not long:
        return 0.0
    found, together = 0.0, "".join(reading.words)
    for twin in long:
        if twin in together:
            parts = [word for word in ours if len(word) >= 3 and (word in twin or word.startswith(twin[-4:]))]
            if len(parts) >= 2:
                theirs.remove(twin)
                shared.append(parts[0])
                found += reading.by_meaning[parts[0]].weight
                for part in parts:
                    ours.remove(part)
    return found


def _compare_names(
    first: Reading, second: Reading, ours: list[str], theirs: list[str]
) -> tuple[float, float, float, float]:
    """Names that stand against each other, on one side only, and shared; and whether a name stands in another's place."""
    names, others = first.names, second.names
    here, there = names.intersection(ours), others.intersection(theirs)
    both = min(len(here), len(there))
    swapped = 0.0
    if both:
        rest = len(ours) + len(theirs) - len(here) - len(there)
        stands_in = _in_place(first, second, here, there) or _in_one_place(first, second, here, there)
        swapped = 1.0 if stands_in else 0.5 if rest <= 1 else 0.25 if rest <= 3 else 0.0
    return min(both, 3) / 3, min(len(here) + len(there), 5) / 5, min(len(names & others), 4) / 4, swapped


def _in_place(first: Reading, second: Reading, here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether a name of one headline stands between the same two words as another name in the other."""
    places = {_around(first.words, word): word for word in first.words if word in here}
    for word in there:
        twin = places.get(_around(second.words, word))
        if twin is not None and Levenshtein.distance(word, twin) > 1:
            return True
    return False


def _in_one_place(first: Reading, second: Reading, here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether all that differs are names, of one word or several, between the same words: "Samsung" and "SK Hynix"."""
    ours, theirs = first.words, second.words
    least = min(len(ours), len(theirs))
    start = next((place for place in range(least) if ours[place] != theirs[place]), least)
    rest = least - start
    end = next((place for place in range(rest) if ours[-1 - place] != theirs[-1 - place]), rest)
    mine, others = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    return start + end >= 2 and bool(mine) and bool(others) and here.issuperset(mine) and there.issuperset(others)


def _around(words: list[str], word: str) -> tuple[str, str]:
    place = words.index(word)
    return words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""


def _came_true(expecting: Reading, reporting: Reading) -> bool:
    """Whether one headline reports what the other expects: "to meet" and "meets", "faces sentencing" and "sentenced"."""
    coming = expecting.prospects
    if not coming:
        return False
    still = reporting.prospects
    return any(
        (prospect := coming.get(token.stem)) is not None
        and token.stem not in still
        and (prospect.certain or (token.text != prospect.text and token.text[-1] in "ds"))
        for token in reporting.tokens
    )


def _reversed(first: Reading, second: Reading) -> bool:
    """Whether two names, or two words, change places where all else is said alike: "A sues B" and "B sues A"."""
    ours, theirs = ([word for word in reading.words if word in first.names] for reading in (first, second))
    passive = any(token.text == "by" for reading in (first, second) for token in reading.tokens)
    return not passive and (
        (ours != theirs and sorted(ours) == sorted(theirs)) or _exchanged(first.words, second.words)
    )


def _turned(first: Reading, second: Reading) -> tuple[tuple[str, str], ...]:
    """Small words that exclude each other, which say nothing by themselves: shares are up, or down."""
    ours, theirs = {token.text for token in first.tokens}, {token.text for token in second.tokens}
    return tuple(
        [
            (one, other)
            for one, other in _TURNS
            if one in ours and other in theirs and one not in theirs and other not in ours
        ]
    )


def _exchanged(ours: list[str], theirs: list[str]) -> bool:
    """Whether two words have changed places over what stands between them, and nothing else."""
    if len(ours) != len(theirs):
        return False
    moved = [place for place, word in enumerate(ours) if word != theirs[place]]
    if len(moved) != 2 or moved[1] == moved[0] + 1:  # "Malta plant" is the plant in Malta
        return False
    return ours[moved[0]] == theirs[moved[1]] and ours[moved[1]] == theirs[moved[0]]


def _told_as_past(later: Reading, earlier: Reading) -> float:
    """How much more of what stands behind "after" in one headline than before it is told by the other, which has no such
    word: "freed after hunger strike" goes on from "begins hunger strike".
    """
    if not later.flags & SINCE or earlier.flags & SINCE:
        return 0.0
    place = next(place for place, token in enumerate(later.tokens) if token.flags & SINCE)
    news, past = _share(later.tokens[:place], earlier), _share(later.tokens[place + 1 :], earlier)
    return max(past - news, 0.0) if news is not None and past is not None else 0.0


def _share(tokens: list[Word], other: Reading) -> float | None:
    """What share of the weight of some words another headline has too; None without words."""
    total = sum([token.weight for token in tokens if token.meaning])
    return sum([token.weight for token in tokens if token.meaning in other.by_meaning]) / total if total else None


def _compare_stages(ours: list[Word], theirs: list[Word]) -> tuple[float, float]:
    """Scales on which the two stand on different steps, and those on which only one stands at all."""
    here, there = _steps(ours), _steps(theirs)
    if not here and not there:
        return 0.0, 0.0
    apart = alone = 0
    for scale in here.keys() | there.keys():
        if scale in here and scale in there:
            apart += not here[scale] & there[scale]
        else:
            alone += 1
    return min(apart, 2) / 2, min(alone, 3) / 3


def _steps(words: Iterable[Word]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for word in words:
        for scale, step in word.stages:
            found.setdefault(scale, set()).add(step)
    return found


def _sequel(ours: list[Word], theirs: list[Word]) -> float:
    """Whether only one tells of what followed: a reaction, a consequence."""
    here = any(word.flags & FOLLOWS for word in ours)
    return float(here != any(word.flags & FOLLOWS for word in theirs))
