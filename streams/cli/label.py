"""``wirewatch label``: asks in the terminal which headlines should alert, the most telling first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import click
import msgspec
import typer
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from connectors.interface import Unreadable
from streams.backtest.choose import Chooser, Pick
from streams.backtest.score import Label, fold, read_labels
from streams.cli.common import (
    TOLD_EVERY,
    ConfigOption,
    JsonOption,
    UnreachableError,
    counted,
    err,
    out,
    print_json,
    settings,
    several,
    tell_error,
    told_plainly,
)
from streams.cli.evaluate import read_rows
from streams.cli.outputs import spare, writable, writing
from streams.cli.plan import deduper_of, load_rulebook
from streams.cli.reading import Said, open_sources
from streams.core.classify import Classifier
from streams.core.dedupe import Deduper
from streams.core.document import did_you_mean
from streams.core.pipeline import classified, deduplicated
from streams.core.records import Dropped
from streams.core.rule import Rule, RuleSet

_KEYS = {"y": True, "n": False}
_HELP = "[bold]y[/bold] should alert   [bold]n[/bold] should not   [bold]s[/bold] skip   [bold]q[/bold] quit"


def label(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Files of headlines, folders of them, or kafka:TOPIC, as for replay."),
    ],
    file: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="Where the labels go; it is added to.")],
    rules: Annotated[
        list[Path] | None, typer.Option(help="Rules, files or folders.", show_default="those of the settings")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Ask about this rule only.")] = None,
    count: Annotated[int, typer.Option(min=1, help="So many questions at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask which headlines should alert, and write the answers down, for `replay --labels`.

    Of each rule in turn it shows a near miss, of which all clauses hold but one, and a headline on which it fires: first
    those on which no other rule fires, by few words, that one source has told. Each answer is written at once, so that Ctrl-C
    loses none; the same command goes on where you were. With --json it prints what it would ask, and asks nothing.

    Examples:

        wirewatch label archive.jsonl.gz --out labels.jsonl

        wirewatch label archive/ --rules new-rules/ --rule iran-oil --out labels.jsonl
    """
    with told_plainly(as_json=as_json):
        spare([Path(source) for source in sources], {"--out": writable(file)})
        loaded = settings(config)
        source = open_sources(sources, loaded, Said())
        book = load_rulebook(loaded, rules or ())
        asked = _asked(book.rules, rule or ())
        before = _labels(file)
        known = {(fold(one.headline), one.rule) for one in before if one.headline and one.rule}
        chooser = Chooser(asked, known, count)
        _read(source.candidates, chooser, deduper_of(loaded)(), Classifier(book.taxonomy))
        picks = list(chooser.picks())
        if as_json:
            print_json([_as_dict(pick) for pick in picks])
            return
        if not picks:
            out.print("nothing is left to ask: no headline fires these rules or nearly does, without a label")
            return
        with ExitStack() as stack:
            _ask(picks, lambda: stack.enter_context(_opened(file)), file)


def _asked(rules: RuleSet, names: Sequence[str]) -> list[Rule]:
    known = {rule.name: rule for rule in rules.rules}
    for name in names:
        if name not in known:
            tell_error(f"there is no rule `{name}`", did_you_mean(name, list(known)))
            raise typer.Exit(2)
    return [known[name] for name in names] or list(rules.rules)


def _labels(file: Path) -> list[Label]:
    if not file.exists() or not file.stat().st_size:
        return []
    return [label for _, label in read_rows(file, read_labels, "label")]


def _read(
    candidates: Callable[[Callable[[str, Unreadable], None]], Iterator[Any]],
    chooser: Chooser,
    deduper: Deduper,
    classifier: Classifier,
) -> None:
    """Send the headlines to the chooser, each story's repeats left out."""
    unreadable = 0

    def refuse(_name: str, _reading: Unreadable) -> None:
        nonlocal unreadable
        unreadable += 1

    with counted(None) as tell:
        for number, candidate in enumerate(candidates(refuse)):
            record = deduplicated(candidate, deduper)
            if not isinstance(record, Dropped):
                chooser.take(classified(record, classifier.classify(record.headline.headline)))
            if number % TOLD_EVERY == 0:
                tell(number)
    if unreadable:
        err.print(f"{unreadable:,} could not be read: `wirewatch replay` shows them", markup=False)


def _opened(file: Path) -> BinaryIO:
    with writing(file):
        answers = file.open("ab")
        if answers.tell() and not file.read_bytes().endswith(b"\n"):  # a line that was cut short, or written by hand
            answers.write(b"\n")
        return answers


def _ask(picks: Sequence[Pick], opened: Callable[[], BinaryIO], file: Path) -> None:
    """One question after the other. Every answer is on the disk before the next; the file is opened for the first."""
    answered, answers = 0, None
    try:
        for number, pick in enumerate(picks, start=1):
            _show(pick, number, len(picks))
            key = _key()
            if key == "q":
                break
            if key == "s":
                continue
            row = Label(headline=pick.record.headline.headline, rule=pick.rule.name, should_alert=_KEYS[key])
            answers = answers or opened()
            answers.write(msgspec.json.encode(row) + b"\n")
            answers.flush()
            os.fsync(answers.fileno())
            answered += 1
    finally:
        err.print(f"{several(answered, 'label')} written to {file}", markup=False)


def _show(pick: Pick, number: int, of: int) -> None:
    headline = pick.record.headline
    text = Text(headline.headline, style="bold")
    for span in pick.spans:
        text.stylize("green underline", span.start, span.end)
    why = f"nearly fires, but for [yellow]{escape(pick.lacks)}[/yellow]" if pick.lacks else "fires"
    words = f", by {escape(', '.join(pick.words))}" if pick.words else ""
    out.print(Panel(text, title=f"{number} of {of}", title_align="left"), width=min(out.width, 120))
    out.print(f"[dim]{headline.published:%Y-%m-%d %H:%M} UTC  {escape(headline.source)}[/dim]")
    out.print(f"[bold]{escape(pick.rule.name)}[/bold] {why}{words}   [dim]{escape(pick.rule.title)}[/dim]")
    out.print(_HELP)


def _key() -> str:
    """The next key that means something.

    Raises:
        UnreachableError: there is no terminal to ask at.
    """
    while True:
        try:
            key = click.getchar().lower()
        except EOFError:
            return "q"
        except OSError:
            raise UnreachableError(
                "there is no terminal to ask at", "run it in one, or print the questions with --json"
            ) from None
        if key in _KEYS or key in "sq":
            return key


def _as_dict(pick: Pick) -> dict[str, Any]:
    return {
        "headline": pick.record.headline.headline,
        "published": pick.record.headline.published.isoformat(),
        "source": pick.record.headline.source,
        "rule": pick.rule.name,
        "fires": not pick.lacks,
        "lacks": pick.lacks or None,
        "matched": pick.words,
    }
