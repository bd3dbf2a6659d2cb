"""What deduplication makes of a stream of headlines that nobody labelled: how much it drops, and what, for a person to judge.

The headlines are decided one after the other, in the order of their publication, by the same deduper that runs live. So
the stream is decided as it would have been, had every headline arrived when it came out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

import msgspec

from streams.core.dedupe import EQUAL, Candidate, Deduper, Entry, Verdict
from streams.core.records import Headline
from streams.core.story.deduper import Thresholds
from streams.core.story.explain import explain_pair
from streams.core.story.model import Judgement

VERDICTS: Final[tuple[Verdict, ...]] = ("first", "update", "duplicate")


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided on a headline, and the headline that it repeats or updates."""

    headline: Headline
    entry: Entry
    other: Headline | None

    @property
    def exact(self) -> bool:
        """Whether it repeats the other letter by letter, as far as letters count."""
        return self.entry.reason == EQUAL

    def judged(self) -> Judgement | None:
        """How probable each relation to the other headline is; None for a first, and for an exact repeat."""
        return None if self.other is None or self.exact else explain_pair(self.other, self.headline).judgement


class Judged(msgspec.Struct, frozen=True):
    """A decision with its probabilities, None where none was needed."""

    decision: Decision
    judgement: Judgement | None

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        decision, other = self.decision, self.decision.other
        return {
            "verdict": decision.entry.verdict,
            "reason": decision.entry.reason,
            "headline": _told(decision.headline),
            "of": _told(other) if other else None,
            "probability": {
                "duplicate": round(self.judgement.duplicate, 4),
                "update": round(self.judgement.update, 4),
                "different": round(self.judgement.different, 4),
            }
            if self.judgement
            else None,
        }


class Story(msgspec.Struct, frozen=True):
    """All that was told of one story. ``title`` is its first headline, ``sources`` are those of all its headlines."""

    id: str
    title: str
    updates: int
    duplicates: int
    sources: tuple[str, ...]
    first: datetime
    last: datetime

    @property
    def size(self) -> int:
        """How many headlines tell of it."""
        return 1 + self.updates + self.duplicates

    @property
    def span(self) -> timedelta:
        """From its first headline to its last."""
        return self.last - self.first

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "story_id": self.id,
            "title": self.title,
            "updates": self.updates,
            "duplicates": self.duplicates,
            "sources": list(self.sources),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
        }


class Outlet(msgspec.Struct, frozen=True):
    """How many headlines a source had, and how many of them were dropped."""

    source: str
    headlines: int
    dropped: int

    @property
    def share(self) -> float:
        """The share that was dropped, from 0 to 1."""
        return self.dropped / self.headlines

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "source": self.source,
            "headlines": self.headlines,
            "dropped": self.dropped,
            "share": round(self.share, 4),
        }


def decide_stream(headlines: Iterable[Headline], deduper: Deduper) -> Iterator[Decision]:
    """Decide on headlines in the order of their publication; those of one moment in the order in which they are given.

    All that was told is kept, because any of it may be repeated.
    """
    told: dict[str, Headline] = {}
    for number, headline in enumerate(sorted(headlines, key=lambda headline: headline.published), start=1):
        candidate = Candidate(str(number), f"stream:0:{number}", headline.published, headline)
        entry = msgspec.structs.replace(deduper.decide(candidate), seq=number)
        deduper.remember(entry)
        deduper.settle()
        if entry.verdict != "duplicate":
            told[entry.id] = headline
        yield Decision(headline, entry, told[entry.related_to] if entry.related_to else None)


