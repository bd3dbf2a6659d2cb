"""``wirewatch doctor``: is everything in order, and does every headline come out?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Annotated, Literal

import typer
from aiokafka.errors import KafkaConnectionError, KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.markup import escape

from alerts.channels import Channel
from alerts.health import Disabled
from alerts.notify.interface import ChannelError
from alerts.outbox import Counts, Outbox, RedisOutbox
from streams.cli.channels_health import disabled_channels
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    out,
    print_json,
    settings,
    since_when,
    told_plainly,
)
from streams.cli.plan import Rulebook, load_rulebook
from streams.cli.services import Addresses, WrongServiceError, addresses, ask_kafka, ask_redis
from streams.core.document import RefusedError
from streams.settings import Loaded
from streams.worker.history import partitions_of
from streams.worker.roster import Entry, read_roster
from streams.worker.survey import Copies, Group, read_copies, read_group, topic_settings
from streams.worker.tally import Offsets, Tally, count, read_offsets, stuck
from streams.worker.topics import Topics, reach_ms, short_lived

#: How long the lag is watched where there is one, seconds: longer than workers take from one commit to the next.
WATCHED = 5.0
#: How long Kafka may take to answer, milliseconds; what is no Kafka at all often does not.
_PATIENCE_MS = 5_000
#: As many of what is missing are named.
_NAMED = 5

State = Literal["ok", "warning", "failed"]
_MARKS = {
    "ok": "[green]ok     [/green]",
    "warning": "[yellow]warning[/yellow]",
    "failed": "[red]failed [/red]",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``hint`` says what to do where it is not in order."""

    what: str
    state: State
    detail: str
    hint: str = ""


