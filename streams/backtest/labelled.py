"""What all measurements on labelled headlines share: the score, and reading files of JSON lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from streams.core.document import Problem, RefusedError

T = TypeVar("T")

#: How msgspec says what is wrong.
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN_VALUE = re.compile(r"Invalid enum value (.+) - at `\$\.(\w+)`")
_WRONG_KIND = re.compile(r"Expected `(\w+)`, got `(\w+)`(?: - at `\$\.([^`]+)`)?")
_PLACE = re.compile(r"\(byte ([0-9]+)\)")
_KINDS = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a JSON object",
}
#: So many lines that are none are told, and the others counted: who takes a wrong file has them all wrong alike.
TOLD = 20


class Score(msgspec.Struct, frozen=True):
    """Precision, recall and their harmonic mean, each from 0 to 1, how many rows had the label, and how many were given it."""

    precision: float
    recall: float
    f1: float
    support: int
    said: int = 0

    @property
    def empty(self) -> bool:
        """Whether no row had the label and none was given it, so that there is nothing to score."""
        return not self.support and not self.said

    def as_dict(self) -> dict[str, float]:
        """For programs."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
            "support": self.support,
        }


def score(pairs: Iterable[tuple[bool, bool]]) -> Score:
    """The score of decisions: for each row, whether it has the label and whether that was said of it."""
    rows = list(pairs)
    labelled = sum(label for label, _ in rows)
    said = sum(said for _, said in rows)
    right = sum(label and said for label, said in rows)
    precision, recall = right / said if said else 0.0, right / labelled if labelled else 0.0
    f1 = 2 * right / (said + labelled) if said + labelled else 0.0
    return Score(precision, recall, f1, labelled, said)


def read_labelled(
    lines: Iterable[bytes], name: str, row: type[T], form: str, check: Callable[[T], Any] = lambda _: None
) -> Iterator[T]:
    """The rows of a file in JSON lines, as :func:`read_numbered` has them, without their numbers."""
    return (found for _, found in read_numbered(lines, name, row, form, check))


def read_numbered(
    lines: Iterable[bytes], name: str, row: type[T], form: str, check: Callable[[T], Any] = lambda _: None
) -> Iterator[tuple[int, T]]:
    """The rows of a file in JSON lines, empty lines left out, each with the number of its line, from 1.

    ``check`` may raise ValueError for a row. ``form`` tells what a line looks like, for whoever wrote another.

    Raises:
        RefusedError: naming the first lines that are none, and what is wrong with them.
    """
    problems: list[Problem] = []
    wrong = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line, type=row, strict=False)
            check(found)
        except ValueError as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
            wrong += 1
            if wrong <= TOLD:
                told = in_plain_words(error)
                problems.append(Problem(name, number, 1, f"is not labelled as it should be: {told}", form))
        else:
            yield number, found
    if problems:
        raise RefusedError(problems, more=wrong - len(problems))


def in_plain_words(error: Exception) -> str:
    """What is wrong with a line, in the words of somebody who writes one; our own errors are in them already."""
    told = str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if missing := _MISSING.search(told):
        return f"`{missing[1]}` is missing"
    if unknown := _UNKNOWN_VALUE.search(told):
        return f"`{unknown[2]}` is never {unknown[1]}"
    if wrong := _WRONG_KIND.search(told):
        subject = f"`{wrong[3]}`" if wrong[3] else "the line"
        return f"{subject} is {_KINDS.get(wrong[2], wrong[2])}, and should be {_KINDS.get(wrong[1], wrong[1])}"
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        place = _PLACE.search(told)
        return "it is not JSON" + (f" from byte {int(place[1]) + 1} on" if place else ": it ends too early")
    return told
