"""The load: headlines made from a seed, and what must come of each.

A *saying* is what makes two headlines the same: the words, and whether it is a correction. Of all records of a saying
exactly one is unique, whichever it is; the others are dropped for it. So what is to be expected of a run is known from
the seed and from what was sent, without a look at what the pipeline made of it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from streams.core.decide import alert_id
from streams.core.query import compile_query
from streams.core.rule import Rule, RuleSet

#: The channels, each with a receiver of its own.
CHANNELS = ("desk", "archive")

#: Rules by name: the query, and the channels.
_RULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tankers": ("tanker", ("desk",)),
    "refineries": ("refinery", ("desk", "archive")),
    "ceasefires": ("ceasefire", ("archive",)),
    "corrections": ("status:corrected", ("archive",)),
}
#: What headlines are about, and the rule that each subject fires; most news fires none.
_SUBJECTS = {"Tanker": "tankers", "Refinery": "refineries", "Ceasefire": "ceasefires", "Orchard": "", "Bridge": ""}
_VERBS = ("reopens", "waits", "is named", "moves north", "draws a crowd")

#: Records that cannot be worked on: broken JSON, no object, no headline, nothing, not UTF-8.
_UNREADABLE = (b'{"headline": ', b"[]", b'{"published": 1}', b"", b"\xff\xfe")
#: One that is also so large that its refusal is larger than what the broker takes at once.
_LARGE = b"{" + b"x" * 800_000

#: Partitions of every topic.
PARTITIONS = 4
_LONG_AGO = 200


@dataclass(frozen=True, slots=True)
class Record:
    """One record to send: its ``id`` header, where to, and the bytes."""

    id: str
    partition: int
    value: bytes


def rules() -> RuleSet:
    """The rules that the workers run."""
    return RuleSet(
        Rule(name=name, title=name.title(), query=compile_query(query), severity="medium", channels=channels)
        for name, (query, channels) in _RULES.items()
    )


#: Set before the text of a correction to tell it from what it corrects.
_CORRECTED = "corrected: "


class History:
    """All that is said in a run. The same seed says the same, at the times it is asked."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._told: list[tuple[str, str]] = []
        #: The rules that each saying fires.
        self.fires: dict[str, tuple[str, ...]] = {}
        #: The saying of each record that can be read, by the record's id, and the ids of those that cannot.
        self.saying_of: dict[str, str] = {}
        self.unreadable: set[str] = set()

    def next(self, now: datetime) -> list[Record]:
        """The records of one instant: mostly one, of repeats several on partitions of their own."""
        match self._random.choices(
            ("news", "repeat at once", "repeat", "correction", "unreadable"), (60, 12, 15, 6, 7)
        )[0]:
            case "repeat at once":
                subject, text = self._news()
                among = self._random.sample(range(PARTITIONS), self._random.randint(2, PARTITIONS))
                return [self._record(subject, text, now, partition=partition) for partition in among]
            case "repeat" if self._told:
                return [self._record(*self._random.choice(self._told[-_LONG_AGO:]), now)]
            case "correction" if self._told:
                return [self._record(*self._random.choice(self._told[-_LONG_AGO:]), now, corrected=True)]
            case "unreadable":
                return [self._broken()]
        return [self._record(*self._news(), now)]

    def expected(self, unique: Iterable[str]) -> set[str]:
        """The ids of the alerts that must go out for the records that came out as unique."""
        return {
            alert_id(rule, name, saying.removeprefix(_CORRECTED), channel)
            for name in unique
            for saying in [self.saying_of.get(name, "")]
            for rule in self.fires.get(saying, ())
            for channel in _RULES[rule][1]
        }

    def _news(self) -> tuple[str, str]:
        subject = self._random.choice(list(_SUBJECTS))
        told = (subject, f"{subject} {len(self._told) + 1} {self._random.choice(_VERBS)}")
        self._told.append(told)
        return told

    def _record(
        self, subject: str, text: str, now: datetime, *, partition: int | None = None, corrected: bool = False
    ) -> Record:
        saying = f"{_CORRECTED}{text}" if corrected else text
        fired = (_SUBJECTS[subject], "corrections" if corrected else "")
        self.fires[saying] = tuple(rule for rule in fired if rule)
        name = self._id()
        self.saying_of[name] = saying
        value = {"headline": text, "published": now, "source": "wire", "status": "corrected" if corrected else "usable"}
        return Record(name, self._partition(partition), msgspec.json.encode(value))

    def _broken(self) -> Record:
        name = self._id()
        self.unreadable.add(name)
        value = _LARGE if len(self.unreadable) == 1 else self._random.choice(_UNREADABLE)
        return Record(name, self._partition(None), value)

    def _partition(self, given: int | None) -> int:
        return self._random.randrange(PARTITIONS) if given is None else given

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
