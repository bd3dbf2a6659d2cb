"""YAML a person wrote, with the place of every value, and the problems found in it.

Rule, taxonomy, channel and settings files all pass through here, so that each refuses a mistake the same way: every
problem at once, each with file, line, column and what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

#: So many values are in no file that a person wrote; an alias of aliases of aliases makes them out of a few lines.
_MOST_VALUES = 1_000_000
#: Lists in lists, as many as libyaml is asked to read: its composer calls itself, and would end the process with the stack.
_DEEPEST: Final = 100

_QUOTE_IT = "put the text in quotes"

#: The parser's words for the parts of a file, in those of somebody who writes one.
_YAML_IN_PLAIN_WORDS = (
    ("flow sequence", "list in brackets"),
    ("flow mapping", "mapping in braces"),
    ("flow node", "value"),
    ("block mapping", "mapping"),
    ("block collection", "list"),
    ("<block end>", "its end"),
    ("the node content, but found '<stream end>'", "more"),
)

#: Pydantic's kinds of error, in the words of somebody who writes YAML, each with what to do.
_IN_PLAIN_WORDS = {
    "string_type": ("is not a text", "put it in quotes"),
    "list_type": ("is not a list", "write `[one, two]`, or each on a line of its own after `- `"),
    "tuple_type": ("is not a list", "write `[one, two]`, or each on a line of its own after `- `"),
    "dict_type": ("is not a mapping", "write `key: value` below it, indented, or `{key: value}`"),
    "model_type": ("is not a mapping", "write `key: value` below it, indented, or `{key: value}`"),
    "bool_type": ("is neither true nor false", ""),
    "bool_parsing": ("is neither true nor false", ""),
    "int_type": ("is not a whole number", ""),
    "int_parsing": ("is not a whole number", ""),
    "int_from_float": ("is not a whole number", ""),
    "float_type": ("is not a number", ""),
    "float_parsing": ("is not a number", ""),
    "time_or_span": (
        "is neither a time nor a span",
        "write 2026-03-01T12:00:00Z, or +5m for five minutes after the one before",
    ),
    "path_type": ("is not a path", "put it in quotes"),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        ("is no day", "write it like 2026-12-31"),
    ),
}

#: Pydantic's kinds of error about a number that is too small or too large: where the bound stands, and how it is said.
_BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"),
    "less_than_equal": ("le", "{} or less"),
    "greater_than": ("gt", "more than {}"),
    "less_than": ("lt", "less than {}"),
}


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
    """A user's file is refused; ``problems`` holds all that is wrong with it, each once, in the order of the file.

    Where a file of data is the wrong one, each of its lines is: ``more`` counts those that ``problems`` leaves out.
    """

    def __init__(self, problems: Iterable[Problem], more: int = 0) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        self.more = more
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Document:
    """The plain data of one YAML text, and where each of its values stands.

    ``places`` maps the path of a value, such as ``("rules", 0, "when")``, to its line and column, counted from 1.
    ``key_places`` does so for the keys of mappings. ``problems`` are those that leave the data readable: keys that
    stand twice, of which the data have the first. Who reads the document tells them along with its own.
    """

    file: str
    data: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

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
        RefusedError: the text is not YAML, or has values that YAML cannot hold.
    """
    loader = _loader(pure=True)
    document = Document(file, None)
    try:
        node = _compose(text)
        if node is not None:
            _walk(node, (), document, ())
            document.data = _construct(loader, node, file)
    except MarkedYAMLError as error:
        raise RefusedError([_not_yaml(file, error)]) from None
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not YAML: the character U+{ord(text[error.position]):04X} may not stand in a text file"
        raise RefusedError([Problem(file, line, column, message, "take it out")]) from None
    except RecursionError:
        message = "not YAML: brackets or lists stand too deep in each other"
        raise RefusedError([Problem(file, 0, 0, message, "is this the right file?")]) from None
    return document


