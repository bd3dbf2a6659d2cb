"""Tests beside the rules: headlines with times, and the alerts that are expected of each.

The headlines of a test go the way that they go live, through the same functions in the same order (parse, deduplicate,
classify, match, decide), with nothing remembered from another test and with the times that the test gives. After each
headline, the alerts that it brought are compared with those expected. ``docs/reference/rules.md`` describes the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from streams.backtest.testfile import Case, HeadlineModel
from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.decide import Firing
from streams.core.dedupe import Deduper
from streams.core.document import Problem
from streams.core.headline import UnreadableError
from streams.core.match import Matcher
from streams.core.query import View
from streams.core.query.explain import lacks
from streams.core.records import Classified, Dropped
from streams.core.rule import STAGED, Rule, RuleSet

#: When a headline comes out whose test does not say: the first one of a test at this time, each other a minute later.
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """What came out otherwise than a test expects, at its place in the file."""

    problem: Problem
    headline: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test ended. ``fired`` and ``silent`` are the rules that it shows to fire, and not to."""

    case: Case
    failures: tuple[Failure, ...]
    fired: frozenset[str]
    silent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Report:
    """All tests that were run, and which rules lack one."""

    outcomes: tuple[Outcome, ...]
    without_positive: tuple[str, ...]
    without_negative: tuple[str, ...]

    @property
    def failures(self) -> list[Failure]:
        """All that came out otherwise, in the order of the files."""
        return [failure for outcome in self.outcomes for failure in outcome.failures]


