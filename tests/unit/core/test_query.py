from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.query import Anchor, Query, QueryError, View, compile_query
from streams.core.query.fields import FIELDS
from streams.core.records import Classified, Evidence, Headline, Span, TopicMatch
from streams.core.text import clean

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "rules.md"
DEV_HEADLINES = Path(__file__).parents[4] / "shared" / "data" / "topics_dev.jsonl"


def classified(text: str, *, topics: tuple[TopicMatch, ...] = (), kind: str = "first", **fields: object) -> Classified:
    headline = Headline(headline=text, published=NOON, **fields)  # type: ignore[arg-type]
    return Classified(
        id="1",
        seq=1,
        position="headlines.raw:0:1",
        received=NOON,
        headline=headline,
        story_id="1",
        kind=kind,  # type: ignore[arg-type]
        topics=topics,
    )


def view(text: str, **fields: Any) -> View:
    return View(classified(text, **fields))


def matched(query: str, on: View) -> list[str] | None:
    match = compile_query(query).match(on)
    return None if match is None else [span.text for span in match.spans]


TANKER = "Iran's navy seizes U.S. oil-tanker in the Strait of Hormuz, 2,000 barrels aboard"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("iran", ["Iran's"]),
        ("IRAN", ["Iran's"]),
        ("irán", ["Iran's"]),
        ("iran's", ["Iran's"]),
        ("us", ["U.S"]),
        ("U.S.", ["U.S"]),
        ("2,000", ["2,000"]),
        ("iran hormuz", ["Iran's", "Hormuz"]),
        ("hormuz iran", ["Iran's", "Hormuz"]),
        ("iran AND oil", ["Iran's", "oil"]),
        ("iran && oil", ["Iran's", "oil"]),
        ("iran AND gas", None),
        ("iran gas", None),
        ("gas OR iran", ["Iran's"]),
        ("gas || iran", ["Iran's"]),
        ('gas ||"oil tanker"', ["oil-tanker"]),
        ("iran &&(oil OR gas)", ["Iran's", "oil"]),
        ("navy OR iran", ["Iran's", "navy"]),
        ("iran NOT gas", ["Iran's"]),
        ("iran AND NOT gas", ["Iran's"]),
        ("iran -gas", ["Iran's"]),
        ("iran !gas", ["Iran's"]),
        ("iran !(gas OR oil)", None),
        ('iran !"oil tanker"', None),
        ("iran -oil", None),
        ("iran NOT oil", None),
        ("+iran +oil -gas", ["Iran's", "oil"]),
        ("+iran +gas", None),
        ("NOT NOT iran", ["Iran's"]),
        ("iran AND (gas OR oil)", ["Iran's", "oil"]),
        ("(iran AND gas) OR navy", ["navy"]),
        ("gas AND iran OR navy", ["navy"]),
        ("navy OR gas AND iran", ["navy"]),
        ('"strait of hormuz"', ["Strait of Hormuz"]),
        ("\u201cstrait of hormuz\u201d", ["Strait of Hormuz"]),
        ('"of strait hormuz"', None),
        ('"strait hormuz"', None),
        ('"strait, of... Hormuz!"', ["Strait of Hormuz"]),
        ('"oil tanker"', ["oil-tanker"]),
        ("oil-tanker", ["oil-tanker"]),
        ("oil/tanker", ["oil-tanker"]),
        ("tank", None),
        ("tank*", ["tanker"]),
        ("tanker*", ["tanker"]),
        ("*anker", ["tanker"]),
        ("*ank*", ["tanker"]),
        ("*ink*", None),
        ("t*r", ["tanker"]),
        ("t?nk?r", ["tanker"]),
        ("tanker?", None),
        ("oil-tank*", ["oil-tanker"]),
        ("*il-tanker", ["oil-tanker"]),
        ("ho*z", ["Hormuz"]),
        ("st*hormuz", None),
        ("Horm\u00fa*", ["Hormuz"]),
        ('"iran tanker"~4', ["Iran's", "tanker"]),
        ('"iran tanker"~3', None),
        ('"tanker oil"~2', ["oil", "tanker"]),
        ('"tanker oil"~1', None),
        ('"iran hormuz gas"~50', None),
        ('"iran"~5', ["Iran's"]),
        ("iran NEAR/1 seizes", ["Iran's", "seizes"]),
        ("iran NEAR/0 seizes", None),
        ("seizes NEAR/1 iran", ["Iran's", "seizes"]),
        ("seizes ONEAR/1 iran", None),
        ("iran ONEAR/1 seizes", ["Iran's", "seizes"]),
        ('(gas OR oil) NEAR/2 ("strait of hormuz" OR strait)', None),
        ('(gas OR oil) NEAR/3 ("strait of hormuz" OR strait)', ["oil", "Strait of Hormuz"]),
        ("navy AND iran NEAR/2 seizes AND oil", ["Iran's", "navy", "seizes", "oil"]),
        ("NOT gas NEAR/2 iran AND oil", ["oil"]),
        ("horm* NEAR/1 /str.*/", ["Strait", "Hormuz"]),
        ("FIRST/2(navy)", ["navy"]),
        ("FIRST/1(navy)", None),
        ('FIRST/9(tanker AND "in the strait")', ["tanker", "in the Strait"]),
        ('FIRST/8(tanker AND "in the strait")', None),
        ("FIRST/3(iran NOT oil)", ["Iran's"]),
        ("ATLEAST/2(gas, oil, coal, iran)", ["Iran's", "oil"]),
        ("ATLEAST/3(gas oil coal iran)", None),
        ('ATLEAST/2(gas OR "oil tanker" OR (iran AND navy))', ["Iran's", "navy", "oil-tanker"]),
        ("NOT ATLEAST/2(gas oil coal) AND iran", ["Iran's"]),
        ("ATLEAST/1(gas oil)", ["oil"]),
        ("CASED(US)", ["U.S"]),
        ("CASED(us)", None),
        ("CASED(Iran)", ["Iran's"]),
        ("CASED(iran)", None),
        ('CASED("Strait of" OR Oil)', ["Strait of"]),
        ("CASED(Hormuz) NEAR/2 CASED(Strait)", ["Strait", "Hormuz"]),
        ("hormus~1", ["Hormuz"]),
        ("homruz~1", ["Hormuz"]),
        ("tankor~1", ["tanker"]),
        ("tonkor~1", None),
        ("barrles~2", ["barrels"]),
        ("words:>5", []),
        ("words:[3 TO 5]", None),
        ("published:2026-03-01", []),
        ("published:>2026-03-01", None),
        ("published:[* TO 2026-03-01]", []),
        ("/tanke(r|rs)/", ["tanker"]),
        ("/TANKE./", ["tanker"]),
        ("/anker/", None),
        ("/st.*hormuz/", None),
        ("/\\d+,\\d+/", ["2,000"]),
        ("headline:iran", ["Iran's"]),
        ("headline:(iran AND oil)", ["Iran's", "oil"]),
        ("iran AND iran", ["Iran's"]),
        ('"oil tanker" OR tanker OR oil', ["oil-tanker"]),
        ('"us oil" OR "oil tanker"', ["U.S. oil-tanker"]),
        ("+iran OR oil OR gas OR -football", ["Iran's", "oil"]),
        ("+gas OR iran", None),
        ("iran OR -navy", None),
        ('"TO"', None),
        ("iran\\*", ["Iran's"]),
        ("\n iran\n AND\n oil ", ["Iran's", "oil"]),
    ],
)
def test_matches_the_words_of_the_headline(query: str, words: list[str] | None) -> None:
    assert matched(query, view(TANKER)) == words


