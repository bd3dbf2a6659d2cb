"""Two versions of rules, topics or settings over one stream: which alerts differ, and why.

An alert of one version is that of the other where rule, headline and channel are: the same, or changed, where it says
something else of its rule, such as the severity, or is collected otherwise. Of those left, one is earlier or later where
both versions tell a channel of a story by the same rule, and at another time; else it was added or lost. So each alert of
either version is counted once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest
from typing import Final, Literal, TypeAlias

import msgspec

from streams.backtest.decided import Decided
from streams.backtest.report.timeline import Timeline
from streams.backtest.report.typical import Shown, shown
from streams.backtest.unlike import Recent, why_not
from streams.core.dedupe import Candidate, Deduper, Entry
from streams.core.pipeline import Engine
from streams.core.records import Alert, Classified, Dropped
from streams.core.rule import Rule, RuleSet

Kind: TypeAlias = Literal["added", "lost", "earlier", "later", "changed"]
KINDS: Final[tuple[Kind, ...]] = ("added", "lost", "earlier", "later", "changed")
#: Changes that are kept of each kind of each rule, to be shown, and of each kind; all are counted.
KEPT = 50
_KEPT_OF_A_KIND = 2_000
#: Stories that may wait for the other version to tell of them, too.
_MOST_WAITING = 100_000
#: The rules that alert on a headline, in either version.
_Fired: TypeAlias = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions: its engine, and the rules that it matches headlines with."""

    engine: Engine
    rules: RuleSet


@dataclass(slots=True)
class Change:
    """An alert that only one version has, or that they have at two times or with two severities and the like.

    ``at`` is when the later version alerts, or the earlier one where the alert was lost; ``was`` is the other time where
    there is one, and ``instead`` the headline that it was about then. ``before`` and ``after`` are the rules that alert on
    the headline in either version. ``why`` is what kept the other version from alerting on it, and of a changed one what
    differs.
    """

    kind: Kind
    at: datetime
    rule: str
    severity: str
    channels: list[str]
    headline: Shown
    why: str
    before: Sequence[str]
    after: Sequence[str]
    was: datetime | None = None
    instead: Shown | None = None


@dataclass(slots=True)
class RuleCounts:
    """The alerts of one rule: how many the earlier version gives and the later one, and how they differ."""

    before: int = 0
    after: int = 0
    same: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.kinds.total())


@dataclass(slots=True)
class _Waiting:
    """Alerts of one rule on one story for one channel that the other version has not, so far."""

    last: datetime
    lost: list[tuple[str, Change]] = field(default_factory=list)
    added: list[tuple[str, Change]] = field(default_factory=list)


