"""The way of a headline, composed of the pure parts: read, deduplicate, classify, match, decide.

The live agents and replay call these functions; each takes what came out of the one before.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from streams.core.correlate import Correlator, Event, event_of
from streams.core.decide import Firing, Router, RuleChannels, fire
from streams.core.dedupe import Candidate, Deduper, Entry, milliseconds, undecided, with_told_status
from streams.core.headline import read_headline
from streams.core.match import RuleMatch
from streams.core.records import Alert, Classified, Dropped, Headline, TopicMatch, Unique
from streams.core.rule import RuleSet


def read(value: bytes, *, id: str, position: str, received: datetime) -> Candidate:  # noqa: A002 - the field's name
    """A raw record, read. A correction or withdrawal that its text tells of is one by its status from here on.

    Raises:
        UnreadableError: with the reason for a person.
    """
    return candidate_of(read_headline(value, received=received), id=id, position=position, received=received)


def candidate_of(headline: Headline, *, id: str, position: str, received: datetime) -> Candidate:  # noqa: A002
    """A headline that has been read already, as :func:`read` gives it."""
    return Candidate(id, position, received, with_told_status(headline))


def decided(candidate: Candidate, entry: Entry) -> Unique | Dropped:
    """The record that says what was decided on ``candidate``."""
    if entry.verdict == "duplicate":
        return Dropped(
            id=candidate.id,
            seq=entry.seq,
            position=candidate.position,
            received=candidate.received,
            headline=candidate.headline,
            story_id=entry.story_id,
            duplicate_of=entry.related_to,
            reason=entry.reason,
            story_sources=entry.sources,
            story_began=_began(entry),
        )
    return Unique(
        id=candidate.id,
        seq=entry.seq,
        position=candidate.position,
        received=candidate.received,
        headline=candidate.headline,
        story_id=entry.story_id,
        kind=entry.verdict,
        update_of=entry.related_to or None,
        reason=entry.reason or None,
        story_sources=entry.sources,
        story_began=_began(entry),
    )


def _began(entry: Entry) -> datetime | None:
    return datetime.fromtimestamp(entry.began / 1000, UTC) if entry.began else None


def restored(record: Unique | Dropped) -> Entry:
    """The decision that a record testifies to."""
    entry, _ = undecided(Candidate(record.id, record.position, record.received, record.headline))
    return msgspec.structs.replace(
        entry,
        seq=record.seq,
        verdict="duplicate" if isinstance(record, Dropped) else record.kind,
        story_id=record.story_id,
        related_to=(record.duplicate_of if isinstance(record, Dropped) else record.update_of) or "",
        reason=record.reason or "",
        sources=record.story_sources,
        began=milliseconds(record.story_began) if record.story_began else 0,
    )


def deduplicated(candidate: Candidate, deduper: Deduper) -> Unique | Dropped:
    """Decide on ``candidate`` where nobody else decides: ``deduper`` remembers it at once."""
    entry = deduper.decide(candidate)
    deduper.remember(entry)
    deduper.settle()
    return decided(candidate, entry)


def classified(unique: Unique | Dropped, topics: tuple[TopicMatch, ...]) -> Classified:
    """The headline with its topics. A dropped one has them only for rules that count repeats."""
    return Classified(
        id=unique.id,
        seq=unique.seq,
        position=unique.position,
        received=unique.received,
        headline=unique.headline,
        story_id=unique.story_id,
        kind="update" if isinstance(unique, Dropped) else unique.kind,
        update_of=unique.duplicate_of if isinstance(unique, Dropped) else unique.update_of,
        reason=unique.reason,
        story_sources=unique.story_sources,
        story_began=unique.story_began,
        topics=topics,
    )


class Classifies(Protocol):
    """Finds the topics of headlines, as `streams.core.classify.Classifier` does."""

    def classify(self, headline: str, /) -> tuple[TopicMatch, ...]:
        """The topics of a headline's text."""


class Matches(Protocol):
    """Matches headlines with rules, as `streams.core.match.Matcher` does."""

    ruleset: RuleSet

    def match(self, headline: Classified, /) -> tuple[RuleMatch, ...]:
        """The rules that a headline fires, in the order of their names."""


class Engine:
    """All of it in one process: a headline in, what was decided and the alerts out. It has no clock and sends nothing.

    Whoever feeds it gives the headlines in the order of event time, as far as there is one, and calls :meth:`advance`
    with the time of each before it. Memory is that of the deduper and of the rules that have one.
    """

    def __init__(
        self, matcher: Matches, classifier: Classifies, deduper: Deduper, router: Router | None = None
    ) -> None:
        self._classifier = classifier
        self._matcher = matcher
        self._deduper = deduper
        self._router = router or RuleChannels()
        self._correlator = Correlator(matcher.ruleset)
        self._later: dict[str, Event] = {}
        self._counts_repeats = any(rule.counts_repeats for rule in matcher.ruleset.rules)
        self._seq = 0

    def feed(self, candidate: Candidate, *, later: bool = False) -> tuple[Classified | Dropped, list[Alert]]:
        """Decide on a headline. The alerts that are held back are among them.

        With ``later``, rules that have a memory do not hear of it before `consider` says so.
        """
        record, firings = self.fire(candidate, later=later)
        return record, self._alerts(firings)

    def fire(self, candidate: Candidate, *, later: bool = False) -> tuple[Classified | Dropped, list[Firing]]:
        """Decide on a headline and say what fires, before it is routed; rules without a memory come first."""
        record = msgspec.structs.replace(deduplicated(candidate, self._deduper), seq=self._seq)
        self._seq += 1
        if isinstance(record, Dropped) and not self._counts_repeats:
            return record, []
        repeat = isinstance(record, Dropped)
        headline = classified(record, self._classifier.classify(record.headline.headline))
        matches = self._matcher.match(headline)
        firings = [] if repeat else list(fire(headline, matches))
        event = event_of(headline, matches, repeat=repeat)
        if event is not None and later:
            self._later[candidate.position] = event
        elif event is not None:
            firings += self._correlator.consider(event)
        return record if isinstance(record, Dropped) else headline, firings

    def consider(self, position: str) -> list[Alert]:
        """The alerts of rules with a memory by a headline that was fed for later."""
        event = self._later.pop(position, None)
        return self._alerts(self._correlator.consider(event)) if event is not None else []

    def advance(self, at: int, but: Container[str] = ()) -> list[Alert]:
        """The alerts that come because event time has come to ``at``, milliseconds, such as that of an absence.

        Rules of the revisions ``but`` do not hear of it.
        """
        return self._alerts(self._correlator.advance(at, but))

    def elapse(self, at: int) -> list[Firing]:
        """What fires because event time has come to ``at``, before it is routed."""
        return self._correlator.advance(at)

    def forget(self) -> None:
        """Let rules with a memory begin anew with nothing remembered."""
        self._correlator = Correlator(self._matcher.ruleset)

    def _alerts(self, firings: Iterable[Firing]) -> list[Alert]:
        return [alert for firing in firings for alert in self._router.alerts(firing)]