def test_a_word_is_found_wherever_it_stands() -> None:
    match = compile_query("oil").match(view("Oil up, oil down"))
    assert match is not None
    assert match.spans == (Span(0, 3, "Oil"), Span(8, 11, "oil"))


def test_a_branch_that_does_not_hold_has_no_words() -> None:
    assert matched("navy OR (iran AND gas)", view(TANKER)) == ["navy"]


def test_what_must_be_absent_has_no_words() -> None:
    assert matched("iran AND NOT (oil AND gas)", view(TANKER)) == ["Iran's"]


def test_the_body_is_not_searched() -> None:
    assert matched("oil", view("Markets", body="oil")) is None


def test_money_shows_the_sum() -> None:
    on = view("Firm buys rival for $1.2bn after €300M bid")
    assert matched("money:>=1bn", on) == ["$1.2bn"]
    assert matched("money:[100m TO 500m]", on) == ["€300M"]
    assert matched("money:>2bn", on) is None
    assert matched("rival AND money:1200000000", on) == ["rival", "$1.2bn"]


LISTS = {"gulf": ["iran", "strait of hormuz", "tank*"], "wires": ["afp", "dow jones"], "odd": ["?"]}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("@gulf", ["Iran's", "tanker", "Strait of Hormuz"]),
        ("ATLEAST/3(@gulf gas)", ["Iran's", "tanker", "Strait of Hormuz"]),
        ("ATLEAST/4(@gulf gas)", None),
        ("@gulf NEAR/1 oil", ["oil", "tanker"]),
        ("source:@wires AND oil", ["oil"]),
        ("navy NOT @gulf", None),
    ],
)
def test_a_list_is_one_of_its_words(query: str, words: list[str] | None) -> None:
    match = compile_query(query, LISTS).match(view(TANKER, source="Dow Jones"))
    assert (None if match is None else [span.text for span in match.spans]) == words


