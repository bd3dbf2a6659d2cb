"""Headlines a second through the matcher, beside Apache Lucene's Monitor with the same rules and headlines.

Both are given real headlines and rules of all kinds that both know, over words of these headlines, and must find the
same. It is measured twice: which rules fire, and by which words. Lucene has its best settings: two of its
presearchers are tried, in batches, which are faster than one headline at a time, and the fastest round counts, when Java has
compiled all there is to compile. It is given words that are folded and cut already, while ours folds and cuts. Its third
presearcher, which knows parts of words, is slower here, and loses hits of `/suicid(e|es)/`.

A second is one of the processor's: of the thread that matches, so that other programs, and Java's compiler and collector beside
that thread, take nothing from either.
"""

from __future__ import annotations

import gc
import gzip
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import lucene
from benchmarks.report import Row, row
from streams.cli.plan import load_taxonomy
from streams.core.classify import Classifier
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Classified, Headline
from streams.core.rule import Rule, RuleSet
from streams.core.text import clean, tokenize

STREAM = Path(__file__).parents[2] / "shared" / "data" / "stream_2022q4.jsonl.gz"
HEADLINES = 20_000
#: Headlines that Lucene is given, by the number of rules: it takes minutes for more.
PEERS_HEADLINES = {10: 20_000, 1_000: 8_000, 10_000: 2_000, 100_000: 400}
#: Rounds of Lucene's, of which the last ones are warm, by the number of rules.
PEERS_ROUNDS = {10: 6, 1_000: 5, 10_000: 5, 100_000: 4}
PRESEARCHERS: Sequence[lucene.Presearcher] = ("terms", "multipass")
BATCH = 100
#: Lucene's highlighter takes minutes for more rules.
MOST_WITH_WORDS = 10_000
NOW = datetime(2022, 10, 1, tzinfo=UTC)
#: Words that a query would have to put in quotes.
OPERATORS = ("and", "or", "not")

#: The kinds of rule, and how many of a hundred are such. `{w}` is a word, `{c}` a common one, `{s}` the beginning of a
#: word, `{p}` two words that follow one another in a headline, none of them as common as *the*.
KINDS: Sequence[tuple[int, str]] = (
    (14, '{w} AND ({w} OR {w} OR "{p}")'),
    (10, "{w} {c} -{w}"),
    (10, '"{p}" OR "{p}" OR {w}'),
    (8, "({w} OR {w} OR {w}) AND ({c} OR {c} OR {c}) AND NOT {w}"),
    (10, "({s}* OR {s}* OR {w}) AND ({w} OR {s}*)"),
    (8, "({s}* OR {w}) AND {c} AND NOT {s}*"),
    (6, "{s}* AND {w}"),
    (4, "{s}?* OR {w}"),
    (6, '"{w} {c}"~4'),
    (6, '({w} OR {w}) NEAR/4 ({c} OR "{p}")'),
    (3, "{w} ONEAR/6 {c}"),
    (5, "topic:{t} AND ({w} OR {s}*)"),
    (4, "source:{o} AND ({w} OR {w})"),
    (4, "({w}~1 OR {w}) AND {c}"),
    (4, "/{s}(e|ed|er|ers|es|ing|s)/ AND ({w} OR {c})"),
    (3, "ATLEAST/2({w} {w} {c} {c} {s}*)"),
    (3, "FIRST/4({w} OR {w})"),
)


class Made(NamedTuple):
    """A matcher, and what it took to make it."""

    matcher: Matcher
    seconds: float
    bytes: int


def run() -> Iterator[Row]:
    """Both, with 10, 1,000, 10,000 and 100,000 rules."""
    records = read_records()
    for count, peers in PEERS_HEADLINES.items():
        queries = make_queries(records, count)
        made = load(queries)
        ours = records if count < 100_000 else records[:5_000]
        peer, presearcher = best_of_lucene(queries, records[:peers], PEERS_ROUNDS[count])
        name = f"Lucene Monitor 9.11.1, {presearcher}"
        check_same(made.matcher, records[:peers], peer.hits)
        figure = per_second(made.matcher.fired, ours)
        yield row(f"{count:,} rules", figure, "headlines/s", peer=max(peer.rates), peer_name=name)
        if count <= MOST_WITH_WORDS:
            worded = ask_lucene(queries, records[:peers], presearcher, PEERS_ROUNDS[count], words=True)
            figure = per_second(made.matcher.match, ours)
            what = f"{count:,} rules, with words"
            yield row(what, figure, "headlines/s", peer=max(worded.rates), peer_name=name)
        if count == max(PEERS_HEADLINES):
            yield row(f"{count:,} rules, load", made.seconds, "s", peer=peer.load, peer_name=name)
            memory = made.bytes / 1e6
            yield row(f"{count:,} rules, memory", memory, "MB", peer=peer.memory / 1e6, peer_name=name)


