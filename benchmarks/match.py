"""Headlines a second through the matcher, beside evaluating every rule on every headline.

The peer parses the same rules with luqum and evaluates its tree by sets of words, one rule after the other.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luqum import tree as lucene
from luqum.thread import parse

from benchmarks.report import Row, row
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Classified, Headline
from streams.core.rule import Rule, RuleSet
from streams.core.text import tokenize

STREAM = Path(__file__).parents[2] / "shared" / "data" / "stream_2022q4.jsonl.gz"
HEADLINES = 20_000
#: Headlines that the peer is given, by the number of rules: it takes seconds for a thousand.
PEERS_HEADLINES = {10: 5_000, 1_000: 200}
NOW = datetime(2022, 10, 1, tzinfo=UTC)


def run() -> list[Row]:
    """Both, with 10 and with 1,000 rules."""
    texts = headlines()
    records = [
        Classified(
            id=str(number),
            seq=number,
            position=f"headlines.raw:0:{number}",
            received=NOW,
            headline=Headline(headline=text, published=NOW),
            story_id=str(number),
        )
        for number, text in enumerate(texts)
    ]
    rows = []
    for count, peers in PEERS_HEADLINES.items():
        queries = make_queries(texts, count)
        rules = [
            Rule(f"rule-{number}", "", compile_query(query), "low", ("archive",))
            for number, query in enumerate(queries)
        ]
        matcher = Matcher(RuleSet(rules))
        peer_match = functools.partial(naive, [parse(query) for query in queries])
        check_same(matcher, records[:peers], peer_match)
        ours = per_second(matcher.match, records)
        peer = per_second(peer_match, texts[:peers])
        rows.append(row(f"{count:,} rules", ours, "headlines/s", peer=peer, peer_name="luqum, every rule"))
    return rows


def check_same(matcher: Matcher, records: Sequence[Classified], peer_match: Callable[[str], list[int]]) -> None:
    """Figures of two programs that answer differently would mean nothing."""
    for record in records:
        ours = sorted(int(match.rule.name.removeprefix("rule-")) for match in matcher.match(record))
        if ours != peer_match(record.headline.headline):
            raise RuntimeError(f"the matcher and its peer differ on {record.headline.headline!r}")


def per_second(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """How many of ``items`` are worked on in a second, the best of three runs."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        for item in items:
            work(item)
        best = max(best, len(items) / (time.perf_counter() - start))
    return best


def headlines() -> list[str]:
    """A real stream where it is at hand, or a made one with words as frequent as in language (Zipf's law)."""
    if STREAM.exists():
        with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
            return [json.loads(line)["headline"] for line, _ in zip(lines, range(HEADLINES), strict=False)]
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvwy", k=dice.randint(3, 10))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [" ".join(dice.choices(words, weights, k=dice.randint(6, 14))) for _ in range(HEADLINES)]


def make_queries(texts: Sequence[str], count: int) -> list[str]:
    """Queries as desks write them, over words of the headlines."""
    dice = random.Random(2)
    seen = Counter(token.word for text in texts for token in tokenize(text))
    words = [word for word, _ in seen.most_common(6_000) if word.isalpha() and len(word) > 2][40:]
    forms = ('{} AND ({} OR {} OR "{} {}")', "({} OR {} OR {}) AND {}* AND NOT {}", '"{} {}" OR {}', "{} {} -{}")
    queries = []
    for _ in range(count):
        form = dice.choice(forms)
        queries.append(form.format(*dice.sample(words, form.count("{}"))))
    return queries


def naive(trees: Sequence[Any], text: str) -> list[int]:
    """The numbers of the queries that match a text."""
    words = [token.word for token in tokenize(text)]
    return [number for number, tree in enumerate(trees) if holds(tree, words)]


def holds(item: Any, words: Sequence[str]) -> bool:
    """Whether a tree of luqum holds of the words of a headline."""
    match item:
        case lucene.Word(value=value):
            return any(word.startswith(value[:-1]) for word in words) if value.endswith("*") else value in words
        case lucene.Phrase(value=value):
            return f" {value[1:-1]} " in f" {' '.join(words)} "
        case lucene.OrOperation():
            return any(holds(part, words) for part in item.children)
        case lucene.Not() | lucene.Prohibit():
            return not holds(item.children[0], words)
        case _:
            return all(holds(part, words) for part in item.children)