def test_a_mistake_in_a_list_is_told_where_it_is_used() -> None:
    with pytest.raises(QueryError, match="in the list `@odd`") as caught:
        compile_query("oil AND @odd", LISTS)
    assert caught.value.column == 9
    with pytest.raises(QueryError) as caught:
        compile_query("@gulff", LISTS)
    assert caught.value.hint == "did you mean `gulf`?"


def test_topic_shows_the_words_that_gave_it() -> None:
    evidence = Evidence(span=Span(0, 6, "Tehran"), entity="Tehran", condition="named")
    on = view("Tehran talks on oil", topics=(TopicMatch(topic="iran", confidence=0.9, evidence=(evidence,)),))
    assert matched("topic:iran AND oil", on) == ["Tehran", "oil"]
    assert matched("topic:IRAN", on) == ["Tehran"]
    assert matched("topic:ir*", on) == ["Tehran"]
    assert matched("topic:(iran OR tech_deals)", on) == ["Tehran"]
    assert matched("topic:tech_deals", on) is None
    assert matched("topic:ira", on) is None
    assert matched("oil AND -topic:iran", on) is None


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("source:reuters.com", True),
        ("source:Reuters.COM", True),
        ("source:reuters", False),
        ("source:reuters*", True),
        ("source:*.com", True),
        ("source:reuters?com", True),
        ("source:reuters\\?com", False),
        ('source:"reuters.com"', True),
        ('source:"reuters*"', False),
        ("source:(afp OR reuters.com)", True),
        ("url:*/world/*", True),
        ("url:*/sport/*", False),
        ('url:"https://www.reuters.com/world/a?id=1"', True),
        ("author:smith", True),
        ('author:"jane smith"', True),
        ("author:smi*", True),
        ("author:/sm.th/", True),
        ('author:"smith jane"~2', True),
        ("author:jones", False),
        ("kind:first", True),
        ("kind:update", False),
        ("status:corrected", True),
        ("status:canceled", False),
    ],
)
def test_fields(query: str, holds: bool) -> None:
    on = view(
        "Oil",
        source="Reuters.com",
        url="https://www.reuters.com/world/a?id=1",
        author="By Jane  SMITH",
        status="corrected",
    )
    assert matched(query, on) == ([] if holds else None)


def test_fields_that_a_headline_has_not_do_not_match() -> None:
    assert matched("url:*.com* OR author:jane OR topic:iran OR source:afp", view("Oil")) is None