def run_tests(
    cases: Iterable[Case], rules: RuleSet, classifier: Classifier, new_deduper: Callable[[], Deduper]
) -> Report:
    """Run tests by the live engine, each by itself."""
    matcher = Matcher(rules)
    outcomes = tuple(_Run(rules, pipeline.Engine(matcher, classifier, new_deduper())).of(case) for case in cases)
    fired = frozenset[str]().union(*(outcome.fired for outcome in outcomes))
    silent = frozenset[str]().union(*(outcome.silent for outcome in outcomes))
    names = [rule.name for rule in rules.rules]
    return Report(
        outcomes,
        tuple(name for name in names if name not in fired),
        tuple(name for name in names if name not in silent),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One test, and the engine that it has for itself."""

    rules: RuleSet
    engine: pipeline.Engine

    def of(self, case: Case) -> Outcome:
        failures: list[Failure] = []
        fired: set[str] = set()
        silent: set[str] = set()
        about = case.rules or _named_in(case)
        at = START - STEP
        for index, given in enumerate(case.headlines):
            at = _time_of(given, at)
            try:
                record, everything = self._send(given, index, at)
            except UnreadableError as error:
                failures.append(_failure(case, index, given, f"the headline cannot be read: {error}", ""))
                continue
            failures += _wrong_decision(case, index, given, record)
            firings = {firing.rule.name: firing for firing in everything if _goes(firing)}
            held = {firing.rule.name: str(firing.suppressed) for firing in everything if not _goes(firing)}
            failures += _not_held_back(case, index, given, held, firings)
            if given.alerts is None:
                continue
            concerned = {name: firing for name, firing in firings.items() if case.rules is None or name in case.rules}
            failures += self._differences(case, index, given, concerned, _WhyNot(record, held))
            expected = {alert.rule for alert in given.alerts}
            fired |= expected & firings.keys()
            # No rule is asked about a duplicate, so that it shows nothing of one, nor does a time without a headline.
            if isinstance(record, Classified):
                silent |= about - expected - firings.keys()
        return Outcome(case, tuple(failures), frozenset(fired), frozenset(silent))

    def _send(self, given: HeadlineModel, index: int, at: datetime) -> tuple[Classified | Dropped | None, list[Firing]]:
        """A headline, gone all the way, and what fires, held back or not; first, what time alone brings."""
        elapsed = self.engine.elapse(round(at.timestamp() * 1000))
        if given.headline is None:
            return None, elapsed
        fields = given.model_dump(exclude={"at", "alerts", "held_back", "decision"}, exclude_none=True)
        value = json.dumps(fields | {"published": at.isoformat()}).encode()
        position = f"headlines.raw:0:{index}"
        candidate = pipeline.read(value, id=str(index), position=position, received=at)
        record, firings = self.engine.fire(candidate)
        return record, [*elapsed, *firings]

    def _differences(
        self,
        case: Case,
        index: int,
        given: HeadlineModel,
        firings: Mapping[str, Firing],
        why_not: _WhyNot,
    ) -> Iterator[Failure]:
        expected = {alert.rule: (place, alert) for place, alert in enumerate(given.alerts or ())}
        for name, (place, alert) in expected.items():
            path = ("headlines", index, "alerts", place)
            if name not in firings:
                rule = next(rule for rule in self.rules.rules if rule.name == name)
                yield _failure(case, index, given, f"`{name}` does not fire", why_not.of(rule), path)
                continue
            words, because = [span.text for span in firings[name].spans], firings[name].because
            if alert.matched is not None and words != alert.matched:
                message = f"`{name}` fires by {_quoted(words)}, not by {_quoted(alert.matched)}"
                yield _failure(case, index, given, message, "", path)
            if alert.because is not None and alert.because not in (because or ""):
                message = f"`{name}` fires because of {_told(because)}, not of {_told(alert.because)}"
                yield _failure(case, index, given, message, "", path)
        for name, firing in firings.items():
            if name not in expected:
                by = _quoted([span.text for span in firing.spans])
                hint = "narrow the rule, or add the alert to the test"
                yield _failure(case, index, given, f"`{name}` fires by {by}, and is not expected", hint)


def _goes(firing: Firing) -> bool:
    """Whether it goes out, or would if its rule were live: tests are how a rule gets there."""
    return firing.suppressed in (None, STAGED)


def _not_held_back(
    case: Case, index: int, given: HeadlineModel, held: Mapping[str, str], firings: Mapping[str, Firing]
) -> Iterator[Failure]:
    """What is not held back though the test says so, or for another reason, or though it says that nothing else is."""
    if given.held_back is None:
        return
    expected = {alert.rule: (place, alert) for place, alert in enumerate(given.held_back)}
    for name, (place, alert) in expected.items():
        path = ("headlines", index, "held_back", place)
        if name not in held:
            hint = "it goes out" if name in firings else "it does not fire"
            yield _failure(case, index, given, f"`{name}` is not held back", hint, path)
        elif alert.reason is not None and alert.reason not in held[name]:
            message = f"`{name}` is held back because of {_told(held[name])}, not of {_told(alert.reason)}"
            yield _failure(case, index, given, message, "", path)
    for name, reason in held.items():
        if name not in expected and (case.rules is None or name in case.rules):
            yield _failure(case, index, given, f"`{name}` is held back, which is not expected", reason)


def _named_in(case: Case) -> frozenset[str]:
    """The rules that a test expects anywhere: where one of them is not expected, it must not fire."""
    return frozenset(alert.rule for headline in case.headlines for alert in headline.alerts or ())


def _time_of(given: HeadlineModel, before: datetime) -> datetime:
    match given.at:
        case None:
            return before + STEP
        case timedelta():
            return before + given.at
        case _:
            return given.at.replace(tzinfo=UTC) if given.at.tzinfo is None else given.at.astimezone(UTC)


def _wrong_decision(
    case: Case, index: int, given: HeadlineModel, record: Classified | Dropped | None
) -> Iterator[Failure]:
    if record is None:
        return
    kind = "duplicate" if isinstance(record, Dropped) else record.kind
    if given.decision not in (None, kind):
        path = ("headlines", index, "decision")
        yield _failure(
            case, index, given, f"it is decided to be `{kind}`, not `{given.decision}`", record.reason or "", path
        )


@dataclass(frozen=True, slots=True)
class _WhyNot:
    """What keeps rules from alerting about a headline; ``held`` has why those that fire are held back."""

    record: Classified | Dropped | None
    held: Mapping[str, str]

    def of(self, rule: Rule) -> str:
        """What keeps one rule, for a person."""
        if rule.name in self.held:
            return f"it is held back: {self.held[rule.name]}"
        if self.record is None:
            return "no headline is missing for long enough"
        if isinstance(self.record, Dropped):
            counted = ", which counts, and there are not enough" if rule.counts_repeats else ""
            return f"the headline is dropped as a duplicate{counted}: {self.record.reason}"
        found = lacks(rule.query, View(self.record))
        if found:
            return "; ".join(f"`{lack.asks}`: {lack.reason}" for lack in found)
        if rule.condition is not None or rule.once_a_story:
            return "its query holds, and what came before it does not make it fire"
        return f"its query holds, and {' and '.join(rule.bars(self.record))}"


def _failure(
    case: Case, index: int, given: HeadlineModel, message: str, hint: str, path: Sequence[str | int] = ()
) -> Failure:
    where = path or ("headlines", index)
    return Failure(case.document.problem(("tests", case.number, *where), message, hint), given.told)


def _told(reason: str | None) -> str:
    return f"“{reason}”" if reason else "nothing that came before"


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) if words else "no words"


def junit(report: Report) -> str:
    """The report in the XML of JUnit, as most continuous integration reads it."""
    root = ET.Element("testsuites", name="wirewatch rules", tests=str(len(report.outcomes)))
    failed = sum(bool(outcome.failures) for outcome in report.outcomes)
    root.set("failures", str(failed))
    files: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        files.setdefault(outcome.case.document.file, []).append(outcome)
    for file, outcomes in files.items():
        count = sum(bool(outcome.failures) for outcome in outcomes)
        suite = ET.SubElement(root, "testsuite", name=file, tests=str(len(outcomes)), failures=str(count))
        for outcome in outcomes:
            line = str(outcome.case.place().line)
            case = ET.SubElement(suite, "testcase", classname=file, name=outcome.case.name, file=file, line=line)
            for failure in outcome.failures:
                told = ET.SubElement(case, "failure", message=failure.problem.message)
                told.text = f"{failure.problem}\n{failure.headline}"
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
