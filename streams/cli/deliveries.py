"""``wirewatch deliveries``: what became of alerts, and another chance for those that are dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import typer
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.markup import escape
from rich.table import Table

from alerts import render
from alerts.channels import load_channels
from alerts.health import RedisHealth
from alerts.outbox import RedisOutbox
from streams.cli.common import (
    FLAG,
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    out,
    print_json,
    settings,
    several,
    since_when,
    tell_error,
    told_plainly,
    uncut,
)
from streams.cli.services import Addresses, addresses, ask_kafka, ask_redis
from streams.core.document import did_you_mean
from streams.core.records import Alert, Delivery
from streams.settings import Loaded
from streams.worker.deliveries import find_alerts, read_deliveries
from streams.worker.topics import Topics

T = TypeVar("T")

#: Alerts that are put back at once.
_BATCH = 500
#: As many of the ids that begin as what was given are named.
_NAMED = 5

app = typer.Typer(
    help="See what became of alerts, and send dead ones after all.", no_args_is_help=True, rich_markup_mode="markdown"
)

SinceOption = Annotated[
    str,
    typer.Option(metavar="WHEN", help="From when on: how long ago, such as 2h, or a time, such as 2026-03-01T08:00Z."),
]
ChannelOption = Annotated[str | None, typer.Option(metavar="NAME", help="Of this channel alone.")]
RuleOption = Annotated[str | None, typer.Option(metavar="NAME", help="Of this rule alone.")]


@app.command("list")
def list_(
    since: SinceOption = "2h",
    channel: ChannelOption = None,
    rule: RuleOption = None,
    outcome: Annotated[
        Literal["delivered", "retry", "dead", "suppressed"] | None, typer.Option(help="With this outcome alone.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the attempts to deliver alerts, from the topic `deliveries`, in the order of time.

    Examples:

        wirewatch deliveries list --since 30m --channel desk

        wirewatch deliveries list --since 2026-03-01T08:00Z --outcome dead --json
    """
    with told_plainly(as_json=as_json):
        begins = since_when(since)
        loaded = settings(config)
        _known_channel(loaded, channel)
        found = _with_kafka(loaded, lambda where, topics: read_deliveries(where.kafka, topics, begins))
    shown = [
        one
        for one in found
        if channel in {None, one.channel} and rule in {None, one.rule} and outcome in {None, one.outcome}
    ]
    if as_json:
        print_json([_delivery(one) for one in shown])
        return
    if not shown:
        out.print(f"no attempt since {begins:%Y-%m-%d %H:%M} UTC")
        return
    ids = uncut("alert", [one.alert_id for one in shown])
    table = Table("at (UTC)", "channel", "rule", ids, "outcome", "#", "", "reason", **_PLAIN)
    for one in shown:
        cells = (one.channel, one.rule, one.alert_id, one.outcome, str(one.attempt), str(one.status_code or ""))
        table.add_row(f"{one.at:%m-%d %H:%M:%S}", *map(escape, cells), escape(one.reason or ""))
    out.print(table)


