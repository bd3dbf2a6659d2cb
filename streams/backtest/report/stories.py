"""The biggest stories of a stream, found without keeping all of them."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streams.backtest.decided import Decided
from streams.core.records import Classified, Dropped

#: Stories that are told of: so many that had alerts, and so many that had none.
BIGGEST = 10
#: Moments of one story that are kept of each kind.
MOMENTS = 300
#: Stories that may go on at a time; beyond that, the one that has been quiet longest is taken to be over.
_MOST_OPEN = 100_000


@dataclass(slots=True)
class StorySoFar:
    """One story: its first headline, how often it was told, and when, by kind: first, update, duplicate, alert."""

    id: str
    headline: str
    source: str
    began: datetime
    last: datetime
    kinds: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)

    @property
    def reports(self) -> int:
        """How many headlines told it, repeats included."""
        return self.kinds.total() - self.kinds["alert"]

    def came(self, kind: str, at: datetime, text: str) -> None:
        """Note a headline or an alert."""
        self.kinds[kind] += 1
        kept = self.moments.setdefault(kind, [])
        if len(kept) < MOMENTS:
            kept.append((at, text))


class Stories:
    """Follows stories while they go on, and keeps those that were told most often.

    A story is over when nothing came of it for ``remembered``: the deduper has forgotten it then, too.
    """

    def __init__(self, remembered: timedelta, biggest: int = BIGGEST) -> None:
        self._remembered = remembered
        self._biggest = biggest
        self._open: OrderedDict[str, StorySoFar] = OrderedDict()
        self._over: dict[bool, list[tuple[int, int, StorySoFar]]] = {True: [], False: []}
        self._closed = 0

    def take(self, one: Decided) -> None:
        """Follow a headline and its alerts."""
        record = one.headline
        if record is None:
            for alert in one.alerts:
                if alert.suppressed is None and (story := self._open.get(alert.headline.story_id)):
                    story.came("alert", one.at, alert.rule.name)
                    story.rules[alert.rule.name] += 1
            return
        story = self._story(record, one.at)
        story.came("duplicate" if isinstance(record, Dropped) else record.kind, one.at, record.headline.headline)
        for name in dict.fromkeys(alert.rule.name for alert in one.alerts if alert.suppressed is None):
            story.came("alert", one.at, name)
            story.rules[name] += 1
        self._close(one.at)

    def biggest(self, *, alerted: bool) -> list[StorySoFar]:
        """The stories that were told most often, of those that had alerts, or of those that had none."""
        still = [story for story in self._open.values() if bool(story.kinds["alert"]) == alerted]
        all_of_them: Iterator[StorySoFar] = (story for *_, story in self._over[alerted])
        ranked = sorted([*all_of_them, *still], key=lambda story: (-story.reports, story.began, story.id))
        return [story for story in ranked[: self._biggest] if story.reports > 1]

    def _story(self, record: Classified | Dropped, at: datetime) -> StorySoFar:
        story = self._open.get(record.story_id)
        if story is None:
            headline = record.headline
            story = StorySoFar(record.story_id, headline.headline, headline.source, at, at)
            self._open[record.story_id] = story
        self._open.move_to_end(record.story_id)
        story.last = at
        return story

    def _close(self, now: datetime) -> None:
        while self._open:
            story = next(iter(self._open.values()))
            if now - story.last <= self._remembered and len(self._open) <= _MOST_OPEN:
                return
            del self._open[story.id]
            over = self._over[bool(story.kinds["alert"])]
            self._closed += 1
            heapq.heappush(over, (story.reports, -self._closed, story))
            if len(over) > self._biggest:
                heapq.heappop(over)
