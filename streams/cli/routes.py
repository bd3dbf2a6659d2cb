"""``wirewatch routes``: the routing tree, and the way of an alert through it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from alerts.filter import SEVERITIES
from alerts.route import UNGROUPED, ChannelRouter, Route, Step, Way, walk
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    clock,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
)
from streams.cli.plan import Rulebook, load_rulebook
from streams.core.decide import Firing
from streams.core.document import did_you_mean
from streams.core.query import compile_query
from streams.core.records import Classified, Headline, Severity, TopicMatch
from streams.core.rule import Rule

app = typer.Typer(help="Show the routing tree, and try it.", no_args_is_help=True, rich_markup_mode="markdown")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the routing tree as it is in force: each route with its channels, groups and hours.

    Examples:

        wirewatch routes show

        wirewatch routes show --json
    """
    with told_plainly(as_json=as_json):
        book = load_rulebook(settings(config))
    if as_json:
        print_json(_route_as_dict(book.routing.root))
        return
    _print_tree(book.routing.root, 0)


def _print_tree(route: Route, depth: int) -> None:
    out.print("  " * depth + escape(_line(route)))
    for child in route.routes:
        _print_tree(child, depth + 1)


def _line(route: Route) -> str:
    """A route, where it leads, and what it does there."""
    told = ", ".join(route.channels) if route.channels is not None else "the rule's channels and subscribers"
    return " · ".join([f"{route.name} → {told}", *_settings(route), *(["continue"] if route.goes_on else [])])


def _settings(route: Route) -> list[str]:
    found = []
    if route.group_by is not None:
        by = (
            "in no group"
            if UNGROUPED in route.group_by
            else f"grouped by {', '.join(route.group_by) or 'nothing: one group'}"
        )
        found.append(by)
    found += [
        f"{name.replace('_', ' ')} {_seconds(span.total_seconds())}"
        for name in ("group_wait", "group_interval", "repeat_interval")
        if (span := getattr(route, name)) is not None
    ]
    found += [f"mute {hours.name}" for hours in route.mute]
    return found + [f"active {hours.name}" for hours in route.active]


def _route_as_dict(route: Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "match": str(route.passes),
        "except": str(route.without) if route.without is not None else None,
        "channels": list(route.channels) if route.channels is not None else None,
        "continue": route.goes_on,
        "group_by": list(route.group_by) if route.group_by is not None else None,
        **{
            name: span.total_seconds() if (span := getattr(route, name)) is not None else None
            for name in ("group_wait", "group_interval", "repeat_interval")
        },
        **{
            name: [{"name": some.name, "hours": list(map(str, some.hours))} for some in getattr(route, name)]
            for name in ("mute", "active")
        },
        "routes": [_route_as_dict(child) for child in route.routes],
    }


