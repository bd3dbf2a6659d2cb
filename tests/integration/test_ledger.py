"""The ledger on a real Redis: one total order over several workers, and what happens when Redis forgets."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from streams.core.dedupe import Candidate, Entry, ExactDeduper
from streams.core.records import Headline
from streams.worker.ledger import Ledger

pytestmark = pytest.mark.services

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(hours=72)


def candidate(partition: int, offset: int, text: str, after: timedelta = timedelta()) -> Candidate:
    published = NOON + after
    place = f"headlines.raw:{partition}:{offset}"
    return Candidate(place, place, published, Headline(headline=text, published=published))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def history() -> list[Entry]:
    """What Kafka would testify to."""
    return []


@pytest.fixture
def ledger(redis: Redis, history: list[Entry]) -> Callable[[], Ledger]:
    """A factory of ledgers that share one place in Redis, as the workers of one group do."""
    prefix = f"test-{secrets.token_hex(4)}"

    async def read() -> AsyncIterator[Entry]:
        for entry in history:
            yield entry

    def make() -> Ledger:
        return Ledger(redis, prefix, deduper=lambda: ExactDeduper(WINDOW), keep_ms=2 * 72 * 3600 * 1000, history=read)

    make.prefix = prefix  # type: ignore[attr-defined]
    return make


async def test_decisions_have_rising_numbers_without_gaps(ledger: Callable[[], Ledger]) -> None:
    one = ledger()
    first = await one.decide([candidate(0, n, f"Story {n}") for n in range(3)])
    then = await one.decide([candidate(0, 3, "Story 1"), candidate(0, 4, "Story 4")])
    numbers = [entry.seq for entry in first + then]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert then[0].verdict == "duplicate"
    assert then[0].related_to == "headlines.raw:0:1"


async def test_a_position_that_is_handed_out_twice_at_once_has_one_decision(ledger: Callable[[], Ledger]) -> None:
    twice = [candidate(0, 0, "Port shut"), candidate(0, 1, "Ship held"), candidate(0, 0, "Port shut")]
    first, other, again = await ledger().decide(twice)
    assert first == again
    assert (first.verdict, other.verdict, other.seq - first.seq) == ("first", "first", 1)


async def test_duplicates_at_the_same_instant_on_many_workers_give_one_unique_headline(
    ledger: Callable[[], Ledger],
) -> None:
    workers = [ledger() for _ in range(4)]
    texts = [f"Story {n}" for n in range(40)]

    async def work(number: int, one: Ledger) -> list[Entry]:
        entries = []
        for start in range(0, len(texts), 5):
            chunk = [candidate(number, start + i, text) for i, text in enumerate(texts[start : start + 5])]
            entries += await one.decide(chunk)
            await asyncio.sleep(0)
        return entries

    decided = [
        entry for entries in await asyncio.gather(*(work(n, w) for n, w in enumerate(workers))) for entry in entries
    ]
    firsts = [entry for entry in decided if entry.verdict == "first"]
    assert len(decided) == 160
    assert len(firsts) == 40
    assert len({entry.seq for entry in decided}) == 160
    by_id = {entry.id: entry for entry in firsts}
    for entry in decided:
        if entry.verdict == "duplicate":
            assert by_id[entry.related_to].key == entry.key
            assert by_id[entry.related_to].seq < entry.seq


async def test_replayed_in_the_order_of_their_numbers_the_decisions_are_the_same(
    ledger: Callable[[], Ledger],
) -> None:
    workers = [ledger() for _ in range(3)]
    told: dict[str, Candidate] = {}

    async def work(number: int, one: Ledger) -> list[Entry]:
        entries = []
        for offset in range(60):
            hours = timedelta(hours=(offset * 37 + number * 11) % 200)
            told_one = candidate(number, offset, f"Story {offset % 7}", hours)
            told[told_one.position] = told_one
            entries += await one.decide([told_one])
        return entries

    lived = [
        entry for entries in await asyncio.gather(*(work(n, w) for n, w in enumerate(workers))) for entry in entries
    ]
    deduper = ExactDeduper(WINDOW)
    for entry in sorted(lived, key=lambda entry: entry.seq):
        again = deduper.decide(told[entry.position])
        deduper.remember(entry)
        deduper.settle()
        assert (again.verdict, again.related_to, again.story_id) == (
            entry.verdict,
            entry.related_to,
            entry.story_id,
        )


async def test_what_is_delivered_again_gets_the_decision_it_got(ledger: Callable[[], Ledger]) -> None:
    chunk = [candidate(0, 0, "Ship held"), candidate(0, 1, "Ship held"), candidate(0, 2, "Port shut")]
    before = await ledger().decide(chunk)
    again = await ledger().decide([*chunk, candidate(0, 3, "Ship held")])
    assert again[:3] == before
    assert again[3].verdict == "duplicate"


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_append_without_an_answer_makes_no_repeats_of_itself(
    ledger: Callable[[], Ledger], arrived: bool
) -> None:
    one = ledger()
    await one.decide([candidate(0, 0, "Port shut")])
    append = one._append

    async def unanswered(**call: object) -> None:
        one._append = append
        if arrived:
            await append(**call)  # type: ignore[arg-type]
        raise ConnectionError("Connection lost")

    one._append = unanswered  # type: ignore[assignment]
    chunk = [candidate(0, 1, "Ship held"), candidate(0, 2, "Ship held")]
    with pytest.raises(ConnectionError):
        await one.decide(chunk)
    again = await one.decide(chunk)
    assert [entry.verdict for entry in again] == ["first", "duplicate"]
    assert again[1].related_to == again[0].id


async def test_when_redis_is_emptied_memory_and_kafka_fill_the_ledger_again(
    ledger: Callable[[], Ledger], redis: Redis, history: list[Entry]
) -> None:
    one, other = ledger(), ledger()
    mine = await one.decide([candidate(0, 0, "Ship held")])
    theirs = await other.decide([candidate(1, 0, "Port shut")])
    history += theirs  # published, and not yet seen by the first worker
    keys = await redis.keys(f"*{ledger.prefix}*")  # type: ignore[attr-defined]
    await redis.delete(*keys)

    after = await one.decide([candidate(0, 0, "Ship held"), candidate(0, 1, "Port shut"), candidate(0, 2, "New")])
    assert after[0] == mine[0]
    assert (after[1].verdict, after[1].related_to) == ("duplicate", theirs[0].id)
    assert after[2].seq > max(mine[0].seq, theirs[0].seq)
    again = await other.decide([candidate(1, 1, "New"), candidate(1, 0, "Port shut")])
    assert (again[0].verdict, again[0].related_to) == ("duplicate", after[2].id)
    assert again[1] == theirs[0]


async def test_a_worker_that_joins_after_redis_was_emptied_learns_from_kafka(
    ledger: Callable[[], Ledger], redis: Redis, history: list[Entry]
) -> None:
    history += await ledger().decide([candidate(0, 0, "Ship held")])
    await redis.delete(*await redis.keys(f"*{ledger.prefix}*"))  # type: ignore[attr-defined]
    after = await ledger().decide([candidate(0, 1, "Ship held")])
    assert after[0].related_to == history[0].id
    assert after[0].seq > history[0].seq


async def test_what_a_worker_remembers_outlives_a_join_that_fails_halfway(
    ledger: Callable[[], Ledger], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = ledger(), ledger()
    mine = await one.decide([candidate(0, 0, "Ship held")])
    await redis.hdel(f"{{{ledger.prefix}:ledger}}:state", "epoch")  # type: ignore[attr-defined]
    await other.decide([candidate(1, 0, "Port shut")])

    async def cut(_cursor: int) -> list[object]:
        raise ConnectionError("Connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(one, "_page", cut)
        with pytest.raises(ConnectionError):
            await one.decide([candidate(0, 1, "New")])
    # Redis loses everything before the next try: what this worker has in memory is all there is, as Kafka is behind.
    await redis.delete(*await redis.keys(f"*{ledger.prefix}*"))  # type: ignore[attr-defined]
    again = await one.decide([candidate(0, 0, "Ship held"), candidate(0, 2, "Ship held")])
    assert again[0] == mine[0]
    assert again[1].related_to == mine[0].id


async def test_workers_that_meet_take_turns_and_decide_nothing_twice(
    ledger: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: Counter[str] = Counter()
    decide = ExactDeduper.decide

    def counted(self: ExactDeduper, candidate: Candidate) -> Entry:
        tries[candidate.position] += 1
        return decide(self, candidate)

    monkeypatch.setattr(ExactDeduper, "decide", counted)
    workers = [ledger() for _ in range(3)]

    async def work(number: int, one: Ledger) -> None:
        for chunk in range(20):
            offsets = range(chunk * 20, chunk * 20 + 20)
            await one.decide([candidate(number, offset, f"Story {number} {offset}") for offset in offsets])

    await asyncio.gather(*(work(number, one) for number, one in enumerate(workers)))
    assert len(tries) == 1200
    # Each overtakes another before they know of each other, and where a turn runs out.
    assert sum(tries.values()) < 1.2 * 1200


async def test_a_turn_that_its_owner_does_not_take_runs_out(ledger: Callable[[], Ledger]) -> None:
    gone, here = ledger(), ledger()
    await gone.decide([candidate(0, 0, "Ship held")])
    await here.decide([candidate(1, 0, "Port shut")])
    word, _ = await gone._send([])
    assert word == b"turn"
    async with asyncio.timeout(5):
        [entry] = await here.decide([candidate(1, 1, "Port open")])
    assert entry.verdict == "first"


async def test_what_the_window_has_passed_leaves_redis(
    ledger: Callable[[], Ledger], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.worker.ledger.KEEP", 10)
    one = ledger()
    for day in range(60):
        await one.decide([candidate(0, day, f"Story {day}", timedelta(days=day))])
    held = await redis.xlen(f"{{{ledger.prefix}:ledger}}:log")  # type: ignore[attr-defined]
    assert held == 10
    assert len(one._window.by_position) == 10
