from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.core.query import View, compile_query
from streams.core.query.explain import explain, lacks
from streams.core.records import Classified, Headline

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TANKER = "Iran's navy seizes oil tanker in the Strait of Hormuz"


def view(text: str = TANKER) -> View:
    headline = Headline(headline=text, published=NOON, source="afp")
    return View(Classified(id="1", seq=1, position="headlines.raw:0:1", received=NOON, headline=headline, story_id="1"))


def test_the_tree_has_every_part_with_its_words() -> None:
    tree = explain(compile_query("iran AND (gas OR tank*) AND NOT coal"), view())
    assert [
        (depth, part.joined or part.asks, part.holds, [s.text for s in part.spans]) for depth, part in tree.walk()
    ] == [
        (0, "and", True, ["Iran's", "tanker"]),
        (1, "iran", True, ["Iran's"]),
        (1, "or", True, ["tanker"]),
        (2, "gas", False, []),
        (2, "tank*", True, ["tanker"]),
        (1, "not", True, []),
        (2, "coal", False, []),
    ]


def test_a_part_among_the_first_words_is_looked_for_there() -> None:
    tree = explain(compile_query("FIRST/3(tanker)"), view())
    assert [(part.joined, part.holds) for _, part in tree.walk()] == [("first 3", False), ("", False)]


@pytest.mark.parametrize(
    ("query", "lacking"),
    [
        ("iran AND tanker", []),
        ("iran AND gas", [("gas", "the headline has no `gas`")]),
        ("gas AND coal", [("gas", "the headline has no `gas`"), ("coal", "the headline has no `coal`")]),
        ("(gas AND coal) OR (iran AND coal)", [("coal", "the headline has no `coal`")]),
        ("tankers", [("tankers", "the headline has no `tankers`; it has `tanker`")]),
        ("hormus", [("hormus", "the headline has no `hormus`; it has `hormuz`")]),
        ('"tanker oil"', [('"tanker oil"', "its words are there, and do not stand so")]),
        ('"oil gas"', [('"oil gas"', "the headline has no `gas`")]),
        ("iran AND NOT oil", [("oil", "is there, by `oil`, and must not be")]),
        ("iran AND NOT source:afp", [("source:afp", "is so, and must not be")]),
        (
            "iran AND NOT (oil OR navy)",
            [("oil", "is there, by `oil`, and must not be"), ("navy", "is there, by `navy`, and must not be")],
        ),
        ("iran AND NOT (oil AND navy)", [("oil", "is there, by `oil`, and must not be")]),
        ("navy NEAR/1 tanker", [("navy NEAR/1 tanker", "both are there, with 2 words between")]),
        (
            "tanker ONEAR/9 navy",
            [("tanker ONEAR/9 navy", "both are there, with 2 words between, or in the other order")],
        ),
        ("navy NEAR/1 gas", [("navy NEAR/1 gas", "the headline has not `gas`")]),
        ("FIRST/3(oil)", [("FIRST/3(oil)", "stands in the headline, and not among its first 3 words")]),
        ("FIRST/3(gas)", [("gas", "the headline has no `gas`")]),
        ("CASED(OIL)", [("CASED(OIL)", "is written `oil`")]),
        ("CASED(GAS)", [("CASED(GAS)", "the headline has no `gas`")]),
        ("/ta.*x/", [("/ta.*x/", "no word of the headline is so")]),
        ("source:dpa", [("source:dpa", "the source is `afp`")]),
        ("topic:iran", [("topic:iran", "there is no topic")]),
        ("author:smith", [("author:smith", "there is no author")]),
        ("words:>20", [("words:>20", "words is 10")]),
        ("money:>2", [("money:>2", "the headline names no money")]),
        ("ATLEAST/3(iran gas oil coal)", [("gas", "the headline has no `gas`")]),
    ],
)
def test_the_least_that_keeps_a_query_from_holding(query: str, lacking: list[tuple[str, str]]) -> None:
    assert [(lack.asks, lack.reason) for lack in lacks(compile_query(query), view())] == lacking


def test_what_would_have_done_as_well_is_told() -> None:
    (lack,) = lacks(compile_query("iran AND (gas OR coal OR (wind AND sun))"), view())
    assert (lack.asks, lack.others) == ("gas", ("coal", "wind"))
