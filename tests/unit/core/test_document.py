from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from streams.core.document import Problem, RefusedError, check, did_you_mean, parse


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Inner]
    title: str = ""


def test_every_value_and_key_has_its_place() -> None:
    document = parse("title: x\nitems:\n  - name: one\n    size: 2\n", "f.yaml")
    assert document.data == {"title": "x", "items": [{"name": "one", "size": 2}]}
    assert str(document.problem(("items", 0, "size"), "too small")) == "f.yaml:4:11: too small"
    assert str(document.problem(("items", 0, "size"), "no", key=True)) == "f.yaml:4:5: no"


def test_a_place_that_is_not_there_is_that_of_what_surrounds_it() -> None:
    document = parse("items:\n  - name: one\n", "f.yaml")
    assert document.problem(("items", 0, "colour"), "missing").line == 2


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    document = parse("items:\n  - nme: one\n    size: big\n  - name: two\ntitel: x\n", "f.yaml")
    model, problems = check(document, Outer)
    assert model is None
    assert [(p.line, p.message.split("`")[1]) for p in sorted(problems)] == [
        (2, "name"),
        (2, "nme"),
        (3, "size"),
        (5, "titel"),
    ]
    assert {p.hint for p in problems} >= {"did you mean `name`?", "did you mean `title`?"}


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: 1\nb: [2\nc: 3\n", "f.yaml:3:"), ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1"), ("a: 'open\n", "f.yaml:")],
)
def test_what_is_not_yaml_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith(place)


def test_a_key_that_stands_twice_is_refused_naming_the_first() -> None:
    with pytest.raises(RefusedError, match="`a` stands twice, first on line 1"):
        parse("a: 1\nb: 2\na: 3\n", "f.yaml")


def test_an_empty_document_has_no_data() -> None:
    assert parse("", "f.yaml").data is None
    assert parse("# nothing\n", "f.yaml").data is None


def test_a_hint_names_the_nearest_or_all() -> None:
    assert did_you_mean("chanels", ["channels", "rules"]) == "did you mean `channels`?"
    assert did_you_mean("zzz", ["b", "a"]) == "known are `a`, `b`"


def test_a_problem_is_readable_for_programs_too() -> None:
    assert Problem("f.yaml", 1, 2, "wrong", "right").as_dict() == {
        "file": "f.yaml",
        "line": 1,
        "column": 2,
        "message": "wrong",
        "hint": "right",
    }
