"""``wirewatch evaluate stories``: what deduplication makes of a stream of headlines, for a person to judge."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.markup import escape
from rich.table import Table

from connectors.interface import Context, SourceError
from connectors.registry import SOURCES, guess
from connectors.stored import DAMAGED, HEAD, plain
from streams.backtest.stories import VERDICTS, Decision, Judged, Survey, decide_stream
from streams.cli.common import (
    TOLD_EVERY,
    ConfigOption,
    Exit,
    JsonOption,
    clock,
    counted,
    ending_on_sigterm,
    err,
    out,
    print_json,
    progress,
    settings,
    told_plainly,
)
from streams.cli.plan import deduper_of
from streams.core.document import Problem, RefusedError
from streams.core.records import Headline

_STDIN = Path("-")


@dataclass(slots=True)
class _Stream:
    """The headlines of a file, and what of it is none: line (0 if it is not known) and reason."""

    name: str
    headlines: list[Headline] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def stories(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Headlines, in any form that `ingest` reads, or `-`.")],
    kind: Annotated[
        str | None,
        typer.Option("--as", metavar="KIND", help=f"What FILE is: {', '.join(SOURCES)}.", show_default="guessed"),
    ] = None,
    top: Annotated[int, typer.Option(min=0, metavar="N", help="How many stories and sources to list.")] = 10,
    sample: Annotated[int, typer.Option(min=0, metavar="N", help="How many decisions to show.")] = 10,
    unsure: Annotated[int, typer.Option(min=0, metavar="N", help="How many of the least sure ones to show.")] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What becomes of a stream of headlines: how many are dropped, the largest stories, and decisions to skim.

    Headlines are decided in the order of their publication, as they would have been live, with the windows of your
    settings; nothing is sent. Decisions are shown with the headline in question above the one that it repeats or updates,
    evenly spread over the stream, exact repeats left out. After Ctrl-C, what was decided so far is told.

    Examples:

        wirewatch evaluate stories headlines.jsonl.gz

        wirewatch evaluate stories headlines.jsonl.gz --sample 40 --unsure 20

        wirewatch evaluate stories headlines.jsonl --json
    """
    if kind is not None and kind not in SOURCES:
        raise typer.BadParameter(f"--as is one of {', '.join(SOURCES)}, not {kind!r}")
    with told_plainly(as_json=as_json), ending_on_sigterm():
        new_deduper = deduper_of(settings(config))
        stream = _read(file, kind)
        decisions: list[Decision] = []
        interrupt: KeyboardInterrupt | None = None
        try:
            with counted(len(stream.headlines)) as tell:
                for decision in decide_stream(stream.headlines, new_deduper()):
                    decisions.append(decision)
                    if len(decisions) % TOLD_EVERY == 0:
                        tell(len(decisions))
        except KeyboardInterrupt as came:
            interrupt = came
        survey = Survey(decisions)
        if as_json:
            print_json(_as_dict(survey, stream, interrupted=bool(interrupt), top=top, sample=sample, unsure=unsure))
        else:
            _print(survey, stream, top, sample, unsure)
        if interrupt:
            raise interrupt
    if stream.unreadable:
        raise typer.Exit(Exit.FOUND)


def _read(file: Path, kind: str | None) -> _Stream:
    """All headlines of a file.

    Raises:
        RefusedError: it cannot be read, or holds none.
    """
    stream = _Stream("standard input" if file == _STDIN else str(file))
    try:
        with _opened(file) as data, counted(None) as tell:
            source, whole = (SOURCES[kind], plain(data)) if kind else guess(str(file), data)
            now = clock()
            for reading in source.read(whole, Context(None, None, None, now, note=progress())):
                if isinstance(reading, Headline):
                    stream.headlines.append(reading)
                    if len(stream.headlines) % TOLD_EVERY == 0:
                        tell(len(stream.headlines))
                else:
                    stream.unreadable.append((reading.line, reading.reason))
    except SourceError as error:
        hint = f"say what it is: --as {' or '.join(SOURCES)}" if error.hint and not kind else error.hint
        raise RefusedError([Problem(stream.name, error.line or 0, 1, error.message, hint)]) from None
    except DAMAGED as error:
        raise RefusedError([Problem(stream.name, 0, 0, f"the compressed data are damaged: {error}")]) from None
    except OSError as error:
        raise RefusedError([Problem(stream.name, 0, 0, f"cannot be read: {error.strerror or error}")]) from None
    if not stream.headlines:
        problems = [Problem(stream.name, line, 1, reason) for line, reason in stream.unreadable]
        raise RefusedError(problems or [Problem(stream.name, 0, 0, "holds no headline")])
    return stream


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == _STDIN:
        yield sys.stdin.buffer
    else:
        with file.open("rb", buffering=HEAD) as data:
            yield data


