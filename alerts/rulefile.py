"""Rule files: what an analyst wrote in YAML, read and checked into a `RuleSet`.

Every mistake of every file is reported at once, at its line and column; one in a query at its place in the query.
``docs/reference/rules.md`` explains every key.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from alerts.ruleconditions import ConditionKeys
from alerts.secret import cover, named
from alerts.userfile import files_below, read_text
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.query import Query, QueryError, compile_query
from streams.core.records import Severity
from streams.core.rule import Rule, RuleSet, Stage, Story

_EXAMPLE = "write `rules:` and below it, for each rule, `- name: …`, `when: …` and `channels: […]`"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LIST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
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


def _a_list(values: list[str]) -> list[str]:
    if not values:
        raise ValueError("write at least one word")
    for value in values:
        if not value.strip() or value.startswith("@"):
            raise ValueError(f"`{value}` is no word or phrase; a list holds no other lists")
    return values


class RuleModel(ConditionKeys):
    """One rule: which headlines matter, how much, and who hears of them."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[StrictStr, AfterValidator(_a_name)] = Field(
        description="Identifies the rule for ever; unique over all files.",
        json_schema_extra={"pattern": f"^{_NAME.pattern}$"},
    )
    when: StrictStr = Field(description="The query, such as `topic:iran AND (oil OR tanker*)`.")
    channels: Annotated[list[StrictStr], AfterValidator(_some_channels)] = Field(
        description="Names from channels.yaml.", json_schema_extra={"minItems": 1}
    )
    severity: Severity = Field("medium", description="How much it matters.")
    title: Annotated[StrictStr, AfterValidator(_a_title)] | None = Field(
        None, description="One line, shown in the alert; without it, the name."
    )
    labels: dict[StrictStr, StrictStr] = Field({}, description="Texts by name, for people.")
    owner: StrictStr = Field("", description="Who answers for the rule.")
    story: Story = Field("every", description="Fire on the first report of a story, on its updates, or on every one.")
    expiry: date | None = Field(None, description="The last day on which the rule fires, such as 2026-12-31, in UTC.")
    stage: Stage = Field("live", description="A staged rule is tested and watched, and alerts nobody.")


class FileModel(BaseModel):
    """A rule file of wirewatch."""

    model_config = ConfigDict(extra="forbid", title="Rules of wirewatch")

    lists: dict[StrictStr, Annotated[list[StrictStr], AfterValidator(_a_list)]] = Field(
        {}, description="Words and phrases by name; the rules of all files ask for one of them as `@name`."
    )
    rules: list[RuleModel] = Field([], description="The rules.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a rule file, by which editors complete keys and mark mistakes."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **FileModel.model_json_schema()}


@dataclass(frozen=True, slots=True)
class _File:
    """A rule file that is YAML and has rules or lists."""

    text: str
    document: Document

    @property
    def rules(self) -> Sequence[Any]:
        """The rules as they are written."""
        return self.document.data.get("rules") or ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule as far as it can be read, and its number in its file. ``rule`` is None where it is not in order."""

    file: _File
    number: int
    name: str | None
    channels: tuple[tuple[int, str], ...]
    query: Query | None
    rule: Rule | None

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
    files: list[_File] = []
    for path in _files(paths, problems):
        file, found = _read(path)
        problems += found
        if file is not None:
            files.append(file)
    lists = _lists(files, problems)
    for file in files:
        for number in range(len(file.rules)):
            entry, found = _entry(file, number, lists)
            problems += found
            if entry:
                entries.append(entry)
    problems += _unknown(entries, channels, topics)
    problems += _named_twice(entries)
    if problems:
        raise RefusedError(problems)
    return RuleSet(entry.rule for entry in entries if entry.rule)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands: its file, and the line and column of its name."""

    file: str
    line: int
    column: int


def places_of_rules(paths: Iterable[Path]) -> dict[str, Place]:
    """Where each rule stands, by its name, in files that `load_rules` takes."""
    found: dict[str, Place] = {}
    for path in _files(paths, []):
        file, _ = _read(path)
        for number, rule in enumerate(file.rules if file else ()):
            if file is not None and isinstance(rule, dict) and isinstance(rule.get("name"), str):
                problem = file.document.problem(("rules", number, "name"), "")
                found.setdefault(rule["name"], Place(problem.file, problem.line, problem.column))
    return found


