"""How good alerts were, by what people said should have alerted: a consumer of replay.

A `Label` says of a headline, or of a story, whether a rule should have alerted. What no label speaks of is not scored. Of a
source that is named as the reference it is told how long before or after its own telling of a story the alert came.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from streams.backtest.decided import Decided, Message
from streams.backtest.labelled import read_numbered
from streams.core.dedupe import milliseconds
from streams.core.document import Problem, did_you_mean
from streams.core.headline import tidy
from streams.core.records import Alert, Classified, Dropped

#: What a line looks like, for whoever wrote another.
FORM: Final = (
    'a line is {"headline": "…", "rule": "…", "should_alert": true}; `id` or `story_id` may stand in place of `headline`, '
    "`topic` or nothing in place of `rule`"
)
#: The quantile of the normal distribution between which and its negative lie 95 % of it.
_Z: Final = 1.959964


class Label(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What somebody says of the headlines with a text, of the one with an id, or of a story: whether it should alert.

    ``rule`` is the rule that should or should not; ``topic`` stands for every rule that fires on a headline of it; without
    either, any rule will do.
    """

    should_alert: bool
    headline: str | None = None
    id: str | None = None
    story_id: str | None = None
    rule: str | None = None
    topic: str | None = None

    @property
    def key(self) -> tuple[str | None, ...]:
        """What it is about; of two labels with one key the later one holds."""
        return (fold(self.headline) if self.headline else None, self.id, self.story_id, self.rule, self.topic)

    @property
    def scope(self) -> tuple[str, str]:
        """What it is counted under: ``rule`` or ``topic`` and its name, or ``any``."""
        if self.rule is not None:
            return "rule", self.rule
        return ("topic", self.topic) if self.topic is not None else ("any", "")

    def check(self) -> None:
        """Raise ValueError where it is about nothing, or about two things."""
        if sum(bool(one) for one in (self.headline, self.id, self.story_id)) != 1:
            raise ValueError("it must have one of `headline`, `id` and `story_id`")
        if self.rule is not None and self.topic is not None:
            raise ValueError("it has both `rule` and `topic`")

    def concerns(self, alert: Alert) -> bool:
        """Whether the label speaks of the rule of an alert."""
        if self.rule is not None:
            return alert.rule.name == self.rule
        return self.topic is None or any(match.topic == self.topic for match in alert.headline.topics)


def fold(headline: str) -> str:
    """A headline as it is compared: as it is kept when it is read, and without case."""
    return tidy(headline).casefold()


def read_labels(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, Label]]:
    """The labels of a file in JSON lines, each with the number of its line; of several on the same the last.

    Raises:
        RefusedError: naming the first lines that are none, and what is wrong with them.
    """
    rows = read_numbered(lines, name, Label, FORM, Label.check)
    yield from {label.key: (line, label) for line, label in rows}.values()


def unknown_scopes(
    rows: Iterable[tuple[int, Label]], name: str, rules: Collection[str], topics: Collection[str]
) -> list[Problem]:
    """The rules and topics that labels of the file ``name`` speak of and that there are not: nothing can alert for them."""
    known = {"rule": rules, "topic": topics}
    lines: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line, label in rows:
        kind, scope = label.scope
        if kind in known and scope not in known[kind]:
            lines[kind, scope].append(line)
    return [
        Problem(
            name,
            min(at),
            1,
            f"there is no {kind} `{scope}`, of which {_speak(len(at))}",
            did_you_mean(scope, known[kind]),
        )
        for (kind, scope), at in lines.items()
    ]


def _speak(labels: int) -> str:
    return "1 label speaks" if labels == 1 else f"{labels:,} labels speak"