@app.command()
def show(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The alert, as `deliveries list` shows it.")],
    since: SinceOption = "7d",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one alert: what it says, and every attempt to deliver it. The beginning of an ID does, where only one begins so.
    Exits with 1 if nothing is known of it.

    Examples:

        wirewatch deliveries show al_5f0c2d --since 30d
    """
    with told_plainly(as_json=as_json):
        begins = since_when(since)

        async def ask(where: Addresses, topics: Topics) -> tuple[dict[str, Alert], list[Delivery]]:
            return await find_alerts(where.kafka, topics, begins, alert_id.rstrip("…")), await read_deliveries(
                where.kafka, topics, begins
            )

        alerts, deliveries = _with_kafka(settings(config), ask)
    meant = _meant(alert_id, {*alerts, *(one.alert_id for one in deliveries)})
    if len(meant) > 1:
        raise typer.BadParameter(_ambiguous(alert_id, meant), param_hint="ID")
    alert_id = meant[0] if meant else alert_id
    alert = alerts.get(alert_id)
    attempts = [one for one in deliveries if one.alert_id == alert_id]
    if as_json:
        print_json({"alert": alert and _alert(alert), "attempts": [_delivery(one) for one in attempts]})
    elif alert or attempts:
        if alert:
            out.print(f"{alert.channel}: {render.line(alert)}", markup=False)
        for one in attempts:
            code = f" {one.status_code}" if one.status_code else ""
            why = f": {one.reason}" if one.reason else ""
            out.print(f"    {one.at:%Y-%m-%d %H:%M:%S} UTC  #{one.attempt} {one.outcome}{code}{why}", markup=False)
        if not attempts:
            out.print("    no attempt yet")
    if not alert and not attempts:
        if not as_json:
            tell_error(f"no alert {alert_id} since {begins:%Y-%m-%d %H:%M} UTC", "look further back: `--since 30d`")
        raise typer.Exit(Exit.FOUND)


@app.command()
def dead(
    since: SinceOption = "7d",
    channel: ChannelOption = None,
    rule: RuleOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that were given up, of those that the outbox keeps: seven days. `--since` is about their headlines.

    Examples:

        wirewatch deliveries dead --channel desk

        wirewatch deliveries dead --since 2h --json
    """
    with told_plainly(as_json=as_json):
        begins, loaded = since_when(since), settings(config)
        chosen = _Chosen(rule, begins)
        channels = _channels(loaded, channel)

        async def ask(outbox: RedisOutbox, _health: RedisHealth) -> list[dict[str, Any]]:
            return [_alert(alert) for name in channels async for alert in chosen.of(outbox, name)]

        found = _with_outbox(loaded, ask)
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("no alert is dead")
        return
    ids = uncut("alert", [alert["alert_id"] for alert in found])
    table = Table("received (UTC)", "channel", "rule", ids, "headline", **_PLAIN)
    for alert in found:
        cells = (alert["channel"], alert["rule"], alert["alert_id"], render.one_line(alert["headline"]))
        table.add_row(f"{datetime.fromisoformat(alert['received']):%m-%d %H:%M:%S}", *map(escape, cells))
    out.print(table)


@app.command()
def retry(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Dead alerts, as `deliveries dead` shows them.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar=FLAG, help="All of those that the options choose.")
    ] = False,
    since: SinceOption = "7d",
    channel: ChannelOption = None,
    rule: RuleOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put dead alerts back into the outbox, as if they were new, and say how many. A running worker sends them at once.
    The beginning of an ID does, where only one begins so.

    What is older than `delivery.max_age` would not be sent, and is left where it is. Exits with 1 if an ID is not dead, or
    its channel is disabled.

    Examples:

        wirewatch deliveries retry al_5f0c2d al_81b2aa

        wirewatch deliveries retry --all --channel desk --since 6h
    """
    if bool(ids) == everything:
        raise typer.BadParameter("name the alerts, or say --all", param_hint="ID…")
    with told_plainly(as_json=as_json):
        begins, loaded = since_when(since), settings(config)
        chosen, channels = _Chosen(rule, begins), _channels(loaded, channel)

        async def put_back(outbox: RedisOutbox, health: RedisHealth) -> dict[str, Any]:
            named, unknown = await _named(ids, chosen, channels, outbox) if ids else (None, [])
            reviving = _Reviving(replace(chosen, ids=named), clock(), loaded.settings.delivery.max_age)
            await reviving.run(channels, outbox, health)
            return {"retried": reviving.retried, "problems": [*unknown, *reviving.problems]}

        told = _with_outbox(loaded, put_back)
    if as_json:
        print_json(told)
    else:
        out.print(f"{several(told['retried'], 'alert')} put back into the outbox")
        for problem in told["problems"]:
            tell_error(problem)
    if told["problems"]:
        raise typer.Exit(Exit.FOUND)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which dead alerts are meant: those of some ``ids``, or whatever their id."""

    rule: str | None
    since: datetime
    ids: Collection[str] | None = None

    async def of(self, outbox: RedisOutbox, channel: str) -> AsyncIterator[Alert]:
        """Those of a channel that are dead now, the longest dead first."""
        async for alert in outbox.dead(channel, clock()):
            if (
                alert.headline.received >= self.since
                and self.rule in {None, alert.rule.name}
                and (self.ids is None or alert.alert_id in self.ids)
            ):
                yield alert


@dataclass(slots=True)
class _Reviving:
    """Puts the ``chosen`` back, and counts what it leaves: what is older than ``max_age`` would not be sent."""

    chosen: _Chosen
    now: datetime
    max_age: timedelta
    retried: int = 0
    old: int = 0
    problems: list[str] = field(default_factory=list)

    async def run(self, channels: Sequence[str], outbox: RedisOutbox, health: RedisHealth) -> None:
        """Put them back."""
        disabled = await health.disabled()
        for name in channels:
            await self._channel(name, outbox, disabled=name in disabled)
        if self.old:
            self.problems.insert(0, f"{several(self.old, 'alert')} left: older than delivery.max_age")

    async def _channel(self, name: str, outbox: RedisOutbox, *, disabled: bool) -> None:
        some: list[Alert] = []
        left = 0
        async for alert in self.chosen.of(outbox, name):
            if self.now - alert.headline.received > self.max_age:
                self.old += 1
            elif disabled:
                left += 1
            else:
                some.append(alert)
            if len(some) == _BATCH:
                self.retried += await outbox.revive(name, some, self.now)
                some.clear()
        self.retried += await outbox.revive(name, some, self.now)
        if left:
            hint = f"`wirewatch channels enable {name}` first"
            self.problems.append(f"{several(left, 'alert')} left: the channel {name} is disabled; {hint}")


