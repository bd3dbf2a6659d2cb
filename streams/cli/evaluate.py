"""``wirewatch evaluate``: how good the decisions are, on headlines that people labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from alerts.userfile import read_text
from connectors import stored
from streams.backtest import duplicates as pairs
from streams.backtest import topics as labels
from streams.backtest.labelled import Score, in_plain_words
from streams.cli import evaluate_stories
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    err,
    out,
    print_json,
    settings,
    several,
    told_plainly,
)
from streams.cli.outputs import spare, write_file
from streams.cli.plan import deduper_of, load_taxonomy
from streams.core.classify import Classifier
from streams.core.document import Problem, RefusedError

app = typer.Typer(help="Measure decisions on labelled headlines.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("stories")(evaluate_stories.stories)

T = TypeVar("T")
ShowOption = Annotated[int, typer.Option(metavar="N", help="How many misses to list; 0 for none, -1 for all.")]


@app.command()
def duplicates(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled pairs, one JSON object a line.")],
    show: ShowOption = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well duplicates and updates are told apart, on pairs that people labelled.

    A line of FILE is `{"a": "…", "b": "…", "label": "duplicate"}`; the label is *duplicate* (the same event with the same
    facts), *update* (the same story, something new) or *different*. `date_a`, `date_b`, `source_a` and `source_b` are used
    where they are given. Each pair is decided by itself, as if its later headline had come after the earlier one.

    Examples:

        wirewatch evaluate duplicates pairs.jsonl

        wirewatch evaluate duplicates pairs.jsonl --json
    """
    with told_plainly(as_json=as_json):
        new_deduper = deduper_of(settings(config))
        found = pairs.evaluate(read_rows(file, pairs.read_pairs, "pair"), new_deduper)
    if as_json:
        print_json(found.as_dict())
        return
    _print_pairs(found, show)


