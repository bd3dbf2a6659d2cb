from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from streams.core import document as module
from streams.core.document import Problem, RefusedError, check, did_you_mean, parse


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Inner]
    title: str = ""
    colour: Literal["red", "Green"] = "red"


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
    [
        (
            "a: 1\nb: [2\nc: 3\n",
            (
                "f.yaml:3:2: not YAML: while parsing a list in brackets: expected ',' or ']', but got ':', begun on line 2"
                " (quote a text that holds `: `, `#`, `{` or `[`)"
            ),
        ),
        ("a: 1\nb: 'open\nc: 3\n", "f.yaml:2:4: not YAML: this quotation mark is never closed (close it)"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: not YAML: a tab where spaces are meant (indent with spaces)"),
        (
            "a: *star",
            (
                "f.yaml:1:4: not YAML: `*` begins an alias, and nothing above is marked with its name"
                " (put the text in quotes)"
            ),
        ),
        (
            "a: b: c\n",
            (
                "f.yaml:1:5: not YAML: a colon and a space cannot stand here"
                " (put the text in quotes, or line this up with the keys above)"
            ),
        ),
        ("a: !excl x", "f.yaml:1:4: not YAML: this has a meaning of its own to YAML (put the text in quotes)"),
        ("a: =", "f.yaml:1:4: not YAML: this has a meaning of its own to YAML (put the text in quotes)"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: not YAML: a second document begins here (take out the line `---`)"),
        (
            "b: 1\na: 2026-02-31\n",
            "f.yaml:2:4: not YAML: this looks like a date or a figure, and is none (put the text in quotes)",
        ),
        (
            "a: " + "9" * 5000,
            "f.yaml:1:4: not YAML: this looks like a date or a figure, and is none (put the text in quotes)",
        ),
        ("a: 1\nb: x\x07", "f.yaml:2:5: not YAML: the character U+0007 may not stand in a text file (take it out)"),
        ("a: &a [*a]", "f.yaml:1:4: not YAML: this alias holds itself (put the text in quotes)"),
        (
            "[" * 5000,
            "f.yaml: not YAML: brackets or lists stand too deep in each other (is this the right file?)",
        ),
    ],
)
def test_what_is_not_yaml_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value) == place


#: What a file is made of, where parsers differ if they do. Tabs and a lone `!` are left out: libyaml takes more of them.
_PARTS = (
    *("a", "b", "x y", " ", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", ",", " # c", "'", '"'),
    *(
        "|\n  ",
        ">-\n  ",
        "&x ",
        "*x",
        "12",
        "1.5",
        "yes",
        "~",
        "? ",
        "é",
        "🙂",
        "%",
        "---\n",
        "<<: ",
        "2026-03-01",
        "@",
    ),
)


@given(st.lists(st.sampled_from(_PARTS), max_size=16).map("".join))
@example("[&x a, &x b, *x]")
@example("&x [&x ")
def test_libyaml_reads_what_the_parser_in_python_reads(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DEEPEST", -1)  # libyaml is asked for nothing
        slow = _data_of(text)
    assume(slow is not None)
    assert _data_of(text) == slow


def _data_of(text: str) -> tuple[object, list[tuple[str | int, ...]]] | None:
    try:
        document = parse(text, "f.yaml")
    except RefusedError:
        return None
    return repr(document.data), list(document.places)


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "[" * 100_000 + "]" * 100_000])
def test_a_file_of_nothing_but_brackets_does_not_end_the_process(text: str) -> None:
    with pytest.raises(RefusedError, match="too deep"):
        parse(text, "f.yaml")


def test_a_list_that_holds_a_mapping_is_no_key() -> None:
    with pytest.raises(RefusedError, match="cannot be a key"):
        parse("{[{a: b}]: 1}", "f.yaml")


def test_a_few_lines_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(RefusedError, match="too many values"):
        parse("\n".join(lines), "f.yaml")


def test_anchors_and_merged_mappings_are_read() -> None:
    document = parse("a: &a {b: 1}\nc: {<<: *a, d: 2}\n", "f.yaml")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}
    assert document.problems == []


def test_a_key_that_stands_twice_is_told_and_hides_nothing() -> None:
    document = parse("title: [x]\nitems: [{name: a, size: big, name: b}]\ntitle: y\n", "f.yaml")
    model, problems = check(document, Outer)
    assert model is None
    assert [str(problem) for problem in sorted([*document.problems, *problems])] == [
        "f.yaml:1:8: `title` is not a text (put it in quotes)",
        "f.yaml:2:25: `size` is not a whole number: 'big'",
        "f.yaml:2:30: `name` stands twice, first on line 2 (keep one of them)",
        "f.yaml:3:1: `title` stands twice, first on line 1 (keep one of them)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("items:\n", "f.yaml:1:1: `items` is empty (write its value, or take the line out)"),
        (
            "items: x\n",
            "f.yaml:1:8: `items` is not a list: 'x' (write `[one, two]`, or each on a line of its own after `- `)",
        ),
        (
            "items: [x]\n",
            (
                "f.yaml:1:9: number 1 of `items` is not a mapping: 'x'"
                " (write `key: value` below it, indented, or `{key: value}`)"
            ),
        ),
        ("items: []\ntitle: true\n", "f.yaml:2:8: `title` is not a text: true (put it in quotes)"),
        ("items: []\ntitle: 2026-02-03\n", "f.yaml:2:8: `title` is not a text: 2026-02-03 (put it in quotes)"),
        ("items: []\ncolour: green\n", "f.yaml:2:9: `colour` is 'red' or 'Green', not 'green' (did you mean `Green`?)"),
        ("items: []\ncolour: sky blue\n", "f.yaml:2:9: `colour` is 'red' or 'Green', not 'sky blue'"),
        ("items: []\n7: x\n", "f.yaml:2:1: unknown key `7` (put it in quotes)"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_in_plain_words(text: str, problem: str) -> None:
    (told,) = check(parse(text, "f.yaml"), Outer)[1]
    assert str(told) == problem


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