class Survey:
    """Figures and examples of the decisions on a stream, in the order in which they were made."""

    def __init__(self, decisions: Sequence[Decision], thresholds: Thresholds | None = None) -> None:
        self._decisions = decisions
        self._thresholds = thresholds or Thresholds()

    def __len__(self) -> int:
        """The number of headlines."""
        return len(self._decisions)

    @cached_property
    def counts(self) -> Counter[Verdict]:
        """How many headlines each verdict fell on."""
        return Counter(decision.entry.verdict for decision in self._decisions)

    @cached_property
    def exact(self) -> int:
        """How many of the duplicates repeat another letter by letter."""
        return sum(decision.exact for decision in self._decisions)

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last of the headlines came out."""
        ends = self._decisions[:1], self._decisions[-1:]
        return (ends[0][0].headline.published, ends[1][0].headline.published) if ends[0] else None

    def share(self, verdict: Verdict) -> float:
        """The share of headlines with a verdict, from 0 to 1."""
        return self.counts[verdict] / len(self) if len(self) else 0.0

    def stories(self, most: int) -> list[Story]:
        """The stories of which most was told, at most so many; none of a single headline."""
        sizes = Counter(decision.entry.story_id for decision in self._decisions)
        largest = [story for story, size in sizes.most_common(most) if size > 1]
        members: dict[str, list[Decision]] = {story: [] for story in largest}
        for decision in self._decisions:
            if decision.entry.story_id in members:
                members[decision.entry.story_id].append(decision)
        return [_story(story, members[story]) for story in largest]

    def outlets(self) -> list[Outlet]:
        """The sources, those with most headlines first."""
        headlines = Counter(decision.headline.source for decision in self._decisions)
        dropped = Counter(d.headline.source for d in self._decisions if d.entry.verdict == "duplicate")
        return [Outlet(source, count, dropped[source]) for source, count in headlines.most_common()]

    def sample(self, most: int) -> list[Judged]:
        """Updates and duplicates, evenly spread over the stream. Exact repeats are left out: they need no judging."""
        some = self._worth_judging
        step = max(len(some) / most, 1.0) if most else 1.0
        chosen = [some[int(place * step)] for place in range(min(most, len(some)))]
        return [Judged(decision, decision.judged()) for decision in chosen]

    def unsure(self, most: int) -> list[Judged]:
        """The updates and duplicates that the model was least sure of, those on the edge first.

        The edge is where a duplicate begins, or one story; whichever is nearer. What a guard decided against the model,
        such as figures that contradict each other, is as far from the edge as the model was.
        """
        if most <= 0:
            return []
        judged = [Judged(decision, decision.judged()) for decision in self._worth_judging]
        return sorted(judged, key=self._sureness)[:most]

    def as_dict(self, *, stories: int, sample: int, unsure: int) -> dict[str, Any]:
        """The same for programs."""
        return {
            "headlines": len(self),
            "span": [moment.isoformat() for moment in self.span] if self.span else None,
            **{
                verdict: {"count": self.counts[verdict], "share": round(self.share(verdict), 4)} for verdict in VERDICTS
            },
            "exact_repeats": self.exact,
            "stories": [story.as_dict() for story in self.stories(stories)],
            "sources": [outlet.as_dict() for outlet in self.outlets()],
            "sample": [judged.as_dict() for judged in self.sample(sample)],
            "unsure": [judged.as_dict() for judged in self.unsure(unsure)],
        }

    @cached_property
    def _worth_judging(self) -> list[Decision]:
        return [decision for decision in self._decisions if decision.other is not None and not decision.exact]

    def _sureness(self, judged: Judged) -> float:
        judgement = judged.judgement
        assert judgement is not None, "exact repeats are not judged"
        from_duplicate = abs(judgement.duplicate - self._thresholds.duplicate)
        if judged.decision.entry.verdict == "duplicate":
            return from_duplicate
        return min(from_duplicate, abs(judgement.same_story - self._thresholds.same_story))


def _story(story: str, decisions: Sequence[Decision]) -> Story:
    verdicts = Counter(decision.entry.verdict for decision in decisions)
    sources = Counter(decision.headline.source for decision in decisions)
    return Story(
        id=story,
        title=decisions[0].headline.headline,
        updates=verdicts["update"],
        duplicates=verdicts["duplicate"],
        sources=tuple(source for source, _ in sources.most_common()),
        first=decisions[0].headline.published,
        last=decisions[-1].headline.published,
    )


def _told(headline: Headline) -> dict[str, str]:
    return {"headline": headline.headline, "source": headline.source, "published": headline.published.isoformat()}