class Changes:
    """Hears what both versions decide, and says what differs. What waits for the other version does so for ``remembered``
    of event time: after that, no alert is taken to be about the same story.
    """

    def __init__(self, before: RuleSet, after: RuleSet, remembered: timedelta) -> None:
        self.rules_before = {rule.name: rule for rule in before.rules}
        self.rules_after = {rule.name: rule for rule in after.rules}
        self.rules: dict[str, RuleCounts] = {}
        self.over_time = Timeline()
        self.totals: Counter[Kind] = Counter()
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._remembered = remembered
        self._recent = Recent(remembered)
        self._waiting: OrderedDict[tuple[str, str, str], _Waiting] = OrderedDict()
        self._kept: dict[tuple[Kind, str], dict[tuple[str, str, datetime | None], Change]] = {}
        self._kept_count: Counter[Kind] = Counter()

    def take(self, before: Decided, after: Decided) -> None:
        """What each version decided on one headline, or at one time."""
        self.first, self.last = self.first or after.at, after.at
        self._recent.add(after)
        was, now = _going(before), _going(after)
        fired = tuple(_rules_of(was)), tuple(_rules_of(now))
        if was.keys() != now.keys():
            for id_, alert in was.items():
                if id_ not in now:
                    why = why_not(alert, self.rules_after, before, after, self._recent)
                    self._wait("lost", alert, before.at, why, fired)
            for id_, alert in now.items():
                if id_ not in was:
                    why = why_not(alert, self.rules_before, after, before, self._recent)
                    self._wait("added", alert, after.at, why, fired)
        for id_, alert in was.items():
            counts = self._counts(alert)
            counts.before += 1
            if other := now.get(id_):
                if differing := _differing(alert, other):
                    self._end_one(_change("changed", other, after.at, differing, fired), other.headline.id)
                else:
                    counts.same += 1
        for alert in now.values():
            self._counts(alert).after += 1
        self._settle(after.at)

    def finish(self) -> None:
        """No more comes, so that nothing waits any longer."""
        while self._waiting:
            self._end(self._waiting.popitem(last=False)[1])

    @property
    def changed(self) -> bool:
        """Whether any alert differs."""
        return bool(self.totals.total())

    @property
    def same(self) -> int:
        """The alerts that both versions have, and in which nothing differs."""
        return sum(counts.same for counts in self.rules.values())

    def kept(self, kind: Kind, most: int | None = None) -> list[Change]:
        """The changes of a kind that are kept to be shown, by time; ``most`` of them, in turn of each rule that has some."""
        of_rules = [changes.values() for (of, _), changes in sorted(self._kept.items()) if of == kind]
        in_turn = (change for turn in zip_longest(*of_rules) for change in turn if change is not None)
        return sorted(islice(in_turn, most), key=lambda change: (change.at, change.rule))

    def left_out(self, kind: Kind, shown: Iterable[Change]) -> int:
        """How many alerts of a kind are counted and not among those that are ``shown``."""
        return self.totals[kind] - sum(len(change.channels) for change in shown)

    def rewritten(self) -> list[tuple[Rule | None, Rule | None]]:
        """The rules that differ, each as it was and as it is; None where there was none, or is none any more."""
        pairs = (
            (self.rules_before.get(name), self.rules_after.get(name))
            for name in sorted(self.rules_before.keys() | self.rules_after.keys())
        )
        return [(one, other) for one, other in pairs if not one or not other or one.revision != other.revision]

    def _counts(self, alert: Alert) -> RuleCounts:
        return self.rules.setdefault(alert.rule.name, RuleCounts())

    def _wait(
        self,
        kind: Literal["added", "lost"],
        alert: Alert,
        at: datetime,
        why: str,
        fired: _Fired,
    ) -> None:
        change = _change(kind, alert, at, why, fired)
        key = (alert.rule.name, alert.headline.story_id, alert.channel)
        waiting = self._waiting.setdefault(key, _Waiting(at))
        self._waiting.move_to_end(key)
        waiting.last = at
        ours, theirs = (waiting.added, waiting.lost) if kind == "added" else (waiting.lost, waiting.added)
        if not theirs:
            ours.append((alert.headline.id, change))
            return
        headline, other = theirs.pop(0)
        new, old = (change, other) if kind == "added" else (other, change)
        ids = (alert.headline.id, headline) if kind == "added" else (headline, alert.headline.id)
        new.kind = "earlier" if new.at < old.at else "later"
        new.was, new.instead, new.why = old.at, old.headline, old.why
        self._end_one(new, "/".join(ids))

    def _settle(self, now: datetime) -> None:
        while self._waiting:
            key, waiting = next(iter(self._waiting.items()))
            if now - waiting.last <= self._remembered and len(self._waiting) <= _MOST_WAITING:
                return
            del self._waiting[key]
            self._end(waiting)

    def _end(self, waiting: _Waiting) -> None:
        for id_, change in [*waiting.lost, *waiting.added]:
            self._end_one(change, id_)

    def _end_one(self, change: Change, id_: str) -> None:
        self.totals[change.kind] += 1
        self.rules.setdefault(change.rule, RuleCounts()).kinds[change.kind] += 1
        self.over_time.add(change.at, "change", change.kind)
        kept = self._kept.setdefault((change.kind, change.rule), {})
        same = kept.get(key := (id_, change.why, change.was))
        if same is not None:
            same.channels += change.channels
        elif len(kept) < KEPT and self._kept_count[change.kind] < _KEPT_OF_A_KIND:
            self._kept_count[change.kind] += 1
            kept[key] = change


