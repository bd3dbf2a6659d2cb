from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.query import View, compile_query
from streams.core.query.implies import branches, implies
from streams.core.records import Classified, Headline

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("oil", "oil OR gas"),
        ("oil AND gas", "oil"),
        ('"oil tanker"', "oil"),
        ('"oil tanker"', "tank*"),
        ("tanker", "tank*"),
        ("tanker*", "tank*"),
        ("oil AND gas", "gas OR coal"),
        ("oil OR gas", "coal OR gas OR oil"),
        ("FIRST/3(oil)", "oil"),
        ("FIRST/3(oil)", "FIRST/5(oil)"),
        ("ATLEAST/3(a b c d)", "ATLEAST/2(a b c d e)"),
        ("CASED(US)", "us"),
        ("oil NEAR/3 gas", "gas OR coal"),
        ("source:afp", "source:af*"),
        ('"oil gas"~2', "oil"),
        ("x AND NOT oil*", "x AND NOT oil"),
        ('"oil gas"~2', '"oil gas"~3'),
        ('author:"jane smith"~2', 'author:"jane smith"~3'),
    ],
)
def test_what_follows(one: str, other: str) -> None:
    assert implies(compile_query(one).root, compile_query(other).root)
    assert not implies(compile_query(other).root, compile_query(one).root)


@pytest.mark.parametrize(
    "term", ["jane", "jan*", '"jane smith"', '"jane smith"~3', "/jan./", "jane~1", "jane NEAR/3 smith"]
)
def test_an_author_is_no_headline(term: str) -> None:
    of_author, of_headline = compile_query(f"author:({term})").root, compile_query(term).root
    assert not implies(of_author, of_headline)
    assert not implies(of_headline, of_author)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("oil AND gas", []),
        ("oil AND NOT oil*", [("never", "oil AND NOT oil*")]),
        ("kind:first AND kind:update", [("never", "kind:first AND kind:update")]),
        ("iran OR (source:afp AND source:dpa AND oil)", [("never", "source:afp AND source:dpa AND oil")]),
        ('iran AND FIRST/2("strait of hormuz")', [("never", 'FIRST/2("strait of hormuz")')]),
        ('oil OR "oil tanker"', [("idle", '"oil tanker"')]),
        ("tank* OR tanker OR ship", [("idle", "tanker")]),
        ('"oil tanker" AND oil', [("idle", "oil")]),
        ("iran AND (oil OR gas) AND oil", [("idle", "oil OR gas")]),
        ("topic:iran AND topic:russia_energy", []),
        ("+iran OR oil", []),
        ('+iran OR "iran oil" OR -football', []),
        ("hormuz AND (+iran OR oil OR +gas)", []),
        ("+iran OR (oil AND NOT oil)", [("never", "oil AND NOT oil")]),
        ("+iran OR (oil AND tank* AND tanker)", [("idle", "tank*")]),
    ],
)
def test_branches_that_are_not_worth_their_place(query: str, found: list[tuple[str, str]]) -> None:
    assert [(branch.kind, branch.part) for branch in branches(compile_query(query).root)] == found


TERMS = (
    "oil", "gas", "tanker", "tank*", '"oil tanker"', '"oil gas"~2', "oil NEAR/1 gas", "FIRST/2(oil)", "FIRST/3(oil)",
    "CASED(Oil)",
    "ATLEAST/2(oil gas tanker)", "source:afp", "source:af*", "words:>3", "tankor~1",
    "author:oil", "author:tank*", 'author:"oil tanker"', 'author:"oil gas"~2', 'author:"oil gas"~3', "author:(oil NEAR/1 gas)",
)  # fmt: skip
QUERIES = st.recursive(
    st.sampled_from(TERMS),
    lambda part: st.tuples(part, st.sampled_from(("AND", "OR", "AND NOT", "OR NOT")), part).map(
        lambda made: f"({made[0]}) {made[1]} ({made[2]})"
    ),
    max_leaves=4,
).map(lambda query: f"(kind:first OR kind:update) AND ({query})")
WORDS = ("Oil", "oil", "gas", "tanker", "tank", "of")
HEADLINES = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def view(text: str, author: str) -> View:
    headline = Headline(headline=text, published=NOON, source="afp", author=author)
    return View(Classified(id="1", seq=1, position="headlines.raw:0:1", received=NOON, headline=headline, story_id="1"))


def test_what_follows_of_two_terms_is_so() -> None:
    """Every pair of terms on every short headline: chance seldom brings the two together that are alike."""
    texts = [" ".join(words) for count in range(4) for words in permutations(WORDS, count)]
    views = [view(*pair) for text in texts for pair in ((text, ""), ("", text))]
    for one, other in permutations(map(compile_query, TERMS), 2):
        if implies(one.root, other.root):
            assert all(other.match(seen) for seen in views if one.match(seen)), f"{one} does not imply {other}"


# The names of authors are of the same words as headlines, so that what mixes up the two is found.
@given(QUERIES, QUERIES, HEADLINES, HEADLINES)
def test_what_follows_is_so(one: str, other: str, text: str, author: str) -> None:
    first, second = compile_query(one), compile_query(other)
    seen = view(text, author)
    if implies(first.root, second.root) and first.match(seen):
        assert second.match(seen)
