"""Thousands of queries are put to Apache Lucene's Monitor as well, which must find the same headlines.

Half of the queries are in the syntax that both have, and are read by Lucene's own parser from the same text. The others
have operators of ours, and are made for Lucene of the spans, intervals and minimum of matches that mean the same there.
Lucene is given folded words; `test_what_the_analysers_differ_in` shows what becomes of headlines that it cuts by itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from benchmarks import lucene
from benchmarks.match import OPERATORS, read_records
from streams.core.match import Matcher
from streams.core.query import View, compile_query
from streams.core.records import Classified
from streams.core.rule import Rule, RuleSet


@pytest.fixture(scope="module", autouse=True)
def _lucene() -> None:
    try:
        lucene.run(["=oil"], ["afp\t\toil"])
    except (RuntimeError, OSError) as error:
        pytest.skip(f"Lucene cannot be fetched or run: {error}")


@dataclass(frozen=True)
class Dice:
    """Makes queries over the words of headlines."""

    random: random.Random
    words: Sequence[str]
    texts: Sequence[Sequence[str]]
    sources: Sequence[str]
    topics: Sequence[str]

    def word(self) -> str:
        return self.random.choice(self.words[: self.random.choice((60, 600, 6_000))])

    def neighbours(self, least: int, most: int) -> list[str]:
        """Words that stand near one another in some headline, each once."""
        while True:
            text = self.random.choice(self.texts)
            count = self.random.randint(least, most)
            first = self.random.randrange(max(1, len(text) - count))
            found = [word for word in text[first : first + count] if word.isalnum() and word.isascii()]
            if len(found) >= least and len(set(found)) == len(found):
                return found

    def phrase(self) -> str:
        return f'"{" ".join(self.neighbours(2, 3))}"'

    def sloppy(self) -> str:
        words = self.neighbours(2, 5)
        self.random.shuffle(words)
        return f'"{" ".join(words[: self.random.randint(2, 3)])}"~{self.random.randint(1, 8)}'

    def wildcard(self) -> str:
        word = self.long(4)
        cut = self.random.randint(3, len(word) - 1)
        inner = self.random.randint(1, len(word) - 2)
        forms = (f"{word[:cut]}*", f"*{word[-cut:]}", f"{word[:inner]}?{word[inner + 1 :]}", f"{word[:2]}*{word[-2:]}")
        return self.random.choice(forms)

    def fuzzy(self) -> str:
        edits = self.random.choice((1, 1, 2))
        word = self.long(4 if edits == 1 else 7)
        for _ in range(self.random.randint(0, edits)):
            at = self.random.randrange(len(word) - 1)
            changed = (
                word[:at] + word[at + 1 :],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + "x" + word[at:],
            )
            word = self.random.choice([some for some in changed if len(some) >= (4 if edits == 1 else 7)] or [word])
        return f"{word}~{edits}"

    def regex(self) -> str:
        word = self.long(4)
        at = self.random.randint(1, len(word) - 1)
        forms = (
            f"{word[:at]}(s|ed|{word[at:]})",
            f"{word[:at]}.+",
            f"[a-m]{word[1:]}?",
            f"({word}|{self.long(4)})s?",
            f".{{2}}{word[2:]}",
        )
        return f"/{self.random.choice(forms)}/"

    def long(self, least: int) -> str:
        while True:
            word = self.word()
            if len(word) >= least and word.isalpha():
                return word

    def value(self) -> str:
        return self.random.choice(
            (f"topic:{self.random.choice(self.topics)}", f'source:"{self.random.choice(self.sources)}"')
        )

    def term(self) -> str:
        kinds: list[Callable[[], str]] = [
            *[self.word] * 5,
            self.phrase,
            self.phrase,
            self.sloppy,
            self.wildcard,
            self.wildcard,
            self.fuzzy,
            self.regex,
            self.value,
        ]
        return self.random.choice(kinds)()

    def positive(self, depth: int) -> str:
        """A query that both parsers read alike."""
        roll = self.random.random() if depth else 0.0
        part = self.positive
        if roll < 0.4:
            return self.term()
        if roll < 0.6:
            return f"({part(depth - 1)} OR {part(depth - 1)} OR {self.term()})"
        if roll < 0.75:
            return f"({part(depth - 1)} AND {part(depth - 1)})"
        if roll < 0.9:
            return f"({part(depth - 1)} AND NOT {part(depth - 1)})"
        return f"(+{part(depth - 1)} +{self.term()} -{self.term()})"

    def any(self, depth: int) -> str:
        """A query with operators of ours, and with negations wherever one can stand."""
        roll = self.random.random() if depth else 0.0
        part = self.any
        if roll < 0.35:
            return self.random.choice((self.term, self.near, self.first))()
        if roll < 0.5:
            return f"({part(depth - 1)} OR {part(depth - 1)})"
        if roll < 0.65:
            return f"({part(depth - 1)} AND {part(depth - 1)})"
        if roll < 0.85:
            return f"({self.term()} AND NOT ({part(depth - 1)} OR NOT {part(depth - 1)}))"
        return f"ATLEAST/2(({part(depth - 1)}) {self.word()} {self.term()} {self.word()})"

    def near(self) -> str:
        words = self.neighbours(3, 7)
        self.random.shuffle(words)
        one, other, third = words[:3]
        right = self.random.choice((other, f"({other} OR {third})", f'({other} OR "{third} {other}")'))
        return f"{one} {self.random.choice(('NEAR', 'ONEAR'))}/{self.random.randint(0, 5)} {right}"

    def first(self) -> str:
        words = self.neighbours(2, 2)
        inner = self.random.choice(
            (words[0], f'"{" ".join(words)}"', f"{words[0]} OR {words[1]}", f"{self.long(4)[:3]}*")
        )
        return f"FIRST/{self.random.randint(1, 7)}({inner})"


def dice(records: Sequence[Classified], seed: int) -> Dice:
    texts = [View(record).headline.words for record in records]
    seen = Counter(word for text in texts for word in text if word.isascii() and word.isalnum())
    return Dice(
        random.Random(seed),
        [word for word, _ in seen.most_common() if word not in OPERATORS],
        [[word for word in text if word not in OPERATORS] for text in texts],
        sorted({record.headline.source.casefold() for record in records}),
        sorted({topic.topic for record in records for topic in record.topics}) or ["iran"],
    )


def distinct(make: Callable[[], str], count: int) -> list[str]:
    """Queries that compile, and of which no two are the same."""

    def made() -> Iterator[str]:
        while True:
            query = make()
            try:
                compile_query(query)
            except ValueError:  # a word that is too short for a wildcard, or the like
                continue
            yield query

    found: dict[str, None] = {}
    for query in made():
        found[query] = None
        if len(found) == count:
            return list(found)
    raise AssertionError


def ours(queries: Sequence[str], records: Sequence[Classified]) -> list[tuple[int, ...]]:
    rules = [Rule(f"{number:06}", "", compile_query(query), "low", ("desk",)) for number, query in enumerate(queries)]
    matcher = Matcher(RuleSet(rules))
    return [tuple(int(match.rule.name) for match in matcher.match(record)) for record in records]


def compare(queries: Sequence[str], asked: Sequence[str], records: Sequence[Classified]) -> int:
    """The hits, which are the same on both sides."""
    theirs = lucene.run(asked, map(lucene.line_of, records), batch=100).hits
    for record, mine, other in zip(records, ours(queries, records), theirs, strict=True):
        differing = [queries[number] for number in sorted(set(mine) ^ set(other))]
        assert not differing, f"{record.headline.headline!r}: {differing[:5]}"
    return sum(map(len, theirs))


@pytest.mark.parametrize(
    ("seed", "queries", "headlines"),
    [(1, 1_200, 1_500), pytest.param(2, 6_000, 10_000, marks=pytest.mark.long)],
)
def test_queries_of_lucenes_own_syntax(seed: int, queries: int, headlines: int) -> None:
    records = read_records(headlines)
    made = dice(records, seed)
    asked = distinct(lambda: made.positive(3), queries)
    hits = compare(asked, [f"={query}" for query in asked], records)
    print(f"{len(asked):,} queries, {len(records):,} headlines, {hits:,} hits, no difference")
    assert hits > queries


@pytest.mark.parametrize(
    ("seed", "queries", "headlines"),
    [(3, 1_200, 1_500), pytest.param(4, 6_000, 10_000, marks=pytest.mark.long)],
)
def test_queries_with_operators_of_ours(seed: int, queries: int, headlines: int) -> None:
    records = read_records(headlines)
    made = dice(records, seed)
    asked = distinct(lambda: made.any(2), queries)
    hits = compare(asked, [lucene.query_of(compile_query(query).root) for query in asked], records)
    print(f"{len(asked):,} queries, {len(records):,} headlines, {hits:,} hits, no difference")
    assert hits > queries


def test_what_the_analysers_differ_in() -> None:
    """By its own analyser, Lucene finds other headlines only by words with a sign in them."""
    records = read_records(2_000)
    made = dice(records, 5)
    queries = [made.word() for _ in range(500)]
    lines = [lucene.line_of(record, raw=True) for record in records]
    theirs = lucene.run([f"={query}" for query in queries], lines, batch=100, analyzer="standard").hits
    agreed = differing = 0
    for record, mine, other in zip(records, ours(queries, records), theirs, strict=True):
        agreed += len(set(mine) & set(other))
        differing += len(set(mine) ^ set(other))
        if set(mine) != set(other):
            assert (
                any(sign in record.headline.headline for sign in "'\u2019\u2018.,&:_")
                or not record.headline.headline.isascii()
            )
    print(f"{agreed:,} hits on both sides, {differing:,} on one")
    assert differing < agreed / 10