class Twin:
    """Two engines that are fed as one, the later version first. What that decides is what it gives."""

    def __init__(self, before: Side, after: Side, changes: Changes) -> None:
        self.before, self.after, self.changes = before, after, changes
        self._now = datetime.fromtimestamp(0, UTC)
        self._later: dict[str, tuple[Decided, Decided]] = {}

    def feed(self, candidate: Candidate, *, later: bool = False) -> tuple[Classified | Dropped, list[Alert]]:
        """Let both decide on a headline."""
        now, was = self.after.engine.feed(candidate, later=later), self.before.engine.feed(candidate, later=later)
        decided = self._decided(*was), self._decided(*now)
        if later:
            self._later[candidate.position] = decided
        else:
            self.changes.take(*decided)
        return now

    def consider(self, position: str) -> list[Alert]:
        """Let rules that remember, of both, consider a headline that was left for later; it is compared now."""
        was, now = self._later.pop(position)
        added = self.after.engine.consider(position)
        was = msgspec.structs.replace(was, alerts=(*was.alerts, *self.before.engine.consider(position)))
        self.changes.take(was, msgspec.structs.replace(now, alerts=(*now.alerts, *added)))
        return added

    def advance(self, at: int, but: Collection[str] = ()) -> list[Alert]:
        """Let both hear that event time has come to ``at``, milliseconds, but rules of some revisions."""
        self._now = datetime.fromtimestamp(at / 1000, UTC)
        was, now = self.before.engine.advance(at, but), self.after.engine.advance(at, but)
        if was or now:
            self.changes.take(self._decided(None, was), self._decided(None, now))
        return now

    def forget(self) -> None:
        """Let the rules of both begin anew."""
        self.before.engine.forget()
        self.after.engine.forget()

    def _decided(self, record: Classified | Dropped | None, alerts: Iterable[Alert]) -> Decided:
        return Decided(at=self._now, headline=record, alerts=tuple(alerts))


class Leading:
    """A deduper of which another engine takes the decisions over, where it would decide the same."""

    def __init__(self, deduper: Deduper) -> None:
        self._deduper = deduper
        self.remember, self.settle, self.rollback = deduper.remember, deduper.settle, deduper.rollback
        self.last: Entry | None = None

    def decide(self, candidate: Candidate) -> Entry:
        """The decision, which is kept for who follows."""
        self.last = self._deduper.decide(candidate)
        return self.last


class Following:
    """Decides what the leading deduper has just decided on the same headline."""

    def __init__(self, leading: Leading) -> None:
        self._leading = leading

    def decide(self, candidate: Candidate) -> Entry:
        """The decision of the other."""
        entry = self._leading.last
        assert entry is not None
        assert entry.id == candidate.id
        return entry

    def remember(self, entry: Entry) -> None:
        """The other has done so."""

    def settle(self) -> None:
        """The other has done so."""

    def rollback(self) -> None:
        """The other does so."""


def _going(one: Decided) -> Mapping[str, Alert]:
    """The alerts that go out, by id."""
    return {alert.alert_id: alert for alert in one.alerts if alert.suppressed is None}


def _rules_of(alerts: Mapping[str, Alert]) -> Iterable[str]:
    return dict.fromkeys(alert.rule.name for alert in alerts.values())


def _change(kind: Kind, alert: Alert, at: datetime, why: str, fired: _Fired) -> Change:
    rule = alert.rule
    return Change(kind, at, rule.name, rule.severity, [alert.channel], shown(alert), why, *fired)


def _differing(one: Alert, other: Alert) -> str:
    """What an alert that both versions give says otherwise, as it was and as it is; empty where nothing is."""
    pairs = [
        (name, str(was), str(is_now))
        for name in ("severity", "title", "owner")
        if (was := getattr(one.rule, name)) != (is_now := getattr(other.rule, name))
    ]
    if one.rule.labels != other.rule.labels:
        pairs.append(("labels", _labels(one), _labels(other)))
    if one.group != other.group:
        pairs.append(("collected", _group(one), _group(other)))
    return "; ".join(f"{name}: {was or 'none'}, now {is_now or 'none'}" for name, was, is_now in pairs)


def _labels(alert: Alert) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(alert.rule.labels.items()))


def _group(alert: Alert) -> str:
    group = alert.group
    return f"{group.key}, wait {group.wait:g} s, interval {group.interval:g} s" if group else ""
