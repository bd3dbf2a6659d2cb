"""YAML a person wrote, with the place of every value, and the problems found in it.

Rule, taxonomy, channel and settings files all pass through here, so that each refuses a mistake the same way: every
problem at once, each with file, line, column and what to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a user's file. ``line`` and ``column`` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")

    def as_dict(self) -> dict[str, str | int]:
        """The problem for a program to read."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
        }


class RefusedError(Exception):
    """A user's file is refused; ``problems`` holds all that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Document:
    """The plain data of one YAML text, and where each of its values stands.

    ``places`` maps the path of a value, such as ``("rules", 0, "when")``, to its line and column, counted from 1.
    ``key_places`` does so for the keys of mappings.
    """

    file: str
    data: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at ``path``, or at the nearest place above it that the file has."""
        line, column = self._place(tuple(path), key=key)
        return Problem(self.file, line, column, message, hint)

    def _place(self, path: Path, *, key: bool) -> tuple[int, int]:
        if key and path in self.key_places:
            return self.key_places[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def parse(text: str, file: str) -> Document:
    """Read one YAML document.

    Raises:
        RefusedError: the text is not YAML, or a mapping has the same key twice.
    """
    loader = YAML(typ="safe", pure=True)
    try:
        node = loader.compose(text)
        document = Document(file, None)
        problems: list[Problem] = []
        if node is not None:
            _walk(node, (), document, problems)
        if problems:
            raise RefusedError(problems)
        document.data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(filter(None, (error.context, error.problem)))
        problem = Problem(file, line, column, f"not YAML: {what}", "quote a text that holds `: `, `#`, `{` or `[`")
        raise RefusedError([problem]) from None
    except YAMLError as error:
        raise RefusedError([Problem(file, 1, 1, f"not YAML: {error}")]) from None
    return document


def _walk(node: Node, path: Path, document: Document, problems: list[Problem]) -> None:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    document.places[path] = place
    if isinstance(node, MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if name in seen:
                message = f"`{name}` stands twice, first on line {seen[name]}"
                problems.append(Problem(document.file, line, column, message, "keep one of them"))
            seen.setdefault(name, line)
            document.key_places[(*path, name)] = (line, column)
            _walk(value_node, (*path, name), document, problems)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), document, problems)


def check(document: Document, model: type[M], path: Sequence[str | int] = ()) -> tuple[M | None, list[Problem]]:
    """Validate what stands at ``path`` by a pydantic model.

    Returns:
        the model and no problems, or None and every problem, each at its place in the file.
    """
    value = document.data
    for step in path:
        value = value[step]
    try:
        return model.model_validate({} if value is None else value), []
    except ValidationError as error:
        return None, [_explain(document, model, tuple(path), detail) for detail in error.errors(include_url=False)]


def _explain(document: Document, model: type[BaseModel], path: Path, detail: Any) -> Problem:
    full = _real_path(document, (*path, *detail["loc"]))
    name = str(detail["loc"][-1]) if detail["loc"] else model.__name__
    match detail["type"]:
        case "extra_forbidden":
            siblings = _fields(model, detail["loc"][:-1])
            return document.problem(full, f"unknown key `{name}`", did_you_mean(name, siblings), key=True)
        case "missing":
            return document.problem(full, f"`{name}` is missing", f"add `{name}:`")
        case _:
            given = detail.get("input")
            shown = "" if isinstance(given, dict | list) else f", not {given!r}"
            message = detail["msg"].removeprefix("Value error, ")
            return document.problem(full, f"`{name}`: {message[:1].lower()}{message[1:]}{shown}")


def _real_path(document: Document, path: Path) -> Path:
    """Pydantic puts names of union members into a location; keep the steps that the file has."""
    real: Path = ()
    for step in path:
        if (*real, step) in document.places or step == path[-1]:
            real = (*real, step)
    return real


def _fields(model: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    """The keys that ``model`` knows at ``steps`` below it."""
    current: Any = model
    for step in steps:
        info = current.model_fields.get(step) if isinstance(step, str) else None
        inner = info.annotation if info else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not found:
            return _keys(current)
        current = found[0]
    return _keys(current)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint: the nearest of the known names, or the list of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return "known are " + ", ".join(f"`{n}`" for n in names) if names else ""
