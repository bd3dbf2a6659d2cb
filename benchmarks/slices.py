"""A replay by two processes beside one that does all alone: headlines a second on the clock, everything on.

The decisions must be the same. It says also how many headlines had to be decided again, and how fast two processes are that
each do all alone at the same time: what cores that share a memory have to give. What is on, `benchmarks.replay` says.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import blake2b

import msgspec

from alerts.route import ChannelRouter, Route, Routing
from benchmarks.match import make_queries, read_records
from benchmarks.replay import RULES, WINDOW, candidates_of, engine_of, rules_of
from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.backtest.decided import Decided
from streams.backtest.replay import replay as decisions_of
from streams.backtest.slices.finding import Remembering, Side, Work
from streams.backtest.slices.handed import Hand, HandedClassifier, HandedDeduper, HandedMatcher
from streams.backtest.slices.processes import Processes
from streams.backtest.slices.sliced import Cut, Sliced
from streams.cli.plan import load_taxonomy
from streams.core.dedupe import Candidate
from streams.core.pipeline import Engine
from streams.core.rule import RuleSet
from streams.core.story.deduper import StoryDeduper

JOBS = 2


def run() -> Iterator[Row]:
    """One, two at once that know nothing of each other, and two that share the work."""
    queries = make_queries(read_records(), RULES)
    one, said = alone(queries)
    with ProcessPoolExecutor(JOBS, mp_context=multiprocessing.get_context("spawn")) as executor:
        at_once = sum(rate for rate, _ in executor.map(alone, [queries] * JOBS))
    what = f"replay by story, {RULES} rules, {name()}"
    peer = "one process"
    yield row(f"{what}: {JOBS} processes, each all of it", at_once, "headlines/s", peer=one, peer_name=peer)
    shared, said_too, again = together(queries)
    assert said_too == said, "the decisions differ"
    yield row(f"{what}: {JOBS} processes in slices", shared, "headlines/s", peer=one, peer_name=peer)
    yield row(f"{what}: headlines decided again at seams", again, "headlines")


def alone(queries: Sequence[str]) -> tuple[float, str]:
    """Headlines a second of one process, and a digest of what it decides."""
    candidates = list(candidates_of(headlines()))
    engine = engine_of(RuleSet(rules_of(queries)), StoryDeduper(WINDOW))
    began = time.perf_counter()
    said = digest(decisions_of(candidates, engine))
    return len(candidates) / (time.perf_counter() - began), said


def together(queries: Sequence[str]) -> tuple[float, str, int]:
    """The same of processes that look at slices; how many headlines were decided again, too."""
    candidates: list[Candidate] = list(candidates_of(headlines()))
    rules, taxonomy, hand = RuleSet(rules_of(queries)), load_taxonomy([]), Hand()
    remembering = Remembering(partial(StoryDeduper, WINDOW), WINDOW, stories=True)
    deduper = HandedDeduper(remembering, hand, 0)
    router = ChannelRouter(Routing(Route("root", group_by=("topic",))))
    engine = Engine(HandedMatcher(rules, hand, 0), HandedClassifier(taxonomy, hand, 0), deduper, router)
    began = time.perf_counter()
    processes = Processes(JOBS, Work([remembering], [Side(0, taxonomy, rules)]))
    try:
        sliced = Sliced(hand, [deduper], processes, Cut(lambda: len(candidates)))
        said = digest(decisions_of(sliced.of(candidates), engine))
    finally:
        processes.close()
    return len(candidates) / (time.perf_counter() - began), said, deduper.again


def digest(decisions: Iterator[Decided]) -> str:
    """What was decided, in short."""
    found, encode = blake2b(), msgspec.json.Encoder().encode
    for one in decisions:
        found.update(encode(one))
    return found.hexdigest()
