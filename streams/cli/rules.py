"""``wirewatch rules``: what an analyst does with rule files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from alerts.channels import load_channels
from alerts.rulefile import load_rules
from streams.cli.common import ConfigOption, JsonOption, out, print_json, settings, told_plainly
from streams.cli.plan import load_taxonomy

app = typer.Typer(help="Check rule files.", no_args_is_help=True, rich_markup_mode="markdown")


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Rule files or folders.", show_default="those of the settings")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read rule files, and tell every mistake at once, each with file, line, column and what to write instead.

    Exits with 0 if the rules are in order and with 3 if they are refused.

    Examples:

        wirewatch rules check

        wirewatch rules check rules/iran.yaml --json
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        channels_file = loaded.path(loaded.settings.channels)
        channels = load_channels(channels_file) if channels_file.exists() or not paths else None
        topics = {topic.name for topic in load_taxonomy([loaded.path(p) for p in loaded.settings.taxonomy]).topics}
        files = paths or [loaded.path(path) for path in loaded.settings.rules]
        rules = load_rules(files, channels=channels, topics=topics)
    if as_json:
        print_json(
            {
                "ok": True,
                "revision": rules.revision,
                "channels_checked": channels is not None,
                "unindexed": [rule.name for rule in rules.unindexed],
                "rules": [
                    {
                        "name": rule.name,
                        "title": rule.title,
                        "severity": rule.severity,
                        "channels": list(rule.channels),
                        "revision": rule.revision,
                        "when": str(rule.query),
                    }
                    for rule in rules.rules
                ],
            }
        )
        return
    table = Table("rule", "severity", "channels", "when", box=None, header_style="bold", pad_edge=False)
    for rule in rules.rules:
        table.add_row(rule.name, rule.severity, ", ".join(rule.channels), str(rule.query))
    out.print(table)
    for rule in rules.unindexed:
        out.print(f"[yellow]{rule.name}[/yellow] requires no word, and so is compared with every headline")
    checked = "" if channels is not None else f"; channels not checked: there is no {channels_file}"
    out.print(f"[green]{len(rules.rules)} rules in order[/green], revision {rules.revision}{checked}")
