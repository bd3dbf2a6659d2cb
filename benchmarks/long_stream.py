"""Memory of a replay that lasts: the resident set after 0.1, 0.5, 1, 2, 5 and 10 million headlines.

The stream's headlines come again and again, each time later by the whole span, and each time with other words: of every
headline one word in five is made into one that nobody has said before, and one in five of its sources. So what remembers
words, texts or sources has ever new ones to remember. Everything is on, as in `benchmarks.replay`. By story and with exact
repeats only are each measured in a process of its own, as far as ``BENCH_LONG_STORIES`` and ``BENCH_LONG_EXACT`` say: a
million headlines, and two.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta

from msgspec.structs import replace

from benchmarks.match import make_queries, read_records
from benchmarks.replay import RULES, WINDOW, engine_of, resident, rules_of
from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.backtest.messages import with_messages
from streams.backtest.replay import Summary
from streams.backtest.replay import replay as decisions_of
from streams.core.dedupe import Candidate, Deduper, ExactDeduper
from streams.core.pipeline import candidate_of
from streams.core.records import Headline
from streams.core.rule import RuleSet
from streams.core.story.deduper import StoryDeduper

TOLD_AT = (100_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
STORIES = int(os.environ.get("BENCH_LONG_STORIES", "1_000_000"))
EXACT = int(os.environ.get("BENCH_LONG_EXACT", "2_000_000"))
#: One word in so many is new.
_NEW = 5
_SYLLABLES = [a + b for a in "bcdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]


def run() -> Iterator[Row]:
    """What each way of deduplicating takes."""
    context = multiprocessing.get_context("spawn")
    for what, stories, count in (("by story", True, STORIES), ("exact repeats only", False, EXACT)):
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            told = executor.submit(measure, count, stories).result()
        for done, megabytes in told:
            yield row(f"replay {what}, ever new words: memory after {done:,} headlines of {name()}", megabytes, "MB")


def measure(count: int, stories: bool) -> list[tuple[int, float]]:
    """How many headlines are through, and the megabytes that the process takes then."""
    rules = RuleSet(rules_of(make_queries(read_records(), RULES)))
    deduper: Deduper = StoryDeduper(WINDOW) if stories else ExactDeduper(WINDOW)
    engine, summary = engine_of(rules, deduper), Summary([rule.name for rule in rules.rules])
    found, done = [], 0
    for one in with_messages(decisions_of(ever_new(headlines(), count), engine)):
        summary.take(one)
        if summary.headlines > done:
            done = summary.headlines
            if done in TOLD_AT:
                found.append((done, resident()))
                print(f"{done:,} headlines: {found[-1][1]:,.0f} MB", flush=True)
    return found


def ever_new(stream: Sequence[Headline], count: int) -> Iterator[Candidate]:
    """So many headlines, made of the stream's, in the order of time."""
    span = stream[-1].published - stream[0].published + timedelta(hours=1)
    chance = random.Random(11)
    for number in range(count):
        turn, place = divmod(number, len(stream))
        headline = stream[place]
        words = headline.headline.split()
        for at in range(chance.randrange(_NEW), len(words), _NEW):
            new = "".join(chance.choices(_SYLLABLES, k=4))
            words[at] = new.capitalize() if words[at][:1].isupper() else new
        told = replace(
            headline,
            headline=" ".join(words),
            published=headline.published + turn * span,
            source=f"{number}.{headline.source}" if chance.randrange(_NEW) == 0 else headline.source,
            url=f"{headline.url}/{number}" if headline.url else None,
        )
        identity = f"replay:0:{number}"
        yield candidate_of(told, id=identity, position=identity, received=told.published)
