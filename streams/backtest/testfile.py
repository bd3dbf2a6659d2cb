"""Files of tests as they are written, checked: ``docs/reference/rules.md`` describes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from streams.core.document import Document, Problem, RefusedError, check, did_you_mean
from streams.core.duration import parse_duration
from streams.core.records import Status
from streams.core.rule import RuleSet

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
    """An alert that is expected; the words that must have matched, and what the rule must tell, where these are given."""

    model_config = ConfigDict(extra="forbid")

    rule: StrictStr
    matched: list[StrictStr] | None = None
    because: StrictStr | None = None


class HeldModel(BaseModel):
    """An alert that must be held back, and words of the reason, where these are given."""

    model_config = ConfigDict(extra="forbid")

    rule: StrictStr
    reason: StrictStr | None = None


class HeadlineModel(BaseModel):
    """A headline of a test; without its text, a time at which something fires because none came.

    Without ``alerts`` it is only there for those that follow.
    """

    model_config = ConfigDict(extra="forbid")

    headline: StrictStr | None = None
    at: Annotated[datetime | timedelta | None, BeforeValidator(_a_time)] = None
    source: StrictStr = "test"
    url: StrictStr | None = None
    author: StrictStr | None = None
    body: StrictStr | None = None
    status: Status = "usable"
    decision: Literal["first", "update", "duplicate"] | None = None
    alerts: list[Annotated[AlertModel, BeforeValidator(_a_rule)]] | None = None
    held_back: list[Annotated[HeldModel, BeforeValidator(_a_rule)]] | None = None

    @model_validator(mode="after")
    def _a_time_is_only_that(self) -> Self:
        if self.headline is None and (self.model_fields_set - {"at", "alerts", "held_back"} or self.at is None):
            raise PydanticCustomError(
                "no_headline", "without `headline` there can be `at`, `alerts` and `held_back` only"
            )
        return self

    @property
    def told(self) -> str:
        """What it is called in a report."""
        return self.headline if self.headline is not None else "(no headline)"


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
            named = [(key, *item) for key in ("alerts", "held_back") for item in _items(headline, key)]
            for key, place, alert in named:
                name = alert.get("rule") if isinstance(alert, dict) else alert
                path = ("tests", number, "headlines", index, key, place)
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
