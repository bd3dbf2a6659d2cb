"""Streams in which stories are told again, in other words, by others and with other figures, across every seam."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from streams.core.records import Headline

START = datetime(2026, 3, 1, tzinfo=UTC)
PLACES = (
    "Hormuz",
    "Kherson",
    "Basra",
    "Izmir",
    "Gdansk",
    "Lagos",
    "Odesa",
    "Tripoli",
    "Aden",
    "Batumi",
    "Riga",
    "Oran",
)
THINGS = ("refinery", "tanker", "pipeline", "harbour", "ferry", "airport", "embassy", "bridge", "mine", "depot")
TELLINGS = (
    "Blast at {place} {thing} kills {count}",
    "At least {count} killed in explosion at {thing} in {place}",
    "{place}: {thing} blast death toll rises to {count}",
    "Fire at {thing} in {place} put out",
    "{place} {thing} blaze extinguished after hours",
    "Minister visits {place} {thing} after the blast",
    "{place} {thing} to reopen on Monday",
    "{place} {thing} reopens",
)
SOURCES = ("a.example", "b.example", "c.example", "wire.example")


def told(count: int, seed: int = 1, apart: float = 60.0) -> Iterator[Headline]:
    """So many headlines, on the average ``apart`` seconds apart, the same for the same ``seed``."""
    chance = random.Random(seed)
    at, recent = START, [("Hormuz", "tanker", 3)]
    for _ in range(count):
        at += timedelta(seconds=round(chance.expovariate(1 / apart)))
        yield Headline(headline=_next(chance, recent), published=at, source=chance.choice(SOURCES))


def _next(chance: random.Random, recent: list[tuple[str, str, int]]) -> str:
    if chance.random() < 0.3:
        recent.append((chance.choice(PLACES), chance.choice(THINGS), chance.randint(2, 9)))
    place, thing, dead = chance.choice(recent[-12:])
    if chance.random() < 0.2:
        recent.append((place, thing, dead := dead + chance.randint(1, 5)))
    return chance.choice(TELLINGS).format(place=place, thing=thing, count=dead)


def lines(headlines: Sequence[Headline]) -> list[dict[str, str]]:
    """The same, as a file has it."""
    return [{"headline": h.headline, "published": h.published.isoformat(), "source": h.source} for h in headlines]
