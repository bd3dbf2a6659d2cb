"""Which remembered headlines may be of the same story: found by the rare words that they share.

Each headline is filed under its rarest words. Two that share two of these, or one that is very rare, may tell the
same story; whether they do, is measured. A drawer keeps only its newest, so that a search takes the same time whether a
thousand or a million headlines lie in the window: a word that fills its drawer is too common to find a story by.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from streams.core.story.lexicon import lightest

#: Under how many of its rarest words a headline is filed, and by how many it is sought. Of the labelled pairs that tell
#: one story, 94 of 100 share two of these (``benchmarks/stories``).
FILED: Final = 6
SOUGHT: Final = 7
#: How many headlines a drawer holds, the newest.
DRAWER: Final = 32
#: A word of this weight finds a headline alone; it stands in fewer than one of 3,000 headlines.
TELLING: Final = 8.0
#: Headlines that a search returns at most, those that share most words first.
MOST: Final = 8

_TELLING: Final = lightest(TELLING)


class WordIndex:
    """The numbers of headlines, filed under their rare words. Numbers rise from one headline to the next.

    Words are numbers too (`streams.core.story.lexicon.number_of`), the rarest first. Each ``span`` of event time has
    drawers of its own, so that an archive that is read beside a stream of today does not fill its drawers, and what is old
    goes at once. Drawers are arrays, which the garbage collector does not walk through, as it would through a million lists.
    """

    def __init__(self, span: int) -> None:
        self._span = max(span, 1)
        self._shelves: dict[int, dict[int, array[int]]] = {}
        self._filed: Counter[int] = Counter()
        self._displaced: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        """The number of drawers that hold something."""
        return sum(map(len, self._shelves.values()))

    def add(self, number: int, words: Sequence[int], published: int) -> None:
        """File a headline under its ``words``, rarest first. Until `settle`, `undo` takes it out again."""
        place = published // self._span
        self._filed[place] += 1
        drawers = self._shelves.get(place)
        if drawers is None:
            drawers = self._shelves[place] = {}
        for word in words[:FILED]:
            drawer = drawers.get(word)
            if drawer is None:
                drawers[word] = array("Q", (number,))
                continue
            drawer.append(number)
            if len(drawer) > DRAWER:
                self._displaced.append((number, word, drawer.pop(0)))

    def settle(self) -> None:
        """All that was added stands."""
        self._displaced.clear()

    def undo(self, number: int, words: Sequence[int], published: int) -> None:
        """Take out the newest headline, as if it had never been added."""
        drawers = self._shelves[published // self._span]
        for word in words[:FILED]:
            drawer = drawers[word]
            drawer.pop()
            if not drawer:
                del drawers[word]
        while self._displaced and self._displaced[-1][0] == number:
            _, word, oldest = self._displaced.pop()
            drawers[word].insert(0, oldest)
        self.forget(published)

    def forget(self, published: int) -> None:
        """One of the headlines published then does not count any more. The last one takes all of its time along."""
        place = published // self._span
        self._filed[place] -= 1
        if not self._filed[place]:
            del self._filed[place]
            del self._shelves[place]

    def search(
        self,
        words: Sequence[int],
        earliest: int,
        latest: int,
        *,
        certain: int = 0,
        counts: Callable[[int], bool] = bool,
    ) -> list[int]:
        """The numbers of headlines that may tell the story of one with these ``words``, rarest first.

        Some may have been published before ``earliest`` or after ``latest``. ``counts`` says of a number whether its
        headline still does: what does not takes no place from others, for it is gone from some memories and not from all.
        From ``certain`` on all do, and are not asked about.
        """
        rarest = words[:SOUGHT]
        telling = bisect_left(rarest, _TELLING)
        found: list[int] = []
        for place in range(latest // self._span, earliest // self._span - 1, -1):
            shelf = self._shelves.get(place)
            if shelf is None:
                continue
            for rank, word in enumerate(rarest):
                drawer = shelf.get(word)
                if drawer is not None:
                    found += drawer
                    if rank < telling:
                        found += drawer
        return _most_shared(found, certain, counts) if found else found


def _most_shared(found: list[int], certain: int, counts: Callable[[int], bool]) -> list[int]:
    """Those that were found most often; those that share one word fill up the places that are left, the rarest word's first."""
    times = Counter(found)
    shared = [(count, number) for number, count in times.items() if count > 1 and (number >= certain or counts(number))]
    if len(shared) > MOST:
        shared.sort(reverse=True)
        del shared[MOST:]
    elif len(shared) < MOST:
        counting = islice((item for item in times.items() if item[0] >= certain or counts(item[0])), 2 * MOST)
        single = [(count, number) for number, count in counting if count == 1]
        shared += single[: MOST - len(shared)]
    return [number for _, number in shared]