def _compose(text: str) -> Node | None:
    """The tree of a text, by libyaml, which is some twenty times as fast as the parser in Python.

    The latter has the last word on what libyaml refuses: it tells a mistake in better words, and takes a little more.
    """
    try:
        if _is_flat(text):
            node: Node | None = _loader(pure=False).compose(text)
            return node
    except (YAMLError, ValueError):
        pass
    tree: Node | None = _loader(pure=True).compose(text)
    return tree


def _is_flat(text: str) -> bool:
    """Whether lists and mappings stand no deeper in each other than libyaml may be asked to go."""
    depth = 0
    for event in _loader(pure=False).parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            return False
    return True


def _loader(*, pure: bool) -> YAML:
    loader = YAML(typ="safe", pure=pure)
    loader.allow_duplicate_keys = True  # told by _walk, without hiding what else is wrong
    if pure:
        loader.composer.warn_double_anchors = False  # an anchor may be used again, and a warning is for programmers
    return loader


def _construct(loader: YAML, node: Node, file: str) -> Any:
    try:
        return loader.constructor.construct_document(node)
    except ValueError:
        line, column = _first_impossible(node)
        message = "not YAML: this looks like a date or a figure, and is none"
        raise RefusedError([Problem(file, line, column, message, _QUOTE_IT)]) from None
    except TypeError:  # a list as a key is made a tuple, and one that holds a mapping has no hash
        message = "not YAML: a list that holds a mapping cannot be a key"
        raise RefusedError(
            [Problem(file, node.start_mark.line + 1, node.start_mark.column + 1, message, _QUOTE_IT)]
        ) from None


def _not_yaml(file: str, error: MarkedYAMLError) -> Problem:
    """What the parser says, in words for who wrote the file. It may quote a secret after `*` or `!`; we do not."""
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    what = ": ".join(filter(None, (error.context, error.problem)))
    hint = "quote a text that holds `: `, `#`, `{` or `[`"
    if "'\\t'" in what:
        what, hint = "a tab where spaces are meant", "indent with spaces"
    elif "undefined alias" in what:
        what, hint = "`*` begins an alias, and nothing above is marked with its name", _QUOTE_IT
    elif "duplicate anchor" in what:
        what, hint = "`&` begins an anchor, and another above has its name", _QUOTE_IT
    elif "constructor for the tag" in what:
        what, hint = "this has a meaning of its own to YAML", _QUOTE_IT
    elif "single document" in what:
        what, hint = "a second document begins here", "take out the line `---`"
    elif "mapping values" in what:
        what = "a colon and a space cannot stand here"
        hint = "put the text in quotes, or line this up with the keys above"
    elif "end of stream" in what and begun is not None:
        mark, what, hint = begun, "this quotation mark is never closed", "close it"
    elif begun is not None and mark is not None and begun.line < mark.line:
        what += f", begun on line {begun.line + 1}"
    for theirs, ours in _YAML_IN_PLAIN_WORDS:
        what = what.replace(theirs, ours)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(file, line, column, f"not YAML: {what}", hint)


def _first_impossible(node: Node) -> tuple[int, int]:
    """The line and column of the first scalar below ``node`` that has no value, such as 2026-02-31."""
    if isinstance(node, ScalarNode):
        try:
            _loader(pure=True).constructor.construct_document(node)
        except ValueError:
            return node.start_mark.line + 1, node.start_mark.column + 1
        return 0, 0
    parts = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
    return next((place for part in parts if (place := _first_impossible(part)) != (0, 0)), (0, 0))


