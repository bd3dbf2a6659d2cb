from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from streams.core.dedupe import Candidate, ExactDeduper
from streams.core.records import Headline
from streams.worker.ledger import _Window
from streams.worker.turns import IN_A_TURN, in_turns

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_everything_comes_in_order() -> None:
    items = list(range(3 * IN_A_TURN + 1))
    assert [item async for some in in_turns(items) for item in some] == items


async def test_others_have_a_turn_between_the_parts_and_none_before_a_lone_record() -> None:
    turns = []

    async def other() -> None:
        while True:
            turns.append(len(done))
            await asyncio.sleep(0)

    done: list[int] = []
    waiting = asyncio.create_task(other())
    async for some in in_turns([1]):
        done += some
    assert turns == []
    async for some in in_turns(list(range(3 * IN_A_TURN))):
        done += some
    waiting.cancel()
    assert turns == [1 + IN_A_TURN, 1 + 2 * IN_A_TURN]


async def test_a_decision_that_is_cancelled_half_way_leaves_nothing_behind() -> None:
    window = _Window(ExactDeduper(timedelta(hours=72)), keep_ms=1)
    candidates = [
        Candidate(f"h-{n}", f"headlines.raw:0:{n}", NOON, Headline(headline=f"Story {n}", published=NOON))
        for n in range(3 * IN_A_TURN)
    ]
    deciding = asyncio.create_task(window.decide(candidates))
    await asyncio.sleep(0)
    deciding.cancel()
    await asyncio.wait([deciding])
    assert deciding.cancelled()
    assert {entry.verdict for entry in await window.decide(candidates)} == {"first"}


async def test_a_position_that_is_there_twice_is_decided_once() -> None:
    window = _Window(ExactDeduper(timedelta(hours=72)), keep_ms=1)
    told = Candidate("h-1", "headlines.raw:0:1", NOON, Headline(headline="Oil rises", published=NOON))
    one, again = await window.decide([told, told])
    assert one is again
    assert one.verdict == "first"


async def test_what_others_decided_is_taken_up_in_parts_and_all_or_nothing() -> None:
    """A worker that starts has days of it to read, and its heartbeats come from the same loop."""
    one, other = (_Window(ExactDeduper(timedelta(hours=72)), keep_ms=10**9) for _ in range(2))
    candidates = [
        Candidate(f"h-{n}", f"headlines.raw:0:{n}", NOON, Headline(headline=f"Story {n}", published=NOON))
        for n in range(3 * IN_A_TURN)
    ]
    entries = await one.decide(candidates)
    taking = asyncio.create_task(other.take_up(entries, 3))
    await asyncio.sleep(0)
    assert not taking.done()
    taking.cancel()
    await asyncio.wait([taking])
    assert (other.cursor, other.by_position) == (0, {})
    assert {entry.verdict for entry in await other.decide(candidates)} == {"first"}
    other.deduper.rollback()
    await other.take_up(entries, 3)
    assert (other.cursor, len(other.by_position)) == (3, len(entries))