@pytest.mark.parametrize(
    ("query", "column", "message"),
    [
        ("", 1, "the query is empty"),
        ("  \n ", 1, "the query is empty"),
        ("NOT iran", 1, "a lone negation"),
        ("-iran", 1, "a lone negation"),
        ("!iran", 1, "a lone negation"),
        ("oil OR NOT gas", 8, "a lone negation"),
        ("NOT (iran oil)", 1, "a lone negation"),
        ("-iran OR -oil", 1, "a lone negation"),
        ("*", 1, "`*` matches every headline"),
        ("iran AND ?*", 10, "`?*` matches every headline"),
        ("a*", 1, "`a*` is too broad"),
        ("re-e*", 1, "`re-e*` is too broad"),
        ("source:*", 8, "`source:*` is too broad"),
        ("*:*", 1, "`*:` asks any field"),
        ("iran oil OR gas", 1, "words side by side are mixed with OR"),
        ("gas OR iran oil", 1, "words side by side are mixed with OR"),
        ("a OR b -c", 1, "words side by side are mixed with OR"),
        ("iran AND (gas OR oil sea)", 11, "words side by side are mixed with OR"),
        ("iran and oil", 6, "is `and` the operator or a word?"),
        ("iran Or oil", 6, "is `Or` the operator or a word?"),
        ("oil NEAR/5", 5, "`NEAR/5` has nothing after it"),
        ("oil AND NEAR/5 iran", 9, "`NEAR/5` has nothing before it"),
        ("a NEAR/5 b NEAR/5 c", 3, "`NEAR/5` joins two, and here are more"),
        ("(oil AND gas) NEAR/5 iran", 1, "this has no one place for `NEAR/5`"),
        ('"oil iran"~3 NEAR/5 gas', 1, "this has no one place for `NEAR/5`"),
        ("author:jane NEAR/5 iran", 13, "`NEAR/5` joins words of two fields"),
        ("topic:iran NEAR/5 oil", 1, "this has no one place for `NEAR/5`"),
        ("oil NEAR/1000 iran", 5, "`NEAR/1000`: right after `NEAR/` belongs a whole number below 1,000"),
        ("oil NEAR/-1 iran", 5, "`NEAR/-1`: right after `NEAR/` belongs"),
        ("oil NEAR/ 5 iran", 5, "`NEAR/`: right after `NEAR/` belongs"),
        ("oil ONEAR/x iran", 5, "`ONEAR/x`: right after `ONEAR/` belongs"),
        ("oil NEAR/5.5 iran", 5, "`NEAR/5.5`: right after"),
        ("oil NEAR/(5) iran", 5, "`NEAR/`: right after"),
        ("oil near/-1 iran", 5, "`near/-1`: right after `NEAR/` belongs"),
        ("oil near/ 5 iran", 5, "`near/`: right after"),
        ("FIRST/-2(oil)", 1, "`FIRST/-2`: right after `FIRST/` belongs"),
        ("FIRST/ 2(oil)", 1, "`FIRST/`: right after"),
        ("gas ATLEAST/x(oil gas)", 5, "`ATLEAST/x`: right after"),
        ("FIRST(oil)", 1, "`FIRST` needs a number"),
        ("gas ATLEAST(oil gas)", 5, "`ATLEAST` needs a number"),
        ("(oil gas coal)@2", 15, "`@2` after a group is Lucene's minimum of matches"),
        ("FIRST/3 oil", 1, "`FIRST/3` needs a group in parentheses"),
        ("FIRST/0(oil)", 1, "`FIRST/0` asks for nothing"),
        ("FIRST/3(topic:iran)", 8, "`FIRST/3` is about words of the headline"),
        ("ATLEAST/3(oil gas)", 10, "`ATLEAST/3` is never so: there are 2"),
        ("ATLEAST/2(oil AND gas AND coal)", 10, "`ATLEAST/2` counts what stands side by side"),
        ("first/3(oil)", 1, "`first/3` is of another language"),
        ("CASED(tank*)", 7, "`CASED` takes words and phrases, no wildcards"),
        ("author:CASED(Jane)", 13, "`CASED` is about the headline"),
        ("fn:ordered(oil gas)", 1, "`fn:` begins Lucene's interval functions"),
        ("oil~", 4, "`~` after a word needs the number of letters"),
        ("oil~0.8", 4, "`~` after a word needs the number of letters"),
        ("oil~1", 1, "`oil~1` is too broad"),
        ("tanker~2", 1, "`tanker~2` is too broad"),
        ("re-elect~1", 1, "`re-elect~1`: `~` is for one word"),
        ("source:reuters~1", 8, "`source` is compared as a whole"),
        ("/ab/i", 5, "`i` right after a regular expression"),
        ("/a~b/", 1, "`~` in a regular expression is an operator of Lucene's"),
        ("/<1-5>/", 1, "`<` in a regular expression is an operator of Lucene's"),
        ("money:lots", 7, "`money:` is a number, and `lots` is none"),
        ("money:[9 TO 3]", 7, "`money:[9 TO 3]` is never so"),
        ("published:>=soon", 11, "`published:` is a number, and `soon` is none"),
        ("oil NEAR iran", 5, "`NEAR` is of another language"),
        ("oil w/5 iran", 5, "`w/5` is of another language"),
        ("(" * 51 + "iran" + ")" * 51, 51, "more than 50 parentheses within each other"),
        ("iran oil^2", 9, "`^` weighs terms for a score"),
        ("(oil gas)~2", 10, "`~` belongs to a word or a phrase"),
        ('"oil gas"~', 10, "`~` after a phrase needs a whole number"),
        ('"oil gas"~0.5', 10, "`~` after a phrase needs a whole number"),
        ('"war and war"~5', 1, "a word stands twice in a phrase with `~`"),
        (f'"{" ".join(f"w{number}" for number in range(21))}"~5', 1, "21 words in a phrase with `~`, the most is 20"),
        ("[a TO b]", 1, "ranges and comparisons need a number"),
        ("source:[a TO b]", 8, "ranges and comparisons need a number"),
        (">=3", 1, "ranges and comparisons need a number"),
        ('iran "oil tank*"', 6, "`*` is no wildcard within quotes"),
        ('"organi?ation"', 1, "`?` is no wildcard within quotes"),
        ("10:30", 1, "unknown field `10`"),
        ("iran sorce:reuters", 6, "unknown field `sorce`"),
        ("kind:second", 6, "`kind` is never `second`"),
        ("status:cancelled", 8, "`status` is never `cancelled`"),
        ("status:c*", 8, "`status` is never `c*`"),
        ("topic:(iran source:afp)", 13, "`source:` within `topic:`"),
        ('topic:""', 7, "`topic:` is given nothing"),
        ("source:/x/", 8, "`source` takes no regular expression"),
        ('source:"a b"~2', 8, "`~` after a phrase is for words"),
        ("/tanke(r/", 1, "not a regular expression: missing ): tanke(r"),
        ("/a(?=b)/", 1, "not a regular expression"),
        ("//", 1, "the regular expression is empty"),
        ("'strait of hormuz'", 1, "single quotation marks"),
        ('iran "oil', 6, "this quotation mark is not closed"),
        ('ir"an', 3, "a quotation mark within a word"),
        ("iran /oil", 6, "this `/` opens a regular expression"),
        ("iran \\", 6, "a lone `\\`"),
        ("(iran", 1, "this parenthesis is not closed"),
        ("iran)", 5, "this parenthesis closes nothing"),
        ("()", 2, "`)` cannot stand here"),
        ("iran OR OR oil", 9, "`OR` cannot stand here"),
        ("AND iran", 1, "`AND` cannot stand here"),
        ("iran AND", 9, "the query ends too early"),
        ("topic:", 7, "the query ends too early"),
        ("iran&&oil", 5, "`&&` within a word"),
        ("iran ||oil", 6, "`||` within a word"),
        ("iran & oil", 6, "`&` has no letter or digit"),
        ('iran "..."', 6, '`"..."` has no letter or digit'),
        ("@desk", 1, "there is no list `@desk`"),
        ("iran\x00", 5, "a character that is no text, U+0000"),
        ("!iran && (oil ^", 15, "`^` weighs terms"),
    ],
)
def test_refuses_with_the_column(query: str, column: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("sorce:reuters", "did you mean `source`?"),
        ("status:cancelled", "did you mean `canceled`?"),
        ("iran and oil", 'write `AND` or `"and"`'),
        ("a*", "at least 2 letters or digits"),
        ("10:30", '"10:30"'),
        ("iran oil OR gas", "`iran (oil OR gas)` or `(iran oil) OR gas`"),
        ("NOT iran", "oil AND NOT olive"),
    ],
)
def test_says_what_to_write_instead(query: str, hint: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "query",
    [
        "(" * 500 + "iran" + ")" * 500,
        "((" * 2_000,
        "NOT " * 2_000 + "iran",
        "-" * 9_000 + "iran",
        "!" * 9_000 + "iran",
        "topic:" * 1_500 + "iran",
        '"' * 9_999,
        "/" * 9_999,
        "x" * 10_001,
        "ab*" * 3_000,
        "/(((a{100}){100}){100}){100}/",
        "/" + "\\pL{900}" * 20 + "/",
        "+" * 5_000,
        "iran^" * 1_000,
    ],
)
def test_hostile_queries_get_an_error_at_once(query: str) -> None:
    start = time.perf_counter()
    with pytest.raises(QueryError):
        compile_query(query)
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize(
    ("query", "headline"),
    [
        (" OR ".join(f"word{number}" for number in range(900)), "word899"),
        (" ".join(f"w{number}" for number in range(1_800)), " ".join(f"w{number}" for number in range(1_800))),
        ("a AND b c " * 990, "a b c"),
        ("*a" * 60 + "b", "a" * 20_000),
        ("a?" * 60 + "b*", "a" * 20_000),
        ("/" + "(x+x+)+" * 20 + "y/", "x" * 20_000),
        (f'"{" ".join(f"w{number}" for number in range(20))}"~999', " ".join(f"w{n % 20}" for n in range(5_000))),
        ("re-elect*", "re elected " * 5_000),
        (f"({' OR '.join(f'w{n}' for n in range(600))}) NEAR/9 (x OR y)", " ".join(f"w{n}" for n in range(600)) * 3),
        ("aaaaaaa~2", "aaaaaab " * 5_000),
        (f"ATLEAST/300({' '.join(f'w{n}' for n in range(900))})", " ".join(f"w{n}" for n in range(299)) * 5),
        ("FIRST/999(" + " OR ".join(f"*b{n}*a" for n in range(200)) + ")", "a" * 20_000),
    ],
)
def test_long_queries_and_headlines_do_not_stall(query: str, headline: str) -> None:
    start = time.perf_counter()
    compile_query(query).match(view(headline))
    assert time.perf_counter() - start < 30


