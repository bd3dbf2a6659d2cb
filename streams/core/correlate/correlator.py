"""The fold: what comes of each event, by those before it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from streams.core.conditions import Absence, By
from streams.core.correlate.counting import CONDITIONS, Counting, SequenceCounting, milliseconds
from streams.core.correlate.event import Event, Hit, keys_of
from streams.core.correlate.holding import RESTRAINTS, Restraint
from streams.core.decide import Firing
from streams.core.duration import written
from streams.core.records import Classified
from streams.core.rule import Rule, RuleSet

#: How long it is remembered that a rule which asks for the sources of a story has fired on it, milliseconds.
ONCE = 7 * 24 * 3_600_000
#: How often states are looked through for what is not needed any more, milliseconds of event time.
_TIDIED_EVERY = 3_600_000


@dataclass(slots=True)
class _Once:
    """The stories on which a rule has fired."""

    stories: dict[str, int] = field(default_factory=dict)

    def has(self, story: str, at: int) -> bool:
        """Whether the rule has fired on a story. That it goes on is noted."""
        last = self.stories.get(story)
        if last is None or at - last >= ONCE:
            return False
        self.note(story, at)
        return True

    def note(self, story: str, at: int) -> None:
        """The rule has fired on a story."""
        self.stories[story] = max(at, self.stories.get(story, at))

    def forget(self, before: int) -> None:
        """Drop the stories of which nothing has come since."""
        for story in [story for story, at in self.stories.items() if at < before]:
            del self.stories[story]


@dataclass(slots=True)
class _Watched:
    """The last headline that a rule saw which fires when none comes; ``due`` is when, milliseconds."""

    rule: Rule
    span: int
    headline: Classified | None = None
    at: int = 0
    due: int | None = None

    def came(self, headline: Classified, at: int) -> None:
        """Take a headline that the rule waits for."""
        if self.headline is None or at >= self.at:
            self.headline, self.at, self.due = headline, at, at + self.span


class _Remembering:
    """What is remembered for one rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        condition = rule.condition
        self.counting: Counting | None = None
        self.counted_by: By = "rule"
        if condition is not None and not isinstance(condition, Absence):
            self.counting = CONDITIONS[type(condition)](condition)
            self.counted_by = condition.by
        self.restraints: list[tuple[By, Restraint]] = [
            (settings.by, RESTRAINTS[type(settings)](settings)) for settings in rule.restraints
        ]
        self.once = _Once() if rule.once_a_story else None

    @property
    def span(self) -> int:
        spans = [restraint.span for _, restraint in self.restraints]
        if self.counting is not None:
            spans.append(self.counting.span)
        if isinstance(self.rule.condition, Absence):
            spans.append(milliseconds(self.rule.condition.span))
        if self.once is not None:
            spans.append(ONCE)
        return max(spans, default=0)

    def because(self, at: int, headline: Classified) -> tuple[bool, str | None]:
        """Whether the rule fires by a headline that it matched, and what of several headlines it took."""
        if self.once is not None and self.once.has(headline.story_id, at):
            return False, None
        if self.counting is None:
            return True, None
        if self.once is not None:  # a story counts once, whether its rule is reached by it or not
            self.once.note(headline.story_id, at)
        # Every topic counts, also those behind the first that is reached.
        reached = [self.counting.fires(key, at, headline) for key in keys_of(headline, self.counted_by)]
        because = next((reason for reason in reached if reason is not None), None)
        return because is not None, because

    def held(self, at: int, headline: Classified) -> str | None:
        """Why the alert is held back; None if it goes, which is noted. What is held back uses nothing up."""
        if reason := self.rule.idle(datetime.fromtimestamp(at / 1000, UTC)):
            return reason
        for by, restraint in self.restraints:
            if reason := restraint.holds(keys_of(headline, by), at):
                return reason
        for by, restraint in self.restraints:
            restraint.passed(keys_of(headline, by), at)
        if self.once is not None:
            self.once.note(headline.story_id, at)
        return None

    def forget(self, watermark: int) -> None:
        for _, restraint in self.restraints:
            restraint.forget(watermark - 2 * restraint.span)
        if self.counting is not None:
            self.counting.forget(watermark - 2 * self.counting.span)
        if self.once is not None:
            self.once.forget(watermark - ONCE)


