"""Rule files: what an analyst wrote in YAML, read and checked into a `RuleSet`.

Every mistake of every file is reported at once, at its line and column; one in a query at its place in the query.
``docs/reference/rules.md`` explains every key.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StrictStr

from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.query import QueryError, compile_query
from streams.core.records import Severity
from streams.core.rule import Rule, RuleSet

_EXAMPLE = "write `rules:` and below it, for each rule, `- name: …`, `when: …` and `channels: […]`"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LONGEST_TITLE = 200
# A query that starts with a character of YAML's own, or has a colon and a space in it.
_UNQUOTED_QUERY = re.compile(r"""\s*(?:-\s+)?when:(?:\s*["'*!&%@`\[{|>]|.*:\s)""")


def _a_name(value: str) -> str:
    """Names stand in Kafka records, Redis keys and on command lines."""
    if not _NAME.fullmatch(value):
        raise ValueError("use up to 100 letters, digits, `_`, `-` and `.`, the first a letter or digit")
    return value


def _a_title(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST_TITLE or "\n" in value:
        raise ValueError(f"a title is one line of up to {_LONGEST_TITLE} characters")
    return value


def _some_channels(values: list[str]) -> list[str]:
    if not values:
        raise ValueError("name at least one channel")
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"`{repeated[0]}` stands twice")
    return values


class RuleModel(BaseModel):
    """One rule as a file has it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[StrictStr, AfterValidator(_a_name)]
    when: StrictStr
    channels: Annotated[list[StrictStr], AfterValidator(_some_channels)]
    severity: Severity = "medium"
    title: Annotated[StrictStr, AfterValidator(_a_title)] | None = None
    labels: dict[StrictStr, StrictStr] = {}
    owner: StrictStr = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A rule file that is YAML."""

    text: str
    document: Document


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule that is in order by itself, and its number in its file."""

    file: _File
    number: int
    rule: Rule

    def problem(self, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
        return self.file.document.problem(("rules", self.number, *path), message, hint)


def load_rules(
    paths: Iterable[Path], *, channels: Collection[str] | None = None, topics: Collection[str] | None = None
) -> RuleSet:
    """The rules of files, and of all ``*.yaml`` and ``*.yml`` in folders and the folders in them.

    In a folder, ``*_test.yaml`` and ``*_test.yml`` are left for tests, and what begins with a dot is left alone. Where
    ``channels`` or ``topics`` are given, a rule may name no others.

    Raises:
        RefusedError: with every problem in all of the files.
    """
    problems: list[Problem] = []
    entries: list[_Entry] = []
    for path in _files(paths, problems):
        try:
            file = _read(path)
        except RefusedError as error:
            problems += error.problems
            continue
        for number in range(len(file.document.data["rules"])):
            entry, found = _entry(file, number)
            problems += found
            if entry:
                entries.append(entry)
    problems += _unknown(entries, channels, topics)
    problems += _named_twice(entries)
    if problems:
        raise RefusedError(problems)
    return RuleSet(entry.rule for entry in entries)


def _files(paths: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    """Every rule file once, in order."""
    seen: set[Path] = set()
    for path in paths:
        found = _files_below(path) if path.is_dir() else [path]
        if not found:
            hint = "add a file such as `iran.yaml`; files ending in `_test.yaml` are not rules"
            problems.append(Problem(str(path), 0, 0, "holds no rule files", hint))
        for file in found:
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield file


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in (".yaml", ".yml")
        and not file.stem.endswith("_test")
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not file.is_dir()
    )


def _read(path: Path) -> _File:
    """Read a file down to its list of rules.

    Raises:
        RefusedError: the file cannot be read, is not YAML, or has no list of rules.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RefusedError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise RefusedError([Problem(str(path), 0, 0, "is not UTF-8 text", "save it as UTF-8")]) from None
    try:
        document = parse(text, str(path))
    except RefusedError as error:
        raise RefusedError(_explain_query(problem, text) for problem in error.problems) from None
    if document.data is None:
        raise RefusedError([Problem(str(path), 0, 0, "is empty", _EXAMPLE)])
    if not isinstance(document.data, dict):
        raise RefusedError([document.problem((), "this is not a mapping", _EXAMPLE)])
    problems = [
        document.problem((str(key),), f"unknown key `{key}`", did_you_mean(str(key), ["rules"]), key=True)
        for key in document.data
        if key != "rules"
    ]
    rules = document.data.get("rules")
    if not problems and (not isinstance(rules, list) or not rules):
        problems.append(document.problem(("rules",), "there is no list of rules here", _EXAMPLE))
    if problems:
        raise RefusedError(problems)
    return _File(text, document)


def _explain_query(problem: Problem, text: str) -> Problem:
    """YAML reads the first quotation mark, `*`, `!` and the like of a query as its own; say so."""
    nearby = text.splitlines()[max(0, problem.line - 2) : problem.line]
    if not any(map(_UNQUOTED_QUERY.match, nearby)):
        return problem
    hint = "write `when: >-`, and the query on the next line, indented: YAML then leaves its characters alone"
    return dataclasses.replace(problem, hint=hint)


def _entry(file: _File, number: int) -> tuple[_Entry | None, list[Problem]]:
    document, path = file.document, ("rules", number)
    given = document.data["rules"][number]
    if not isinstance(given, dict):
        return None, [document.problem(path, "this is not a rule", _EXAMPLE)]
    model, problems = check(document, RuleModel, path)
    when = given.get("when")
    if not isinstance(when, str):
        return None, problems
    try:
        query = compile_query(when)
    except QueryError as error:
        return None, [*problems, _in_query(file, number, when, error)]
    if model is None:
        return None, problems
    rule = Rule(
        name=model.name,
        title=model.title or model.name,
        query=query,
        severity=model.severity,
        channels=tuple(model.channels),
        labels=model.labels,
        owner=model.owner,
    )
    return _Entry(file, number, rule), []


def _in_query(file: _File, number: int, when: str, error: QueryError) -> Problem:
    """The error of a query, at its place in the file if that can be told."""
    problem = file.document.problem(("rules", number, "when"), error.message, error.hint)
    place = _place_in_scalar(file.text.splitlines(), problem.line, problem.column, when, error.column)
    if place is None:
        return dataclasses.replace(problem, message=f"at character {error.column} of the query: {error.message}")
    return dataclasses.replace(problem, line=place[0], column=place[1])


def _place_in_scalar(lines: list[str], line: int, column: int, value: str, wanted: int) -> tuple[int, int] | None:
    """The line and column in a file of the character ``wanted`` (counted from 1) of a YAML scalar.

    The scalar starts at ``line`` and ``column``. YAML folds the white space of a scalar, and leaves all else in its
    order, so that the n-th character other than white space there is the n-th here. None is returned where this does
    not hold, as after an escape in double quotes.
    """
    rest = lines[line - 1][column - 1 :]
    if rest[:1] in ("|", ">"):
        line, column = line + 1, 1
    elif rest[:1] in ('"', "'"):
        column += 1
    before = "".join(value[: wanted - 1].split())
    past_the_end = not value[wanted - 1 :].strip()
    for number in range(line, len(lines) + 1):
        for place in range(column, len(lines[number - 1]) + 1):
            char = lines[number - 1][place - 1]
            if char.isspace():
                continue
            if not before and not past_the_end:
                return (number, place) if char == value[wanted - 1 :].lstrip()[0] else None
            if char != before[:1]:
                return None
            before = before[1:]
            if not before and past_the_end:
                return number, place + 1
        column = 1
    return None


def _unknown(
    entries: Iterable[_Entry], channels: Collection[str] | None, topics: Collection[str] | None
) -> Iterator[Problem]:
    """Channels and topics that there are not."""
    for entry in entries:
        for place, channel in enumerate(entry.rule.channels):
            if channels is not None and channel not in channels:
                message = f"there is no channel `{channel}`"
                yield entry.problem(("channels", place), message, did_you_mean(channel, channels))
        known = {topic.casefold() for topic in topics or ()}
        for topic in sorted(entry.rule.query.values("topic") - known) if topics is not None else ():
            yield entry.problem(("when",), f"there is no topic `{topic}`", did_you_mean(topic, known))


def _named_twice(entries: Iterable[_Entry]) -> Iterator[Problem]:
    first: dict[str, _Entry] = {}
    for entry in entries:
        name = entry.rule.name
        other = first.setdefault(name, entry)
        if other is not entry:
            place = other.problem(("name",), "", "")
            message = f"another rule is named `{name}`, at {place.file}:{place.line}:{place.column}"
            yield entry.problem(("name",), message, "rename one: alerts are told apart by it")
