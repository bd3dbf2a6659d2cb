"""Deduplication by story, the pure core alone: headlines a second of one core, its cost in large windows, its memory.

*Throughput.* The stream in order of its event time, with a window of 72 hours: decided, remembered, and settled every
500 headlines, as a worker does. One peer is datasketch's MinHash LSH on words, with few permutations, which is fast, and
with more, which finds more; it says only which headlines are alike, neither what is new nor what contradicts. It runs
where the interpreter in ``BENCH_PEERS_PYTHON`` (else our own) has it. The other is a scan of the whole window with
rapidfuzz, on a sample, for it takes milliseconds a headline. Last, the same without any comparing: the ceiling of what a
quicker search could gain.

*Windows.* So many headlines lie within 72 hours, made of the stream's by dealing its words anew: as frequent as they are,
and never two of a headline together. Then headlines of the stream itself come, and are timed.

*Memory.* By how much the resident set of a process grows with the headlines that lie in the window.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

from rapidfuzz import fuzz, process

from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.core.dedupe import Candidate, Deduper, Entry, ExactDeduper, undecided
from streams.core.records import Headline
from streams.core.story.deduper import StoryDeduper

WINDOW = timedelta(hours=72)
SETTLED_EVERY = 500
ROUNDS = 3
#: Headlines that fill the window and the pipeline's memory before the peers and we are timed, and those that are timed.
WARM_UP = 15_000
TIMED = 15_000
#: Headlines that the scan is timed on.
SCANNED = 200
WINDOWS = (1_000, 10_000, 100_000, 1_000_000)
MEMORY_AT = 100_000
PERMUTATIONS = (16, 64)

MINHASH = Path(__file__).parent / "peers" / "minhash_lsh.py"


def run() -> list[Row]:
    """Throughput, the cost by the size of the window, and memory."""
    stream = headlines(WARM_UP + TIMED)
    return [*throughput(stream), *windows(stream)]


# Throughput


def throughput(stream: Sequence[Headline]) -> list[Row]:
    """Ours beside each peer: the medians of some rounds in turn."""
    ours, peers = [], {title: [] for title in _permutations()}  # type: ignore[var-annotated]
    for _ in range(ROUNDS):
        ours.append(story_rate(stream))
        for title, permutations in _permutations().items():
            peers[title].append(minhash_rate(stream, permutations))
    rate = statistics.median(ours)
    what = f"headlines of one core, 72 h, {name()}"
    rows = [
        row(what, rate, "headlines/s", peer=statistics.median(rates), peer_name=title) for title, rates in peers.items()
    ]
    if not rows:
        title = "datasketch left out: pip install datasketch elsewhere, and set BENCH_PEERS_PYTHON"
        rows.append(row(what, rate, "headlines/s", peer_name=title))
    title = f"rapidfuzz scan of the window, a sample of {SCANNED}"
    rows.append(row(what, rate, "headlines/s", peer=scan_rate(stream), peer_name=title))
    alone = statistics.median([story_rate(stream, compared=False) for _ in range(ROUNDS)])
    return [
        *rows,
        row(what, rate, "headlines/s", peer=alone, peer_name="the same, read and filed but compared with none"),
    ]


class _Uncompared(StoryDeduper):
    """Reads and files every headline, and compares it with none: what is left if all else took no time."""

    def decide(self, candidate: Candidate) -> Entry:
        """The first of its story, always."""
        return undecided(candidate)[0]


def story_rate(stream: Sequence[Headline], *, compared: bool = True) -> float:
    """Headlines a second, once memory is full."""
    deduper = StoryDeduper(WINDOW) if compared else _Uncompared(WINDOW)
    candidates = [candidate_of(number, headline) for number, headline in enumerate(stream)]
    cut = len(candidates) // 2
    decide(deduper, candidates[:cut])
    began = time.perf_counter()
    decide(deduper, candidates[cut:])
    return (len(candidates) - cut) / (time.perf_counter() - began)


def decide(deduper: Deduper, candidates: Sequence[Candidate]) -> None:
    """Decide and remember, as a worker does."""
    for number, candidate in enumerate(candidates, start=1):
        deduper.remember(deduper.decide(candidate))
        if number % SETTLED_EVERY == 0:
            deduper.settle()
    deduper.settle()


def candidate_of(number: int, headline: Headline) -> Candidate:
    """A headline as it comes from Kafka."""
    return Candidate(f"id-{number}", f"headlines.raw:0:{number}", headline.published, headline)


def _permutations() -> dict[str, int]:
    """The settings of MinHash that run, by title; none where datasketch is missing."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('datasketch') is None)"
    if subprocess.run([_python(), "-c", look], check=False).returncode:
        return {}
    return {f"datasketch MinHash LSH, {count} permutations": count for count in PERMUTATIONS}


