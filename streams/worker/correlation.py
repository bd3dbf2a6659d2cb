"""The log of what rules remember, shared by every worker through Redis.

A worker appends the events of its headlines in one atomic step and gets all that was appended since it last looked, its
own included. It folds them with the pure core (`streams.core.correlate`), in the order of the log, and takes what fires by
its own. So every worker comes to the same state, and no two decide on one event. An event that is delivered again is known
by its position, and has the firings and the number in the log that it had before. ``docs/adr/0005-decisions-with-memory.md``
weighs this, and ``docs/adr/0007-the-order-of-the-log.md`` what is told of the numbers.

Redis alone holds the log. Where it was emptied, rules begin anew with nothing remembered, which the log tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.asyncio import Redis

from streams.core.correlate import Correlator, Event, tick
from streams.core.decide import Firing
from streams.core.records import Classified, Place
from streams.core.rule import RuleSet

log = structlog.get_logger(__name__)

#: Events read in one call at most.
PAGE = 1_000
#: Events that the log holds, about, whatever their age.
MOST = 500_000
#: How long events are kept at least, milliseconds: so long a chunk that nobody acknowledged may be on its way.
LEAST_KEPT = 3_600_000

# KEYS: log, epoch, then the position of each event. ARGV: epoch of this worker, cursor, a new epoch, keep in ms, most, page,
# then each event. Answers with the epoch, and where that is the worker's with what was appended after the cursor, and the
# number of each event in the log. An epoch ends where Redis loses its data, or restarts and so may have lost the last second.
APPEND = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local epoch = run .. ':' .. redis.call('GET', KEYS[2])
if epoch ~= ARGV[1] then return {epoch} end
local numbers = {}
for i = 3, #KEYS do
  local number = redis.call('GET', KEYS[i])
  if not number then
    number = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[i + 4])
    redis.call('SET', KEYS[i], number, 'PX', ARGV[4])
  end
  numbers[i - 2] = number
end
if #KEYS > 2 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[4])))
end
return {epoch, redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[6]), numbers}
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


class Considered(NamedTuple):
    """What came of events: for each its place in the log and what fires by it.

    ``log`` names the log, and is another where that was emptied. ``absences`` are the revisions of the rules that wait.
    """

    log: str
    places: Sequence[Place]
    firings: Sequence[Sequence[Firing]]
    absences: tuple[str, ...]


class CorrelationLog:
    """One worker's view of the log. All errors of Redis pass through: the caller tries again."""

    def __init__(self, redis: Redis, prefix: str, ruleset: RuleSet, *, token: str) -> None:
        self._ruleset = ruleset
        self._prefix = f"{{{prefix}:correlation}}"
        self._append = redis.register_script(APPEND)
        self._token = token
        self._begun = 0
        self._one_at_a_time = asyncio.Lock()
        self._begin("")

    def _begin(self, epoch: str) -> None:
        self._epoch = epoch
        self._begun += 1
        self._cursor = "0-0"
        self._behind = True
        self._correlator = Correlator(self._ruleset)
        self._keep = max(2 * self._correlator.span, LEAST_KEPT)
        self._fired: dict[str, list[Firing]] = {}
        self._ages: deque[tuple[int, str]] = deque()
        self._elapsed: list[tuple[Place, list[Firing]]] = []

    async def decide(self, events: Sequence[Event]) -> Considered:
        """What fires by each event, in their order, made to stand."""
        async with self._one_at_a_time:
            numbers = await self._decide(events)
            places = [
                Place(number=number, position=event.position) for number, event in zip(numbers, events, strict=True)
            ]
            return self._considered(places, [self._firings(event) for event in events])

    async def adopt(self, ruleset: RuleSet) -> None:
        """Go by other rules from the next event on. What rules of the same names remember is read anew from the log."""
        async with self._one_at_a_time:
            self._ruleset = ruleset
            self._begin(self._epoch)

    async def elapse(self, now: int) -> Considered | None:
        """What fires because nothing has come by ``now``, milliseconds; until it is `told`, each time.

        Every worker says so, and a new one again what the log still has: an alert that is there twice is one by its id, and
        none is lost with a worker. None where nothing fires.
        """
        async with self._one_at_a_time:
            if not self._correlator.awaits:
                return None
            due = self._correlator.next_due()
            await self._decide([tick(*due)] if due is not None and due[1] <= now else [])
            if not self._elapsed:
                return None
            return self._considered([place for place, _ in self._elapsed], [fired for _, fired in self._elapsed])

    def told(self, elapsed: Considered) -> None:
        """What had elapsed has been published."""
        del self._elapsed[: len(elapsed.places)]

    def _considered(self, places: Sequence[Place], firings: Sequence[Sequence[Firing]]) -> Considered:
        # A restart of Redis ends the epoch, but not the log.
        return Considered(self._epoch.partition(":")[2], places, firings, self._correlator.awaited)

    async def _decide(self, events: Sequence[Event]) -> list[str]:
        """Append the events, fold the log up to its end, and say the number of each."""
        bare = [_without_body(event) for event in events]
        waiting, numbers = bare, list[str]()
        while True:
            # What is appended may trim the log, whose beginning is to be read before.
            epoch, news, appended = await self._send([] if self._behind else waiting)
            if epoch != self._epoch:
                if self._epoch:
                    log.warning("Redis restarted or lost its data: what rules remember is read anew from what it has")
                self._begin(epoch)
                waiting = bare  # what was appended before may be lost, too
                continue
            self._fold(news)
            if not self._behind and waiting:
                waiting, numbers = [], [number.decode() for number in appended]
            if len(news) < PAGE:
                if not waiting:
                    return numbers
                self._behind = False

    async def _send(self, events: Sequence[Event]) -> tuple[str, Sequence[Any], Sequence[bytes]]:
        keys = [f"{self._prefix}:log", f"{self._prefix}:epoch"]
        keys += [f"{self._prefix}:at:{event.position}:{int(event.repeat)}" for event in events]
        # A log that takes the place of one that was lost is to have another name, also where no other worker is there.
        token = f"{self._token}-{self._begun}"
        arguments: list[str | int | bytes] = [self._epoch, self._cursor, token, self._keep, MOST, PAGE]
        arguments += map(_encode, events)
        reply: list[Any] = await self._append(keys=keys, args=arguments)
        return reply[0].decode(), *(reply[1:] or ((), ()))

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
                if event.headline is None:
                    at = datetime.fromtimestamp(event.at / 1000, UTC)
                    self._elapsed.append((Place(number=self._cursor, at=at), fired))
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