@dataclass(frozen=True, slots=True)
class Weights:
    """What errors cost: a ``miss``, a ``false_alarm``, and an alert that comes ``within`` seconds after the story or later.

    One that is late costs its share of `late`, one at once nothing. The first two are those of the Numenta Anomaly
    Benchmark's standard profile.
    """

    miss: float = 1.0
    false_alarm: float = 0.11
    late: float = 1.0
    within: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``trials``, with Wilson's interval of 95 %."""

    hits: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between what the true share lies, in 95 of 100 such samples; None of nothing."""
        if not self.trials:
            return None
        n, p = self.trials, self.hits / self.trials
        middle = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
        half = _Z / (1 + _Z * _Z / n) * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Tally:
    """Labels by what came of them. ``delays`` are those of the right alerts, seconds after the headline or story came."""

    right: int = 0
    false_alarms: int = 0
    misses: int = 0
    rightly_silent: int = 0
    delays: list[float] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Count a label."""
        if case.told is None:
            self.misses += case.label.should_alert
            self.rightly_silent += not case.label.should_alert
        elif case.label.should_alert:
            self.right += 1
            self.delays.append(max(0, case.told - case.began) / 1000)
        else:
            self.false_alarms += 1

    @property
    def precision(self) -> Share:
        """Of the alerts that a label speaks of, those that should have come."""
        return Share(self.right, self.right + self.false_alarms)

    @property
    def recall(self) -> Share:
        """Of what should have alerted, that which did."""
        return Share(self.right, self.right + self.misses)

    @property
    def f1(self) -> tuple[float, tuple[float, float]] | None:
        """F1 and its interval. F1 grows with right / (right + false + missed), and so do the ends of that share's interval."""
        share = Share(self.right, self.right + self.false_alarms + self.misses)
        if share.value is None or share.interval is None:
            return None
        low, high = share.interval
        return _f1(share.value), (_f1(low), _f1(high))

    def cost(self, weights: Weights) -> float:
        """What the errors cost."""
        late = sum(weights.late * min(1.0, delay / weights.within) for delay in self.delays)
        return weights.miss * self.misses + weights.false_alarm * self.false_alarms + late

    def standing(self, weights: Weights) -> float | None:
        """100 without an error, 0 as good as never alerting, less if worse; None if nothing should have alerted."""
        silent = weights.miss * (self.right + self.misses)
        return 100 * (1 - self.cost(weights) / silent) if silent else None

    def as_dict(self, weights: Weights) -> dict[str, Any]:
        """For programs."""
        f1, standing = self.f1, self.standing(weights)
        return {
            "right": self.right,
            "false_alarms": self.false_alarms,
            "misses": self.misses,
            "rightly_silent": self.rightly_silent,
            "precision": _figure(self.precision.value, self.precision.interval),
            "recall": _figure(self.recall.value, self.recall.interval),
            "f1": _figure(*f1) if f1 else None,
            "median_delay": statistics.median(self.delays) if self.delays else None,
            "cost": round(self.cost(weights), 4),
            "score": None if standing is None else round(standing, 2),
        }


def _f1(share: float) -> float:
    return 2 * share / (1 + share)


def _figure(value: float | None, interval: tuple[float, float] | None) -> dict[str, float] | None:
    if value is None or interval is None:
        return None
    return {"value": round(value, 4), "low": round(interval[0], 4), "high": round(interval[1], 4)}


@dataclass(slots=True)
class Case:
    """A label, and what came of what it speaks of: whether it was seen, when it came, and when it was alerted, milliseconds."""

    label: Label
    seen: bool = False
    began: int = 0
    told: int | None = None

    def came(self, record: Classified | Dropped) -> None:
        """Take a headline that the label speaks of."""
        story = self.label.story_id is not None
        began = (record.story_began if story else None) or record.headline.published
        self.began = min(self.began, milliseconds(began)) if self.seen else milliseconds(began)
        self.seen = True

    def alerted(self, at: int) -> None:
        """Take an alert that the label speaks of."""
        self.told = at if self.told is None else min(self.told, at)


@dataclass(frozen=True, slots=True)
class Lead:
    """How long before the reference's telling of the same story alerts came, seconds a story; negative is after."""

    seconds: Sequence[float]
    alone: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        quarters = statistics.quantiles(self.seconds, n=4, method="inclusive") if len(self.seconds) > 1 else None
        return {
            "stories": len(self.seconds),
            "before": sum(lead > 0 for lead in self.seconds),
            "with": sum(lead == 0 for lead in self.seconds),
            "after": sum(lead < 0 for lead in self.seconds),
            "not_told_by_it": self.alone,
            "median": statistics.median(self.seconds) if self.seconds else None,
            "quartiles": [quarters[0], quarters[2]] if quarters else None,
        }