def _as_dict(
    survey: Survey, stream: _Stream, *, interrupted: bool, top: int, sample: int, unsure: int
) -> dict[str, Any]:
    return {
        "file": stream.name,
        "interrupted": interrupted,
        "read": len(stream.headlines),
        "unreadable": [{"line": line, "reason": reason} for line, reason in stream.unreadable],
        **survey.as_dict(stories=top, sample=sample, unsure=unsure),
    }


def _print(survey: Survey, stream: _Stream, top: int, sample: int, unsure: int) -> None:
    for line, reason in stream.unreadable:
        err.print(f"{stream.name}:{line}: {reason}" if line else f"{stream.name}: {reason}", markup=False)
    _print_counts(survey, len(stream.headlines))
    _print_stories(survey, top)
    _print_outlets(survey, top)
    _print_decisions("decisions, evenly spread", survey.sample(sample))
    _print_decisions("decisions, least sure first", survey.unsure(unsure))


def _print_counts(survey: Survey, read: int) -> None:
    of = f" of {read:,}" if len(survey) < read else ""
    span = f", {survey.span[0]:%Y-%m-%d %H:%M} to {survey.span[1]:%Y-%m-%d %H:%M} UTC" if survey.span else ""
    out.print(f"{len(survey):,}{of} headline{'' if read == 1 else 's'}{span}")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    for verdict in VERDICTS:
        table.add_row(verdict, f"{survey.counts[verdict]:,}", f"{survey.share(verdict):.1%}")
    exact = survey.exact / len(survey) if len(survey) else 0.0
    table.add_row("  exact repeats", f"{survey.exact:,}", f"{exact:.1%}")
    out.print(table)


def _print_stories(survey: Survey, top: int) -> None:
    found = survey.stories(top)
    if not found:
        return
    out.print("\n[bold]largest stories[/bold]: updates, duplicates, sources, from first to last")
    for story in found:
        out.print(
            f"{story.updates:>4} {story.duplicates:>4} {len(story.sources):>4}  {_span(story.span):>8}  {escape(story.title)}"
        )


def _print_outlets(survey: Survey, top: int) -> None:
    outlets = survey.outlets()
    if not top or not outlets:
        return
    out.print(f"\n[bold]dropped by source[/bold], {min(top, len(outlets))} of {len(outlets)}: headlines, dropped")
    for outlet in outlets[:top]:
        out.print(f"{outlet.headlines:>8,} {outlet.dropped:>7,} {outlet.share:>6.1%}  {escape(outlet.source)}")


def _print_decisions(title: str, found: list[Judged]) -> None:
    if not found:
        return
    out.print(f"\n[bold]{title}[/bold]")
    for judged in found:
        decision, judgement, other = judged.decision, judged.judgement, judged.decision.other
        assert other is not None, "a first is not shown"
        told = f"duplicate {judgement.duplicate:.0%}, update {judgement.update:.0%}" if judgement else ""
        after = _span(decision.headline.published - other.published)
        out.print(
            f"[yellow]{decision.entry.verdict}[/yellow] after {after} [dim]({told})[/dim] {escape(decision.entry.reason)}"
        )
        for headline in (decision.headline, other):
            out.print(f"    {escape(headline.headline)} [dim]{escape(headline.source)}[/dim]")


def _span(span: timedelta) -> str:
    """A span in two figures at most: "3d 4h", "12m"."""
    minutes = round(span.total_seconds() / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count]
    return " ".join(parts[:2]) or "0m"
