"""Why a headline has a topic or has it not: what each condition found, what it lacked, and what stood in its way.

`Classifier.explain` fills these records in; here they are put into words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streams.core.records import Evidence
from streams.core.taxonomy import Condition, Item, Near


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one condition.

    ``found`` are the words that meet parts of it, ``lacking`` says in words which parts none meets, and ``barred`` are
    the words that must not be there. The condition holds where nothing is lacking and nothing bars it.
    """

    condition: str
    weight: float
    found: tuple[Evidence, ...]
    lacking: tuple[str, ...] = ()
    barred: tuple[Evidence, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the condition is met."""
        return not self.lacking and not self.barred

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        found = {"condition": self.condition, "weight": self.weight, "found": _words(self.found)}
        return found if self.holds else {**found, "lacking": list(self.lacking), "barred": _words(self.barred)}


@dataclass(frozen=True, slots=True)
class TopicReading:
    """A headline read for one topic.

    ``doubtful`` are names without the context that they need to count, ``hidden`` are those within a phrase to ignore.
    """

    topic: str
    title: str
    confidence: float
    threshold: float
    outcomes: tuple[Outcome, ...]
    against: tuple[Outcome, ...]
    doubtful: tuple[Evidence, ...] = ()
    hidden: tuple[Evidence, ...] = ()

    @property
    def belongs(self) -> bool:
        """Whether the headline has the topic."""
        return any(outcome.holds for outcome in self.outcomes) and self.confidence >= self.threshold

    @property
    def held(self) -> tuple[Outcome, ...]:
        """The conditions that hold."""
        return tuple(outcome for outcome in self.outcomes if outcome.holds)

    @property
    def nearly(self) -> tuple[Outcome, ...]:
        """The conditions that miss one thing only, those with the most found first."""
        close = [
            outcome
            for outcome in self.outcomes
            if outcome.found and not outcome.holds and len(outcome.lacking) + bool(outcome.barred) == 1
        ]
        return tuple(
            sorted(close, key=lambda outcome: (-len({piece.span for piece in outcome.found}), -outcome.weight))
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "topic": self.topic,
            "belongs": self.belongs,
            "confidence": self.confidence,
            "threshold": self.threshold,
            "evidence": [outcome.as_dict() for outcome in self.held],
            "against": [outcome.as_dict() for outcome in self.against if outcome.holds],
            "nearly": [outcome.as_dict() for outcome in self.nearly],
            "doubtful": _words(self.doubtful),
            "hidden": _words(self.hidden),
        }


def item_in_words(item: Item) -> str:
    """What would meet ``item``."""
    names = [_group(group) for group in sorted(item.groups)]
    if item.money is not None:
        names.append(f"a sum of {item.money:,.0f} or more")
    return " or ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} or {len(names) - 2} more groups"


def near_in_words(near: Near) -> str:
    """What would meet ``near``."""
    first, second = item_in_words(near.first), item_in_words(near.second)
    words = f"{near.within} word{'s' if near.within != 1 else ''}"
    return f"{first}, then within {words} {second}" if near.ordered else f"{first} within {words} of {second}"


def some_in_words(condition: Condition) -> str:
    """What would meet the part ``any`` of ``condition``."""
    return " or ".join(item_in_words(item) for item in condition.some)


def _group(name: str) -> str:
    """A group by its name; words that are written where they are needed have none to tell."""
    return "one of its own words" if name.startswith("words at ") else f"`{name}`"


def _words(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    return [
        {"text": piece.span.text, "start": piece.span.start, "end": piece.span.end, "entity": piece.entity}
        for piece in evidence
    ]
