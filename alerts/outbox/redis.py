"""The outbox in Redis (7.2 or later, or Valkey), by six Lua scripts that each are one atomic step.

Keys of a channel share a hash tag, ``{prefix}:outbox:{{channel}}:name``, and so a cluster node:

========================  ======  ====================================================================
``queue``                 zset    message → when it is due; of a leased one, when the lease ends (ms)
``jobs``                  hash    alert id → the alert as JSON
``state``                 hash    message → first scheduled (ms), attempts, failures, token or 0
``leases``                zset    alert id → when its lease ends (ms)
``tokens``                string  the last fencing token
``done``, ``dead``        zset    alert id → when the terminal marker expires (ms)
``dead_jobs``             hash    alert id → the dead alert as JSON
``open``                  hash    key of a group → the message that collects its alerts
``groups``                hash    message that collects → interval to the next one (ms) and key
``members``               hash    message of a group → the ids of its alerts, a line each
``message_of``            hash    alert id → its message, if that is of a group
``pauses``                zset    key of a group → when the interval after its last message ends (ms)
``outcomes``              hash    outcome id → the Delivery as JSON, until it is in Kafka
``outcome_times``         zset    outcome id → when it was noted (ms)
``epoch``                 string  random, written once
``served``                string  until when somebody serves the channel (ms)
========================  ======  ====================================================================

The message of an alert without a group is known by the alert's id, and stands in ``queue`` and ``state`` alone.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import accumulate, count, islice, takewhile
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from alerts.outbox.batching import Batches
from alerts.outbox.interface import (
    TERMINAL_TTL,
    Counts,
    Durability,
    Leased,
    Outbox,
    OutboxError,
    Outcome,
    check_due,
    revival,
)
from streams.core.records import Alert, Delivery

#: Alerts of one script call: each call holds up all of Redis while it runs.
_BATCH = 200
#: Ids of dead alerts of one answer, for the same reason.
_IDS = 10_000

#: Alerts that are confirmed in one round trip: as many as come in a second or some at the most.
_CONFIRMED_AT_ONCE = 5_000

_alert = msgspec.json.Decoder(Alert)
_delivery = msgspec.json.Decoder(Delivery)


class RedisOutbox(Outbox):
    """The outbox in Redis.

    ``redis`` is a client that does not decode responses, whose socket time-out is longer than what
    :meth:`durable` is given. It stays the caller's to close.
    """

    def __init__(self, redis: Redis, *, prefix: str = "wirewatch", terminal_ttl: timedelta = TERMINAL_TTL) -> None:
        self._redis = redis
        self._prefix = prefix
        self._terminal_ttl = _ms(terminal_ttl)
        self._schedule, self._lease, self._finish, self._settle, self._revive, self._serve = (
            redis.register_script(resources.files("alerts.outbox").joinpath(f"{name}.lua").read_text("utf-8"))
            for name in ("schedule", "lease", "finish", "settle", "revive", "serve")
        )
        self._unconfirmed: list[tuple[Sequence[Alert], datetime]] = []
        self._confirming = asyncio.Lock()
        self._batches = Batches(redis)

    async def schedule(self, alerts: Sequence[Alert], now: datetime) -> int:
        added = await self._queue(alerts, now)
        self._unconfirmed.append((alerts, now))
        return added

    async def durable(self, timeout: float = 2.0) -> Durability:  # noqa: ASYNC109 - Redis does the waiting
        """Schedule again what has been scheduled, and ``WAITAOF`` on the same connection.

        WAITAOF speaks for the writes of its own connection only, and a connection may have been renewed
        unnoticed, to a Redis that crashed and lost its last second. Scheduling again is nearly free, and
        leaves no such gap. Of many alerts some thousands at a time are seen to the disk, with ``timeout`` for each, and
        those are not scheduled again where the next are late.
        """
        async with self._confirming:
            durability = Durability.SYNCED
            waiting = len(self._unconfirmed)  # what is scheduled from now on comes behind
            while waiting:
                some = _first(self._unconfirmed, _CONFIRMED_AT_ONCE)
                durability = await self._sync(some, timeout)
                if durability is Durability.LATE:
                    break
                del self._unconfirmed[: len(some)]
                waiting -= len(some)
            return durability

    async def _sync(self, some: Iterable[tuple[Sequence[Alert], datetime]], timeout: float) -> Durability:  # noqa: ASYNC109
        calls = [call for alerts, now in some for call in self._schedule_calls(alerts, now)]
        if not calls:
            return Durability.SYNCED
        *_, answer = await self._pipeline(self._schedule, calls, then=("WAITAOF", 1, 0, int(timeout * 1000)))
        if isinstance(answer, ResponseError) and "appendonly" in str(answer):
            return Durability.OFF
        if isinstance(answer, Exception):
            raise _unavailable(answer)
        return Durability.SYNCED if int(answer[0]) >= 1 else Durability.LATE

    async def _queue(self, alerts: Sequence[Alert], now: datetime) -> int:
        calls = list(self._schedule_calls(alerts, now))
        return sum(await self._pipeline(self._schedule, calls)) if calls else 0

    def _schedule_calls(self, alerts: Sequence[Alert], now: datetime) -> Iterator[_Call]:
        for channel, of_channel in _by_channel(alerts).items():
            keys = self._keys(
                channel,
                *("queue", "jobs", "state", "done", "dead", "tokens"),
                *("open", "groups", "members", "message_of", "pauses"),
            )
            following = len(of_channel)
            for batch in _batches(of_channel):
                following -= len(batch)
                parts = [part for alert in batch for part in _parts(alert)]
                yield keys, [_at(now), following, *parts]

    async def lease(
        self, channel: str, now: datetime, lease_for: timedelta, limit: int, batch: int = 1
    ) -> list[Leased]:
        keys = self._keys(
            channel,
            *("queue", "jobs", "state", "leases", "tokens"),
            *("open", "groups", "members", "message_of", "pauses"),
        )
        with _translated():
            found = iter(await self._batches.run(self._lease, keys, [_at(now), _at(now + lease_for), limit, batch]))
        leased = []
        for message in found:
            since, attempt, failures, token, number = islice(found, 5)
            alerts = tuple(map(_alert.decode, islice(found, int(number))))
            leased.append(
                Leased(alerts, int(attempt), int(failures), _moment(since), int(token), str(message, "utf-8"))
            )
        return leased

    async def finish(
        self, leased: Leased, deliveries: Sequence[Delivery], *, due: datetime | None = None, excused: bool = False
    ) -> bool:
        check_due(deliveries, due)
        keys = self._keys(
            leased.alerts[0].channel,
            *("queue", "jobs", "state", "leases", "done", "dead", "dead_jobs", "outcomes", "outcome_times"),
            *("members", "message_of", "pauses"),
        )
        now = _at(deliveries[0].at)
        head: list[Any] = [leased.message, leased.token, now + self._terminal_ttl, _at(due) if due else 0]
        parts = [
            part
            for outcome in leased.outcomes(deliveries)
            for part in (
                outcome.delivery.alert_id,
                {"retry": "retry", "dead": "dead"}.get(outcome.delivery.outcome, "done"),
                outcome.id,
                msgspec.json.encode(outcome.delivery),
            )
        ]
        with _translated():
            return bool(await self._batches.run(self._finish, keys, [*head, 0 if excused else 1, now, *parts]))

    async def published(self, ids: Mapping[str, Collection[str]]) -> None:
        ids = {channel: of_channel for channel, of_channel in ids.items() if of_channel}
        if not ids:
            return
        with _translated():
            # Not in one transaction: channels may be on several nodes, and what stays is published again.
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel, of_channel in ids.items():
                    outcomes, times = self._keys(channel, "outcomes", "outcome_times")
                    pipe.hdel(outcomes, *of_channel)
                    pipe.zrem(times, *of_channel)
                await pipe.execute()

    async def unpublished(self, channel: str, before: datetime, limit: int = 500) -> list[Outcome]:
        outcomes, times = self._keys(channel, "outcomes", "outcome_times")
        with _translated():
            ids: Any = await self._redis.zrangebyscore(times, "-inf", f"({_at(before)}", start=0, num=limit)
            found: Any = await self._redis.hmget(outcomes, ids) if ids else []
        # One that is gone was published by another worker between the two commands.
        return [
            Outcome(name.decode(), _delivery.decode(text))
            for name, text in zip(ids, found, strict=True)
            if text is not None
        ]

    async def counts(self, channel: str, now: datetime) -> Counts:
        queue, jobs, leases, done, dead = self._keys(channel, "queue", "jobs", "leases", "done", "dead")
        later = f"({_at(now)}"
        with _translated():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hlen(jobs)
                pipe.zcount(queue, "-inf", _at(now))
                for key in (leases, done, dead):
                    pipe.zcount(key, later, "+inf")
                everything, due, leased, ended, died = await pipe.execute()
        return Counts(queued=everything - leased, due=due, leased=leased, done=ended, dead=died)

    async def holds(self, channel: str, ids: Collection[str]) -> set[str]:
        if not ids:
            return set()
        asked = list(ids)
        with _translated():
            # In one transaction, for an alert may pass from one to another in between.
            async with self._redis.pipeline(transaction=True) as pipe:
                for key in self._keys(channel, "queue", "done", "dead"):
                    pipe.zmscore(key, asked)
                pipe.hmget(self._keys(channel, "message_of")[0], asked)
                scores = await pipe.execute()
        return {name for name, *found in zip(asked, *scores, strict=True) if any(score is not None for score in found)}

    async def dead(self, channel: str, now: datetime) -> AsyncIterator[Alert]:
        (jobs,) = self._keys(channel, "dead_jobs")
        ids = await self._dead_ids(channel, now)
        for start in range(0, len(ids), _BATCH):
            with _translated():
                found: Any = await self._redis.hmget(jobs, ids[start : start + _BATCH])
            for text in found:
                if text is not None:
                    yield _alert.decode(text)

    async def _dead_ids(self, channel: str, now: datetime) -> list[bytes]:
        """The ids of what is dead, the oldest first; read from the newest on, where deaths meanwhile hide none."""
        (dead,) = self._keys(channel, "dead")
        ids: dict[bytes, None] = {}
        for start in count(step=_IDS):
            with _translated():
                page: Any = await self._redis.zrevrangebyscore(dead, "+inf", f"({_at(now)}", start=start, num=_IDS)
            ids |= dict.fromkeys(page)
            if len(page) < _IDS:
                break
        return list(reversed(ids))

    async def revive(self, channel: str, alerts: Sequence[Alert], now: datetime) -> int:
        keys = self._keys(channel, "queue", "jobs", "state", "dead", "dead_jobs", "tokens", "outcomes", "outcome_times")
        calls: list[_Call] = []
        for batch in _batches(alerts):
            outcomes = [(alert.alert_id, revival(alert, now)) for alert in batch]
            parts = [part for name, noted in outcomes for part in (name, noted.id, msgspec.json.encode(noted.delivery))]
            calls.append((keys, [_at(now), *parts]))
        return sum(await self._pipeline(self._revive, calls)) if calls else 0

    async def serve(self, channels: Collection[str], until: datetime) -> None:
        calls: list[_Call] = [(self._keys(channel, "served"), [_at(until)]) for channel in channels]
        if calls:
            await self._pipeline(self._serve, calls)

    async def forgotten(self, now: datetime) -> set[str]:
        """Looks through all keys of this Redis, a thousand at a time: to be asked once in a while."""
        with _translated():
            found = {
                channel
                for name in ("queue", "outcomes")
                for channel in [self._channel_of(key) async for key in self._redis.scan_iter(self._pattern(name), 1000)]
            }
            served: Any = await self._redis.mget([self._keys(c, "served")[0] for c in sorted(found)]) if found else []
        return {
            channel
            for channel, until in zip(sorted(found), served, strict=True)
            if until is None or int(until) <= _at(now)
        }

    def _pattern(self, name: str) -> str:
        prefix = re.sub(r"([\\*?\[\]])", r"\\\1", self._prefix)
        return f"{prefix}:outbox:{{*}}:{name}"

    def _channel_of(self, key: bytes) -> str:
        return key.decode()[len(self._prefix) :].partition("{")[2].rpartition("}")[0]

    async def epoch(self, channel: str) -> str | None:
        (key,) = self._keys(channel, "epoch")
        with _translated():
            word: Any = await self._redis.get(key)
        return None if word is None else str(word, "ascii")

    async def begin_epoch(self, channel: str) -> str:
        (key,) = self._keys(channel, "epoch")
        word = uuid.uuid4().hex
        with _translated():
            earlier: Any = await self._redis.set(key, word, nx=True, get=True)
        return word if earlier is None else str(earlier, "ascii")

    async def restore(self, alerts: Sequence[Alert], terminal: Collection[str], now: datetime) -> int:
        ended = [alert for alert in alerts if alert.alert_id in terminal]
        await self._mark_ended(ended, now)
        return await self._queue([alert for alert in alerts if alert.alert_id not in terminal], now)

    async def _mark_ended(self, alerts: Sequence[Alert], now: datetime) -> None:
        expires = _at(now) + self._terminal_ttl
        calls = [
            (
                self._keys(
                    channel,
                    *("queue", "jobs", "state", "leases", "done", "dead"),
                    *("open", "groups", "members", "message_of"),
                ),
                [expires, *(alert.alert_id for alert in batch)],
            )
            for channel, of_channel in _by_channel(alerts).items()
            for batch in _batches(of_channel)
        ]
        if calls:
            await self._pipeline(self._settle, calls)

    async def _pipeline(self, script: Any, calls: Sequence[_Call], then: tuple[Any, ...] = ()) -> list[Any]:
        """Run ``script`` for each call, and the command ``then``, on one connection in one round trip.

        Raises:
            OutboxError: a call failed; the answer to ``then`` is returned even where it is an error.
        """
        with _translated():
            answers = await self._try_pipeline(script, calls, then)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                await self._redis.script_load(script.script)
                answers = await self._try_pipeline(script, calls, then)
            for answer in answers[: len(calls)]:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    async def _try_pipeline(self, script: Any, calls: Sequence[_Call], then: tuple[Any, ...]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.evalsha(script.sha, len(keys), *keys, *arguments)
            if then:
                pipe.execute_command(*then)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    def _keys(self, channel: str, *names: str) -> list[str]:
        return [f"{self._prefix}:outbox:{{{channel}}}:{name}" for name in names]


def _parts(alert: Alert) -> Iterator[str | int | bytes]:
    """An alert as the script that schedules it is given it."""
    yield alert.alert_id
    yield msgspec.json.encode(alert)
    group = alert.group
    yield from (-1, 0, "") if group is None else (round(group.wait * 1000), round(group.interval * 1000), group.key)


#: The keys and the arguments of a script.
_Call = tuple[list[str], list[Any]]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> OutboxError:
    return OutboxError(f"Redis: {error}")


def _by_channel(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    channels: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        channels[alert.channel].append(alert)
    return channels


def _first(
    scheduled: Sequence[tuple[Sequence[Alert], datetime]], most: int
) -> Sequence[tuple[Sequence[Alert], datetime]]:
    """The first of what was scheduled, so many alerts together, or one call's if these are more."""
    sums = accumulate(len(alerts) for alerts, _ in scheduled)
    return scheduled[: max(sum(1 for _ in takewhile(lambda total: total <= most, sums)), 1)]


def _batches(alerts: Sequence[Alert]) -> Iterator[Sequence[Alert]]:
    for start in range(0, len(alerts), _BATCH):
        yield alerts[start : start + _BATCH]


def _at(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _moment(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
