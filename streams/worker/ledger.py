"""The ledger: all decisions of deduplication in one total order, shared by every worker through Redis.

Each worker holds a copy of the window in memory and decides on it with the pure core. To make a chunk's decisions
stand, it appends them to the ledger in one atomic step, which succeeds only if nothing was appended since it last
looked; otherwise it reads what was, takes it up, and decides again (optimistic concurrency, as Redis' ``WATCH`` or a
log with compare-and-append). Where workers meet, they take turns: one decides while the others wait, so that nobody
decides what another overtakes. So two duplicates that arrive at two workers in the same instant give one unique
headline, every decision has a sequence number, and a worker that takes over has everything in memory already.
``docs/adr/0002-ledger.md`` weighs this against its alternatives.

The ledger also knows which raw records were decided, by their position in Kafka: one that is delivered again gets the
decision it got before.

Redis holds the window; Kafka holds the truth. If Redis lost its data, or restarted and so may have lost the last second
of it, the ledger is rebuilt from what the worker has in memory and from the decisions on ``headlines.unique`` and
``headlines.dropped``. Sequence numbers then go on above all that were ever given out.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import RedisError

from streams.core.dedupe import KEEP, Candidate, Deduper, Entry
from streams.worker.turns import in_turns

log = structlog.get_logger(__name__)

#: Entries read or written in one call at most.
PAGE = 2_000
#: How long the others leave the next append to the worker that has the turn, milliseconds. It is over when it appends.
TURN_MS = 200
#: How often a worker that waits for its turn asks for it, seconds.
ASK_EVERY = 0.001
#: How long the lock of who lays the ledger anew outlives its holder, seconds: so long nothing is decided.
LOCKED = 5.0

# KEYS: state, log. ARGV: epoch, cursor, worker, turn in ms, keep in ms, keep at least, page, then for each entry its
# event time in ms and its bytes. Without entries it asks for the turn. Answers `ok` and the last number; or `turn`, which
# is the worker's now, or `wait`, both with what was appended after the cursor; or `lost`. Sequence numbers stay below
# 2^53, so that Lua's numbers are exact.
APPEND = """
local state = redis.call('HMGET', KEYS[1], 'epoch', 'last', 'watermark', 'turn', 'turn_until', 'run', 'next')
if state[1] ~= ARGV[1] then return {'lost'} end
if state[6] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') then
  redis.call('HDEL', KEYS[1], 'epoch')
  return {'lost'}
end
local last, cursor, me = tonumber(state[2]), tonumber(ARGV[2]), ARGV[3]
local turn, next = state[4] or '', state[7] or ''
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local until_then = string.format('%.0f', now + tonumber(ARGV[4]))
local function news()
  return redis.call('XRANGE', KEYS[2], string.format('(%.0f', cursor), '+', 'COUNT', ARGV[7])
end
if turn ~= '' and turn ~= me and now < tonumber(state[5]) then
  if next == '' then redis.call('HSET', KEYS[1], 'next', me) end
  return {'wait', news()}
end
if next == me then next = '' end
if last > cursor or #ARGV == 7 then
  redis.call('HSET', KEYS[1], 'turn', me, 'turn_until', until_then, 'next', next)
  return {'turn', news()}
end
local watermark = tonumber(state[3])
for i = 8, #ARGV, 2 do
  last = last + 1
  watermark = math.max(watermark, tonumber(ARGV[i]))
  redis.call('XADD', KEYS[2], string.format('%.0f-0', last), 't', ARGV[i], 'e', ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'last', string.format('%.0f', last),
  'watermark', string.format('%.0f', watermark), 'turn', next, 'turn_until', until_then, 'next', '')
local spare = redis.call('XLEN', KEYS[2]) - tonumber(ARGV[6])
if spare > 0 then
  local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', math.min(spare, #ARGV))
  local horizon, upto = watermark - tonumber(ARGV[5]), nil
  for _, item in ipairs(head) do
    if tonumber(item[2][2]) >= horizon then break end
    upto = tonumber(string.match(item[1], '^%d+'))
  end
  if upto then redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', upto + 1)) end
end
return {'ok', string.format('%.0f', last)}
"""

# KEYS: state, log, lock. ARGV: token of the lock, 1 for the first page, then the sequence number, event time and bytes of
# each entry. Lays the ground of a new epoch page by page; nothing is appended to it before `OPEN`. Who lost the lock,
# because it slept too long, changes nothing.
LAY = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return redis.error_reply('LOST another worker lays the ledger') end
if ARGV[2] == '1' then redis.call('DEL', KEYS[2]) end
for i = 3, #ARGV, 3 do redis.call('XADD', KEYS[2], ARGV[i] .. '-0', 't', ARGV[i + 1], 'e', ARGV[i + 2]) end
return #ARGV
"""

