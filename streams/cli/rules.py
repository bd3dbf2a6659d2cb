"""``wirewatch rules``: what an analyst does with rule files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from alerts.rulefile import json_schema
from streams.cli import rules_explain, rules_lint, rules_test
from streams.cli.common import ConfigOption, JsonOption, clock, out, print_json, settings, told_plainly
from streams.cli.plan import load_rulebook
from streams.core.rule import OVER, Rule

app = typer.Typer(help="Check, test, price and explain rules.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("test")(rules_test.run)
app.command("lint")(rules_lint.lint)
app.command("explain")(rules_explain.explain)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Rule files or folders.", show_default="those of the settings"),
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
        book = load_rulebook(loaded, paths or ())
    rules, checked = book.rules, bool(book.channels)
    expired = [rule for rule in rules.rules if rule.over(clock().date())]
    if as_json:
        print_json(
            {
                "ok": True,
                "revision": rules.revision,
                "channels_checked": checked,
                "unindexed": [rule.name for rule in rules.unindexed],
                "expired": [rule.name for rule in expired],
                "rules": list(map(_as_dict, rules.rules)),
            }
        )
        return
    table = Table("rule", "severity", "channels", "when", box=None, header_style="bold", pad_edge=False)
    for rule in rules.rules:
        table.add_row(rule.name, rule.severity, ", ".join(rule.channels), escape(str(rule.query)))
    out.print(table)
    for rule in rules.unindexed:
        out.print(f"[yellow]{rule.name}[/yellow] requires no word, and so is compared with every headline")
    for rule in expired:
        out.print(f"[yellow]{rule.name}[/yellow] is {OVER.format(rule.expiry)}")
    count = f"{len(rules.rules)} rule{'s' if len(rules.rules) != 1 else ''}"
    unchecked = "" if checked else f"; channels not checked: there is no {loaded.path(loaded.settings.channels)}"
    out.print(f"[green]{count} in order[/green], revision {rules.revision}{escape(unchecked)}")


def _as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "channels": list(rule.channels),
        "labels": dict(rule.labels),
        "owner": rule.owner,
        "story": rule.story,
        "expiry": rule.expiry,
        "stage": rule.stage,
        "revision": rule.revision,
        "when": str(rule.query),
    }


@app.command()
def schema() -> None:
    """Print the JSON Schema of rule files, by which editors complete keys and mark mistakes.

    Examples:

        wirewatch rules schema > rules.schema.json

        # first line of a rule file, for editors that speak YAML: yaml-language-server: $schema=rules.schema.json
    """
    print_json(json_schema())
