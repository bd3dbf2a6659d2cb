"""``wirewatch rules lint``: what is wrong with rules that are in order, and what each would cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from alerts.rulefile import Place, places_of_rules
from connectors import stored
from streams.backtest.lint import Finding, History, Price, Replay, as_dict, read_history
from streams.backtest.lint import lint as lint_rules
from streams.cli.common import (
    TOLD_EVERY,
    ConfigOption,
    Exit,
    JsonOption,
    clock,
    counted,
    ending_on_sigterm,
    out,
    print_json,
    settings,
    several,
    told_plainly,
)
from streams.cli.plan import Rulebook, deduper_of, load_rulebook
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate
from streams.core.document import Problem, RefusedError
from streams.core.headline import UnreadableError
from streams.settings import Loaded

#: Ends of names that files of headlines have, and none of rules.
_OF_HEADLINES = (".jsonl", ".ndjson", ".csv", ".parquet", ".gz", ".zst")


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Rule files or folders.", show_default="those of the settings"),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history", metavar="FILE", help="Headlines of before, one JSON object a line, to price the rules by."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong with rules that are in order: too broad, never true, the same as another, or too dear.

    With --history, each rule gets its price, in alerts a day, and some headlines that it would have alerted about. The
    headlines go the way that they would go live, in the order of their publication. After Ctrl-C, what came of them so far
    is told. Exits with 0 without warnings, with 1 with some, and with 3 if a file is refused, for one thing because a
    rule names a channel that does not exist.

    Examples:

        wirewatch rules lint

        wirewatch rules lint rules --history headlines.jsonl.gz --json
    """
    with told_plainly(as_json=as_json), ending_on_sigterm():
        _refuse_headlines(paths or ())
        loaded = settings(config)
        book = load_rulebook(loaded, paths or ())
        places = places_of_rules(paths or [loaded.path(path) for path in loaded.settings.rules])
        past, interrupt = (None, None) if history is None else _replayed(history, book, loaded)
        findings = lint_rules(book.rules, past, clock().date())
        if as_json:
            print_json(_as_dict(findings, places, past, interrupted=bool(interrupt)))
        else:
            _print(findings, places)
            if past is not None:
                _print_prices(past)
            _print_counts(findings, len(book.rules.rules))
        if interrupt:
            raise interrupt
    if any(finding.level == "warning" for finding in findings):
        raise typer.Exit(Exit.FOUND)


def _refuse_headlines(paths: Sequence[Path]) -> None:
    """Headlines are given where rules are wanted, easily."""
    for path in paths:
        if path.is_file() and path.suffix in _OF_HEADLINES:
            hint = f"headlines to price rules by go after --history: wirewatch rules lint --history {path}"
            raise RefusedError([Problem(str(path), 0, 0, "is no file of rules", hint)])


def _replayed(file: Path, book: Rulebook, loaded: Loaded) -> tuple[History, KeyboardInterrupt | None]:
    """What the headlines of a file, which may be compressed, become; and what cut it short, if something did."""
    candidates = _read(file)
    replay = Replay(book.rules, Classifier(book.taxonomy), deduper_of(loaded)())
    interrupt: KeyboardInterrupt | None = None
    try:
        with counted(len(candidates)) as tell:
            for done in replay.run(candidates):
                if done % TOLD_EVERY == 0:
                    tell(done)
    except KeyboardInterrupt as came:
        interrupt = came
    past = replay.history()
    if interrupt and not past.headlines:
        raise interrupt  # nothing is known of the rules yet
    return past, interrupt


def _read(file: Path) -> list[Candidate | UnreadableError]:
    """The lines of a file.

    Raises:
        RefusedError: it cannot be read, or holds no headline.
    """
    now = clock()
    read: list[Candidate | UnreadableError] = []
    try:
        with file.open("rb") as data, counted(None) as tell:
            for candidate in read_history(stored.read_lines(stored.plain(data)), lambda _: now):
                read.append(candidate)
                if len(read) % TOLD_EVERY == 0:
                    tell(len(read))
    except stored.DAMAGED as error:
        raise RefusedError([Problem(str(file), 0, 0, f"is damaged: {error}", "compress it anew")]) from None
    except OSError as error:
        raise RefusedError([Problem(str(file), 0, 0, f"cannot be read: {error.strerror}")]) from None
    if all(isinstance(candidate, UnreadableError) for candidate in read):
        hint = 'a line is a headline as JSON, such as {"headline": "…", "published": "2026-03-01T12:00:00Z"}'
        raise RefusedError([Problem(str(file), 0, 0, "holds no headline", hint)])
    return read


def _as_dict(
    findings: list[Finding], places: dict[str, Place], past: History | None, *, interrupted: bool
) -> dict[str, Any]:
    told = []
    for finding in findings:
        place = places.get(finding.rule)
        where = {"file": place.file, "line": place.line, "column": place.column} if place else {}
        told.append({**as_dict(finding), **where})
    if past is None:
        return {"findings": told}
    return {
        "findings": told,
        "history": {
            "headlines": past.headlines,
            "duplicates": past.duplicates,
            "unreadable": past.unreadable,
            "days": round(past.days, 2),
            "interrupted": interrupted,
        },
        "alerts_a_day": {channel: round(a_day, 2) for channel, a_day in past.per_channel.items()},
        "prices": [
            {
                "rule": price.rule,
                "alerts": price.alerts,
                "a_day": round(price.a_day, 2),
                "most_in_a_day": price.most_in_a_day,
                "examples": list(price.examples),
            }
            for price in _dearest(past)
        ],
    }


def _dearest(past: History) -> list[Price]:
    return sorted(past.prices.values(), key=lambda price: (-price.alerts, price.rule))


def _print(findings: list[Finding], places: dict[str, Place]) -> None:
    for finding in findings:
        place = places.get(finding.rule)
        where = f"{place.file}:{place.line}:{place.column}: " if place else ""
        colour = "yellow" if finding.level == "warning" else "dim"
        told = escape(f"{where}{finding.rule} {finding.message}")
        out.print(f"[{colour}]{finding.level}[/{colour}] {told} [dim]({finding.code})[/dim]")
        if finding.hint:
            out.print(f"    [dim]{escape(finding.hint)}[/dim]")


def _print_counts(findings: list[Finding], rules: int) -> None:
    warnings = sum(finding.level == "warning" for finding in findings)
    counts = ((rules, "rule"), (warnings, "warning"), (len(findings) - warnings, "note"))
    out.print(", ".join(several(number, noun) for number, noun in counts))


def _print_prices(past: History) -> None:
    table = Table("rule", "alerts a day", "most in a day", "such as", box=None, header_style="bold", pad_edge=False)
    for price in _dearest(past):
        example = price.examples[0][:90] if price.examples else ""
        table.add_row(price.rule, f"{price.a_day:,.1f}", f"{price.most_in_a_day:,}", escape(example))
    out.print(table)
    told = ", ".join(f"{channel} {a_day:,.1f}" for channel, a_day in past.per_channel.items())
    out.print(f"alerts a day by channel: {escape(told)}")
    out.print(
        f"{past.headlines:,} headlines over {past.days:,.1f} days: {past.duplicates:,} duplicates,"
        f" {past.unreadable:,} unreadable"
    )