# KEYS: state, log, lock. ARGV: token of the lock, epoch, last sequence number laid, watermark. The first number of an
# epoch is the time in microseconds, or the one after the last that is known, so that numbers never repeat, whatever
# Redis has forgotten.
OPEN = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return redis.error_reply('LOST another worker lays the ledger') end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = math.max(now, tonumber(ARGV[3]) + 1)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run', run, 'last', string.format('%.0f', last),
  'watermark', ARGV[4], 'turn', '', 'next', '')
return string.format('%.0f', last)
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode

#: Reads the decisions that Kafka has, as far back as the window goes, in any order.
History = Callable[[], AsyncIterator[Entry]]


class _Window:
    """What a worker knows of the ledger up to the entry ``cursor``, fed to a deduper and kept by position."""

    def __init__(self, deduper: Deduper, keep_ms: int) -> None:
        self.cursor = 0
        self.deduper = deduper
        self.entries: deque[Entry] = deque()
        self.by_position: dict[str, Entry] = {}
        self._keep_ms = keep_ms
        self._watermark = 0

    async def decide(self, candidates: Sequence[Candidate]) -> list[Entry]:
        """One entry a candidate, tentatively; those of positions that were decided before have their number.

        A position may be there twice: a rebalance hands records out again while they still wait. It has one entry.
        """
        entries = []
        here: dict[str, Entry] = {}
        try:
            async for some in in_turns(candidates):
                for candidate in some:
                    entry = self.by_position.get(candidate.position) or here.get(candidate.position)
                    if entry is None:
                        entry = here[candidate.position] = self.deduper.decide(candidate)
                        self.deduper.remember(entry)
                    entries.append(entry)
        except BaseException:  # also a cancellation: what stayed tentative would make repeats of the next try's
            self.deduper.rollback()
            raise
        return entries

    def settle(self, entries: Sequence[Entry], cursor: int) -> None:
        """What was decided tentatively stands, as ``entries`` with their numbers."""
        self.deduper.settle()
        self._note(entries, cursor)

    async def take_up(self, entries: Sequence[Entry], cursor: int) -> None:
        """Take over what others decided. A worker that starts has days of it to read, and keeps its place in the group."""
        try:
            async for some in in_turns(entries):
                for entry in some:
                    self.deduper.remember(entry)
        except BaseException:
            self.deduper.rollback()
            raise
        self.deduper.settle()
        self._note(entries, cursor)

    def _note(self, entries: Sequence[Entry], cursor: int) -> None:
        for entry in entries:
            self.by_position[entry.position] = entry
            self._watermark = max(self._watermark, entry.event_time)
        self.entries += entries
        self.cursor = cursor
        horizon = self._watermark - self._keep_ms
        while len(self.entries) > KEEP and self.entries[0].event_time < horizon:
            self.by_position.pop(self.entries.popleft().position, None)


