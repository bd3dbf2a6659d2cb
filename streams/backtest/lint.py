"""What is wrong with rules that are in order: too broad, never true, the same as another, or too dear.

Most of it follows from the rules alone. With headlines of before, which go the whole way that they would go live, each rule
gets its price, in alerts a day, and what it would have alerted about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, TypeAlias

from streams.backtest.shadows import covers, shadowed
from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Deduper
from streams.core.headline import UnreadableError
from streams.core.match import Matcher
from streams.core.query import USUAL, Anchor
from streams.core.query.implies import branches
from streams.core.query.leaves import Words
from streams.core.query.nodes import terms_of
from streams.core.query.terms import has_wildcard
from streams.core.records import Dropped, Headline
from streams.core.rule import OVER, STAGED, Rule, RuleSet

#: A wildcard with fewer letters finds words that nobody thought of.
SHORTEST_WILDCARD = 4
#: More alerts a day than anybody reads.
MOST_A_DAY = 50.0
#: A rule that is looked at for more than this share of all headlines saves little by being indexed.
MOST_CANDIDATES = 0.1
#: A rule for more than this share of all headlines is no alert.
MOST_OF_ALL = 0.02
#: Examples that are kept of what a rule would have alerted about.
EXAMPLES = 3
#: A rule must have fired so often in history for it to count that another always fired with it.
ENOUGH = 5

Level: TypeAlias = Literal["warning", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something about a rule that is to be judged by a person. ``code`` names the check."""

    rule: str
    code: str
    level: Level = field(compare=False)
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Price:
    """What a rule would have cost: alerts, counted once for all its channels, and some of their headlines."""

    rule: str
    alerts: int
    a_day: float
    most_in_a_day: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What became of headlines of before. ``days`` is the time that they span, 1 at least."""

    headlines: int
    duplicates: int
    unreadable: int
    days: float
    prices: Mapping[str, Price]
    per_channel: Mapping[str, float]
    together: Mapping[tuple[str, str], int]


def lint(rules: RuleSet, history: History | None = None, today: date | None = None) -> list[Finding]:
    """All findings, by rule. ``today``, in UTC, tells which rules are over."""
    found = [finding for rule in rules.rules for finding in _of_rule(rule)]
    if today is not None:
        found += [
            Finding(
                rule.name,
                "expired",
                "note",
                f"is {OVER.format(rule.expiry)}",
                "give it a later `expiry`, or take it out",
            )
            for rule in rules.rules
            if rule.over(today)
        ]
    found += _shadowed(rules)
    if history is not None:
        found += _too_dear(rules, history)
        found += _shadowed_in_history(rules, history, {f.rule for f in found if f.code == "shadowed"})
    return sorted(found)


def _of_rule(rule: Rule) -> Iterator[Finding]:
    anchors = rule.query.anchors
    if anchors is None:
        hint = "join it by AND with a word or a topic"
        yield Finding(rule.name, "unindexed", "warning", "requires no word, and is compared with every headline", hint)
    else:
        share = sum(map(USUAL.share, anchors))
        if share > MOST_CANDIDATES:
            message = (
                f"is compared with about {min(share, 1):.0%} of all headlines: what it requires is {_told(anchors)}"
            )
            yield Finding(rule.name, "common", "note", message, "join it by AND with a rarer word, if it can be")
    for word in _short_wildcards(rule):
        message = f"`{word}` has fewer than {SHORTEST_WILDCARD} letters beside its wildcard"
        yield Finding(rule.name, "wildcard", "warning", message, "list the words that are meant, joined by OR")
    for branch in branches(rule.query.root):
        if branch.kind == "never":
            message = f"`{branch.part}` can never hold: `{branch.because}`"
            yield Finding(rule.name, "never", "warning", message, "take it out, or mend it")
        else:
            message = f"`{branch.part}` changes nothing beside `{branch.because}`"
            yield Finding(rule.name, "idle", "note", message, "take it out")


def _told(anchors: Iterable[Anchor]) -> str:
    words = sorted(f"`{anchor.text}`" for anchor in anchors)
    return " or ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


def _short_wildcards(rule: Rule) -> Iterator[str]:
    seen: dict[str, None] = {}
    for term in terms_of(rule.query.root):
        if isinstance(term, Words):
            for word in term.words:
                if has_wildcard(word) and sum(map(str.isalnum, word)) < SHORTEST_WILDCARD:
                    seen[word] = None
    return iter(seen)


def _shadowed(rules: RuleSet) -> Iterator[Finding]:
    """Rules all of whose alerts come with those of another rule, to the same channels."""
    for rule, other in shadowed(rules):
        message = f"says no more than `{other.name}`, which fires whenever it does and alerts the same channels"
        yield Finding(rule.name, "shadowed", "warning", message, "make one rule of the two")


def _too_dear(rules: RuleSet, history: History) -> Iterator[Finding]:
    for rule in rules.rules:
        price = history.prices[rule.name]
        if not price.alerts:
            message = f"never fired on {history.headlines:,} headlines"
            yield Finding(rule.name, "silent", "note", message, "is that as it should be?")
        elif price.a_day > MOST_A_DAY:
            message = f"would alert {price.a_day:,.0f} times a day"
            yield Finding(
                rule.name, "broad", "warning", message, "narrow it: `wirewatch rules lint --json` shows examples"
            )
        elif price.alerts > MOST_OF_ALL * history.headlines and price.alerts >= ENOUGH:
            message = f"fires on {price.alerts / history.headlines:.1%} of all headlines"
            yield Finding(rule.name, "broad", "warning", message, "narrow it")


def _shadowed_in_history(rules: RuleSet, history: History, told: set[str]) -> Iterator[Finding]:
    by_name = {rule.name: rule for rule in rules.rules}
    for pair, times in history.together.items():
        for name, other in (pair, pair[::-1]):
            alerts = history.prices[name].alerts
            if name in told or alerts < ENOUGH or times < alerts or not covers(by_name[other], by_name[name]):
                continue
            message = f"fired {alerts} times, and each time `{other}` did, which alerts the same channels"
            yield Finding(name, "shadowed", "note", message, "is it needed beside the other?")


class Replay:
    """Sends headlines the way that they would go live, and counts what each rule does.

    They go in the order of their publication, as if each had arrived when it came out. So of two that say the same the
    later one is the duplicate, however a file has them. What is held back by what a rule remembers is no alert; a staged
    rule is counted as if it were live.
    """

    def __init__(self, rules: RuleSet, classifier: Classifier, deduper: Deduper) -> None:
        self._rules = rules
        self._engine = pipeline.Engine(Matcher(rules), classifier, deduper)
        self._counts = _Counts()

    def run(self, candidates: Iterable[Candidate | UnreadableError]) -> Iterator[int]:
        """Send all of them, and tell after each how many are done. What was sent counts, wherever this is left."""
        read: list[Candidate] = []
        for candidate in candidates:
            if isinstance(candidate, UnreadableError):
                self._counts.unreadable += 1
            else:
                read.append(candidate)
        read.sort(key=lambda candidate: candidate.headline.published)
        for done, candidate in enumerate(read, start=1):
            self._send(candidate)
            yield done

    def history(self) -> History:
        """What became of the headlines that were sent so far."""
        return self._counts.history(self._rules.rules)

    def _send(self, candidate: Candidate) -> None:
        self._counts.see(candidate.headline.published)
        record, firings = self._engine.fire(candidate)
        if isinstance(record, Dropped):
            self._counts.duplicates += 1
        goes = [firing.rule for firing in firings if firing.suppressed in (None, STAGED)]
        self._counts.fire(record.headline, goes)


class _Counts:
    """What is counted on the way."""

    def __init__(self) -> None:
        self.headlines = self.duplicates = self.unreadable = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._by_day: defaultdict[str, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
        self._examples: defaultdict[str, list[str]] = defaultdict(list)
        self._together: defaultdict[tuple[str, str], int] = defaultdict(int)

    def see(self, published: datetime) -> None:
        self.headlines += 1
        self._first = min(self._first or published, published)
        self._last = max(self._last or published, published)

    def fire(self, headline: Headline, fired: Sequence[Rule]) -> None:
        day = headline.published.astimezone(UTC).date()
        names = [rule.name for rule in fired]
        for place, name in enumerate(names):
            self._by_day[name][day] += 1
            if len(self._examples[name]) < EXAMPLES:
                self._examples[name].append(headline.headline)
            for other in names[place + 1 :]:
                self._together[_pair(name, other)] += 1

    def history(self, rules: Iterable[Rule]) -> History:
        span = (self._last - self._first).total_seconds() / 86_400 if self._first and self._last else 0.0
        days = max(1.0, span)
        prices: dict[str, Price] = {}
        per_channel: defaultdict[str, float] = defaultdict(float)
        for rule in rules:
            by_day = self._by_day[rule.name]
            alerts = sum(by_day.values())
            prices[rule.name] = Price(
                rule.name, alerts, alerts / days, max(by_day.values(), default=0), tuple(self._examples[rule.name])
            )
            if rule.stage == "live":
                for channel in rule.channels:
                    per_channel[channel] += alerts / days
        return History(
            self.headlines,
            self.duplicates,
            self.unreadable,
            days,
            prices,
            dict(sorted(per_channel.items())),
            self._together,
        )


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def read_history(lines: Iterable[bytes], received: Callable[[int], datetime]) -> Iterator[Candidate | UnreadableError]:
    """Candidates of a file in JSON lines, as the topic of raw headlines has them; what cannot be read comes as the error."""
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            yield pipeline.read(line, id=str(number), position=f"headlines.raw:0:{number}", received=received(number))
        except UnreadableError as error:
            yield error


def as_dict(finding: Finding) -> dict[str, Any]:
    """A finding for programs."""
    return {
        "rule": finding.rule,
        "code": finding.code,
        "level": finding.level,
        "message": finding.message,
        "hint": finding.hint,
    }