@app.command("test")
def try_(  # noqa: PLR0913 - each is a property of an alert
    severity: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Of the alert.", show_default="the rule's, or medium")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option(metavar="TOPIC", help="Of the headline; may be repeated.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the rule; may be repeated.")] = None,
    source: Annotated[str, typer.Option(metavar="OUTLET", help="Whose the headline is.")] = "unknown",
    rule: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="The rule that fires; its severity, labels and channels count, too."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the headline came out, as 2026-03-01T22:00Z.", show_default="now"),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The way of an alert through the routing tree: who is told, in what group, and what is muted. Nothing is sent.

    Exits with 0 if somebody is told, and with 1 if nobody is.

    Examples:

        wirewatch routes test --severity high --topic iran

        wirewatch routes test --rule iran-oil --source reuters.com --at 2026-03-01T22:00Z --json
    """
    with told_plainly(as_json=as_json):
        book = load_rulebook(settings(config))
    firing = _firing(book, severity, topic or [], label or [], source, rule, _time(at))
    step, ways = walk(book.routing.root, firing), ChannelRouter(book.routing).ways(firing)
    if as_json:
        print_json(_as_dict(firing, step, ways))
    else:
        _print(firing, step, ways)
    if all(way.suppressed for way in ways):
        raise typer.Exit(Exit.FOUND)


def _firing(
    book: Rulebook,
    severity: str | None,
    topics: list[str],
    labels: list[str],
    source: str,
    name: str | None,
    at: datetime,
) -> Firing:
    """A firing as the options describe it."""
    rules = {rule.name: rule for rule in book.rules.rules}
    known = {topic.name for topic in book.taxonomy.topics}
    for topic in topics:
        _refuse_unless(topic in known, f"there is no topic `{topic}`", did_you_mean(topic, known))
    _refuse_unless(name is None or name in rules, f"there is no rule `{name}`", did_you_mean(name or "", rules))
    rule = rules[name] if name is not None else Rule("-", "-", compile_query("x"), "medium", ())
    given = dict(_pair(label) for label in labels)
    level: Severity = next((known for known in SEVERITIES if known == severity), rule.severity)
    _refuse_unless(severity in (None, level), f"`{severity}` is no severity", did_you_mean(severity or "", SEVERITIES))
    record = Classified(
        id="tried",
        seq=1,
        position="headlines.raw:0:0",
        received=at,
        headline=Headline(headline="x", published=at, source=source),
        story_id="tried",
        topics=tuple(TopicMatch(topic=topic, confidence=1.0) for topic in topics),
    )
    return Firing(rule=dataclasses.replace(rule, severity=level, labels={**rule.labels, **given}), headline=record)


def _pair(label: str) -> tuple[str, str]:
    name, sign, value = label.partition("=")
    _refuse_unless(bool(name and sign), f"--label {label}: it is written NAME=VALUE", "such as --label region=gulf")
    return name, value


def _time(text: str | None) -> datetime:
    if text is None:
        return clock()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--at is written like 2026-03-01T22:00Z, not {text!r}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refuse_unless(held: bool, message: str, hint: str) -> None:
    if not held:
        tell_error(message, hint)
        raise typer.Exit(Exit.USAGE)


def _print(firing: Firing, step: Step, ways: list[Way]) -> None:
    _print_steps(step, 0)
    if not ways:
        out.print("[yellow]nobody is told[/yellow]")
        return
    table = Table("channel", "by", "group", "muted", box=None, header_style="bold", pad_edge=False)
    for way in ways:
        muted = f"[yellow]{escape(way.suppressed)}[/yellow]" if way.suppressed else ""
        table.add_row(escape(way.channel), escape(way.via), escape(_group(way)), muted)
    out.print(table)
    out.print(f"[dim]at {firing.headline.headline.published:%a %Y-%m-%d %H:%M} UTC; silences are not looked at[/dim]")


def _print_steps(step: Step, depth: int) -> None:
    out.print("  " * depth + _step(step))
    for below in step.below:
        _print_steps(below, depth + 1)


def _step(step: Step) -> str:
    name = escape(step.route.name)
    if step.lacks:
        return f"[dim]✗ {name}: {escape('; '.join(step.lacks))}[/dim]"
    return f"[green]✓ [bold]{name}[/bold][/green]" if step.taken else f"✓ {name}"


def _group(way: Way) -> str:
    if way.group is None:
        return "at once"
    interval = f", then every {_seconds(way.group.interval)}" if way.group.interval else ""
    return f"{way.group.key} after {_seconds(way.group.wait)}{interval}"


def _seconds(seconds: float) -> str:
    """A span as settings write it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def _as_dict(firing: Firing, step: Step, ways: list[Way]) -> dict[str, Any]:
    return {
        "rule": firing.rule.name,
        "severity": firing.rule.severity,
        "labels": dict(firing.rule.labels),
        "topics": [match.topic for match in firing.headline.topics],
        "source": firing.headline.headline.source,
        "at": firing.headline.headline.published.isoformat(),
        "path": _step_as_dict(step),
        "channels": [
            {
                "channel": way.channel,
                "by": way.via,
                "suppressed": way.suppressed,
                "group": _group_as_dict(way),
            }
            for way in ways
        ],
    }


def _group_as_dict(way: Way) -> dict[str, Any] | None:
    """A group as JSON has it."""
    group = way.group
    return {"key": group.key, "wait": group.wait, "interval": group.interval} if group is not None else None


def _step_as_dict(step: Step) -> dict[str, Any]:
    return {
        "route": step.route.name,
        "matches": not step.lacks,
        "taken": step.taken,
        "lacks": list(step.lacks),
        "routes": [_step_as_dict(below) for below in step.below],
    }
