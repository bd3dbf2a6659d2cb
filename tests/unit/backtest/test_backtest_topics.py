from __future__ import annotations

import json

import pytest

from streams.backtest.topics import Evaluation, Row, change_as_dict, evaluate, read_rows
from streams.core.classify import Classifier
from streams.core.document import RefusedError, parse
from streams.core.taxonomy import compile_taxonomy

FRUIT = """
topic: fruit
title: Fruit
entities: {fruit: [apple, pear]}
conditions: [{name: a fruit, any: [fruit]}]
"""


def classifier(*replaced: tuple[str, str]) -> Classifier:
    text = FRUIT
    for old, new in replaced:
        text = text.replace(old, new)
    nuts = "topic: nuts\ntitle: Nuts\nentities: {nuts: [walnut]}\nconditions: [{name: a nut, any: [nuts]}]\n"
    return Classifier(compile_taxonomy([parse(text, "fruit.yaml"), parse(nuts, "nuts.yaml")]))


def row(headline: str, *topics: str, edge: bool = False) -> Row:
    return Row(headline, frozenset(topics), edge)


ROWS = [
    row("An apple a day", "fruit"),
    row("A pear tree falls", "fruit"),
    row("Plum harvest fails", "fruit"),
    row("Apple shares rise"),
    row("Rain on Sunday"),
    row("Apple or no apple", edge=True),
    row("Cherry picking", "fruit", edge=True),
]


@pytest.fixture
def found() -> Evaluation:
    return evaluate(ROWS, classifier())


def test_judgement_calls_are_scored_apart(found: Evaluation) -> None:
    assert found.as_dict()["topics"] == {"fruit": {"precision": 0.6667, "recall": 0.6667, "f1": 0.6667, "support": 3}}
    assert found.as_dict()["edge"] == {"fruit": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}}
    assert found.as_dict()["rows"] == 7


def test_misses_are_told_with_what_they_are_and_judgement_calls_last(found: Evaluation) -> None:
    assert [(miss.given, miss.row.headline) for miss in found.misses] == [
        (False, "Plum harvest fails"),
        (True, "Apple shares rise"),
        (False, "Cherry picking"),
        (True, "Apple or no apple"),
    ]
    assert found.misses[0].as_dict()["miss"] == "missed"
    assert found.misses[1].as_dict()["miss"] == "false alarm"


def test_topics_that_only_one_side_knows_are_left_out_and_named() -> None:
    found = evaluate([*ROWS, row("An oak falls", "trees")], classifier())
    assert (found.topics, found.unknown, found.unlabelled) == (("fruit",), ("trees",), ("nuts",))


def test_a_change_shows_what_it_breaks_and_what_it_mends(found: Evaluation) -> None:
    before = found.baseline()
    change = evaluate(ROWS, classifier(("[apple, pear]", "[apple, plum]"))).since(before)
    assert [(miss.topic, miss.given, miss.row.headline) for miss in change.broken] == [
        ("fruit", False, "A pear tree falls")
    ]
    assert [(miss.topic, miss.given, miss.row.headline) for miss in change.mended] == [
        ("fruit", True, "Plum harvest fails")
    ]
    assert change.edge == ()
    assert change_as_dict(change, before)["topics"]["fruit"]["f1"] == 0.6667


def test_judgement_calls_neither_break_nor_mend(found: Evaluation) -> None:
    change = evaluate(ROWS, classifier(("[apple, pear]", "[apple, pear, cherry]"))).since(found.baseline())
    assert (change.broken, change.mended) == ((), ())
    assert [miss.row.headline for miss in change.edge] == ["Cherry picking"]


def test_rows_that_only_one_side_has_are_counted_and_not_compared(found: Evaluation) -> None:
    rows = [*ROWS[2:], row("Pears again"), row("No pear", "fruit")]
    change = evaluate(rows, classifier()).since(found.baseline())
    assert (change.broken, change.mended, change.new, change.gone) == ((), (), 2, 2)


def test_a_baseline_holds_no_headline(found: Evaluation) -> None:
    kept = str(found.baseline())
    assert not any(row.headline in kept for row in ROWS)


def test_labelled_headlines_are_read_and_every_other_line_is_refused_with_its_number() -> None:
    good = {"id": "t1", "headline": "An apple a day", "topics": ["fruit"], "edge": True, "source": "bbc.com"}
    assert list(read_rows([json.dumps(good).encode(), b"", b"\n"], "rows.jsonl")) == [
        Row("An apple a day", frozenset({"fruit"}), edge=True, id="t1")
    ]
    with pytest.raises(RefusedError) as refused:
        list(read_rows([b'{"headline": "x", "topics": []}', b'{"headline": "x"}', b"no JSON"], "rows.jsonl"))
    assert [(problem.line, problem.file) for problem in refused.value.problems] == [
        (2, "rows.jsonl"),
        (3, "rows.jsonl"),
    ]
    assert "topics" in refused.value.problems[0].message
