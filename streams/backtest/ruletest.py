"""Tests beside the rules: headlines with times, and the alerts that are expected of each.

The headlines of a test go the way that they go live, through the same functions in the same order (parse, deduplicate,
classify, match, decide), with nothing remembered from another test and with the times that the test gives. After each
headline, the alerts that it brought are compared with those expected. ``docs/reference/rules.md`` describes the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from xml.etree import ElementTree as ET

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic_core import PydanticCustomError

from streams.core import pipeline
from streams.core.classify import Classifier
from streams.core.decide import Firing
from streams.core.dedupe import Deduper
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean
from streams.core.duration import parse_duration
from streams.core.headline import UnreadableError
from streams.core.match import Matcher
from streams.core.query import View
from streams.core.query.explain import lacks
from streams.core.records import Classified, Dropped, Status
from streams.core.rule import STAGED, Rule, RuleSet

#: When a headline comes out whose test does not say: the first one of a test at this time, each other a minute later.
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=1)

_EXAMPLE = "write `tests:` and below it, for each test, `- headlines:` with `- headline: …` and `alerts: […]`"


def _a_rule(value: object) -> object:
    """An alert may be given by the name of its rule alone."""
    return {"rule": value} if isinstance(value, str) else value


def _a_time(value: object) -> object:
    """When a headline comes out: a moment, or a span after the headline before.

    A number alone is refused: one thinks of minutes, another of seconds since 1970.
    """
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        with suppress(ValueError):
            return parse_duration(value.strip().removeprefix("+"))
        with suppress(ValueError):
            return datetime.fromisoformat(value.strip())
    raise PydanticCustomError("time_or_span", "neither a time nor a span")


class AlertModel(BaseModel):
    """An alert that is expected, and the words that must have matched, where these are given."""

    model_config = ConfigDict(extra="forbid")

    rule: StrictStr
    matched: list[StrictStr] | None = None


class HeadlineModel(BaseModel):
    """A headline of a test. Without ``alerts`` it is only there for those that follow."""

    model_config = ConfigDict(extra="forbid")

    headline: StrictStr
    at: Annotated[datetime | timedelta | None, BeforeValidator(_a_time)] = None
    source: StrictStr = "test"
    url: StrictStr | None = None
    author: StrictStr | None = None
    body: StrictStr | None = None
    status: Status = "usable"
    decision: Literal["first", "update", "duplicate"] | None = None
    alerts: list[Annotated[AlertModel, BeforeValidator(_a_rule)]] | None = None


class TestModel(BaseModel):
    """One test. ``rules`` are those that it is about; without them, all."""

    __test__ = False  # it is none of pytest's
    model_config = ConfigDict(extra="forbid")

    name: StrictStr | None = None
    rules: list[StrictStr] | None = None
    headlines: list[HeadlineModel] = Field(min_length=1)


class TestFileModel(BaseModel):
    """A file of tests."""

    __test__ = False
    model_config = ConfigDict(extra="forbid")

    tests: list[TestModel] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A test as it is to be run, and where it stands."""

    name: str
    document: Document
    number: int
    rules: frozenset[str] | None
    headlines: tuple[HeadlineModel, ...]

    def place(self, *path: str | int) -> Problem:
        """The place of something in the test, for a problem."""
        return self.document.problem(("tests", self.number, *path), "")


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


def read_tests(documents: Iterable[Document], rules: RuleSet) -> list[Case]:
    """The tests of files that are YAML.

    Raises:
        RefusedError: with every problem in all of the files, such as a rule that there is not.
    """
    problems: list[Problem] = []
    cases: list[Case] = []
    known = {rule.name for rule in rules.rules}
    for document in documents:
        problems += document.problems
        if not isinstance(document.data, dict) or "tests" not in document.data:
            problems.append(document.problem((), "this is no file of tests", _EXAMPLE))
            continue
        model, found = check(document, TestFileModel)
        problems += [*found, *_unknown_rules(document, known)]
        for number, test in enumerate(model.tests if model else ()):
            named = None if test.rules is None else frozenset(test.rules)
            cases.append(Case(test.name or f"test {number + 1}", document, number, named, tuple(test.headlines)))
    if problems:
        raise RefusedError(problems)
    return cases