class Ledger:
    """One worker's view of the shared ledger.

    ``decide`` may be called by one task at a time. All errors of Redis pass through: the caller tries again.
    """

    def __init__(
        self, redis: Redis, prefix: str, *, deduper: Callable[[], Deduper], keep_ms: int, history: History
    ) -> None:
        self._redis = redis
        self._keys = [f"{{{prefix}:ledger}}:state", f"{{{prefix}:ledger}}:log"]
        self._lock = f"{{{prefix}:ledger}}:rebuilding"
        self._new_deduper = deduper
        self._keep_ms = keep_ms
        self._history = history
        self._worker = secrets.token_hex(6)
        self._append = redis.register_script(APPEND)
        self._lay = redis.register_script(LAY)
        self._open = redis.register_script(OPEN)
        self._epoch = ""
        self._window = _Window(deduper(), keep_ms)
        self._contended = False

    async def decide(self, candidates: Sequence[Candidate]) -> list[Entry]:
        """One decision a candidate, in their order, made to stand.

        A candidate whose position was decided before gets that decision again.
        """
        # Who met others the last time asks for its turn first: a decision that is overtaken is made twice.
        asking = self._contended
        while True:
            if not self._epoch:
                await self._join()
            entries = [] if asking else await self._window.decide(candidates)
            fresh = list({entry.position: entry for entry in entries if not entry.seq}.values())
            if not asking and not fresh:
                return entries
            word, answer = await self._send(fresh)
            if word == b"ok":
                return self._settle(entries, fresh, int(answer))
            if word == b"lost":
                log.info("Redis restarted or lost the ledger: joining it anew")
                self._epoch = ""
                continue
            await self._take_up(answer)
            self._contended = bool(answer) or word == b"wait"
            asking = word == b"wait" or len(answer) == PAGE
            if word == b"wait":
                await asyncio.sleep(ASK_EVERY)

    async def _send(self, fresh: Sequence[Entry]) -> tuple[bytes, Any]:
        """Append entries, or without any ask for the turn. What is not appended by it is forgotten again."""
        arguments: list[str | bytes | int] = [
            self._epoch, self._window.cursor, self._worker, TURN_MS, self._keep_ms, KEEP, PAGE,
        ]  # fmt: skip
        for entry in fresh:
            arguments += (entry.event_time, _encode(entry))
        appended = False
        try:
            reply: list[Any] = await self._append(keys=self._keys, args=arguments)
            appended = reply[0] == b"ok"
        finally:
            # Remembered any longer, these decisions would make repeats of themselves out of the next try's. If they
            # were appended without our knowledge, the next try finds them by their positions.
            if not appended:
                self._window.deduper.rollback()
        return reply[0], reply[1] if len(reply) > 1 else ()

    def _settle(self, entries: Sequence[Entry], fresh: Sequence[Entry], last: int) -> list[Entry]:
        numbered = [
            msgspec.structs.replace(entry, seq=last - len(fresh) + number)
            for number, entry in enumerate(fresh, start=1)
        ]
        self._window.settle(numbered, last)
        of_position = {entry.position: entry for entry in numbered}
        return [entry if entry.seq else of_position[entry.position] for entry in entries]

    async def _take_up(self, items: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
        """Read what other workers appended."""
        entries = [_numbered(number, fields[3]) for number, fields in items]
        if entries:
            await self._window.take_up(entries, entries[-1].seq)

    async def _join(self) -> None:
        """Read the whole window from Redis; if it is not there, lay it there anew.

        What is in memory is given up only when the other is read: it may be needed to lay it anew.
        """
        while True:
            state: list[Any] = await self._redis.hmget(self._keys[0], ["epoch", "last"])
            if None not in state:
                break
            await self._rebuild()
        window = _Window(self._new_deduper(), self._keep_ms)
        while items := await self._page(window.cursor):
            entries = [_numbered(number, fields[b"e"]) for number, fields in items]
            await window.take_up(entries, entries[-1].seq)
        # The numbers of entries that were trimmed, or of an epoch that started empty, are behind us too.
        window.cursor = max(window.cursor, int(state[1]))
        self._window, self._epoch = window, state[0].decode()
        log.info("joined the ledger", epoch=self._epoch, entries=len(window.entries))

    async def _page(self, cursor: int) -> list[Any]:
        page: list[Any] = await self._redis.xrange(self._keys[1], f"({cursor}", "+", count=PAGE)  # type: ignore[assignment]
        return page

    async def _rebuild(self) -> None:
        """Start a new epoch from what this worker remembers and what Kafka has, unless another worker just did."""
        async with self._redis.lock(self._lock, timeout=LOCKED, blocking_timeout=120) as lock:
            if await self._redis.hexists(self._keys[0], "epoch"):
                return
            holding = asyncio.create_task(_hold(lock))
            try:
                await self._lay_all(str(lock.local.token, "ascii"))
            finally:
                holding.cancel()

    async def _lay_all(self, token: str) -> None:
        known = {entry.seq: entry for entry in self._window.entries}
        async for entry in self._history():
            known[entry.seq] = entry
        entries = [known[seq] for seq in sorted(known)]
        keys = [*self._keys, self._lock]
        for start in range(0, max(len(entries), 1), PAGE):
            arguments: list[str | int | bytes] = [token, int(start == 0)]
            for entry in entries[start : start + PAGE]:
                arguments += (entry.seq, entry.event_time, _encode(entry))
            await self._lay(keys=keys, args=arguments)
        last = entries[-1].seq if entries else 0
        watermark = max((entry.event_time for entry in entries), default=0)
        await self._open(keys=keys, args=[token, secrets.token_hex(6), last, watermark])
        log.info("rebuilt the ledger", entries=len(entries))


def _numbered(number: bytes, entry: bytes) -> Entry:
    """An entry as the log has it: its number is the id under which it stands there."""
    return msgspec.structs.replace(_decode(entry), seq=int(number.split(b"-")[0]))


async def _hold(lock: Lock) -> None:
    """Keep a lock for as long as this worker lives, and awake."""
    while True:
        await asyncio.sleep(LOCKED / 3)
        with contextlib.suppress(RedisError):  # if it is lost for good, the next page says so
            await lock.reacquire()
