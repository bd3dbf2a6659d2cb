"""The sums that a report is made of: a consumer of replay whose memory does not grow with the stream.

What grows is a count a day, a few hundred numbers and a sample of headlines for each rule, and the stories that go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from streams.backtest.decided import Decided, Message, delay, held_for, span_days
from streams.backtest.lint import MOST_A_DAY
from streams.backtest.report.delays import Delays
from streams.backtest.report.stories import Stories
from streams.backtest.report.timeline import Timeline
from streams.backtest.report.typical import Shown, Typical, shown
from streams.core.records import Alert, Dropped
from streams.core.rule import Rule

#: Different reasons that are told apart; more than any set of rules has.
_MOST_REASONS = 1_000
_OTHER_REASONS = "other reasons"
#: Headlines that are shown of the worst hour.
_OF_AN_HOUR = 5
#: A rule with more than this share of all alerts is told to be too much where there are some rules to compare it with.
_LARGE_SHARE = 0.4
_FEW_RULES = 4


@dataclass(slots=True)
class RuleSums:
    """What came of one rule."""

    rule: Rule
    alerts: int = 0
    headlines: int = 0
    held: int = 0
    most_in_a_day: int = 0
    worst_day: date | None = None
    delays: Delays = field(default_factory=Delays)
    typical: Typical = field(default_factory=Typical)
    _day: date | None = None
    _today: int = 0

    def fired(self, at: datetime, alert: Alert, count: int) -> None:
        """Take ``count`` alerts, one a channel, about one headline."""
        day = at.date()
        self._today = self._today + count if day == self._day else count
        self._day = day
        if self._today > self.most_in_a_day:
            self.most_in_a_day, self.worst_day = self._today, day
        self.alerts += count
        self.headlines += 1
        self.typical.add(alert)


@dataclass(slots=True)
class Hour:
    """One hour: how many alerts went, by rule, and the first headlines of it."""

    began: datetime
    rules: Counter[str] = field(default_factory=Counter)
    headlines: list[Shown] = field(default_factory=list)

    @property
    def alerts(self) -> int:
        """The alerts of the hour."""
        return self.rules.total()


@dataclass(frozen=True, slots=True)
class Held:
    """Alerts that were held back for one reason."""

    reason: str
    count: int
    rules: list[tuple[str, int]]
    example: Shown


class Sums:
    """Hears of all that is decided, and sums it up. ``remembered`` is how long the deduper knows a headline."""

    def __init__(self, rules: Iterable[Rule], remembered: timedelta) -> None:
        self.rules = {rule.name: RuleSums(rule) for rule in rules}
        self.over_time = Timeline()
        self.decisions: Counter[str] = Counter()
        self.days: Counter[date] = Counter()
        self.by_hour: Counter[tuple[int, int]] = Counter()
        self.delays = Delays()
        self.stories = Stories(remembered)
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.worst_hour: Hour | None = None
        self._hour: Hour | None = None
        self._held: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, Shown] = {}

    def take(self, one: Decided | Message) -> None:
        """Add it."""
        if isinstance(one, Message):
            return
        if one.headline is not None:
            self.first, self.last = self.first or one.at, one.at
            kind = "duplicate" if isinstance(one.headline, Dropped) else one.headline.kind
            self.decisions[kind] += 1
            self.over_time.add(one.at, "decision", kind)
        going: dict[tuple[str, str], list[Alert]] = {}
        for alert in one.alerts:
            if alert.suppressed is None:
                going.setdefault((alert.rule.name, alert.headline.id), []).append(alert)
            else:
                self._hold(alert, alert.suppressed)
        for alerts in going.values():
            self._fired(one, alerts)
        self.stories.take(one)

    def finish(self) -> None:
        """End the last hour."""
        self._end_hour()

    @property
    def headlines(self) -> int:
        """The headlines that were decided on."""
        return self.decisions.total()

    @property
    def alerts(self) -> int:
        """The alerts that would have gone out."""
        return self.days.total()

    @property
    def span_days(self) -> float:
        """How long the stream is in days, 1 at least."""
        return span_days(self.first, self.last)

    @property
    def silent(self) -> list[RuleSums]:
        """The rules of which no alert would have gone out."""
        return [sums for sums in self.rules.values() if not sums.alerts]

    @property
    def loudest(self) -> list[RuleSums]:
        """The rules with alerts, those with most first."""
        return sorted((sums for sums in self.rules.values() if sums.alerts), key=lambda s: (-s.alerts, s.rule.name))

    def too_much(self, sums: RuleSums) -> str | None:
        """Why a rule fires more than anybody reads, in words; None if it does not."""
        if sums.alerts / self.span_days > MOST_A_DAY:
            return f"{sums.alerts / self.span_days:,.0f} alerts a day, and nobody reads more than {MOST_A_DAY:.0f}"
        if sums.most_in_a_day > MOST_A_DAY:
            return (
                f"{sums.most_in_a_day:,} alerts on {sums.worst_day:%-d %B}, and nobody reads more than {MOST_A_DAY:.0f}"
            )
        if len(self.rules) >= _FEW_RULES and sums.alerts > max(MOST_A_DAY, _LARGE_SHARE * self.alerts):
            return f"{sums.alerts / self.alerts:.0%} of all alerts are of this one of {len(self.rules)} rules"
        return None

    @property
    def held(self) -> list[Held]:
        """What was held back, by reason, the most frequent first."""
        reasons: Counter[str] = Counter()
        for (reason, _), count in self._held.items():
            reasons[reason] += count
        return [
            Held(reason, count, self._rules_of(reason), self._examples[reason])
            for reason, count in reasons.most_common()
        ]

    def _rules_of(self, reason: str) -> list[tuple[str, int]]:
        rules = Counter({rule: count for (why, rule), count in self._held.items() if why == reason})
        return rules.most_common()

    def _hold(self, alert: Alert, reason: str) -> None:
        told = held_for(reason)
        if told not in self._examples and len(self._examples) >= _MOST_REASONS:
            told = _OTHER_REASONS
        self._examples.setdefault(told, shown(alert))
        self._held[told, alert.rule.name] += 1
        if sums := self.rules.get(alert.rule.name):
            sums.held += 1

    def _fired(self, one: Decided, alerts: list[Alert]) -> None:
        """Add the alerts of one rule about one headline, one a channel."""
        alert, at, count = alerts[0], one.at, len(alerts)
        topics = " and ".join(sorted(match.topic for match in alert.headline.topics)) or "no topic"
        for kind, name in (("rule", alert.rule.name), ("topic", topics), ("severity", alert.rule.severity)):
            self.over_time.add(at, kind, name, count)
        for each in alerts:
            self.over_time.add(at, "channel", each.channel)
        self.days[at.date()] += count
        self.by_hour[at.weekday(), at.hour] += count
        self._in_hour(at, alert, count)
        sums = self.rules.get(alert.rule.name)
        if sums is not None:
            sums.fired(at, alert, count)
        if one.headline is not None:
            for delays in [self.delays, *([sums.delays] if sums else [])]:
                delays.add(delay(at, alert))

    def _in_hour(self, at: datetime, alert: Alert, count: int) -> None:
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if self._hour is None or self._hour.began != hour:
            self._end_hour()
            self._hour = Hour(hour)
        self._hour.rules[alert.rule.name] += count
        if len(self._hour.headlines) < _OF_AN_HOUR:
            self._hour.headlines.append(shown(alert))

    def _end_hour(self) -> None:
        ended, worst = self._hour, self.worst_hour
        if ended is not None and (worst is None or ended.alerts > worst.alerts):
            self.worst_hour = ended
        self._hour = None