def test_groups_nest_fifty_deep() -> None:
    query = "(gas AND oil) OR iran"
    for number in range(49):
        query = f"({query}) {('OR', 'AND')[number % 2]} {('gas', 'iran')[number % 2]}"
    assert matched(query, view("Iran")) == ["Iran"]


def test_words_that_only_look_like_operators() -> None:
    assert matched('N95 AND near AND "and"', view("N95 masks and a near miss")) == ["N95", "and", "near"]


def test_any_sign_can_stand_beside_a_wildcard() -> None:
    signs = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
    written = "".join(f"\\{sign}" for sign in signs)
    assert matched(f"source:{written}*xyz", view("Oil", source=f"{signs} news xyz")) == []


@pytest.mark.parametrize(
    ("query", "anchors"),
    [
        ("iran AND petrochemicals", {("word", "petrochemicals")}),
        ("oil OR gas", {("word", "oil"), ("word", "gas")}),
        ('"strait of hormuz"', {("pair", "strait of")}),
        ("sanction* AND the", {("wildcard", "sanction*")}),
        ("*stream", {("wildcard", "*stream")}),
        ("tanker~1 AND the", {("fuzzy", "tanker~1")}),
        ("(oil OR crude) NEAR/3 hormuz", {("word", "hormuz")}),
        ("FIRST/3(hormuz)", {("word", "hormuz")}),
        ("ATLEAST/2(the of hormuz kharg)", {("word", "hormuz"), ("word", "kharg"), ("word", "of")}),
        ("CASED(Hormuz) AND the", {("word", "hormuz")}),
        ("money:>3 AND hormuz", {("word", "hormuz")}),
        ("money:>3", None),
        ("topic:iran", {("topic", "iran")}),
        ("source:AFP", {("source", "afp")}),
        ("status:canceled OR hormuz", {("status", "canceled"), ("word", "hormuz")}),
        ("hormuz AND NOT oil", {("word", "hormuz")}),
        ("hormuz AND (oil OR NOT gas)", {("word", "hormuz")}),
        ("oil AND NOT (gas OR NOT petrochemicals)", {("word", "petrochemicals")}),
        ('"hormuz tanker"~3', {("word", "hormuz")}),
        ("hormuz AND /ta.*/", {("word", "hormuz")}),
        ("hormuz OR /ta.*/", {("word", "hormuz"), ("regex", "ta.*")}),
        ("kind:first", None),
        ("status:usable", None),
        ("source:*.gov", {("sources", r".*\.gov")}),
        ("url:*.gov/*", None),
        ("author:smith", None),
    ],
)
def test_anchors_are_what_a_headline_must_have(query: str, anchors: set[tuple[str, str]] | None) -> None:
    assert compile_query(query).anchors == (None if anchors is None else {Anchor(*pair) for pair in anchors})  # type: ignore[arg-type]


