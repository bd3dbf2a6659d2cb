"""Replay with everything on, beside Apache Lucene's Monitor doing the matching alone; and its memory over a long stream.

Everything is: deduplicated by story over 72 hours, classified by the taxonomy that comes along, matched with 100 rules of all
kinds, of which each fifth remembers (throttles, pauses, bursts), routed with groups, composed into messages and summed up. The
headlines are read before. Seconds are the processor's.

*Memory* is the resident set, while the stream is replayed again and again, each time later by its whole span, so that its
windows hold what they did and nothing is known from before. ``BENCH_REPLAY_HEADLINES`` says how many headlines; a million else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace as replaced
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from alerts.route import ChannelRouter, Route, Routing
from benchmarks.match import BATCH, best_of_lucene, make_queries, read_records
from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.backtest.messages import with_messages
from streams.backtest.replay import Summary
from streams.backtest.replay import replay as decisions_of
from streams.cli.plan import load_taxonomy
from streams.core.classify import Classifier
from streams.core.conditions import Burst, Repeat, Throttle
from streams.core.dedupe import Candidate, Deduper, ExactDeduper
from streams.core.match import Matcher
from streams.core.pipeline import Engine, candidate_of
from streams.core.query import compile_query
from streams.core.records import Headline
from streams.core.rule import Rule, RuleSet
from streams.core.story.deduper import StoryDeduper

RULES = 100
WINDOW = timedelta(hours=72)
PEERS_HEADLINES, PEERS_ROUNDS = 8_000, 5
LONG = int(os.environ.get("BENCH_REPLAY_HEADLINES", "1_000_000"))
_HOUR = timedelta(hours=1)


def run() -> Iterator[Row]:
    """Memory, while nothing else has taken any, then speed."""
    records = read_records()
    queries = make_queries(records, RULES)
    rules = RuleSet(rules_of(queries))
    stream = headlines()
    yield from _memory(rules, stream)
    peer, presearcher = best_of_lucene(queries, records[:PEERS_HEADLINES], PEERS_ROUNDS)
    lucene = f"Lucene Monitor 9.11.1, {presearcher}, {RULES} rules, matching alone, batches of {BATCH}"
    for what, deduper in (("by story", StoryDeduper(WINDOW)), ("exact repeats only", ExactDeduper(WINDOW))):
        rate = _rate(rules, deduper, stream)
        title = f"replay, everything on, {RULES} rules, {what}, {name()}"
        yield row(title, rate, "headlines/s", peer=max(peer.rates), peer_name=lucene)


def rules_of(queries: Sequence[str]) -> Iterator[Rule]:
    """Rules of all kinds; each fifth remembers."""
    remembering = (
        {"throttle": Throttle(3, _HOUR)},
        {"repeat": Repeat(4 * _HOUR)},
        {"condition": Burst(_HOUR, 3, by="story")},
        {"throttle": Throttle(10, 24 * _HOUR, by="topic"), "repeat": Repeat(_HOUR)},
    )
    for number, query in enumerate(queries):
        rule = Rule(f"rule-{number:03}", "", compile_query(query), "low", ("desk",))
        yield replaced(rule, **remembering[number // 5 % 4]) if number % 5 == 0 else rule


def engine_of(rules: RuleSet, deduper: Deduper) -> Engine:
    """An engine with everything on."""
    routing = Routing(Route("root", group_by=("topic",)))
    return Engine(Matcher(rules), Classifier(load_taxonomy([])), deduper, ChannelRouter(routing))


def candidates_of(stream: Sequence[Headline], later: timedelta = timedelta(), first: int = 0) -> Iterator[Candidate]:
    """The headlines of a stream, ``later`` by so much, numbered from ``first``."""
    for number, headline in enumerate(stream, first):
        place, published = f"replay:0:{number}", headline.published + later
        yield candidate_of(replace(headline, published=published), id=place, position=place, received=published)


def _rate(rules: RuleSet, deduper: Deduper, stream: Sequence[Headline]) -> float:
    """Headlines a second of the processor's time."""
    candidates = list(candidates_of(stream))
    engine, summary = engine_of(rules, deduper), Summary([rule.name for rule in rules.rules])
    began = time.process_time()
    for one in with_messages(decisions_of(candidates, engine)):
        summary.take(one)
    return len(stream) / (time.process_time() - began)


def _memory(rules: RuleSet, stream: Sequence[Headline]) -> Iterator[Row]:
    """The resident set after a tenth, a half and all of a long stream."""
    engine, summary = engine_of(rules, StoryDeduper(WINDOW)), Summary([rule.name for rule in rules.rules])
    told_at = [LONG // 10, LONG // 2, LONG]
    done = 0
    for one in with_messages(decisions_of(_again_and_again(stream), engine)):
        summary.take(one)
        if summary.headlines > done:
            done = summary.headlines
            if done in told_at:
                yield row(f"replay by story: memory after {done:,} headlines", resident(), "MB")


def _again_and_again(stream: Sequence[Headline]) -> Iterator[Candidate]:
    span = stream[-1].published - stream[0].published + 2 * WINDOW
    given = 0
    while given < LONG:
        part = stream[: LONG - given]
        yield from candidates_of(part, span * (given // len(stream)), given)
        given += len(part)


def resident() -> float:
    """The resident set of this process, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
