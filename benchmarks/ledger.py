"""What the shared state of deduplication costs: joining it, its memory, and deciding on it, with stories.

The ledger is filled by one worker, and then another joins it, in a process of its own: from its first question to Redis to
its first decision. Times of publication are drawn together, so that all headlines lie within one window.

The peers are the two other designs that ``docs/adr/0004-stories.md`` weighs. *One ordered stream*: a new owner reads the
same decisions from Kafka, into the same deduper. *An index in Redis*: a script that looks headlines up under their rare
words and files them there, in chunks, and returns what is to be compared; that it is compared is left out, which flatters it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from connectors import embedded
from streams.core.dedupe import Candidate, Entry, undecided
from streams.core.pipeline import decided
from streams.core.records import Dropped, Headline
from streams.core.story.deduper import StoryDeduper
from streams.core.story.reading import rare_words
from streams.worker.history import read_decisions
from streams.worker.ledger import Ledger
from streams.worker.topics import Topics, create_topics

COUNT = 100_000
CHUNK = 500
WINDOW = timedelta(hours=72)
KEEP_MS = round(WINDOW.total_seconds() * 2000)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROUNDS = 3
MEGABYTE = 1_000_000
#: How the index in Redis seeks and files: by as many rare words, drawers and answers of at most so many headlines.
_SOUGHT, _FILED, _DRAWER, _MOST = 7, 6, 32, 8

#: Looks headlines up under their rare words, and files them there. ARGV: how many of the words seek, how many file, how
#: many entries a drawer and an answer have at most, then for each headline its number, its bytes, the number of its words,
#: and these.
INDEX = """
local sought, filed, drawer, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answers, place = {}, 5
while place <= #ARGV do
  local number, entry, count = ARGV[place], ARGV[place + 1], tonumber(ARGV[place + 2])
  local times, found = {}, {}
  for i = 1, math.min(count, sought) do
    for _, other in ipairs(redis.call('LRANGE', KEYS[1] .. ':' .. ARGV[place + 2 + i], -drawer, -1)) do
      times[other] = (times[other] or 0) + 1
      if times[other] == 2 and #found < most then found[#found + 1] = other end
    end
  end
  answers[#answers + 1] = #found > 0 and redis.call('HMGET', KEYS[1], unpack(found)) or {}
  for i = 1, math.min(count, filed) do
    redis.call('RPUSH', KEYS[1] .. ':' .. ARGV[place + 2 + i], number)
    redis.call('LTRIM', KEYS[1] .. ':' .. ARGV[place + 2 + i], -drawer, -1)
  end
  redis.call('HSET', KEYS[1], number, entry)
  place = place + 3 + count
end
return answers
"""


def run() -> list[Row]:
    """Joining, memory, and decisions a second."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, embedded.start(Path(folder)) as services:
        return asyncio.run(_measure(services))


async def _measure(services: embedded.Services) -> list[Row]:
    rows = candidates(COUNT)
    many = f"{COUNT:,} headlines"
    async with Redis.from_url(services.redis_url) as redis:
        start = await _used(redis)
        entries, ours = await fill(redis, rows)
        ledger_memory = await _used(redis) - start
        start = await _used(redis)
        index = await fill_index(redis, rows)
        index_memory = await _used(redis) - start
    topics = await publish(services.bootstrap_servers, rows, entries)
    joined = [_in_a_process("join", services.redis_url) for _ in range(ROUNDS)]
    owned = [_in_a_process("own", services.bootstrap_servers, topics.prefix) for _ in range(ROUNDS)]
    join, memory = min(joined)
    own, _ = min(owned)
    stream = "a new owner of one ordered stream"
    return [
        row(f"a worker joins, {many}", join, "s", peer=own, peer_name=stream),
        row(f"memory of Redis, {many}", ledger_memory, "MB", peer=index_memory, peer_name="an index in Redis"),
        row(f"memory of a worker, {many}", memory, "MB"),
        row(
            f"decided and appended, {name()}",
            ours,
            "headlines/s",
            peer=index,
            peer_name="an index in Redis, uncompared",
        ),
    ]


def candidates(count: int) -> list[Candidate]:
    """Headlines within one window; those of the stream, with a word before them once it is through."""
    found = []
    texts = headlines(count)
    for number, headline in zip(range(count), itertools.cycle(texts), strict=False):
        round_ = number // len(texts)
        # Another round's headlines are new ones: each of their words is another one.
        text = (
            headline.headline if not round_ else " ".join(f"{word}{'q' * round_}" for word in headline.headline.split())
        )
        published = NOON + WINDOW / count * number
        told = msgspec.structs.replace(headline, headline=text, published=published)
        found.append(Candidate(str(number), f"headlines.raw:0:{number}", published, told))
    return found


def _ledger(redis: Redis) -> Ledger:
    entries: tuple[Entry, ...] = ()

    async def nothing() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    return Ledger(redis, "bench", deduper=lambda: StoryDeduper(WINDOW), keep_ms=KEEP_MS, history=nothing)


async def fill(redis: Redis, rows: Sequence[Candidate]) -> tuple[list[Entry], float]:
    """Decide on headlines through a ledger. Returns the entries, and headlines a second."""
    ledger, entries = _ledger(redis), []
    start = time.perf_counter()
    for chunk in _chunks(rows):
        entries += await ledger.decide(chunk)
    return entries, len(rows) / (time.perf_counter() - start)


async def fill_index(redis: Redis, rows: Sequence[Candidate]) -> float:
    """Look headlines up in an index in Redis, and file them. Returns headlines a second."""
    script, encode = redis.register_script(INDEX), msgspec.msgpack.encode
    start = time.perf_counter()
    for chunk in _chunks(rows):
        arguments: list[str | int | bytes] = [_SOUGHT, _FILED, _DRAWER, _MOST]
        for candidate in chunk:
            entry, _ = undecided(candidate)
            words = [str(number) for number in rare_words(entry.text)[:_SOUGHT]]
            arguments += (candidate.id, encode(entry), len(words), *words)
        await script(keys=["index"], args=arguments)
    return len(rows) / (time.perf_counter() - start)


async def publish(servers: str, rows: Sequence[Candidate], entries: Sequence[Entry]) -> Topics:
    """Put decisions onto the topics that testify to them."""
    topics = Topics("bench.")
    await create_topics({"bootstrap_servers": servers}, topics, partitions=4, replication=1)
    encode = msgspec.json.encode
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=20, max_batch_size=500_000) as producer:
        for candidate, entry in zip(rows, entries, strict=True):
            record = decided(candidate, entry)
            topic = topics.dropped if isinstance(record, Dropped) else topics.unique
            await producer.send(topic, encode(record))
    return topics