def files_of_tests(paths: Iterable[Path]) -> list[Path]:
    """The files of tests among the given files and beside them, and in the given folders and the folders in them."""
    found = [files_below(path) if path.is_dir() else [path, *_tests_beside(path)] for path in paths]
    return list(dict.fromkeys(file for files in found for file in files if _is_test(file)))


def _tests_beside(rules: Path) -> list[Path]:
    """The tests of a file of rules: `iran_test.yaml` of `iran.yaml`."""
    beside = rules.with_name(f"{rules.stem}_test{rules.suffix}")
    return [beside] if beside.is_file() else []


def _is_test(file: Path) -> bool:
    return file.stem.endswith("_test")


def _lists(files: Iterable[_File], problems: list[Problem]) -> Mapping[str, Sequence[str]]:
    """The lists of all files; what is wrong with one is added to ``problems``."""
    lists: dict[str, Sequence[str]] = {}
    first: dict[str, Problem] = {}
    for file in files:
        document = file.document
        if not document.data.get("lists"):
            continue
        bare = dataclasses.replace(document, data={"lists": document.data["lists"]})
        problems += check(bare, FileModel)[1]
        for name, words in _readable(document.data["lists"]).items():
            place = document.problem(("lists", name), "", key=True)
            if not _LIST_NAME.fullmatch(name):
                message = f"`{name}` is no name for a list"
                problems.append(dataclasses.replace(place, message=message, hint="use letters, digits, `_` and `-`"))
            elif name in lists:
                other = first[name]
                message = f"another list is named `{name}`, at {other.file}:{other.line}:{other.column}"
                problems.append(dataclasses.replace(place, message=message, hint="rename one, or make them one"))
            lists.setdefault(name, words)
            first.setdefault(name, place)
    return lists


def _readable(lists: Any) -> dict[str, list[str]]:
    """Lists as far as they can be read, so that one that is wrong makes no mistakes of the rules that ask for it."""
    named = lists.items() if isinstance(lists, dict) else ()
    words = {str(name): [word for word in _as_list(given) if isinstance(word, str)] for name, given in named}
    return {name: [word for word in given if word.strip() and word[0] != "@"] or ["x"] for name, given in words.items()}