class Correlator:
    """Takes events one after the other. Its state is what the events make it, and nothing else.

    What a condition comes to is determined by the events of its span. A throttle or repeat that holds back all the time goes by
    when it began, so that two who began at different events may let different ones through. The work of an event is that of
    its hits; memory is that of the hits within the spans of their rules.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        remembering = [rule for rule in ruleset.rules if rule.remembers]
        self._of: Mapping[str, _Remembering] = {rule.name: _Remembering(rule) for rule in remembering}
        self._watched: Mapping[str, _Watched] = {
            rule.name: _Watched(rule, milliseconds(rule.condition.span))
            for rule in remembering
            if isinstance(rule.condition, Absence)
        }
        self._preludes = {
            rule.before.name: name for name, of in self._of.items() if (rule := of.rule).before is not None
        }
        self._watermark = 0

    @property
    def span(self) -> int:
        """The longest that any rule looks back, milliseconds of event time; 0 without rules that have a memory."""
        return max((remembering.span for remembering in self._of.values()), default=0)

    @property
    def awaits(self) -> bool:
        """Whether there is a rule that fires when nothing comes."""
        return bool(self._watched)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The revisions of the rules that fire when nothing comes."""
        return tuple([watched.rule.revision for watched in self._watched.values()])

    def next_due(self) -> tuple[str, int] | None:
        """The rule that fires next unless something comes, and when; its `tick` is to be logged then."""
        waiting = [(watched.due, name) for name, watched in self._watched.items() if watched.due is not None]
        if not waiting:
            return None
        due, name = min(waiting)
        return name, due

    def consider(self, event: Event) -> list[Firing]:
        """What fires by an event: first what time alone has brought, then by the headline, in the order of the rules."""
        found = list(self._overdue(event.at))
        if event.headline is not None:
            for hit in event.hits:
                found += self._hit(event, event.headline, hit)
            self._tidy(event.at)
        return found

    def _tidy(self, at: int) -> None:
        """Forget what is past, when event time comes to another hour by a headline.

        To one that comes late by more than the spans it matters what has been forgotten. So that goes by the headlines alone:
        workers may log a tick that a headline has overtaken, which comes to nothing and is in no recording.
        """
        before, self._watermark = self._watermark, max(self._watermark, at)
        if self._watermark // _TIDIED_EVERY != before // _TIDIED_EVERY:
            for remembering in self._of.values():
                remembering.forget(self._watermark)

    def advance(self, at: int, but: Container[str] = ()) -> list[Firing]:
        """What fires because event time has come to ``at``, milliseconds, and nothing else has.

        Rules of the revisions ``but`` stay as they are: they hear of time from elsewhere.
        """
        return list(self._overdue(at, but))

    def _hit(self, event: Event, headline: Classified, hit: Hit) -> Iterator[Firing]:
        if whole := self._preludes.get(hit.rule):
            self._came_before(self._of[whole], event.at, headline)
            return
        remembering = self._of.get(hit.rule)
        if remembering is None:  # a rule that there was when the event was logged
            return
        if watched := self._watched.get(hit.rule):
            watched.came(headline, event.at)
            return
        fires, because = remembering.because(event.at, headline)
        if fires:
            suppressed = remembering.held(event.at, headline)
            yield Firing(
                rule=remembering.rule, headline=headline, spans=hit.spans, suppressed=suppressed, because=because
            )

    def _came_before(self, remembering: _Remembering, at: int, headline: Classified) -> None:
        counting = remembering.counting
        if isinstance(counting, SequenceCounting):
            for key in keys_of(headline, remembering.counted_by):
                counting.came(key, at, headline)

    def _overdue(self, at: int, but: Container[str] = ()) -> Iterator[Firing]:
        """The rules that have waited in vain, by the order of time."""
        due = [
            watched
            for watched in self._watched.values()
            if watched.due is not None and watched.due <= at and watched.rule.revision not in but
        ]
        for watched in sorted(due, key=lambda watched: (watched.due, watched.rule.name)):
            headline, when = watched.headline, watched.due
            assert headline is not None
            assert when is not None
            watched.due = None
            assert isinstance(watched.rule.condition, Absence)
            last = datetime.fromtimestamp(watched.at / 1000, UTC)
            yield Firing(
                rule=watched.rule,
                headline=headline,
                suppressed=self._of[watched.rule.name].held(when, headline),
                because=f"nothing in {written(watched.rule.condition.span)} since {last:%Y-%m-%d %H:%M:%S} UTC",
                occasion=f"absence:{when}",
                at=datetime.fromtimestamp(when / 1000, UTC),
            )