def _unknown_rules(document: Document, known: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the names of rules, told of the data as they are, so that another mistake hides none of it."""
    for number, test in _items(document.data, "tests"):
        about = test.get("rules") if isinstance(test, dict) else None
        for place, name in _items(test, "rules"):
            yield from _unknown_rule(document, ("tests", number, "rules", place), name, known)
        for index, headline in _items(test, "headlines"):
            for place, alert in _items(headline, "alerts"):
                name = alert.get("rule") if isinstance(alert, dict) else alert
                path = ("tests", number, "headlines", index, "alerts", place)
                yield from _unknown_rule(document, path, name, known)
                if isinstance(name, str) and name in known and isinstance(about, list) and name not in about:
                    hint = "add it to the `rules:` of the test"
                    yield document.problem(path, f"`{name}` is none of the rules that this test is about", hint)


def _unknown_rule(
    document: Document, path: Sequence[str | int], name: object, known: Collection[str]
) -> Iterator[Problem]:
    if isinstance(name, str) and name not in known:
        yield document.problem(path, f"there is no rule `{name}`", did_you_mean(name, known))


def _items(value: Any, key: str) -> Iterable[tuple[int, Any]]:
    """What stands in the list at a key, numbered; nothing where there is no list."""
    inner = value.get(key) if isinstance(value, dict) else None
    return enumerate(inner) if isinstance(inner, list) else ()


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
            why_not = _WhyNot(record, {one.rule.name: str(one.suppressed) for one in everything if not _goes(one)})
            if given.alerts is None:
                continue
            concerned = {name: firing for name, firing in firings.items() if case.rules is None or name in case.rules}
            failures += self._differences(case, index, given, concerned, why_not)
            expected = {alert.rule for alert in given.alerts}
            fired |= expected & firings.keys()
            if not isinstance(record, Dropped):  # no rule is asked about a duplicate, so that it shows nothing of one
                silent |= about - expected - firings.keys()
        return Outcome(case, tuple(failures), frozenset(fired), frozenset(silent))

    def _send(self, given: HeadlineModel, index: int, at: datetime) -> tuple[Classified | Dropped, list[Firing]]:
        """A headline, gone all the way, and what fires, held back or not; first, what time alone brings."""
        fields = given.model_dump(exclude={"at", "alerts", "decision"}, exclude_none=True)
        value = json.dumps(fields | {"published": at.isoformat()}).encode()
        position = f"headlines.raw:0:{index}"
        candidate = pipeline.read(value, id=str(index), position=position, received=at)
        elapsed = self.engine.elapse(round(at.timestamp() * 1000))
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
            elif alert.matched is not None:
                words = [span.text for span in firings[name].spans]
                if words != alert.matched:
                    message = f"`{name}` fires by {_quoted(words)}, not by {_quoted(alert.matched)}"
                    yield _failure(case, index, given, message, "", path)
        for name, firing in firings.items():
            if name not in expected:
                by = _quoted([span.text for span in firing.spans])
                hint = "narrow the rule, or add the alert to the test"
                yield _failure(case, index, given, f"`{name}` fires by {by}, and is not expected", hint)


def _goes(firing: Firing) -> bool:
    """Whether it goes out, or would if its rule were live: tests are how a rule gets there."""
    return firing.suppressed in (None, STAGED)


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


def _wrong_decision(case: Case, index: int, given: HeadlineModel, record: Classified | Dropped) -> Iterator[Failure]:
    kind = "duplicate" if isinstance(record, Dropped) else record.kind
    if given.decision not in (None, kind):
        path = ("headlines", index, "decision")
        yield _failure(
            case, index, given, f"it is decided to be `{kind}`, not `{given.decision}`", record.reason or "", path
        )


@dataclass(frozen=True, slots=True)
class _WhyNot:
    """What keeps rules from alerting about a headline; ``held`` has why those that fire are held back."""

    record: Classified | Dropped
    held: Mapping[str, str]

    def of(self, rule: Rule) -> str:
        """What keeps one rule, for a person."""
        if rule.name in self.held:
            return f"it is held back: {self.held[rule.name]}"
        if isinstance(self.record, Dropped):
            counted = ", which counts, and there are not enough" if rule.counts_repeats else ""
            return f"the headline is dropped as a duplicate{counted}: {self.record.reason}"
        found = lacks(rule.query, View(self.record))
        if found:
            return "; ".join(f"`{lack.asks}`: {lack.reason}" for lack in found)
        if rule.condition is not None or rule.once_a_story:
            return "its query holds, and what came before it does not make it fire"
        return f"its query holds, and the rule is about other headlines: story {rule.story}, expiry {rule.expiry}"


def _failure(
    case: Case, index: int, given: HeadlineModel, message: str, hint: str, path: Sequence[str | int] = ()
) -> Failure:
    where = path or ("headlines", index)
    return Failure(case.document.problem(("tests", case.number, *where), message, hint), given.headline)


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
