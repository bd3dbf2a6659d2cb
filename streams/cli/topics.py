"""``wirewatch topics``: what an analyst does with taxonomy files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from streams.cli.common import ConfigOption, Exit, JsonOption, out, print_json, print_problems, settings, told_plainly
from streams.cli.plan import load_taxonomy
from streams.core.classify import run_tests
from streams.core.taxonomy import Topic

app = typer.Typer(help="Check taxonomy files.", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def _group() -> None:
    """Check taxonomy files."""


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Taxonomy files or folders.", show_default="those of the settings"),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read taxonomy files, tell every mistake at once, and try the headlines of each topic's `tests:`.

    Exits with 0 if all is in order, with 1 if a headline comes out otherwise than its topic says, and with 3 if a file is
    refused.

    Examples:

        wirewatch topics check

        wirewatch topics check taxonomy/iran.yaml --json
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        taxonomy = load_taxonomy(list(paths or [loaded.path(path) for path in loaded.settings.taxonomy]))
    failed = run_tests(taxonomy)
    if as_json:
        problems = [problem.as_dict() for problem in failed]
        topics = [_as_dict(topic) for topic in taxonomy.topics]
        print_json({"ok": not failed, "revision": taxonomy.revision, "topics": topics, "problems": problems})
    else:
        table = Table("topic", "names and words", "conditions", "tests", box=None, header_style="bold", pad_edge=False)
        for topic in taxonomy.topics:
            counts = (len(topic.entities), len(topic.conditions) + len(topic.against), len(topic.examples))
            table.add_row(escape(topic.name), *(f"{count:,}" for count in counts))
        out.print(table)
        if failed:
            print_problems(failed)
        else:
            out.print(f"[green]in order[/green], revision {taxonomy.revision}")
    if failed:
        raise typer.Exit(Exit.FOUND)


def _as_dict(topic: Topic) -> dict[str, str | int]:
    return {
        "topic": topic.name,
        "title": topic.title,
        "entities": len(topic.entities),
        "conditions": len(topic.conditions) + len(topic.against),
        "tests": len(topic.examples),
    }