def _python() -> str:
    return os.environ.get("BENCH_PEERS_PYTHON", sys.executable)


def minhash_rate(stream: Sequence[Headline], permutations: int) -> float:
    """Headlines a second of MinHash LSH."""
    lines = [f"{_milliseconds(headline)}\t{' '.join(headline.headline.split())}\n" for headline in stream]
    window = WINDOW // timedelta(milliseconds=1)
    command = [_python(), "-W", "ignore", str(MINHASH), str(window), str(permutations)]
    told = subprocess.run(command, input="".join(lines), check=True, capture_output=True, text=True, encoding="utf-8")
    return len(lines) / float(told.stdout.split()[0])


def _milliseconds(headline: Headline) -> int:
    return round(headline.published.timestamp() * 1000)


def scan_rate(stream: Sequence[Headline]) -> float:
    """Headlines a second that are each compared with all in the window before them."""
    timed, seconds = set(random.Random(3).sample(range(len(stream) // 2, len(stream)), SCANNED)), 0.0
    held: deque[Headline] = deque()
    for number, headline in enumerate(stream):
        while held and headline.published - held[0].published > WINDOW:
            held.popleft()
        if number in timed:
            texts = [other.headline.lower() for other in held]
            began = time.perf_counter()
            process.extractOne(headline.headline.lower(), texts, scorer=fuzz.token_set_ratio, score_cutoff=80)
            seconds += time.perf_counter() - began
        held.append(headline)
    return SCANNED / seconds


# Windows and memory


def windows(stream: Sequence[Headline]) -> list[Row]:
    """The cost of a headline beside that in the smallest window, and what memory holds, beside exact deduplication."""
    costs, rows = {}, []
    for size in WINDOWS:
        costs[size], grown = alone(size, stories=True)
        rows.append(
            row(
                f"cost of a headline, {size:,} in the window",
                costs[size],
                "microseconds",
                peer=costs[WINDOWS[0]],
                peer_name=f"{WINDOWS[0]:,} in the window",
            )
        )
        if size == MEMORY_AT:
            memory = grown
    _, exact = alone(MEMORY_AT, stories=False)
    return [
        *rows,
        row(f"memory of {MEMORY_AT:,} headlines", memory, "MB", peer=exact, peer_name="exact deduplication"),
    ]


def alone(size: int, *, stories: bool) -> tuple[float, float]:
    """What `in_window` says, of a process that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(in_window, size, stories).result()


def in_window(size: int, stories: bool) -> tuple[float, float]:
    """Microseconds of a headline when so many lie in the window, and megabytes that these take."""
    stream = headlines(WARM_UP)
    deduper: Deduper = StoryDeduper(WINDOW) if stories else ExactDeduper(WINDOW)
    before = resident()
    for number, headline in enumerate(dealt_anew(stream, size)):
        entry, _ = undecided(candidate_of(number, headline))
        deduper.remember(entry)
        if number % SETTLED_EVERY == 0:
            deduper.settle()
    deduper.settle()
    grown = resident() - before
    candidates = list(later(stream, size))
    cut = len(candidates) // 3
    decide(deduper, candidates[:cut])
    began = time.perf_counter()
    decide(deduper, candidates[cut:])
    return (time.perf_counter() - began) / (len(candidates) - cut) * 1e6, grown


def dealt_anew(stream: Sequence[Headline], count: int) -> Iterator[Headline]:
    """As many headlines as wanted, published within 60 hours before the stream begins: each word is another headline's."""
    words = [headline.headline.split() for headline in stream]
    begin, step = stream[0].published - timedelta(hours=60), timedelta(hours=60) / count
    dice = random.Random(5)
    for number in range(count):
        turn, place = divmod(number, len(words))
        apart = dice.randrange(1, len(words))
        dealt = [
            some[at]
            for at in range(len(words[place]))
            if at < len(some := words[(place + turn + at * apart) % len(words)])
        ]
        source = stream[place].source
        address = f"https://{source}/{number}/{'-'.join(dealt)}"
        yield Headline(headline=" ".join(dealt), published=begin + number * step, source=source, url=address)


def later(stream: Sequence[Headline], number: int) -> Iterator[Candidate]:
    """The stream, pressed into the 12 hours after its first headline."""
    step = timedelta(hours=12) / len(stream)
    for place, headline in enumerate(stream):
        published = stream[0].published + place * step
        told = Headline(headline=headline.headline, published=published, source=headline.source, url=headline.url)
        yield candidate_of(number + place, told)


def resident() -> float:
    """The resident set of this process, megabytes, as ``ps`` says."""
    command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024