async def join(url: str) -> object:
    """What a worker does that joins: read the window, and decide on one headline. Returns what it keeps."""
    async with Redis.from_url(url) as redis:
        ledger = _ledger(redis)
        await ledger.decide([_late()])
    return ledger


async def own(servers: str, prefix: str) -> object:
    """What a new owner of one ordered stream would do: read the window from Kafka, and decide on one headline. Returns
    what it keeps.
    """
    topics, deduper = Topics(prefix), StoryDeduper(WINDOW)
    reach = {"unique": topics.unique, "dropped": topics.dropped, "reach_ms": KEEP_MS}
    found = [entry async for entry in read_decisions({"bootstrap_servers": servers}, **reach)]  # type: ignore[arg-type]
    for entry in sorted(found, key=lambda entry: entry.seq):
        deduper.remember(entry)
    deduper.settle()
    deduper.decide(_late())
    return deduper


def _late() -> Candidate:
    """A headline that comes after the others. Each run has another one, as a position is decided on once."""
    late = Headline(headline="Ferry held off Malta", published=NOON + WINDOW, source="example.com")
    return Candidate("late", f"headlines.raw:1:{time.monotonic_ns()}", late.published, late)


def _in_a_process(what: str, *arguments: str) -> tuple[float, float]:
    """Seconds and megabytes that something takes in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ledger", what, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def _told(work: Callable[..., Coroutine[Any, Any, object]], arguments: Sequence[str]) -> None:
    """Do a process' work, and print what it took. The vocabulary is read before, as a worker reads it once."""
    rare_words("Ferry held off Malta")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.CRITICAL)
    before, start = _resident(), time.perf_counter()
    kept = asyncio.run(work(*arguments))
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, _resident() - before]))
    del kept  # in memory until here


def _resident() -> float:
    """The resident set of this process, megabytes, as ``ps`` says."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], check=True, capture_output=True, text=True
    ).stdout
    return int(told) * 1024 / MEGABYTE


async def _used(redis: Redis) -> float:
    """The memory that Redis uses, megabytes."""
    return float((await redis.info("memory"))["used_memory"]) / MEGABYTE


def _chunks(rows: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


if __name__ == "__main__":
    works: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {"join": join, "own": own}
    _told(works[sys.argv[1]], sys.argv[2:])