def test_values_that_a_query_asks_for() -> None:
    query = compile_query("topic:Iran AND -topic:(tech_deals OR rus*) AND source:afp")
    assert query.values("topic") == {"iran", "tech_deals"}
    assert query.values("source") == {"afp"}


@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ("iran  oil", "iran AND oil"),
        ("iran && (oil || gas) !coal", "iran AND (oil OR gas) AND NOT coal"),
        ("a AND b OR c", "(a AND b) OR c"),
        ("iran AND (oil AND gas)", "iran AND oil AND gas"),
        ("headline:iran", "iran"),
        ("topic:(iran -tech_deals)", "topic:iran AND NOT topic:tech_deals"),
        ("x AND NOT (a OR b)", "x AND NOT (a OR b)"),
        ('"U.S. sanctions" ~3', '"U.S. sanctions"~3'),
        ("/a\\/b/ AND ir\\*n", "/a\\/b/ AND ir\\*n"),
        ("x AND a NEAR/2 (b OR c)", "x AND a NEAR/2 (b OR c)"),
        ("ATLEAST/2(a (b c) NOT d)", "ATLEAST/2(a (b AND c) (NOT d))"),
        ("ATLEAST/2(a b)", "a AND b"),
        ("FIRST/3( (a OR b) )", "FIRST/3(a OR b)"),
        ("CASED(US OR UK)", "CASED(US) OR CASED(UK)"),
        ("money:>=1.5bn", "money:>=1.5bn"),
    ],
)
def test_prints_in_one_form(query: str, printed: str) -> None:
    assert str(compile_query(query)) == printed