async def _named(
    ids: Sequence[str], chosen: _Chosen, channels: Sequence[str], outbox: RedisOutbox
) -> tuple[set[str], list[str]]:
    """The dead alerts that ids, or beginnings of them, stand for; and what is wrong with the others."""
    starts = tuple(given.rstrip("…") for given in ids)
    known = {
        alert.alert_id
        for channel in channels
        async for alert in chosen.of(outbox, channel)
        if alert.alert_id.startswith(starts)
    }
    named, problems = set[str](), list[str]()
    for given in sorted({*ids}):
        meant = _meant(given, known)
        if len(meant) == 1:
            named.add(meant[0])
        else:
            problems.append(_ambiguous(given, meant) if meant else f"{given} is not among the dead")
    return named, problems


def _meant(given: str, known: Collection[str]) -> list[str]:
    """The ids that an id, or the beginning of one, stands for. A table of another program may have cut it with a dot."""
    start = given.rstrip("…")
    if start in known:
        return [start]
    return sorted(name for name in known if start and name.startswith(start))


def _ambiguous(given: str, meant: Sequence[str]) -> str:
    return f"{given} is the beginning of {several(len(meant), 'alert')}: {', '.join(meant[:_NAMED])}" + (
        " …" if len(meant) > _NAMED else ""
    )


_PLAIN: dict[str, Any] = {"box": None, "header_style": "bold", "pad_edge": False}


def _channels(loaded: Loaded, channel: str | None) -> list[str]:
    _known_channel(loaded, channel)
    return [channel] if channel else list(load_channels(loaded.path(loaded.settings.channels)))


def _known_channel(loaded: Loaded, channel: str | None) -> None:
    if channel is None:
        return
    known = load_channels(loaded.path(loaded.settings.channels))
    if channel not in known:
        tell_error(f"there is no channel `{channel}`", did_you_mean(channel, known))
        raise typer.Exit(Exit.USAGE)


def _with_kafka(loaded: Loaded, ask: Callable[[Addresses, Topics], Awaitable[T]]) -> T:
    """Ask Kafka something.

    Raises:
        UnreachableError: it is away.
    """
    where = addresses(loaded)

    async def asked() -> T:
        await ask_kafka(where)
        return await ask(where, Topics(loaded.settings.kafka.topic_prefix))

    try:
        return asyncio.run(asked())
    except (KafkaError, OSError) as error:
        raise UnreachableError(
            f"Kafka does not answer: {error}", "`wirewatch doctor` shows what can be reached"
        ) from None


def _with_outbox(loaded: Loaded, ask: Callable[[RedisOutbox, RedisHealth], Awaitable[T]]) -> T:
    """Ask the outbox something.

    Raises:
        UnreachableError: Redis is away.
    """
    where, prefix = addresses(loaded), loaded.settings.redis.prefix

    async def asked() -> T:
        await ask_redis(where)
        async with Redis.from_url(where.redis_url, socket_timeout=5, **where.redis_options) as redis:
            return await ask(RedisOutbox(redis, prefix=prefix), RedisHealth(redis, prefix=prefix))

    try:
        return asyncio.run(asked())
    except (RedisError, OSError) as error:
        raise UnreachableError(
            f"Redis does not answer: {error}", "`wirewatch doctor` shows what can be reached"
        ) from None


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "alert_id": one.alert_id,
        "channel": one.channel,
        "rule": one.rule,
        "outcome": one.outcome,
        "attempt": one.attempt,
        "at": one.at.isoformat(),
        "status_code": one.status_code,
        "reason": one.reason,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "channel": alert.channel,
        "rule": alert.rule.name,
        "severity": alert.rule.severity,
        "headline": alert.headline.headline.headline,
        "source": alert.headline.headline.source,
        "published": alert.headline.headline.published.isoformat(),
        "received": alert.headline.received.isoformat(),
        "story_id": alert.headline.story_id,
    }
