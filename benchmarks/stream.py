"""The headlines that benchmarks run on: the real stream where it is, a generated one elsewhere."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from streams.core.records import Headline

REAL = Path(__file__).parents[2] / "shared" / "data" / "stream_2022q4.jsonl.gz"


def headlines(limit: int | None = None) -> list[Headline]:
    """The stream in order of time, or its first ``limit`` headlines."""
    source = _real() if REAL.exists() else _generated(limit or 80_000)
    found = []
    for headline in source:
        found.append(headline)
        if len(found) == limit:
            break
    return found


def name() -> str:
    """What the figures were taken on."""
    return "the real stream" if REAL.exists() else "a generated stream"


def _real() -> Iterator[Headline]:
    decode = msgspec.json.Decoder(Headline).decode
    with gzip.open(REAL) as lines:
        for line in lines:
            yield decode(line)


def _generated(count: int) -> Iterator[Headline]:
    """Headlines of the length and the share of repeats of real ones, the same at every run."""
    chance = random.Random(7)
    syllables = [
        a + b
        for a in ["b", "c", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v"]
        for b in ("a", "e", "i", "o", "u", "an", "er", "on")
    ]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 3))) for _ in range(8_000)]
    words += [
        "Iran",
        "oil",
        "gas",
        "sanctions",
        "Russia",
        "LNG",
        "tanker",
        "acquires",
        "deal",
        "billion",
        "shares",
        "talks",
        "nuclear",
        "pipeline",
    ] * 12
    now, recent = datetime(2026, 1, 1, tzinfo=UTC), ["nothing yet"]
    for _ in range(count):
        now += timedelta(seconds=chance.expovariate(1 / 60))
        repeat = chance.random() < 0.03
        text = (
            chance.choice(recent) if repeat else " ".join(chance.choices(words, k=chance.randint(5, 16))).capitalize()
        )
        recent = [*recent[-400:], text]
        yield Headline(headline=text, published=now, source=chance.choice(words) + ".example")