def _walk(node: Node, path: Path, document: Document, above: tuple[Node, ...]) -> None:
    """Note the places of ``node`` and all below it, and the keys that stand twice."""
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    document.places[path] = place
    if any(node is outer for outer in above):
        raise RefusedError([Problem(document.file, *place, "not YAML: this alias holds itself", _QUOTE_IT)])
    if len(document.places) > _MOST_VALUES:
        raise RefusedError([Problem(document.file, *place, "not YAML: too many values", "write fewer aliases")])
    if isinstance(node, MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if name in seen:
                message = f"`{name}` stands twice, first on line {seen[name]}"
                document.problems.append(Problem(document.file, line, column, message, "keep one of them"))
                continue
            seen[name] = line
            document.key_places[(*path, name)] = (line, column)
            _walk(value_node, (*path, name), document, (*above, node))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), document, (*above, node))


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
    subject = _subject(detail["loc"]) or f"`{name}`"
    match detail["type"]:
        case "extra_forbidden":
            siblings = _fields(model, detail["loc"][:-1])
            return document.problem(full, f"unknown key `{name}`", did_you_mean(name, siblings), key=True)
        case "invalid_key":
            return document.problem((*full[:-1], name), f"unknown key `{name}`", "put it in quotes", key=True)
        case "missing":
            return document.problem(full, f"`{name}` is missing", f"add `{name}:`")
        case "literal_error" if isinstance(detail["input"], str | int | float):
            message = f"{subject} is {detail['ctx']['expected']}, not {_as_written(detail['input'])}"
            return document.problem(full, message, _near(str(detail["input"]), detail["ctx"]["expected"]))
    given = detail.get("input")
    if detail["type"] == "too_short":
        least = detail["ctx"]["min_length"]
        message = f"{subject} is too short: {len(given)}" if given else f"{subject} is empty"
        return document.problem(full, message, f"write {least} or more", key=True)
    if given is None:
        return document.problem(full, f"{subject} is empty", "write its value, or take the line out", key=True)
    shown = "" if isinstance(given, dict | list) else f", not {_as_written(given)}"
    if detail["type"] in _IN_PLAIN_WORDS:
        message, hint = _IN_PLAIN_WORDS[detail["type"]]
        return document.problem(full, f"{subject} {message}{shown.replace(', not', ':', 1)}", hint)
    if detail["type"] in _BOUNDS:
        name, words = _BOUNDS[detail["type"]]
        bound = detail["ctx"][name]
        whole = int(bound) if isinstance(bound, float) and bound.is_integer() else bound
        return document.problem(full, f"{subject} is {words.format(whole)}{shown}")
    message = detail["msg"].removeprefix("Value error, ")
    return document.problem(full, f"{subject}: {message[:1].lower()}{message[1:]}{shown}")


def _subject(steps: Sequence[str | int]) -> str:
    """What an error speaks of: the name of a setting, or the number of an item in it; nothing without either."""
    if not steps:
        return ""
    last = steps[-1]
    return f"number {last + 1} of `{steps[-2]}`" if isinstance(last, int) and len(steps) > 1 else f"`{last}`"


def _near(word: str, expected: str) -> str:
    """A hint, if a word of a list such as ``'low', 'high' or 'none'`` is near, in any case of its letters."""
    words = {known.lower(): known for known in re.findall(r"'([^']+)'", expected)}
    near = difflib.get_close_matches(word.lower(), words, n=1)
    return f"did you mean `{words[near[0]]}`?" if near else ""


def _as_written(given: Any) -> str:
    """A scalar nearly as the file has it."""
    if isinstance(given, bool):
        return str(given).lower()
    return given.isoformat() if isinstance(given, date) else repr(given)


def _real_path(document: Document, path: Path) -> Path:
    """Pydantic puts names of union members into a location; keep the steps that the data have."""
    real: Path = ()
    value = document.data
    for step in path:
        inside = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int)
        if inside:
            value = value[step]
        if inside or step == path[-1]:
            real = (*real, step)
    return real


def _fields(model: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    """The keys that ``model`` knows at ``steps`` below it."""
    current: Any = model
    for step in (step for step in steps if isinstance(step, str)):
        info = current.model_fields.get(step)
        inner = info.annotation if info else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not found:
            return _keys(current)
        current = found[0]
    return _keys(current)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that is meant, most likely; None where none is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint: the nearest of the known names, or the list of them."""
    names = sorted(known)
    if near := nearest(name, names):
        return f"did you mean `{near}`?"
    return "known are " + ", ".join(f"`{n}`" for n in names) if names else ""