# A query as the properties below make it: a term as written, ("not", part), or ("and"/"or", parts).
Made: TypeAlias = str | tuple[Any, ...]

WORDS = ("iran", "oil", "gas", "tanker", "tank", "re-elect", "U.S.", "elect", "us", "2,000", "a")
TERMS = (
    *WORDS,
    "tank*",
    "*an*",
    "o?l",
    '"oil tanker"',
    '"re elect"',
    '"iran gas"~2',
    '"oil iran tank"~4',
    "/ta.*/",
    "topic:iran",
    "topic:tech*",
    "source:afp",
    "kind:update",
    'author:"jane smith"',
    "(iran OR oil) NEAR/1 tank*",
    "gas ONEAR/2 oil",
    "FIRST/3(oil OR gas)",
    "ATLEAST/2(oil gas iran)",
    "CASED(US)",
    "tanket~1",
    "words:>4",
)


def combined(parts: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    groups = st.tuples(st.sampled_from(("and", "or")), st.lists(parts, min_size=2, max_size=3))
    return groups | parts.map(lambda part: ("not", part))


MADE = st.recursive(st.sampled_from(TERMS), combined, max_leaves=8)


def write(made: Made) -> str:
    if isinstance(made, str):
        return made
    if made[0] == "not":
        return f"NOT ({write(made[1])})"
    return f" {made[0].upper()} ".join(f"({write(part)})" for part in made[1])


def holds(made: Made, term: Callable[[str], bool]) -> bool:
    if isinstance(made, str):
        return term(made)
    if made[0] == "not":
        return not holds(made[1], term)
    quantifier = all if made[0] == "and" else any
    return quantifier(holds(part, term) for part in made[1])


@st.composite
def views(draw: st.DrawFn) -> View:
    text = " ".join(draw(st.lists(st.sampled_from((*WORDS, "Tehran", "and", "-")), max_size=8)))
    names = draw(st.sets(st.sampled_from(("iran", "tech_deals"))))
    return view(
        clean(text),
        topics=tuple(TopicMatch(topic=name, confidence=1.0) for name in sorted(names)),
        kind=draw(st.sampled_from(("first", "update"))),
        source=draw(st.sampled_from(("AFP", "other"))),
        author=draw(st.sampled_from((None, "Jane Smith"))),
    )


def anchored(made: Made) -> str:
    """A query that a lone negation cannot spoil: every headline is of some kind."""
    return f"(kind:first OR kind:update) AND ({write(made)})"


@given(MADE, views())
def test_groups_are_boolean_algebra(made: Made, on: View) -> None:
    found = compile_query(anchored(made)).match(on)
    assert (found is not None) == holds(made, lambda term: compile_query(term).match(on) is not None)


@given(MADE)
def test_a_printed_query_parses_to_an_equal_one(made: Made) -> None:
    query = compile_query(anchored(made))
    again = compile_query(str(query))
    assert again == query
    assert str(again) == str(query)


@given(MADE, views())
def test_two_negations_cancel(made: Made, on: View) -> None:
    query = compile_query(anchored(made))
    assert compile_query(anchored(("not", ("not", made)))).match(on) == query.match(on)


@given(st.lists(MADE, min_size=2, max_size=3), views())
def test_de_morgan(parts: list[Made], on: View) -> None:
    for kind, dual in (("and", "or"), ("or", "and")):
        one = compile_query(anchored(("not", (kind, parts))))
        other = compile_query(anchored((dual, [("not", part) for part in parts])))
        assert one.match(on) == other.match(on)


@given(MADE, st.text(max_size=60))
def test_spans_are_words_of_the_headline_in_order(made: Made, text: str) -> None:
    headline = clean(f"Iran {text} oil-tanker {text} re-elect U.S. gas")
    match = compile_query(anchored(made)).match(view(headline))
    spans = match.spans if match else ()
    assert all(headline[span.start : span.end] == span.text != "" for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))


