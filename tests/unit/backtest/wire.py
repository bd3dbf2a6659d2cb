"""A stream of headlines, and an engine with rules to send it through: what the tests of reports and comparisons need."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.backtest.decided import Decided
from streams.backtest.replay import replay
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Deduper, ExactDeduper
from streams.core.match import Matcher
from streams.core.pipeline import Engine, candidate_of
from streams.core.query import compile_query
from streams.core.records import Headline
from streams.core.rule import Rule, RuleSet
from streams.core.taxonomy import Taxonomy, compile_taxonomy

START = datetime(2026, 3, 1, tzinfo=UTC)
NO_TOPICS = compile_taxonomy([])
REMEMBERED = timedelta(hours=72)


def rule(name: str, when: str, **settings: Any) -> Rule:
    """A rule for the channel ``desk`` unless it says otherwise."""
    given = {"title": name, "severity": "high", "channels": ("desk",), **settings}
    return Rule(name=name, query=compile_query(when), **given)


def headline(number: int, text: str, minutes: float, source: str = "a.example") -> Candidate:
    """A headline that many minutes after the start."""
    at = START + timedelta(minutes=minutes)
    given = Headline(headline=text, published=at, source=source)
    return candidate_of(given, id=str(number), position=f"r:0:{number}", received=at)


def stream(*told: tuple[float, str]) -> list[Candidate]:
    """Headlines with the minutes at which they come."""
    return [headline(number, text, minutes) for number, (minutes, text) in enumerate(told)]


def engine(*rules: Rule, taxonomy: Taxonomy = NO_TOPICS, deduper: Deduper | None = None) -> Engine:
    """An engine that knows only equal headlines as repeats unless another deduper is given."""
    return Engine(Matcher(RuleSet(rules)), Classifier(taxonomy), deduper or ExactDeduper(REMEMBERED))


def decided(candidates: Iterable[Candidate], *rules: Rule) -> list[Decided]:
    """What is decided on each."""
    return list(replay(candidates, engine(*rules)))