def load(queries: Sequence[str]) -> Made:
    """A matcher of these queries, read from their text."""
    gc.collect()
    before, start = _memory(), time.process_time()
    rules = [
        Rule(f"rule-{number:06}", "", compile_query(query), "low", ("archive",)) for number, query in enumerate(queries)
    ]
    matcher = Matcher(RuleSet(rules))
    return Made(matcher, time.process_time() - start, _memory() - before)


def best_of_lucene(
    queries: Sequence[str], records: Sequence[Classified], rounds: int
) -> tuple[lucene.Run, lucene.Presearcher]:
    """The fastest of Lucene's settings."""
    runs = [(ask_lucene(queries, records, presearcher, rounds), presearcher) for presearcher in PRESEARCHERS]
    return max(runs, key=lambda pair: max(pair[0].rates))


def ask_lucene(
    queries: Sequence[str],
    records: Sequence[Classified],
    presearcher: lucene.Presearcher,
    rounds: int,
    *,
    words: bool = False,
) -> lucene.Run:
    """Lucene with our queries and headlines."""
    asked = [lucene.query_of(compile_query(query).root) for query in queries]
    lines = [lucene.line_of(record) for record in records]
    return lucene.run(asked, lines, presearcher=presearcher, batch=BATCH, rounds=rounds, words=words)


def check_same(matcher: Matcher, records: Sequence[Classified], hits: Sequence[Sequence[int]]) -> None:
    """Figures of two programs that answer differently would mean nothing."""
    for record, theirs in zip(records, hits, strict=True):
        ours = [int(match.rule.name.removeprefix("rule-")) for match in matcher.match(record)]
        if ours != list(theirs):
            raise RuntimeError(f"the matcher and its peer differ on {record.headline.headline!r}: {ours} and {theirs}")


def per_second(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """How many of ``items`` are worked on in a second, the best of three runs."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        for item in items:
            work(item)
        best = max(best, len(items) / (time.process_time() - start))
    return best


def read_records(count: int = HEADLINES) -> list[Classified]:
    """The first headlines, with the topics that they have by the taxonomy that comes with us."""
    classifier = Classifier(load_taxonomy([]))
    return [
        Classified(
            id=str(number),
            seq=number,
            position=f"headlines.raw:0:{number}",
            received=NOW,
            headline=headline,
            story_id=str(number),
            topics=classifier.classify(headline.headline),
        )
        for number, headline in enumerate(read_headlines(count))
    ]


def read_headlines(count: int) -> list[Headline]:
    """A real stream where it is at hand, or a made one with words as frequent as in language (Zipf's law)."""
    if STREAM.exists():
        with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in islice(lines, count)]
        return [Headline(headline=clean(row["headline"]), published=NOW, source=row["source"]) for row in rows]
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvwy", k=dice.randint(3, 10))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    texts = (" ".join(dice.choices(words, weights, k=dice.randint(6, 14))) for _ in range(count))
    return [Headline(headline=text, published=NOW, source=dice.choice(("afp", "dpa", "efe"))) for text in texts]


def make_queries(records: Sequence[Classified], count: int) -> list[str]:
    """Queries as desks write them, over words of the headlines."""
    dice = random.Random(2)
    seen: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for record in records:
        words = [token.word for token in tokenize(record.headline.headline)]
        seen.update(words)
        pairs.update(pairwise(words))
    letters = [word for word, _ in seen.most_common() if word.isascii() and word.isalpha() and word not in OPERATORS]
    rare = [word for word in letters[300:12_000] if len(word) > 3]
    telling = set(letters[60:])
    filling = {
        "w": rare,
        "c": [word for word in letters[30:800] if len(word) > 2],
        "s": [word[: dice.randint(4, 6)] for word in rare if len(word) > 5],
        "p": [" ".join(pair) for pair, _ in pairs.most_common(12_000) if telling.issuperset(pair)],
        "t": sorted({topic.topic for record in records for topic in record.topics}) or ["iran"],
        "o": sorted({f'"{record.headline.source}"' for record in records}),
    }
    kinds = dice.choices([form for _, form in KINDS], [weight for weight, _ in KINDS], k=count)
    return [_filled(form, filling, dice) for form in kinds]


def _filled(form: str, filling: dict[str, list[str]], dice: random.Random) -> str:
    """A query of a form, with no word in it twice."""
    made, used = form, set[str]()
    while "{" in made:
        place = made.index("{")
        word = dice.choice(filling[made[place + 1]])
        if not used.intersection(word.split()):
            used.update(word.split())
            made = made[:place] + word + made[place + 3 :]
    return made


def _memory() -> int:
    """The memory that this process has in use, bytes."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