def _as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _files(paths: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    """Every rule file once, in order."""
    seen: set[Path] = set()
    for path in paths:
        found = [file for file in files_below(path) if not _is_test(file)] if path.is_dir() else [path]
        if not found:
            hint = "add a file such as `iran.yaml`; files ending in `_test.yaml` are not rules"
            problems.append(Problem(str(path), 0, 0, "holds no rule files", hint))
        for file in found:
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield file


def _read(path: Path) -> tuple[_File | None, list[Problem]]:
    """Read a file down to its list of rules, with what is wrong around them."""
    try:
        text = read_text(path, "`wirewatch init` writes some, or say in the settings where they are: `rules: […]`")
    except RefusedError as error:
        return None, list(error.problems)
    try:
        document = parse(text, str(path))
    except RefusedError as error:
        return None, [_explain_query(problem, text) for problem in error.problems]
    if document.data is None:
        return None, [Problem(str(path), 0, 0, "is empty", _EXAMPLE)]
    if not isinstance(document.data, dict):
        return None, [document.problem((), "this is not a mapping", _EXAMPLE)]
    keys = list(FileModel.model_fields)
    unknown = {str(key): did_you_mean(str(key), keys) for key in document.data if key not in keys}
    known = any(key in document.data for key in keys)
    if not known and not any(hint.startswith("did you mean") for hint in unknown.values()):
        # This is a file of another kind, whose keys are not to be told one by one.
        return None, [document.problem((), "this is no rule file: there is no list of rules here", _EXAMPLE)]
    problems = list(document.problems)
    problems += [document.problem((key,), f"unknown key `{key}`", hint, key=True) for key, hint in unknown.items()]
    rules = document.data.get("rules")
    if (isinstance(rules, list) and rules) or (rules is None and document.data.get("lists")):
        return _File(text, document), problems
    if "rules" in document.data:
        problems.append(document.problem(("rules",), "there is no list of rules here", _EXAMPLE))
    return None, problems


def _explain_query(problem: Problem, text: str) -> Problem:
    """YAML reads the first quotation mark, `*`, `!` and the like of a query as its own; say so."""
    nearby = text.splitlines()[max(0, problem.line - 2) : problem.line]
    if not any(map(_UNQUOTED_QUERY.match, nearby)):
        return problem
    hint = "write `when: >-`, and the query on the next line, indented: YAML then leaves its characters alone"
    return dataclasses.replace(problem, hint=hint)


def _entry(file: _File, number: int, lists: Mapping[str, Sequence[str]]) -> tuple[_Entry | None, list[Problem]]:
    """One rule, with what is wrong with it by itself. Its name and channels are kept even so, to be compared."""
    document, path = file.document, ("rules", number)
    given = document.data["rules"][number]
    if not isinstance(given, dict):
        return None, [document.problem(path, "this is not a rule", _EXAMPLE)]
    model, problems = check(_covered(document, number), RuleModel, path)
    name, channels = given.get("name"), given.get("channels")
    query = _query(file, number, ("when",), lists, problems)
    prelude = _query(file, number, ("sequence", "after"), lists, problems)
    rule = None
    if model is not None and query is not None and (prelude is not None or model.sequence is None):
        rule = Rule(
            name=model.name,
            title=model.title or model.name,
            query=query,
            severity=model.severity,
            channels=tuple(model.channels),
            labels=model.labels,
            owner=model.owner,
            story=model.story,
            expiry=model.expiry,
            stage=model.stage,
            prelude=prelude,
            **model.settings(),
        )
    named_channels = enumerate(channels) if isinstance(channels, list) else ()
    entry = _Entry(
        file,
        number,
        name if isinstance(name, str) else None,
        tuple((place, channel) for place, channel in named_channels if isinstance(channel, str)),
        query,
        rule,
    )
    return entry, problems


def _query(
    file: _File, number: int, path: tuple[str, ...], lists: Mapping[str, Sequence[str]], problems: list[Problem]
) -> Query | None:
    """The query at a place in a rule; what is wrong with it is added to ``problems``. None where there is no text."""
    text: Any = file.document.data["rules"][number]
    for step in path:
        text = text.get(step) if isinstance(text, dict) else None
    try:
        return compile_query(text, lists) if isinstance(text, str) else None
    except QueryError as error:
        problems.append(_in_query(file, number, path, text, error))
        return None


def _covered(document: Document, number: int) -> Document:
    """The document with a URL in the place of the channels covered: it may be a secret, which no error repeats."""
    rules = document.data["rules"]
    channels = rules[number].get("channels")
    if not isinstance(channels, str) or "://" not in channels:
        return document
    covered = rules[number] | {"channels": cover(channels)}
    return dataclasses.replace(document, data={"rules": [*rules[:number], covered]})


def _in_query(file: _File, number: int, path: tuple[str, ...], when: str, error: QueryError) -> Problem:
    """The error of a query, at its place in the file if that can be told."""
    problem = file.document.problem(("rules", number, *path), error.message, error.hint)
    place = place_in_scalar(file.text.splitlines(), problem.line, problem.column, when, error.column)
    if place is None:
        return dataclasses.replace(problem, message=f"at character {error.column} of the query: {error.message}")
    return dataclasses.replace(problem, line=place[0], column=place[1])


def place_in_scalar(lines: list[str], line: int, column: int, value: str, wanted: int) -> tuple[int, int] | None:
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
    known = {topic.casefold() for topic in topics or ()}
    for entry in entries:
        for place, channel in entry.channels:
            if channels is not None and channel not in channels:
                yield entry.problem(("channels", place), *_no_channel(channel, channels))
        asked = entry.query.values("topic") if entry.query and topics is not None else frozenset[str]()
        for topic in sorted(asked - known):
            yield entry.problem(("when",), f"there is no topic `{topic}`", did_you_mean(topic, known))


def _no_channel(channel: str, channels: Collection[str]) -> tuple[str, str]:
    """What is wrong, and what to write. A URL in a channel's place may be a secret, and is not repeated."""
    if "://" in channel:
        return "a rule names a channel, not its address", "name the channel here, and give its url in channels.yaml"
    return f"there is no channel {named(channel)}", did_you_mean(channel, channels)


def _named_twice(entries: Iterable[_Entry]) -> Iterator[Problem]:
    first: dict[str, _Entry] = {}
    for entry in entries:
        if entry.name is None:
            continue
        other = first.setdefault(entry.name, entry)
        if other is not entry:
            place = other.problem(("name",), "", "")
            message = f"another rule is named `{entry.name}`, at {place.file}:{place.line}:{place.column}"
            yield entry.problem(("name",), message, "rename one: alerts are told apart by it")
