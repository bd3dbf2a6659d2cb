"""``wirewatch explain``: why a headline has its topics, or why two headlines are, or are not, the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from streams.backtest.duplicates import decide_pair
from streams.backtest.report.delays import in_words
from streams.cli import rules_explain
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
from streams.cli.plan import deduper_of, load_taxonomy
from streams.core.classify import Classifier
from streams.core.duration import parse_duration
from streams.core.records import Evidence, Headline
from streams.core.story.explain import Explanation, explain_pair
from streams.core.text import clean
from streams.core.why import Outcome, TopicReading
from streams.settings import Loaded

_VERDICTS = {"duplicate": "a duplicate", "update": "an update of its story", "first": "the first of another story"}
_SHOWN = 8
#: Conditions of one topic that nearly held, so many at most.
_NEARLY = 3


def explain(
    first: Annotated[str, typer.Argument(metavar="A", help="The headline, or the earlier one of two.")],
    second: Annotated[str | None, typer.Argument(metavar="B", help="The later one.", show_default=False)] = None,
    apart: Annotated[str, typer.Option(metavar="SPAN", help="How much later it came: 20m, 3h, 2d.")] = "1h",
    sources: Annotated[
        list[str] | None, typer.Option("--source", metavar="OUTLET", help="Whose they are; given twice, first A's.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", metavar="RULE", help="Why this rule fires on A, or what keeps it from firing."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a headline has its topics, or why two headlines are, or are not, the same.

    Of one: the topics with their confidence, the words and the conditions behind them, and what nearly matched. Of two:
    words, names, figures, stages, and what each of them counts.

    Examples:

        wirewatch explain "Tanker held in the Strait of Hormuz"

        wirewatch explain "Tanker held in the Strait of Hormuz" --rule iran-oil

        wirewatch explain "At least 24 killed in blast" "Blast kills 46"

        wirewatch explain "Ship held off Oman" "Oman frees the ship it held" --apart 2d --json
    """
    if rule is not None:
        if second is not None:
            tell_error("--rule asks of one headline", 'give one: wirewatch explain "A" --rule RULE')
            raise typer.Exit(Exit.USAGE)
        rules_explain.explain(rule, first, (sources or ["unknown"])[0], "first", config, as_json)
        return
    with told_plainly(as_json=as_json):
        if not first.strip() or (second is not None and not second.strip()):
            tell_error("a headline is empty", 'give one or two: wirewatch explain "A" "B"')
            raise typer.Exit(Exit.USAGE)
        if len(sources or ()) > (1 if second is None else 2):
            raise typer.BadParameter("--source is given once for a headline")
        loaded = settings(config)
        if second is None:
            _explain_one(loaded, clean(first), as_json=as_json)
        else:
            _explain_two(loaded, (first, second), apart, sources or [], as_json=as_json)


def _explain_one(loaded: Loaded, headline: str, *, as_json: bool) -> None:
    classifier = Classifier(load_taxonomy([loaded.path(path) for path in loaded.settings.taxonomy]))
    readings = classifier.explain(headline)
    if as_json:
        print_json({"headline": headline, "topics": [reading.as_dict() for reading in readings]})
        return
    for reading in sorted(readings, key=lambda reading: (not reading.belongs, reading.topic)):
        _print_reading(reading)


def _print_reading(reading: TopicReading) -> None:
    verdict = "[green]yes[/green]" if reading.belongs else "no"
    out.print(f"[bold]{reading.topic}[/bold] {verdict}, {reading.confidence:.0%} of {reading.threshold:.0%}")
    for outcome in reading.held:
        out.print(f"  [green]+[/green] {escape(outcome.condition)} ({outcome.weight:g}): {_words(outcome.found)}")
    for outcome in reading.against:
        if outcome.holds:
            out.print(f"  [red]-[/red] {escape(outcome.condition)} ({outcome.weight:g}): {_words(outcome.found)}")
    for outcome in reading.nearly[:_NEARLY]:
        out.print(f"  [dim]~ {escape(outcome.condition)}: {_words(outcome.found)}; {_in_the_way(outcome)}[/dim]")
    if reading.hidden:
        out.print(f"  [dim]? not counted within a phrase to ignore: {_words(reading.hidden)}[/dim]")
    if reading.doubtful:
        out.print(f"  [dim]? not counted without the words they need: {_words(reading.doubtful)}[/dim]")


def _words(evidence: tuple[Evidence, ...]) -> str:
    """The words of the headline, each with the entity that it names where that says more."""
    told: dict[str, None] = {}
    for piece in evidence:
        same = piece.entity.casefold() in (piece.span.text.casefold(), "money")
        told[f"“{piece.span.text}”" + ("" if same else f" ({piece.entity})")] = None
    return escape(", ".join(told))


def _in_the_way(outcome: Outcome) -> str:
    if outcome.barred:
        return f"barred by {_words(outcome.barred)}"
    return f"lacks {escape('; '.join(outcome.lacking))}"


def _explain_two(loaded: Loaded, headlines: tuple[str, str], apart: str, sources: list[str], *, as_json: bool) -> None:
    outlets = [*sources, "a.example", "b.example"][:2] if len(sources) < 2 else sources[:2]
    new_deduper = deduper_of(loaded)
    try:
        gap = parse_duration(apart)
    except ValueError as error:
        tell_error(f"--apart {apart}: {error}", "write 20m, 3h or 2d")
        raise typer.Exit(Exit.USAGE) from None
    now = clock()
    one = Headline(headline=headlines[0], published=now - gap, source=outlets[0])
    other = Headline(headline=headlines[1], published=now, source=outlets[1])
    decision = decide_pair(new_deduper(), one, other)
    explanation = explain_pair(one, other)
    if as_json:
        print_json({"verdict": decision.verdict, "reason": decision.reason, **explanation.as_dict()})
        return
    out.print(
        f"B is [bold]{_VERDICTS[decision.verdict]}[/bold]" + (f": {escape(decision.reason)}" if decision.reason else "")
    )
    _print(explanation, gap)


def _print(explanation: Explanation, gap: timedelta) -> None:
    judgement = explanation.judgement
    out.print(
        f"duplicate {judgement.duplicate:.0%}, update {judgement.update:.0%}, different {judgement.different:.0%}"
        f" [dim]({in_words(gap.total_seconds())} apart)[/dim]\n"
    )
    for name, told in explanation.told():
        out.print(f"[bold]{name:<14}[/bold] {escape(told)}")
    table = Table(
        "what counted", "value", "duplicate", "update", "different", box=None, header_style="bold", pad_edge=False
    )
    for name, value, points in explanation.counted()[:_SHOWN]:
        different, update, duplicate = points
        table.add_row(name, f"{value:.2f}", f"{duplicate:+.2f}", f"{update:+.2f}", f"{different:+.2f}")
    out.print()
    out.print(table)