class Scorer:
    """Hears of all that was decided, and scores it in the end.

    Memory is that of the labels, of the alerts, and of the stories that the reference tells. ``unknown`` are the rules and
    topics that labels speak of and that there are not.
    """

    def __init__(
        self,
        labels: Iterable[Label],
        reference: str | None = None,
        weights: Weights | None = None,
        unknown: Sequence[Problem] = (),
    ) -> None:
        self.unknown = unknown
        self.cases = [Case(label) for label in labels]
        self.reference = reference
        self.weights = weights or Weights()
        self.unlabelled = 0
        self._by: dict[tuple[str, str], list[Case]] = defaultdict(list)
        for case in self.cases:
            label = case.label
            text = fold(label.headline) if label.headline else ""
            for kind, name in (("text", text), ("id", label.id), ("story", label.story_id)):
                if name:
                    self._by[kind, name].append(case)
        self._alerts: dict[str, list[tuple[Alert, int]]] = {}
        self._first: dict[tuple[str, str], int] = {}
        self._told_by_reference: dict[str, int] = {}

    def take(self, one: Decided | Message) -> None:
        """Hear of a headline and its alerts."""
        if isinstance(one, Message):
            return
        at = milliseconds(one.at)
        if one.headline is not None:
            self._came(one.headline)
        for alert in one.alerts:
            if alert.suppressed is None:
                self._alerted(alert, at)

    def finish(self) -> None:
        """Nothing is left to do."""

    def _came(self, record: Classified | Dropped) -> None:
        if self.reference is not None and record.headline.source.casefold() == self.reference.casefold():
            at = milliseconds(record.headline.published)
            self._told_by_reference[record.story_id] = min(at, self._told_by_reference.get(record.story_id, at))
        cases = list(self._cases(record))
        for case in cases:
            case.came(record)
        if cases and isinstance(record, Dropped):  # who was told what it repeats was told
            for alert, at in self._alerts.get(record.duplicate_of, ()):
                for case in cases:
                    if case.label.concerns(alert):
                        case.alerted(at)

    def _alerted(self, alert: Alert, at: int) -> None:
        record = alert.headline
        concerned = [case for case in self._cases(record) if case.label.concerns(alert)]
        for case in concerned:
            case.alerted(at)
        self.unlabelled += not concerned
        if self.cases:
            self._alerts.setdefault(record.id, []).append((alert, at))
        if self.reference is not None:
            for name in (alert.rule.name, ""):
                self._first[name, record.story_id] = min(at, self._first.get((name, record.story_id), at))

    def _cases(self, record: Classified | Dropped) -> Iterator[Case]:
        own = record.headline.id
        yield from self._by.get(("id", record.id), ())
        if own is not None and own != record.id:
            yield from self._by.get(("id", own), ())
        yield from self._by.get(("story", record.story_id), ())
        yield from self._by.get(("text", fold(record.headline.headline)), ())

    def tallies(self) -> dict[tuple[str, str], Tally]:
        """The tally of each rule and topic that labels speak of, and of all as ``("all", "")``, which comes first."""
        found: dict[tuple[str, str], Tally] = {("all", ""): Tally()}
        for case in sorted(self.cases, key=lambda case: case.label.scope):
            if case.seen or case.told is not None:
                found[("all", "")].add(case)
                found.setdefault(case.label.scope, Tally()).add(case)
        return found

    @property
    def unseen(self) -> int:
        """The labels that speak of no headline of the stream; they are not scored."""
        return sum(not case.seen and case.told is None for case in self.cases)

    def leads(self) -> dict[str, Lead]:
        """The lead over the reference by rule, and as ``""`` that of the first alert on each story, which comes first."""
        seconds: dict[str, list[float]] = {"": []}
        alone: dict[str, int] = defaultdict(int)
        for (rule, story), at in sorted(self._first.items(), key=lambda item: item[0]):
            told = self._told_by_reference.get(story)
            leads = seconds.setdefault(rule, [])
            if told is None:
                alone[rule] += 1
            else:
                leads.append((told - at) / 1000)
        return {rule: Lead(leads, alone[rule]) for rule, leads in seconds.items()}

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {}
        if self.cases:
            by: dict[str, dict[str, Any]] = {"rule": {}, "topic": {}, "any": {}, "all": {}}
            for (kind, name), tally in self.tallies().items():
                by[kind][name] = tally.as_dict(self.weights)
            found = {
                "labels": len(self.cases),
                "not_in_the_stream": self.unseen,
                "unknown": [problem.as_dict() for problem in self.unknown],
                "alerts_without_label": self.unlabelled,
                "weights": msgspec.to_builtins(self.weights),
                "all": by["all"][""],
                "any_rule": by["any"].get(""),
                "rules": by["rule"],
                "topics": by["topic"],
            }
        if self.reference is not None:
            leads = {rule: lead.as_dict() for rule, lead in self.leads().items()}
            found["reference"] = {"source": self.reference, "all": leads.pop(""), "rules": leads}
        return found
