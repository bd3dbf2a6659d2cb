"""``wirewatch doctor``: is everything in order, and does every headline come out?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError
from rich.markup import escape

from alerts.channels import Channel
from alerts.notify.interface import ChannelError
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    out,
    print_json,
    settings,
    told_plainly,
)
from streams.cli.plan import Rulebook, load_rulebook
from streams.cli.services import Addresses, addresses, ask_kafka, ask_redis, members
from streams.core.document import RefusedError
from streams.core.duration import parse_duration
from streams.settings import Loaded
from streams.worker.history import partitions_of
from streams.worker.tally import Tally, count
from streams.worker.topics import Topics

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
    since: Annotated[str, typer.Option(help="How far back to count headlines, such as 1h or 7d.")] = "1d",
    as_json: JsonOption = False,
) -> None:
    """Look whether Kafka, Redis and the channels can be reached, the topics exist, and in = out.

    Exits with 1 if something is not in order.

    Examples:

        wirewatch doctor

        wirewatch doctor --since 7d --json
    """
    with told_plainly(as_json=as_json):
        try:
            reach_ms = round(parse_duration(since).total_seconds() * 1000)
        except ValueError as error:
            raise typer.BadParameter(f"--since: {error}, not {since!r}") from None
        loaded = settings(config)
        findings = asyncio.run(_examine(loaded, reach_ms))
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


async def _examine(loaded: Loaded, reach_ms: int) -> list[Finding]:
    findings: list[Finding] = []
    book = None
    try:
        book = load_rulebook(loaded)
        findings.append(Finding("files", "ok", _describe(book)))
    except RefusedError as error:
        first = error.problems[0]
        findings.append(
            Finding("files", "failed", f"{first} ({len(error.problems)} in all)", "`wirewatch rules check`")
        )
    try:
        where = addresses(loaded)
    except UnreachableError as error:
        return [*findings, Finding("services", "failed", error.message, error.hint)]
    findings += [await _redis(where), await _kafka(where)]
    if findings[-1].state == "ok":
        findings += [finding async for finding in _pipeline(loaded, where, reach_ms)]
    if book is not None:
        findings += [await _channel(channel, loaded) for channel in book.used_channels()]
    return findings


def _describe(book: Rulebook) -> str:
    return (
        f"{len(book.rules.rules)} rules (revision {book.rules.revision}), {len(book.taxonomy.topics)} topics "
        f"(revision {book.taxonomy.revision}), {len(book.channels)} channels"
    )


async def _kafka(where: Addresses) -> Finding:
    servers = where.kafka["bootstrap_servers"]
    try:
        brokers = await ask_kafka(where)
    except (KafkaError, OSError) as error:
        return Finding(
            "Kafka",
            "failed",
            f"{servers} does not answer: {error}",
            "is it running, and is TLS or SASL right?",
        )
    return Finding("Kafka", "ok", f"{brokers} broker{'s' if brokers != 1 else ''} at {servers}")


async def _redis(where: Addresses) -> Finding:
    try:
        info = await ask_redis(where)
    except (RedisError, OSError) as error:
        return Finding("Redis", "failed", f"does not answer: {error}", "is it running, and is its URL right?")
    version = str(info.get("redis_version", "?"))
    if not info.get("aof_enabled"):
        hint = "set appendonly yes, or alerts that wait for another try are lost with it"
        return Finding("Redis", "warning", f"{version}, without a log on disk", hint)
    if info.get("maxmemory_policy") not in (None, "noeviction"):
        hint = "set maxmemory-policy noeviction, or what was said already may be forgotten, and said again"
        return Finding("Redis", "warning", f"{version}, which forgets keys when memory is short", hint)
    return Finding("Redis", "ok", f"{version}, log on disk, {info.get('used_memory_human', '?')} in use")


async def _pipeline(loaded: Loaded, where: Addresses, reach_ms: int) -> AsyncIterator[Finding]:
    topics, group = Topics(loaded.settings.kafka.topic_prefix), loaded.settings.kafka.group
    existing = {tp.topic for tp in await partitions_of(where.kafka, topics.all())}
    missing = [topic for topic in topics.all() if topic not in existing]
    if missing:
        hint = "a worker makes them when it starts: `wirewatch up` or `wirewatch worker`"
        yield Finding("topics", "failed", f"missing: {', '.join(missing)}", hint)
        return
    yield Finding("topics", "ok", f"all {len(topics.all())} exist")
    working = await members(where, group)
    if working:
        yield Finding("workers", "ok", f"{working} in group {group}")
    else:
        yield Finding("workers", "failed", f"none in group {group}", "start one: `wirewatch up` or `wirewatch worker`")
    for finding in _balance(await count(where.kafka, topics, group, reach_ms=reach_ms)):
        yield finding


def _balance(tally: Tally) -> Iterator[Finding]:
    waiting = sum(tally.lag.values())
    lag = ", ".join(f"{topic} {n}" for topic, n in tally.lag.items() if n)
    yield Finding("lag", "ok", f"{waiting} records wait" + (f" ({lag})" if lag else ""))
    headlines = (
        f"{tally.unique + tally.dropped + tally.invalid} headlines = {tally.unique} unique + {tally.dropped} dropped "
        f"+ {tally.invalid} invalid"
    )
    if tally.balanced:
        yield Finding("in = out", "ok", headlines)
    else:
        shown = ", ".join(tally.missing[:5])
        yield Finding(
            "in = out",
            "failed",
            f"{headlines}; {len(tally.missing)} came out nowhere: {shown}",
            "please report this",
        )
    outcomes = tally.outcomes
    yield Finding(
        "alerts",
        "warning" if outcomes["dead"] else "ok",
        f"{tally.alerts} = {outcomes['delivered']} delivered + {outcomes['suppressed']} suppressed "
        f"+ {outcomes['dead']} dead + {tally.pending} waiting",
        "the reasons are on the topic deliveries.dead" if outcomes["dead"] else "",
    )


async def _channel(channel: Channel, loaded: Loaded) -> Finding:
    what = f"channel {channel.name}"
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