@app.command()
def topics(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled headlines, one JSON object a line.")],
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with what was saved there; 1 if something broke.")
    ] = None,
    save_baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the scores and decisions, to compare with later.")
    ] = None,
    show: ShowOption = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well headlines get their topics, on headlines that people labelled.

    A line of FILE is `{"headline": "…", "topics": ["iran"]}`; `edge: true` marks a judgement call, which is scored apart.
    A baseline shows what a change of the taxonomy breaks: which headlines came out right before and do not now, and the
    reverse. It keeps no headline, only a hash of each.

    Examples:

        wirewatch evaluate topics labelled.jsonl --save-baseline before.json

        wirewatch evaluate topics labelled.jsonl --baseline before.json
    """
    with told_plainly(as_json=as_json):
        spare([file], {"--save-baseline": save_baseline})
        loaded = settings(config)
        before = _read_baseline(baseline) if baseline else None
        taxonomy = load_taxonomy([loaded.path(path) for path in loaded.settings.taxonomy])
        found = labels.evaluate(read_rows(file, labels.read_rows, "labelled headline"), Classifier(taxonomy))
        if save_baseline:
            saved = msgspec.json.encode(found.baseline(), order="deterministic")
            write_file(save_baseline, msgspec.json.format(saved, indent=1) + b"\n")
    change = found.since(before) if before else None
    if as_json:
        compared = {"baseline": labels.change_as_dict(change, before)} if before and change else {}
        print_json({**found.as_dict(), **compared})
    else:
        _print_topics(found, before, show)
        if change:
            _print_change(change, show)
    if change and change.broken:
        raise typer.Exit(Exit.FOUND)


def read_rows(file: Path, rows_of: Callable[[Iterable[bytes], str], Iterator[T]], what: str) -> list[T]:
    """The rows of a file, which may be compressed.

    Raises:
        RefusedError: it cannot be read, holds no row, or a line is none.
    """
    try:
        with file.open("rb") as data:
            rows = list(rows_of(stored.read_lines(stored.plain(data)), str(file)))
    except stored.DAMAGED as error:
        raise RefusedError([Problem(str(file), 0, 0, f"is damaged: {error}", "compress it anew")]) from None
    except OSError as error:
        raise RefusedError([Problem(str(file), 0, 0, f"cannot be read: {error.strerror}")]) from None
    if not rows:
        raise RefusedError([Problem(str(file), 0, 0, f"holds no {what}", "one JSON object a line is expected")])
    return rows


def _read_baseline(file: Path) -> labels.Baseline:
    try:
        return msgspec.json.decode(read_text(file, "write one by --save-baseline"), type=labels.Baseline)
    except msgspec.DecodeError as error:
        raise RefusedError(
            [Problem(str(file), 0, 0, f"is no baseline: {in_plain_words(error)}", "write one by --save-baseline")]
        ) from None


def _scores(*names: str) -> Table:
    return Table(*names, box=None, header_style="bold", pad_edge=False)


def _figures(score: Score) -> tuple[str, str, str, str]:
    if score.empty:
        return "-", "-", "-", "0"
    return f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support)


def _print_pairs(found: pairs.Evaluation, show: int) -> None:
    table = _scores("", "precision", "recall", "F1", "pairs")
    for relation in pairs.RELATIONS:
        table.add_row(relation, *_figures(found.score(relation)))
    out.print(table)
    out.print(
        f"macro F1 {found.macro_f1:.3f}, updates suppressed {found.updates_suppressed:.1%}, "
        f"{several(len(found.verdicts), 'pair')}"
    )
    misses = found.misses if show < 0 else found.misses[:show]
    if misses:
        out.print(f"\n[bold]misses[/bold], {len(misses)} of {len(found.misses)}")
    for miss in misses:
        said = f"{miss.pair.label}, taken for {miss.said}"
        out.print(f"[yellow]{said}[/yellow]" + (f" [dim]({escape(miss.reason)})[/dim]" if miss.reason else ""))
        out.print(f"    {escape(miss.pair.a)}\n    {escape(miss.pair.b)}")


def _print_topics(found: labels.Evaluation, before: labels.Baseline | None, show: int) -> None:
    table = _scores("", "precision", "recall", "F1", "headlines", *(["F1 before"] if before else []))
    for topic in found.topics:
        for edge in (False, True):
            score = found.score(topic, edge=edge)
            was = (before.edge if edge else before.topics).get(topic) if before else None
            name = f"{topic} [dim]edge[/dim]" if edge else topic
            table.add_row(name, *_figures(score), *([f"{was.f1:.3f}" if was else "-"] if before else []))
    out.print(table)
    edges = sum(decision.row.edge for decision in found.decisions)
    out.print(f"{several(len(found.decisions), 'headline')}, {edges} of them edge; taxonomy {found.revision}")
    for names, why in ((found.unknown, "in no file of the taxonomy"), (found.unlabelled, "in no label")):
        if names:
            err.print(f"[yellow]left out[/yellow]: {escape(', '.join(names))}, {why}")
    _print_misses("misses", found.misses, show)


def _print_change(change: labels.Change, show: int) -> None:
    out.print(f"\nagainst the baseline: {len(change.broken)} broken, {len(change.mended)} mended")
    if change.new or change.gone:
        out.print(
            f"[yellow]not compared[/yellow]: {several(change.new, 'headline')} only here, {change.gone} only there"
        )
    _print_misses("broken", change.broken, show)
    _print_misses("mended", change.mended, show)
    _print_misses("edge, changed", change.edge, show)


def _print_misses(title: str, all_misses: Iterable[labels.Miss], show: int) -> None:
    """Headlines with what was said of each: + a topic was given, - it was not."""
    everything = list(all_misses)
    misses = everything if show < 0 else everything[:show]
    if misses:
        out.print(f"\n[bold]{title}[/bold], {len(misses)} of {len(everything)}")
    for miss in misses:
        sign, colour = ("+", "yellow") if miss.given else ("-", "magenta")
        edge = " [dim]edge[/dim]" if miss.row.edge else ""
        out.print(f"[{colour}]{sign} {miss.topic}[/{colour}]{edge}  {escape(miss.row.headline)}")
