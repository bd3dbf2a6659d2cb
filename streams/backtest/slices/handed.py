"""A deduper, a classifier and a matcher that are handed what workers found, and look for themselves where that may not hold.

A worker knows a headline's neighbours by what it decided on them itself. `HandedDeduper` knows what was decided on them in
truth. As long as the two took the same headlines for duplicates, they decide the same. Where they differ, it is noted
(`_Doubts`), and whatever may have been compared with such a headline is decided anew, from what is in memory in truth.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable

from msgspec.structs import replace

from streams.backtest.slices.finding import Found, Look, Remembering, Verdicted
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Deduper, Entry, Memory, Tellers, related, undecided, unread
from streams.core.match import Matcher, RuleMatch
from streams.core.records import Classified, TopicMatch
from streams.core.rule import RuleSet
from streams.core.story.index import FILED, SOUGHT
from streams.core.story.reading import rare_words
from streams.core.taxonomy import Taxonomy

#: How far back, in windows, a headline sees that comes in time: those filed under its words, who lie in a window of the
#: clock that begins up to two windows before it; and a quarter, by which it may be older than the newest.
SEEN = 2.25
#: By how many windows a headline may be older than the newest before it, to have been decided on well by a worker.
IN_STEP = 0.25


class Hand:
    """What was found of the headline that is decided on now; None where nobody has looked at it."""

    def __init__(self) -> None:
        self.found: Found | None = None


class HandedDeduper:
    """Decides as the deduper of ``remembering`` would, had it decided on the whole stream."""

    def __init__(self, remembering: Remembering, hand: Hand, place: int) -> None:
        self._remembering = remembering
        self._hand = hand
        self._place = place
        self.keep = remembering.keep
        #: The longest window, milliseconds.
        self.span = round(remembering.window.total_seconds() * 1000)
        self._memory = Memory(remembering.window, remembering.keep)
        self._tellers = Tellers()
        self._log: deque[tuple[Candidate, Entry]] = deque()
        self._count = 0
        self._watermark = 0
        self._whole = True
        self._doubts = _Doubts(stories=remembering.stories)
        self._truth: Deduper | None = None
        self._truth_is_whole = False
        self._decided: tuple[Candidate, Entry] | None = None
        #: Headlines that were decided on here after all.
        self.again = 0

    def begin(self, flags: bytes) -> None:
        """A slice begins, before which a worker took those headlines for duplicates whose flag is 1."""
        self._whole = False
        self._doubts.clear()
        known = min(len(flags), len(self._log))
        first = len(self._log) - known
        for place, flag in enumerate(flags[len(flags) - known :], first):
            candidate, entry = self._log[place]
            if bool(flag) != (entry.verdict == "duplicate"):
                self._doubts.add(candidate, entry.published)

    def decide(self, candidate: Candidate) -> Entry:
        """The decision on ``candidate``, with ``seq`` still 0."""
        entry = unread(candidate)
        verdicted = self._hand.found.verdicts[self._place] if self._hand.found is not None else None
        now = max(self._watermark, entry.event_time)
        self._doubts.forget(now - round(SEEN * self.span))
        in_step = self._whole or entry.published >= now - round(IN_STEP * self.span)
        if verdicted is None or not in_step or self._doubts.concern(candidate):
            decided = self._again(candidate, entry, whole=verdicted is None or not in_step)
            if verdicted is None or (decided.verdict == "duplicate") != (verdicted.verdict == "duplicate"):
                self._doubts.add(candidate, entry.published)
        else:
            decided = self._handed(entry, verdicted)
        self._decided = candidate, decided
        return decided if decided.verdict == "first" else self._tellers.counted(decided)

    def _handed(self, entry: Entry, verdicted: Verdicted) -> Entry:
        if not verdicted.back:
            return entry
        return related(entry, self._log[-verdicted.back][1], verdicted.verdict, verdicted.reason)

    def _again(self, candidate: Candidate, entry: Entry, *, whole: bool) -> Entry:
        """Decide from what is in memory in truth: all of it, or what a headline sees that comes in time."""
        self.again += 1
        if self._truth is None or (whole and not self._truth_is_whole):
            self._truth, self._truth_is_whole = self._remembering.make(), whole
            earliest = self._watermark - round(SEEN * self.span)
            seen = (place for place, (_, one) in enumerate(self._log) if whole or one.published >= earliest)
            first = next(seen, len(self._log))
            for place in range(first, len(self._log)):
                self._remember_in_truth(self._truth, *self._log[place])
        decided = self._truth.decide(candidate)
        return replace(
            entry,
            verdict=decided.verdict,
            story_id=decided.story_id,
            related_to=decided.related_to,
            reason=decided.reason,
        )

    @staticmethod
    def _remember_in_truth(truth: Deduper, candidate: Candidate, entry: Entry) -> None:
        full, _ = undecided(candidate)
        truth.remember(replace(full, verdict=entry.verdict, story_id=entry.story_id))
        truth.settle()

    def remember(self, entry: Entry) -> None:
        """Take up the decision that was made last."""
        assert self._decided is not None
        candidate, _ = self._decided
        assert candidate.id == entry.id
        if not self._doubts:
            self._truth = None
        elif self._truth is not None:
            self._remember_in_truth(self._truth, candidate, entry)
        self._tellers.add(entry)
        self._memory.add(entry)
        self._watermark = max(self._watermark, entry.event_time)
        self._count += 1
        self._log.append((candidate, entry))

    def settle(self) -> None:
        """What no decision can reach any more goes."""
        self._tellers.settle(self._memory.settle())
        while not self._memory.holds(self._count - len(self._log) + 1, self._log[0][1]):
            self._log.popleft()

    def rollback(self) -> None:
        """Nothing is ever rolled back in a replay: it decides alone."""
        raise NotImplementedError


class _Doubts:
    """Headlines that are in memory in truth and were not in that of the worker, or the other way round.

    A headline may have been compared with one of them, or with another in its place, only where they share a word by which one
    is filed and the other is sought, or an address, or are equal.
    """

    def __init__(self, *, stories: bool) -> None:
        self._stories = stories
        self._held: deque[tuple[int, frozenset[Hashable]]] = deque()
        self._marks: Counter[Hashable] = Counter()

    def __bool__(self) -> bool:
        return bool(self._held)

    def clear(self) -> None:
        self._held.clear()
        self._marks.clear()

    def add(self, candidate: Candidate, published: int) -> None:
        marks = self._of(candidate, FILED)
        self._held.append((published, marks))
        self._marks.update(marks)

    def forget(self, before: int) -> None:
        """Drop those that nothing sees any more, from the first on."""
        while self._held and self._held[0][0] < before:
            for mark in self._held.popleft()[1]:
                self._marks[mark] -= 1
                if not self._marks[mark]:
                    del self._marks[mark]

    def concern(self, candidate: Candidate) -> bool:
        """Whether a headline may have been decided otherwise for them."""
        return bool(self._held) and not self._marks.keys().isdisjoint(self._of(candidate, SOUGHT))

    def _of(self, candidate: Candidate, words: int) -> frozenset[Hashable]:
        entry, _ = undecided(candidate)
        if not self._stories:
            return frozenset((entry.key,))
        texts: Iterable[Hashable] = (entry.key, f"at {entry.address}") if entry.address else (entry.key,)
        return frozenset((*texts, *rare_words(entry.text)[:words]))


class HandedClassifier:
    """Hands over the topics that were found; they depend on nothing but the headline."""

    def __init__(self, taxonomy: Taxonomy, hand: Hand, place: int) -> None:
        self.taxonomy = taxonomy
        self._hand, self._place = hand, place
        self._own: Classifier | None = None

    def classify(self, headline: str) -> tuple[TopicMatch, ...]:
        """The topics of the headline that is decided on now."""
        look = _look(self._hand, self._place)
        if look is not None:
            return look.topics
        self._own = self._own or Classifier(self.taxonomy)
        return self._own.classify(headline)


class HandedMatcher:
    """Hands over the matches that were found, if the headline was matched as what it is: of that kind, by as many sources."""

    def __init__(self, rules: RuleSet, hand: Hand, place: int) -> None:
        self.ruleset = rules
        self._matched = rules.matched
        self._hand, self._place = hand, place
        self._own: Matcher | None = None

    def match(self, headline: Classified) -> tuple[RuleMatch, ...]:
        """The rules that the headline which is decided on now fires."""
        look = _look(self._hand, self._place)
        if look is not None and look.kind == headline.kind and look.sources == headline.story_sources:
            return tuple([RuleMatch(self._matched[place], spans) for place, spans in look.matches])
        self._own = self._own or Matcher(self.ruleset)
        return self._own.match(headline)


def _look(hand: Hand, place: int) -> Look | None:
    return hand.found.looks[place] if hand.found is not None else None
