"""The log of what rules remember, shared by every worker through Redis.

A worker appends the events of its headlines in one atomic step and gets all that was appended since it last looked, its
own included. It folds them with the pure core (`streams.core.correlate`), in the order of the log, and takes what fires by
its own. So every worker comes to the same state, and no two decide on one event. An event that is delivered again is known
by its position, and has the firings that it had before. ``docs/adr/0005-decisions-with-memory.md`` weighs this.

Redis alone holds the log. Where it was emptied, rules begin anew with nothing remembered, which the log tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from streams.core.correlate import Correlator, Event, tick
from streams.core.decide import Firing
from streams.core.records import Classified
from streams.core.rule import RuleSet

log = structlog.get_logger(__name__)

#: Events read in one call at most.
PAGE = 1_000
#: Events that the log holds, about, whatever their age.
MOST = 500_000
#: How long events are kept at least, milliseconds: so long a chunk that nobody acknowledged may be on its way.
LEAST_KEPT = 3_600_000

# KEYS: log, epoch, then the position of each event. ARGV: epoch of this worker, cursor, a new epoch, keep in ms, most, page,
# then each event. Answers with the epoch, and where that is the worker's with what was appended after the cursor. An epoch
# ends where Redis loses its data, or restarts and so may have lost the last second of it.
APPEND = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local epoch = run .. ':' .. redis.call('GET', KEYS[2])
if epoch ~= ARGV[1] then return {epoch} end
for i = 3, #KEYS do
  if redis.call('SET', KEYS[i], '', 'NX', 'PX', ARGV[4]) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[i + 4])
  end
end
if #KEYS > 2 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[4])))
end
return {epoch, redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[6])}
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


class CorrelationLog:
    """One worker's view of the log. All errors of Redis pass through: the caller tries again."""

    def __init__(self, redis: Redis, prefix: str, ruleset: RuleSet, *, token: str) -> None:
        self._ruleset = ruleset
        self._prefix = f"{{{prefix}:correlation}}"
        self._append = redis.register_script(APPEND)
        self._token = token
        self._one_at_a_time = asyncio.Lock()
        self._begin("")

    def _begin(self, epoch: str) -> None:
        self._epoch = epoch
        self._cursor = "0-0"
        self._behind = True
        self._correlator = Correlator(self._ruleset)
        self._keep = max(2 * self._correlator.span, LEAST_KEPT)
        self._fired: dict[str, list[Firing]] = {}
        self._ages: deque[tuple[int, str]] = deque()
        self._elapsed: list[Firing] = []

    async def decide(self, events: Sequence[Event]) -> list[list[Firing]]:
        """What fires by each event, in their order, made to stand."""
        async with self._one_at_a_time:
            return await self._decide(events)

    async def adopt(self, ruleset: RuleSet) -> None:
        """Go by other rules from the next event on. What rules of the same names remember is read anew from the log."""
        async with self._one_at_a_time:
            self._ruleset = ruleset
            self._begin(self._epoch)

    async def elapse(self, now: int) -> list[Firing]:
        """What fires because nothing has come by ``now``, milliseconds; until it is `told`, each time.

        Every worker says so, and a new one again what the log still has: an alert that is there twice is one by its id, and
        none is lost with a worker.
        """
        async with self._one_at_a_time:
            if not self._correlator.awaits:
                return []
            due = self._correlator.next_due()
            await self._decide([tick(*due)] if due is not None and due[1] <= now else [])
            return list(self._elapsed)

    def told(self, firings: Sequence[Firing]) -> None:
        """These have been published."""
        del self._elapsed[: len(firings)]

    async def _decide(self, events: Sequence[Event]) -> list[list[Firing]]:
        waiting = [_without_body(event) for event in events]
        while True:
            # What is appended may trim the log, whose beginning is to be read before.
            epoch, news = await self._send([] if self._behind else waiting)
            if epoch != self._epoch:
                if self._epoch:
                    log.warning("Redis restarted or lost its data: what rules remember is read anew from what it has")
                self._begin(epoch)
                continue
            self._fold(news)
            if not self._behind:
                waiting = []
            if len(news) < PAGE:
                if not waiting:
                    return [self._firings(event) for event in events]
                self._behind = False

    async def _send(self, events: Sequence[Event]) -> tuple[str, Sequence[Any]]:
        keys = [f"{self._prefix}:log", f"{self._prefix}:epoch"]
        keys += [f"{self._prefix}:at:{event.position}:{int(event.repeat)}" for event in events]
        arguments: list[str | int | bytes] = [self._epoch, self._cursor, self._token, self._keep, MOST, PAGE]
        arguments += map(_encode, events)
        reply: list[Any] = await self._append(keys=keys, args=arguments)
        return reply[0].decode(), reply[1] if len(reply) > 1 else ()

    def _fold(self, news: Sequence[Any]) -> None:
        for number, fields in news:
            self._cursor = number.decode()
            try:
                event = _decode(fields[1])
            except msgspec.DecodeError as error:  # of another release
                log.warning("an event of another release is passed over", number=self._cursor, error=str(error))
                continue
            if fired := self._correlator.consider(event):
                self._fired[event.position] = fired
                self._elapsed += fired if event.headline is None else ()
                self._ages.append((int(self._cursor.split("-")[0]), event.position))
        horizon = int(self._cursor.split("-")[0]) - self._keep
        while self._ages and self._ages[0][0] < horizon:
            self._fired.pop(self._ages.popleft()[1], None)

    def _firings(self, event: Event) -> list[Firing]:
        """What fired by an event, with its headline as it came: the log has no bodies."""
        whole = event.headline
        return [
            msgspec.structs.replace(firing, headline=whole) if whole and firing.headline.id == whole.id else firing
            for firing in self._fired.get(event.position, ())
        ]


def _without_body(event: Event) -> Event:
    """An event as it is logged: what rules remember needs no article."""
    whole = event.headline
    if whole is None or whole.headline.body is None:
        return event
    bare: Classified = msgspec.structs.replace(whole, headline=msgspec.structs.replace(whole.headline, body=None))
    return msgspec.structs.replace(event, headline=bare)
