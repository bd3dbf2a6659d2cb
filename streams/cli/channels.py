"""``wirewatch channels``: where alerts go, and who asks for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.markup import escape

from alerts.health import Disabled
from streams.cli import channels_health, channels_subscribe, channels_try
from streams.cli.common import ConfigOption, JsonOption, out, print_json, settings, told_plainly
from streams.cli.plan import Rulebook, load_rulebook

app = typer.Typer(help="List channels, and what they ask for.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("subscribe")(channels_subscribe.subscribe)
app.command("unsubscribe")(channels_subscribe.unsubscribe)
app.command("enable")(channels_health.enable)
app.command("test")(channels_try.try_out)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List who gets what: of each channel, the rules that name it, its subscriptions, and the routes that lead to it.

    Where Redis can be asked, it also says which channels are disabled, and why.

    Examples:

        wirewatch channels list

        wirewatch channels list --json
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        book = load_rulebook(loaded)
        disabled = channels_health.disabled_channels(loaded)
    told = {name: _told(book, name) for name in book.channels}
    if as_json:
        kinds = {name: channel.kind for name, channel in book.channels.items()}
        stand = {name: None if disabled is None else _standing(disabled.get(name)) for name in told}
        print_json([{"channel": name, "type": kinds[name], "disabled": stand[name], **told[name]} for name in told])
        return
    for name, channel in book.channels.items():
        out.print(f"[bold]{escape(name)}[/bold] ({channel.kind})")
        if disabled and (why := disabled.get(name)):
            out.print(f"    [red]disabled[/red] since {why.since:%Y-%m-%d %H:%M} UTC: {escape(why.reason)}")
        for line in _lines(told[name]):
            out.print(f"    {escape(line)}")


def _standing(disabled: Disabled | None) -> dict[str, str] | bool:
    return False if disabled is None else {"since": disabled.since.isoformat(), "reason": disabled.reason}


def _told(book: Rulebook, channel: str) -> dict[str, Any]:
    """What a channel is told of, and where that stands."""
    named = book.routing.channels().get(channel, [])
    return {
        "rules": [rule.name for rule in book.rules.rules if channel in rule.channels],
        "subscriptions": [
            {"asks": str(written.subscription), "file": written.place.file, "line": written.place.line}
            for written in book.subscriptions
            if written.subscription.channel == channel
        ],
        "routes": [text.removeprefix("route: ") for text in named if text.startswith("route: ")],
    }


def _lines(told: Mapping[str, Any]) -> list[str]:
    lines = [f"rules: {', '.join(told['rules'])}"] if told["rules"] else []
    lines += [f"subscription: {one['asks']} ({one['file']}:{one['line']})" for one in told["subscriptions"]]
    lines += [f"route: {name}" for name in told["routes"]]
    return lines or ["told of nothing"]
