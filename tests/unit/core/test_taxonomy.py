from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from streams.core.classify import run_tests
from streams.core.document import Document, RefusedError, parse
from streams.core.taxonomy import compile_taxonomy

BUILT_IN = sorted((Path(__file__).parents[3] / "streams" / "taxonomy").glob("*.yaml"))

RIVERS = """
topic: rivers
title: Rivers
entities:
  rivers:
    - Danube
    - {name: Rhine, aliases: [Rhein]}
words:
  water: [flood*, low water]
conditions:
  - name: a river in the news
    all: [rivers, water]
"""


def document(text: str, file: str = "rivers.yaml") -> Document:
    return parse(dedent(text), file)


def refusal(text: str) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        compile_taxonomy([document(text)])
    return [str(problem) for problem in refused.value.problems]


def changed(old: str, new: str) -> str:
    assert old in RIVERS
    return RIVERS.replace(old, new)


def test_compiles_names_words_and_conditions() -> None:
    taxonomy = compile_taxonomy([document(RIVERS)])
    (topic,) = taxonomy.topics
    assert topic.name == "rivers"
    assert topic.threshold == 0.5
    assert {entity.name: [form.words for form in entity.forms] for entity in topic.entities} == {
        "Danube": [("danube",)],
        "Rhine": [("rhine",), ("rhein",)],
        "flood*": [("flood",)],
        "low water": [("low", "water")],
    }
    (condition,) = topic.conditions
    assert condition.weight == 1
    assert condition.required() == (frozenset({"rivers"}), frozenset({"water"}))


def test_the_revision_depends_on_the_content_alone() -> None:
    lakes = RIVERS.replace("rivers", "lakes")
    one = compile_taxonomy([document(RIVERS, "a.yaml"), document(lakes, "b.yaml")])
    other = compile_taxonomy([document(lakes, "c.yaml"), document("# a note\n" + RIVERS, "d.yaml")])
    assert one.revision == other.revision
    assert [topic.name for topic in one.topics] == ["lakes", "rivers"]
    edited = changed("Danube", "Danubius")
    assert compile_taxonomy([document(edited)]).revision != compile_taxonomy([document(RIVERS)]).revision


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "title: Rivers",
            "title: Rivers\ntreshold: 0.4",
            "rivers.yaml:4:1: unknown key `treshold` (did you mean `threshold`?)",
        ),
        (
            "aliases: [Rhein]",
            "alias: [Rhein]",
            "rivers.yaml:7:21: unknown key `alias` (did you mean `aliases`?)",
        ),
        (
            "[rivers, water]",
            "[rivers, watr]",
            "rivers.yaml:12:19: no group `watr` (did you mean `water`?)",
        ),
        (
            "[Rhein]",
            '[""]',
            "rivers.yaml:7:31: empty name (write a name, or take the line out)",
        ),
        (
            "[Rhein]",
            "['!?']",
            "rivers.yaml:7:31: `!?` has no letter or digit to search for (write a word)",
        ),
        (
            "[Rhein]",
            "[DANUBE]",
            (
                "rivers.yaml:7:31: `DANUBE` stands in `rivers` already, under `Danube`"
                " (keep one of them; accents and hyphens make no difference)"
            ),
        ),
        (
            "low water",
            "Flood*",
            "rivers.yaml:9:19: `Flood*` is listed twice (keep one of them)",
        ),
        (
            "flood*",
            '"fl*"',
            "rivers.yaml:9:11: `fl*` needs at least 3 letters before its star (write more of the word)",
        ),
        (
            "low water",
            "low* water",
            "rivers.yaml:9:19: `low* water`: a star may only end the last word (write the words out)",
        ),
        ("low water", "x", "rivers.yaml:9:19: `x` needs at least 2 letters (write more of the word)"),
        (
            "- Danube",
            "- 7",
            (
                "rivers.yaml:6:7: 7 is not an entity: write a name, or a mapping with `name:`"
                " (quote a name that YAML takes for a number or a yes)"
            ),
        ),
        (
            "all: [rivers, water]",
            "all: [rivers, water]\n    weight: 1.5",
            "rivers.yaml:13:13: `weight` is 1 or less, not 1.5",
        ),
        (
            "all: [rivers, water]",
            "all: [{money: 5}]\n    none: [rivers, water]",
            (
                "rivers.yaml:11:5: `a river in the news` asks for no group or word that must be there"
                " (add an item to `all:`, `any:` or `near:`; money alone is too broad)"
            ),
        ),
        (
            "[rivers, water]",
            "[rivers, {wrods: [flood]}, water]",
            (
                "rivers.yaml:12:19: {'wrods': ['flood']} is not an item of a condition"
                " (write a group's name, `{words: [...]}`, `{money: 1000000}`, or a list of these)"
            ),
        ),
        (
            "all: [rivers, water]",
            "all: [rivers]",
            "rivers.yaml:9:3: no condition asks for `water` (use it, or take it out)",
        ),
        (
            "  water:",
            "  rivers: [stream]\n  water:",
            "rivers.yaml:9:11: `rivers` is a group of entities already (give one of them another name)",
        ),
        (
            "    all: [rivers, water]",
            "    all: [rivers, water]\n  - name: a river in the news\n    any: [rivers]",
            "rivers.yaml:13:11: two of `conditions` are named `a river in the news` (name them apart)",
        ),
        (
            "all: [rivers, water]",
            "near: {of: [rivers, water], withn: 3}",
            [
                "rivers.yaml:12:11: `within` is missing (add `within:`)",
                "rivers.yaml:12:33: unknown key `withn` (did you mean `within`?)",
            ],
        ),
        (
            "all: [rivers, water]",
            "near: [{of: [rivers, water], within: 3}, {of: [rivers, watr], within: 3}]",
            "rivers.yaml:12:60: no group `watr` (did you mean `water`?)",
        ),
    ],
)
def test_refuses_a_mistake_with_its_place_and_the_way_out(old: str, new: str, expected: str | list[str]) -> None:
    assert refusal(changed(old, new)) == ([expected] if isinstance(expected, str) else expected)


def test_tells_all_mistakes_of_all_files_at_once() -> None:
    one = changed("[rivers, water]", "[rivers, water, mud]").replace("[Rhein]", '[""]')
    other = document(RIVERS.replace("title: Rivers\n", ""), "lakes.yaml")
    with pytest.raises(RefusedError) as refused:
        compile_taxonomy([document(one), other])
    assert [(problem.file, problem.line) for problem in refused.value.problems] == [
        ("lakes.yaml", 2),
        ("rivers.yaml", 7),
        ("rivers.yaml", 12),
    ]


def test_refuses_a_topic_that_is_in_two_files() -> None:
    with pytest.raises(RefusedError, match=r"b\.yaml:2:8: topic `rivers` is in another file too"):
        compile_taxonomy([document(RIVERS, "a.yaml"), document(RIVERS, "b.yaml")])


def test_an_empty_file_says_what_is_missing() -> None:
    assert "rivers.yaml:1:1: `topic` is missing (add `topic:`)" in refusal("")


@pytest.mark.parametrize("file", BUILT_IN, ids=lambda file: file.stem)
def test_the_built_in_topics_compile(file: Path) -> None:
    taxonomy = compile_taxonomy([parse(file.read_text(encoding="utf-8"), file.name)])
    assert [topic.name for topic in taxonomy.topics] == [file.stem]


def test_the_example_of_the_reference_compiles_and_passes_its_tests() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "taxonomy.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    assert run_tests(compile_taxonomy([parse(example, "rivers.yaml")])) == []