#: Parts of queries, which make more of them than letters do; one on a line, or between two spaces.
PIECES = """
oil  gas  tanker  "a b"  tan*  CASED  US  /x.*/  @l  @m  AND  OR  NOT  NEAR/5  ONEAR/3  FIRST/2  ATLEAST/2  (  )  +  -  !
&&  ||  "  *  ?  ~  ~1  ~2  ~5  ^2  :  source:  topic:  author:  money:  words:  published:  2026-01-01  >=3  <=2  >  <
\\  \\(  '  [1 TO 3]  {1 TO *]  [a TO b]
"""
MADE_OF_PIECES = st.tuples(
    st.sampled_from(("", " ")), st.lists(st.sampled_from((*re.split(r"\n|  ", PIECES), " ")), max_size=12)
).map(lambda made: made[0].join(made[1]))


@given(st.text(max_size=80) | st.text(alphabet='ab "()*?+-!&|~^:/\\[]<>ANDORT', max_size=40) | MADE_OF_PIECES)
def test_any_text_is_a_query_or_a_clear_error(text: str) -> None:
    query, refused = compiled(text)
    if query is not None:
        assert compile_query(str(query)) == query
    else:
        assert refused is not None
        assert 1 <= refused.column <= len(text) + 1
        assert refused.message


def compiled(text: str) -> tuple[Query | None, QueryError | None]:
    try:
        return compile_query(text), None
    except QueryError as error:
        return None, error


@given(st.lists(st.sampled_from("abcde"), max_size=14), st.permutations("abc"), st.integers(1, 6))
def test_near_is_lucenes_sloppy_phrase(words: list[str], wanted: list[str], slop: int) -> None:
    wanted = wanted[:2] if slop % 2 else wanted
    expected = any(
        max(moved) - min(moved) <= slop
        for places in placings(wanted, words)
        if (moved := [place - offset for offset, place in enumerate(places)])
    )
    query = compile_query(f'"{" ".join(wanted)}"~{slop}')
    assert (query.match(view(" ".join(words))) is not None) == expected


def placings(wanted: list[str], words: list[str]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for word in wanted:
        found = [(*places, at) for places in found for at, other in enumerate(words) if other == word]
    return found


def queries_of_the_reference(heading: str) -> list[str]:
    """The queries in the first column of the table below a heading of docs/reference/rules.md."""
    section = REFERENCE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n#")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1] for line in section.splitlines() if line.startswith("| `")]
    return [query.replace("\\|", "|") for cell in cells for query in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("query", queries_of_the_reference("The language"))
def test_the_reference_shows_queries_that_work(query: str) -> None:
    assert str(compile_query(query))


@pytest.mark.parametrize("query", queries_of_the_reference("What is refused, and why"))
def test_the_reference_shows_queries_that_are_refused(query: str) -> None:
    with pytest.raises(QueryError):
        compile_query(query)


def test_the_reference_names_every_field() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in FIELDS if f"| `{name}:` |" not in text] == []


@pytest.mark.skipif(not DEV_HEADLINES.exists(), reason="the headlines for development are not here")
def test_real_headlines_have_spans_that_stand_in_them() -> None:
    headlines = [json.loads(line)["headline"] for line in DEV_HEADLINES.read_text(encoding="utf-8").splitlines()]
    query = compile_query('iran* OR oil OR "deal for"~6 OR *tion OR /[0-9.,]+(bn|m|b)?/')
    spans = [(text, span) for text in headlines if (match := query.match(view(text))) for span in match.spans]
    assert len(spans) > len(headlines) / 2
    assert all(text[span.start : span.end] == span.text for text, span in spans)
