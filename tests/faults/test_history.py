"""The load is what the checker takes it for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.core import pipeline
from streams.core.dedupe import Candidate, fingerprint_of, read_saying
from streams.core.headline import UnreadableError
from streams.core.match import Matcher
from streams.core.records import Unique
from tests.faults.history import History, Record, rules

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def said(seed: int) -> tuple[History, list[Record]]:
    history = History(seed)
    return history, [one for second in range(500) for one in history.next(NOON + timedelta(seconds=second))]


def read(record: Record) -> Candidate:
    return pipeline.read(record.value, id=record.id, position="raw:0:0", received=NOON)


def test_the_same_seed_says_the_same() -> None:
    assert said(1)[1] == said(1)[1]
    assert said(1)[1] != said(2)[1]


def test_every_record_is_read_and_fires_as_expected() -> None:
    history, records = said(3)
    matcher = Matcher(rules())
    for record in records:
        if record.id in history.unreadable:
            with pytest.raises(UnreadableError):
                read(record)
            continue
        headline = read(record).headline
        unique = Unique(id="", seq=1, position="", received=NOON, headline=headline, story_id="")
        fired = {match.rule.name for match in matcher.match(pipeline.classified(unique, ()))}
        assert fired == set(history.fires[history.saying_of[record.id]])


def test_sayings_are_what_deduplication_tells_apart() -> None:
    history, records = said(4)
    readable = [record for record in records if record.id not in history.unreadable]
    told = {record.id: read(record).headline for record in readable}
    fingerprints = {
        (history.saying_of[name], fingerprint_of(read_saying(one), one.status)) for name, one in told.items()
    }
    assert len(fingerprints) == len({saying for saying, _ in fingerprints}) == len({key for _, key in fingerprints})
    assert len(fingerprints) < len(readable), "some of it must be repeats"
