"""How well headlines get their topics, on headlines that people labelled, and what a change of the taxonomy breaks.

A row that is a judgement call is marked ``edge`` and scored apart. A *baseline* keeps the scores and decisions of an
earlier taxonomy, without the headlines, so that those of today can be compared row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from streams.backtest.labelled import Score, read_labelled, score
from streams.core.classify import Classifier
from streams.core.text import clean

_FORM: Final = 'a line is {"headline": "…", "topics": ["iran"]}, and may have edge: true, and an id'


class Row(msgspec.Struct, frozen=True):
    """A headline, the topics that it has of those that its file knows, and whether that is a judgement call."""

    headline: str
    topics: frozenset[str]
    edge: bool = False
    id: str = ""

    @property
    def key(self) -> str:
        """What tells rows apart in a baseline: a hash of the headline, for the text is not for keeping."""
        return hashlib.blake2b(self.headline.encode(), digest_size=8).hexdigest()


class Decision(msgspec.Struct, frozen=True):
    """The topics that a row was given."""

    row: Row
    said: frozenset[str]

    def right(self, topic: str) -> bool:
        """Whether the row was given ``topic`` if it has it, and only then."""
        return (topic in self.said) == (topic in self.row.topics)


class Miss(msgspec.Struct, frozen=True):
    """A topic of a row that was decided otherwise than labelled: ``given`` where it should not have been."""

    topic: str
    given: bool
    row: Row

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        what = "false alarm" if self.given else "missed"
        return {
            "topic": self.topic,
            "miss": what,
            "edge": self.row.edge,
            "id": self.row.id,
            "headline": self.row.headline,
        }


class Baseline(msgspec.Struct, frozen=True):
    """What an earlier taxonomy, of ``revision``, decided on rows by their keys."""

    revision: str
    topics: dict[str, Score]
    edge: dict[str, Score]
    decisions: dict[str, frozenset[str]]


class Change(msgspec.Struct, frozen=True):
    """How decisions differ from a baseline. ``new`` are rows that it does not have, ``gone`` those only it has."""

    broken: tuple[Miss, ...]
    mended: tuple[Miss, ...]
    edge: tuple[Miss, ...]
    new: int
    gone: int


class Evaluation(msgspec.Struct, frozen=True):
    """How good the decisions on labelled rows were, for each of ``topics``.

    ``unknown`` are topics of the labels that the taxonomy has not, ``unlabelled`` those of the taxonomy in no label.
    """

    revision: str
    decisions: tuple[Decision, ...]
    topics: tuple[str, ...]
    unknown: tuple[str, ...]
    unlabelled: tuple[str, ...]

    def score(self, topic: str, *, edge: bool = False) -> Score:
        """The score of one topic, on the judgement calls or on all others."""
        return score((topic in d.row.topics, topic in d.said) for d in self.decisions if d.row.edge == edge)

    @property
    def misses(self) -> list[Miss]:
        """What was decided otherwise than labelled: by topic, judgement calls last."""
        found = (Miss(t, t in d.said, d.row) for t in self.topics for d in self.decisions if not d.right(t))
        return sorted(found, key=lambda miss: (miss.row.edge, miss.topic, miss.given))

    def baseline(self) -> Baseline:
        """What to keep, for a later taxonomy to be compared with."""
        return Baseline(
            revision=self.revision,
            topics={topic: self.score(topic) for topic in self.topics},
            edge={topic: self.score(topic, edge=True) for topic in self.topics},
            decisions={decision.row.key: decision.said for decision in self.decisions},
        )

    def since(self, before: Baseline) -> Change:
        """What came out right before and does not now, and the reverse; on judgement calls, all that differs."""
        broken: list[Miss] = []
        mended: list[Miss] = []
        edge: list[Miss] = []
        for topic, decision in ((t, d) for t in self.topics for d in self.decisions):
            said = before.decisions.get(decision.row.key)
            if said is None or (topic in said) == (topic in decision.said):
                continue
            change = Miss(topic, topic in decision.said, decision.row)
            if decision.row.edge:
                edge.append(change)
            else:
                (mended if decision.right(topic) else broken).append(change)
        keys = {decision.row.key for decision in self.decisions}
        known = before.decisions.keys()
        return Change(tuple(broken), tuple(mended), tuple(edge), len(keys - known), len(known - keys))

    def as_dict(self) -> dict[str, Any]:
        """The figures and the misses, for programs."""
        return {
            "topics": {topic: self.score(topic).as_dict() for topic in self.topics},
            "edge": {topic: self.score(topic, edge=True).as_dict() for topic in self.topics},
            "rows": len(self.decisions),
            "revision": self.revision,
            "unknown": list(self.unknown),
            "unlabelled": list(self.unlabelled),
            "misses": [miss.as_dict() for miss in self.misses],
        }


def change_as_dict(change: Change, before: Baseline) -> dict[str, Any]:
    """A comparison with a baseline, for programs."""
    return {
        "revision": before.revision,
        "topics": {topic: found.as_dict() for topic, found in before.topics.items()},
        "broken": [miss.as_dict() for miss in change.broken],
        "mended": [miss.as_dict() for miss in change.mended],
        "edge": [miss.as_dict() for miss in change.edge],
        "new": change.new,
        "gone": change.gone,
    }


def read_rows(lines: Iterable[bytes], name: str) -> Iterator[Row]:
    """The rows of a file in JSON lines.

    Raises:
        RefusedError: naming every line that is none, and what is wrong with it.
    """
    return read_labelled(lines, name, Row, _FORM)


def evaluate(rows: Iterable[Row], classifier: Classifier) -> Evaluation:
    """Classify every row."""
    decisions = tuple(
        Decision(row, frozenset(match.topic for match in classifier.classify(clean(row.headline)))) for row in rows
    )
    labelled = frozenset[str]().union(*(decision.row.topics for decision in decisions))
    known = {topic.name for topic in classifier.taxonomy.topics}
    return Evaluation(
        revision=classifier.taxonomy.revision,
        decisions=decisions,
        topics=tuple(sorted(labelled & known)),
        unknown=tuple(sorted(labelled - known)),
        unlabelled=tuple(sorted(known - labelled)),
    )