def doctor(
    config: ConfigOption = None,
    since: Annotated[
        str,
        typer.Option(metavar="WHEN", help="From when on headlines are counted: 1h or 7d ago, or 2026-03-01T08:00Z."),
    ] = "1d",
    as_json: JsonOption = False,
) -> None:
    """Look whether Kafka, Redis and the channels can be reached, the topics exist, and in = out.

    Reads and sends nothing but a look at each channel. Exits with 1 if something is not in order; a warning is none.

    Examples:

        wirewatch doctor

        wirewatch doctor --since 7d --json
    """
    with told_plainly(as_json=as_json):
        reach = max(clock() - since_when(since), timedelta())
        loaded = settings(config)
        findings = asyncio.run(_examine(loaded, reach, disabled_channels(loaded) or {}))
    sound = all(finding.state != "failed" for finding in findings)
    if as_json:
        print_json({"ok": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            out.print(f"{_MARKS[finding.state]} {escape(finding.what)}: {escape(finding.detail)}")
            if finding.hint:
                out.print(f"        [dim]{escape(finding.hint)}[/dim]")
    if not sound:
        raise typer.Exit(Exit.FOUND)


async def _examine(loaded: Loaded, reach: timedelta, disabled: Mapping[str, Disabled]) -> list[Finding]:
    findings: list[Finding] = []
    book = None
    try:
        book = load_rulebook(loaded)
        findings.append(Finding("files", "ok", _describe(book)))
    except RefusedError as error:
        first, others = error.problems[0], len(error.problems) - 1
        more = f" (and {others} more)" if others else ""
        findings.append(Finding("files", "failed", f"{first}{more}", "`wirewatch rules check` tells them all"))
    try:
        where = addresses(loaded)
    except UnreachableError as error:
        findings.append(Finding("services", "failed", error.message, error.hint))
    else:
        redis, kafka = await _redis(where), await _kafka(where)
        findings += [redis, kafka]
        if book is not None and redis.state != "failed":
            findings += await _in_force(book, where, loaded)
        if kafka.state != "failed":
            findings += await _pipeline(loaded, where, reach, has_redis=redis.state != "failed")
    if book is not None:
        findings += [await _channel(channel, loaded, disabled.get(channel.name)) for channel in book.used_channels()]
    return findings


def _describe(book: Rulebook) -> str:
    """What the files say now. A worker may have others in force: :func:`judge_revisions`."""
    return (
        f"{len(book.rules.rules)} rules (revision {book.matched.revision}), {len(book.taxonomy.topics)} topics "
        f"(revision {book.taxonomy.revision}), {len(book.channels)} channels on disk"
    )


async def _in_force(book: Rulebook, where: Addresses, loaded: Loaded) -> list[Finding]:
    async with Redis.from_url(where.redis_url, socket_timeout=5, **where.redis_options) as redis:
        try:
            workers = await read_roster(redis, loaded.settings.redis.prefix, clock())
        except (RedisError, OSError) as error:
            return [Finding("in force", "failed", f"cannot be read: {error}", "try again")]
    return [judge_revisions(workers, book.matched.revision, book.taxonomy.revision)] if workers else []


def judge_revisions(workers: Sequence[Entry], rules: str, taxonomy: str) -> Finding:
    """Whether all workers go by what the files say, whose revisions are given."""
    other = [worker for worker in workers if (worker.rules, worker.taxonomy) != (rules, taxonomy)]
    if not other:
        text = f"rules {rules} and taxonomy {taxonomy} in {_several(len(workers), 'worker')}"
        return Finding("in force", "ok", text)
    told = [f"{worker.name} has rules {worker.rules} and taxonomy {worker.taxonomy}" for worker in other]
    hint = "changed files are read within seconds; a worker that refused them says so in its log, and one elsewhere has others"
    return Finding("in force", "warning", f"not what the files here say: {_named(told)}", hint)


async def _kafka(where: Addresses) -> Finding:
    servers = where.kafka["bootstrap_servers"]
    hint = "is it running there, and are kafka.tls and kafka.sasl right?"
    try:
        brokers = await ask_kafka(replace(where, kafka=where.kafka | {"request_timeout_ms": _PATIENCE_MS}))
    except WrongServiceError as error:
        return Finding("Kafka", "failed", error.message, error.hint)
    except KafkaConnectionError:
        return Finding("Kafka", "failed", f"no Kafka answers at {servers}", hint)
    except (KafkaError, OSError) as error:
        return Finding("Kafka", "failed", f"{servers} cannot be used: {error}", hint)
    return Finding("Kafka", "ok", f"{_several(brokers, 'broker')} at {servers}")


async def _redis(where: Addresses) -> Finding:
    try:
        info = await ask_redis(where)
    except WrongServiceError as error:
        return Finding("Redis", "failed", error.message, error.hint)
    except (RedisError, OSError) as error:
        return Finding(
            "Redis", "failed", f"cannot be used: {error}", "is it running, and are redis.url and redis.tls right?"
        )
    version = str(info.get("redis_version", "?"))
    if not info.get("aof_enabled"):
        hint = "set appendonly yes, or alerts that wait for another try are lost with it"
        return Finding("Redis", "warning", f"{version}, without a log on disk", hint)
    if info.get("maxmemory_policy") not in (None, "noeviction"):
        hint = "set maxmemory-policy noeviction, or what was said already may be forgotten, and said again"
        return Finding("Redis", "warning", f"{version}, which forgets keys when memory is short", hint)
    return Finding("Redis", "ok", f"{version}, log on disk, {info.get('used_memory_human', '?')} in use")


async def _pipeline(loaded: Loaded, where: Addresses, reach: timedelta, *, has_redis: bool) -> list[Finding]:
    findings: list[Finding] = []
    async with Redis.from_url(where.redis_url, socket_timeout=5, **where.redis_options) as redis:
        outbox = RedisOutbox(redis, prefix=loaded.settings.redis.prefix) if has_redis else None
        try:
            async for finding in _stages(loaded, where, reach, outbox):
                findings.append(finding)  # noqa: PERF401 - what was found stays where something goes away
        except (KafkaError, OSError) as error:
            findings.append(Finding("in = out", "failed", f"cannot be counted: {error}", "try again"))
    return findings


async def _stages(loaded: Loaded, where: Addresses, reach: timedelta, outbox: Outbox | None) -> AsyncIterator[Finding]:
    topics, group = Topics(loaded.settings.kafka.topic_prefix), where.group
    existing = {tp.topic for tp in await partitions_of(where.kafka, topics.all())}
    missing = [topic for topic in topics.all() if topic not in existing]
    if missing:
        hint = "a worker makes them when it starts: `wirewatch up` or `wirewatch worker`"
        which = ", ".join(missing) if existing else f"all {len(missing)}"
        yield Finding("topics", "failed", f"missing: {which}", hint)
        yield judge_group(group, await read_group(where.kafka, group))
        return
    yield judge_copies(await ask_kafka(where), await read_copies(where.kafka, topics.all()))
    found = await topic_settings(where.kafka, topics.all())
    kept = {topic: int(of["retention.ms"]) for topic, of in found.items()}
    for finding in judge_retention(topics, kept, loaded.settings.dedupe.longest):
        yield finding
    working = await read_group(where.kafka, group)
    yield judge_group(group, working)
    before = await read_offsets(where.kafka, topics, group)
    tally = await count(where.kafka, topics, group, now=clock(), reach=reach, outbox=outbox)
    yield judge_lag(tally, await _held_up(where, topics, group, before) if working.members else {})
    for finding in judge_balance(tally):
        yield finding
    counts = {} if outbox is None else {name: await outbox.counts(name, clock()) for name in sorted(tally.channels)}
    yield judge_alerts(tally, counts)


async def _held_up(where: Addresses, topics: Topics, group: str, before: Offsets) -> Mapping[str, int]:
    """The topics of which nothing is taken for a while although records wait, and how many do."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WATCHED
    while waiting := await stuck(where.kafka, topics, before, await read_offsets(where.kafka, topics, group)):
        if loop.time() >= deadline:
            break
        await asyncio.sleep(0.5)
    return waiting


def judge_copies(brokers: int, copies: Sequence[Copies]) -> Finding:
    """Whether the topics outlive a broker, where there are several, and can be written to."""
    # Kafka asks for no more copies than a topic has at all.
    needed = {topic: min(topic.needed, topic.replicas) for topic in copies}
    blocked = [f"{topic.topic} ({topic.in_sync} of {n})" for topic, n in needed.items() if topic.in_sync < n]
    if blocked:
        return Finding(
            "topics",
            "failed",
            f"Kafka takes no records for {', '.join(blocked)}: too few brokers have the topic in sync",
            "start the brokers that are away, or lower min.insync.replicas",
        )
    if brokers > 1 and (single := [topic.topic for topic in copies if topic.replicas == 1]):
        return Finding(
            "topics",
            "warning",
            f"on one broker only, and lost with it: {', '.join(single)}",
            "give them 3 replicas by kafka-reassign-partitions; kafka.replication counts for new topics only",
        )
    if brokers > 1 and (unsafe := [topic.topic for topic in copies if topic.needed == 1]):
        return Finding(
            "topics",
            "warning",
            f"min.insync.replicas is 1, so what is confirmed may be on one broker only: {', '.join(unsafe)}",
            "set min.insync.replicas to 2",
        )
    return Finding("topics", "ok", f"all {len(copies)} exist")


def judge_retention(topics: Topics, kept_ms: Mapping[str, int], window: timedelta) -> Iterator[Finding]:
    """Whether the ledger could be rebuilt from Kafka; nothing where it could. ``kept_ms`` is what each topic keeps."""
    short = short_lived(topics, kept_ms, window)
    if short:
        told = ", ".join(f"{topic} {kept / 86_400_000:.3g} days" for topic, kept in short.items())
        days = reach_ms(window) / 86_400_000
        yield Finding(
            "retention",
            "warning",
            f"kept for less than two windows of deduplication, {days:.3g} days: {told}",
            "if Redis loses its data, older headlines are taken for new: set retention.ms of these topics to "
            f"{reach_ms(window)} by kafka-configs; `dedupe` counts for new topics only",
        )


def judge_group(name: str, group: Group) -> Finding:
    """Whether somebody works."""
    if not group.members:
        hint = "start one: `wirewatch up` or `wirewatch worker`"
        return Finding("workers", "failed", f"none in group {name}", hint)
    if group.state != "Stable":
        return Finding("workers", "warning", f"{group.members} in group {name}, which is sharing out its partitions")
    return Finding("workers", "ok", f"{group.members} in group {name}")


def judge_lag(tally: Tally, held_up: Mapping[str, int]) -> Finding:
    """Whether what waits is being taken. ``held_up`` says of which topics nothing was, and how much waits there."""
    if held_up:
        where = ", ".join(f"{topic} {n}" for topic, n in held_up.items())
        hint = "the log of the workers says what they wait for"
        return Finding("lag", "warning", f"records wait, and for {WATCHED:g} s none was taken: {where}", hint)
    where = ", ".join(f"{topic} {n}" for topic, n in tally.lag.items() if n)
    return Finding(
        "lag", "ok", f"{_several(sum(tally.lag.values()), 'record')} on the way" + (f": {where}" if where else "")
    )


def judge_balance(tally: Tally) -> Iterator[Finding]:
    """Whether every headline came out, and in one way."""
    since = f" since {tally.since:%Y-%m-%d %H:%M} UTC" if tally.since else ""
    headlines = (
        f"{_several(tally.read, 'headline')}{since} = {tally.unique} unique + {tally.dropped} dropped "
        f"+ {tally.invalid} invalid"
    )
    refused = sum(n for stage, n in tally.refused.items() if stage != "ingest")
    asides = [
        (tally.repeats, f"{_several(tally.repeats, 'record')} published twice, as happens after a crash"),
        (tally.refused["ingest"], f"{tally.refused['ingest']} unreadable to `wirewatch ingest`"),
        (refused, f"{refused} refused by a later stage: see headlines.invalid"),
    ]
    beside = "; ".join(text for n, text in asides if n)
    if tally.missing:
        text = f"{headlines}; {len(tally.missing)} came out nowhere: {_named(tally.missing)}"
        hint = "nothing may get lost: please report this, unless records were deleted from the topics by hand"
        yield Finding("in = out", "failed", text, hint)
    else:
        yield Finding("in = out", "ok", headlines + (f" ({beside})" if beside else ""))
    if tally.twofold:
        text = f"{_several(len(tally.twofold), 'headline')} came out in two ways: {_named(tally.twofold)}"
        hint = "that can happen where Redis lost its data; if it did not, please report this"
        yield Finding("decisions", "warning", text, hint)


def judge_alerts(tally: Tally, counts: Mapping[str, Counts]) -> Finding:
    """What became of the alerts, and whether delivery keeps up. ``counts`` are those of the outbox by channel."""
    outcomes = tally.outcomes
    text = (
        f"{tally.alerts} = {outcomes['delivered']} delivered + {outcomes['suppressed']} suppressed "
        f"+ {outcomes['dead']} dead + {tally.pending} waiting"
    )
    waiting = {name: n for name, of in counts.items() if (n := of.queued + of.leased)}
    if waiting:
        text += f"; in the outbox: {', '.join(f'{name} {n}' for name, n in waiting.items())}"
    if tally.rebuilding:
        channels = ", ".join(tally.rebuilding)
        hint = "Redis lost its data; a worker puts what was not delivered back within seconds"
        return Finding("alerts", "warning", f"{text}; the outbox has no data for {channels}", hint)
    if outcomes["dead"]:
        return Finding("alerts", "warning", text, "the reasons are on the topic deliveries.dead")
    return Finding("alerts", "ok", text)


def _named(places: Sequence[str]) -> str:
    return ", ".join(places[:_NAMED]) + (" …" if len(places) > _NAMED else "")


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


async def _channel(channel: Channel, loaded: Loaded, disabled: Disabled | None) -> Finding:
    what = f"channel {channel.name}"
    if disabled is not None:
        text = f"disabled since {disabled.since:%Y-%m-%d %H:%M} UTC: {disabled.reason}"
        return Finding(what, "failed", text, f"`wirewatch channels enable {channel.name}` once it works again")
    try:
        notifier = channel.open(loaded.environ)
    except RefusedError as error:
        return Finding(what, "failed", error.problems[0].message, error.problems[0].hint)
    try:
        return Finding(what, "ok", await notifier.probe())
    except ChannelError as error:
        return Finding(what, "failed", error.message, error.hint)
    finally:
        await notifier.close()
