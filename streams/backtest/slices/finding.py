"""What a worker does: it finds out what one slice of the stream comes to, and takes it on trust what came before."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.core.classify import Classifier
from streams.core.dedupe import KEEP, Candidate, Deduper, Entry, ExactDeduper, Verdict
from streams.core.match import Matcher
from streams.core.pipeline import classified, decided
from streams.core.query import Query, compile_query
from streams.core.records import Classified, Dropped, Kind, Span, TopicMatch
from streams.core.rule import RuleSet
from streams.core.taxonomy import Taxonomy


@dataclass(frozen=True)
class Remembering:
    """A way of deduplicating: what makes its deduper, the longest of its windows, and how many it keeps however old.

    ``stories`` tells whether headlines are compared by their words; else by what they have in common as a whole alone.
    """

    make: Callable[[], Deduper]
    window: timedelta
    stories: bool
    keep: int = KEEP


@dataclass(frozen=True)
class Side:
    """What headlines are classified and matched with, after they were deduplicated by that of the ways."""

    remembering: int
    taxonomy: Taxonomy
    rules: RuleSet


@dataclass(frozen=True)
class Work:
    """All that is to be found out of a stream: one side, or two that are compared."""

    rememberings: Sequence[Remembering]
    sides: Sequence[Side]

    def packed(self) -> bytes:
        """The same for another process, of the same version of wirewatch."""
        packed = io.BytesIO()
        _Packer(packed, pickle.HIGHEST_PROTOCOL).dump(self)
        return packed.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> Work:
        """What :meth:`packed` gave."""
        work = pickle.loads(packed)  # noqa: S301 - it comes from the process that started this one
        assert isinstance(work, cls)
        return work


class _Packer(pickle.Pickler):
    """Packs queries as their text: they hold functions, which do not travel."""

    def reducer_override(self, obj: Any) -> Any:
        return (compile_query, (str(obj),)) if isinstance(obj, Query) else NotImplemented


class Verdicted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision on a headline. ``back`` says by how many headlines the one that it repeats or updates lies before it."""

    verdict: Verdict
    back: int = 0
    reason: str = ""


class Look(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The topics of a headline, and the rules that it matched as one of this ``kind``, its story told by so many ``sources``.

    ``matches`` are places in the rules that are matched, each with the words.
    """

    kind: Kind
    sources: int
    topics: tuple[TopicMatch, ...]
    matches: tuple[tuple[int, tuple[Span, ...]], ...]


class Found(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was found of a headline: a decision by each way of deduplicating, and a look of each side that kept it."""

    verdicts: tuple[Verdicted, ...]
    looks: tuple[Look | None, ...]


encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
decode_candidates: Callable[[bytes], list[Candidate]] = msgspec.msgpack.Decoder(list[Candidate]).decode
decode_found: Callable[[bytes], list[Found]] = msgspec.msgpack.Decoder(list[Found]).decode


class Finder:
    """Finds out of a slice what there is to find. Its memory is that of the slice alone."""

    def __init__(self, work: Work) -> None:
        self._runs = [_Run(remembering) for remembering in work.rememberings]
        classifiers = {id(side.taxonomy): Classifier(side.taxonomy) for side in work.sides}
        self._sides = [_Looking(side, classifiers[id(side.taxonomy)]) for side in work.sides]

    def warm_up(self, before: Sequence[Candidate], trusted: int) -> list[bytes]:
        """Take what came before the slice: a rough look at the first ``trusted`` of them, and a decision on the others.

        Returns for each way of deduplicating a byte for each of them, 1 where it took it for a duplicate.
        """
        return [run.warm_up(before, trusted) for run in self._runs]

    def find(self, candidates: Sequence[Candidate]) -> list[Found]:
        """What comes of the next headlines of the slice."""
        return list(map(self._find, candidates))

    def _find(self, candidate: Candidate) -> Found:
        entries = [run.decide(candidate) for run in self._runs]
        return Found(
            tuple([run.told(entry) for run, entry in zip(self._runs, entries, strict=True)]),
            tuple([side.look(candidate, entries[side.remembering]) for side in self._sides]),
        )


class _Run:
    """One way of deduplicating. Headlines have their number for an id, which tells how far they are apart."""

    def __init__(self, remembering: Remembering) -> None:
        self._deduper = remembering.make()
        self._window = remembering.window
        self._number = 0

    def warm_up(self, before: Sequence[Candidate], trusted: int) -> bytes:
        rough = ExactDeduper(self._window)
        flags = bytearray()
        for place, candidate in enumerate(before):
            if place < trusted:
                entry = rough.decide(self._numbered(candidate))
                rough.remember(entry)
                rough.settle()
                self._take(entry)
            else:
                entry = self.decide(candidate)
            flags.append(entry.verdict == "duplicate")
        return bytes(flags)

    def decide(self, candidate: Candidate) -> Entry:
        entry = self._deduper.decide(self._numbered(candidate))
        self._take(entry)
        return entry

    def _numbered(self, candidate: Candidate) -> Candidate:
        return replace(candidate, id=str(self._number + 1))

    def _take(self, entry: Entry) -> None:
        self._number += 1
        self._deduper.remember(entry)
        self._deduper.settle()

    @staticmethod
    def told(entry: Entry) -> Verdicted:
        back = int(entry.id) - int(entry.related_to) if entry.related_to else 0
        return Verdicted(entry.verdict, back, entry.reason)


class _Looking:
    """One side: its classifier and its matcher."""

    def __init__(self, side: Side, classifier: Classifier) -> None:
        self.remembering = side.remembering
        self._classifier = classifier
        self._matcher = Matcher(side.rules)
        self._places = {rule.name: place for place, rule in enumerate(side.rules.matched)}
        self._counts_repeats = any(rule.counts_repeats for rule in side.rules.rules)

    def look(self, candidate: Candidate, entry: Entry) -> Look | None:
        record = decided(candidate, entry)
        if isinstance(record, Dropped) and not self._counts_repeats:
            return None
        headline: Classified = classified(record, self._classifier.classify(record.headline.headline))
        matches = [(self._places[match.rule.name], match.spans) for match in self._matcher.match(headline)]
        return Look(headline.kind, headline.story_sources, headline.topics, tuple(matches))


def found_in_slice(work: Work, before: bytes, trusted: int, batches: Sequence[bytes]) -> list[bytes]:
    """What there is to find of one whole slice: first the flags of what came before, then what was found of each batch."""
    finder = Finder(work)
    flags = finder.warm_up(decode_candidates(before), trusted)
    return [encode(flags), *(encode(finder.find(decode_candidates(batch))) for batch in batches)]
