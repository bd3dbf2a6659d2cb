"""How well duplicates and updates are told apart, on labelled pairs of headlines.

Each pair goes through the same deduper that runs live, with nothing else in its window: the earlier headline first,
then the later one, whose verdict is compared with the label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from streams.backtest.labelled import Score, read_labelled, score
from streams.core.dedupe import Candidate, Deduper, Entry
from streams.core.headline import read_time
from streams.core.records import Headline

Relation = Literal["duplicate", "update", "different"]
RELATIONS: Final[tuple[Relation, ...]] = ("duplicate", "update", "different")
_SAID: Final[dict[str, Relation]] = {"first": "different", "update": "update", "duplicate": "duplicate"}


#: What a line looks like, for whoever wrote another.
_FORM: Final = (
    'a line is {"a": "…", "b": "…", "label": "duplicate", "update" or "different"}, and may have date_a, date_b, '
    "source_a and source_b"
)


class Pair(msgspec.Struct, frozen=True):
    """Two headlines and what they are to each other; dates are written as a feed writes them, without a zone in UTC."""

    a: str
    b: str
    label: Relation
    date_a: str = ""
    date_b: str = ""
    source_a: str = "unknown"
    source_b: str = "unknown"
    id: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What was decided on the later headline of a pair."""

    pair: Pair
    said: Relation
    reason: str

    @property
    def right(self) -> bool:
        """Whether that is what the label says."""
        return self.said == self.pair.label


class Evaluation(msgspec.Struct, frozen=True):
    """How good the verdicts on labelled pairs were."""

    verdicts: tuple[Verdict, ...]

    def score(self, relation: Relation) -> Score:
        """The score of one relation against the two others."""
        return score((verdict.pair.label == relation, verdict.said == relation) for verdict in self.verdicts)

    @property
    def macro_f1(self) -> float:
        """The F1 of the relations, averaged; one that no pair has, and that was said of none, is left out."""
        scores = [score for relation in RELATIONS if not (score := self.score(relation)).empty]
        return sum(score.f1 for score in scores) / len(scores) if scores else 0.0

    @property
    def updates_suppressed(self) -> float:
        """The share of updates that a desk would not have seen."""
        updates = [verdict for verdict in self.verdicts if verdict.pair.label == "update"]
        return sum(verdict.said == "duplicate" for verdict in updates) / len(updates) if updates else 0.0

    @property
    def misses(self) -> list[Verdict]:
        """The pairs on which verdict and label differ: suppressed updates first, for they cost most."""
        order = {("update", "duplicate"): 0, ("different", "duplicate"): 1, ("duplicate", "update"): 2}
        wrong = [verdict for verdict in self.verdicts if not verdict.right]
        return sorted(wrong, key=lambda verdict: order.get((verdict.pair.label, verdict.said), 3))

    def as_dict(self) -> dict[str, Any]:
        """The figures and the misses, for programs."""
        scores = {relation: self.score(relation).as_dict() for relation in RELATIONS}
        return {
            "duplicate": {key: value for key, value in scores["duplicate"].items() if key != "support"},
            "three_way": {"macro_f1": round(self.macro_f1, 4), **scores},
            "updates_suppressed": round(self.updates_suppressed, 4),
            "rows": len(self.verdicts),
            "confusion": {
                label: {said: count for said in RELATIONS if (count := self._count(label, said))} for label in RELATIONS
            },
            "misses": [
                {"id": miss.pair.id, "a": miss.pair.a, "b": miss.pair.b, "label": miss.pair.label, "said": miss.said}
                for miss in self.misses
            ],
        }

    def _count(self, label: Relation, said: Relation) -> int:
        return sum(verdict.pair.label == label and verdict.said == said for verdict in self.verdicts)


def read_pairs(lines: Iterable[bytes], name: str) -> Iterator[Pair]:
    """The pairs of a file in JSON lines.

    Raises:
        RefusedError: naming the first lines that are none, and what is wrong with them.
    """
    return read_labelled(lines, name, Pair, _FORM, _headlines)


def evaluate(pairs: Iterable[Pair], deduper: Callable[[], Deduper]) -> Evaluation:
    """Decide on every pair with a deduper of its own."""
    return Evaluation(
        tuple(Verdict(pair, _SAID[entry.verdict], entry.reason) for pair, entry in _decided(pairs, deduper))
    )


def _decided(pairs: Iterable[Pair], deduper: Callable[[], Deduper]) -> Iterator[tuple[Pair, Entry]]:
    for pair in pairs:
        yield pair, decide_pair(deduper(), *_headlines(pair))


def _headlines(pair: Pair) -> tuple[Headline, Headline]:
    """The two headlines, the earlier one first."""
    first = Headline(headline=pair.a, published=_moment(pair.date_a or pair.date_b), source=_outlet(pair.source_a))
    second = Headline(headline=pair.b, published=_moment(pair.date_b or pair.date_a), source=_outlet(pair.source_b))
    return (first, second) if first.published <= second.published else (second, first)


def _moment(date: str) -> datetime:
    return read_time(date, UTC) if date else datetime(2000, 1, 1, tzinfo=UTC)


def _outlet(source: str) -> str:
    return source.removeprefix("rss:")


def decide_pair(deduper: Deduper, first: Headline, second: Headline) -> Entry:
    """The decision on ``second`` after ``first``."""
    deduper.remember(deduper.decide(Candidate("first", "pair:0:0", first.published, first)))
    deduper.settle()
    return deduper.decide(Candidate("second", "pair:0:1", second.published, second))
