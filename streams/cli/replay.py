"""``wirewatch replay``: what these rules would have done with recorded headlines. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from alerts.route import ChannelRouter
from connectors.interface import Context, Unreadable
from streams.backtest.compare import Leading
from streams.backtest.decided import Decided, Message
from streams.backtest.replay import Consumer, Decider, InOrder, Summary
from streams.backtest.replay import replay as decisions_of
from streams.backtest.report.delays import in_words
from streams.backtest.report.page import About
from streams.cli.common import (
    TOLD_EVERY,
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    counted,
    err,
    out,
    print_json,
    progress,
    settings,
    several,
    told_plainly,
)
from streams.cli.ingest import Inputs, LeftOut
from streams.cli.plan import deduper_of, load_rulebook
from streams.cli.replay_against import (
    AgainstConfigOption,
    AgainstOption,
    AgainstTaxonomyOption,
    Asked,
    FailOnChangeOption,
    MarkdownOption,
    Versus,
)
from streams.cli.replay_parquet import Columns, ParquetOption
from streams.cli.replay_report import NOT_SIMULATED, Misgivings, Report, ReportOption, about
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Deduper
from streams.core.document import Problem, RefusedError
from streams.core.match import Matcher
from streams.core.pipeline import Engine, candidate_of

#: So many of what could not be read are shown; all are counted.
_SHOWN = 20


def replay(  # noqa: PLR0913, PLR0917 - a command of typer takes its options so
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help="Files of headlines, or folders of them.")],
    rules: Annotated[
        list[Path] | None, typer.Option(help="Rules to try, files or folders.", show_default="those of the settings")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every decision there, one a line.")
    ] = None,
    parquet: ParquetOption = None,
    report: ReportOption = None,
    against: AgainstOption = None,
    against_taxonomy: AgainstTaxonomyOption = None,
    against_config: AgainstConfigOption = None,
    markdown: MarkdownOption = None,
    fail_on_change: FailOnChangeOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What these rules would have done with recorded headlines: deduplicated, classified, matched, routed. Nothing is sent.

    A source is what `ingest` reads: JSON lines, a ticker, an article, lines; compressed by gzip or not. Ctrl-C ends the
    replay, shows what there is so far, and exits with 130.

    Examples:

        wirewatch replay last-quarter.jsonl.gz

        wirewatch replay archive/ --rules new-rules/ --json

        wirewatch replay last-quarter.jsonl.gz --report report.html

        wirewatch replay last-quarter.jsonl.gz --against main --markdown changes.md
    """
    with told_plainly(as_json=as_json), ExitStack() as stack:
        asked = Asked(against, against_taxonomy or (), against_config, markdown, fail_on_change)
        compares, loaded = asked.given, settings(config)
        book = load_rulebook(loaded, rules or ())
        files = _files(sources)
        deduper: Deduper = deduper_of(loaded)()
        versus = None
        if compares:
            deduper = leading = Leading(deduper)
            versus = Versus.of(asked, loaded, rules or (), book, leading, report)
        engine = Engine(Matcher(book.matched), Classifier(book.taxonomy), deduper, ChannelRouter(book.routing))
        summary = Summary([rule.name for rule in book.matched.rules])
        consumers: list[Consumer] = [summary, *_written(stack, decisions, parquet)]
        pages: list[Callable[[About], None]] = [versus.finish] if versus else []
        if report is not None and versus is None:
            page = Report.of(report, book, loaded)
            consumers.append(page.sums)
            pages.append(page.write)
        run = _Run(summary)
        run.go(versus.twin(engine) if versus else engine, _candidates(files, run), consumers)
        for finish in pages:
            finish(about(book, sources, run.misgivings()))
        _tell(run, versus, as_json=as_json)
    if run.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if versus is not None and versus.failed:
        raise typer.Exit(Exit.FOUND)


def _written(stack: ExitStack, decisions: Path | None, parquet: Path | None) -> Iterator[Consumer]:
    """What writes every decision to files."""
    if decisions is not None:
        yield Written(stack.enter_context(_opened(decisions)))
    if parquet is not None:
        yield Columns.opened(parquet, stack)


def _tell(run: _Run, versus: Versus | None, *, as_json: bool) -> None:
    """What came of it, on standard output."""
    if as_json:
        print_json(run.as_dict() | ({"comparison": versus.as_dict()} if versus else {}))
        return
    run.give()
    if versus is not None:
        versus.give()


def _files(sources: Sequence[Path]) -> list[Path]:
    """The files; those of a folder by name, without hidden ones."""
    found: list[Path] = []
    problems: list[Problem] = []
    for source in sources:
        below = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))
        files = below if source.is_dir() else [source] if source.is_file() else []
        if not files:
            what = "holds no files" if source.is_dir() else "is no file and no folder"
            problems.append(Problem(str(source), 0, 0, what, "name recorded headlines"))
        found += files
    if problems:
        raise RefusedError(problems)
    return found


def _opened(file: Path) -> BinaryIO:
    if file.suffix != ".jsonl":
        raise typer.BadParameter(f"--decisions writes JSON lines: name a file that ends in .jsonl, not {file}")
    try:
        return file.open("wb")
    except OSError as error:
        raise UnreachableError(f"{file} cannot be written: {error.strerror or error}", "choose another place") from None


class Written:
    """A consumer that writes each decision as a line of JSON."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def take(self, one: Decided | Message) -> None:
        """Write it."""
        self._file.write(self._encode(one) + b"\n")

    def finish(self) -> None:
        """Bring it to the disk's cache."""
        self._file.flush()


@dataclass(slots=True)
class _Run:
    """One replay, and how it went."""

    summary: Summary
    order: InOrder = field(default_factory=InOrder)
    unreadable: list[tuple[str, int, str]] = field(default_factory=list)
    unreadable_count: int = 0
    interrupted: bool = False
    seconds: float = 0.0

    def refuse(self, name: str, reading: Unreadable) -> None:
        self.unreadable_count += 1
        if len(self.unreadable) < _SHOWN:
            self.unreadable.append((name, reading.line, reading.reason))

    def go(self, engine: Decider, candidates: Iterator[Candidate], consumers: Sequence[Consumer]) -> None:
        """Replay all of it, or until Ctrl-C."""
        began = perf_counter()
        try:
            with counted(None) as tell:
                for number, one in enumerate(decisions_of(self.order.of(candidates), engine)):
                    for consumer in consumers:
                        consumer.take(one)
                    if number % TOLD_EVERY == 0:
                        tell(number)
        except KeyboardInterrupt:
            self.interrupted = True
        self.seconds = perf_counter() - began
        for consumer in consumers:
            consumer.finish()

    def as_dict(self) -> dict[str, Any]:
        summary = self.summary
        return {
            "ok": not self.interrupted,
            "headlines": summary.headlines,
            "from": summary.first,
            "to": summary.last,
            "decisions": dict(summary.decisions),
            "unreadable": self.unreadable_count,
            "unreadable_shown": [{"file": n, "line": line, "reason": why} for n, line, why in self.unreadable],
            "late": self.order.late,
            "alerts": dict(summary.alerts.most_common()),
            "alerts_a_day": round(summary.alerts.total() / summary.span_days, 2),
            "worst_day": summary.worst_day and {"day": summary.worst_day[0], "alerts": summary.worst_day[1]},
            "delay_seconds": {
                "median": round(summary.delays.quantile(0.5)),
                "p95": round(summary.delays.quantile(0.95)),
            },
            "suppressed": dict(summary.suppressed.most_common()),
            "silent": summary.silent,
            "seconds": round(self.seconds, 3),
            "not_simulated": list(NOT_SIMULATED),
        }

    def misgivings(self) -> Misgivings:
        """What kept the replay from being of all headlines, in their order."""
        return Misgivings(NOT_SIMULATED, self.unreadable_count, self.order.late, self.interrupted)

    def give(self) -> None:
        summary = self.summary
        for name, line, reason in self.unreadable:
            err.print(f"{name}:{line}: {reason}", markup=False)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.decisions.most_common())
        out.print(
            f"{several(summary.headlines, 'headline')} from {summary.first} to {summary.last}: {kinds}", markup=False
        )
        if self.unreadable_count:
            out.print(f"{self.unreadable_count:,} could not be read", markup=False)
        if self.order.late:
            out.print(f"{several(self.order.late, 'headline')} came too late to be put in order", markup=False)
        out.print(_alerts_in_words(summary), markup=False)
        for rule, count in summary.alerts.most_common():
            out.print(f"  {count:>8,}  {rule}", markup=False)
        for reason, count in summary.suppressed.most_common():
            out.print(f"  {count:>8,}  held back: {reason}", markup=False)
        if summary.silent:
            out.print(f"never fired: {', '.join(summary.silent)}", markup=False)
        out.print(f"not simulated: {', '.join(NOT_SIMULATED)}", markup=False)
        if self.interrupted:
            err.print("interrupted; this is how far it came")


def _alerts_in_words(summary: Summary) -> str:
    """How many alerts there were, on which day most, and how soon they came."""
    told = several(summary.alerts.total(), "alert")
    if summary.worst_day is not None:
        day, count = summary.worst_day
        told += f", {summary.alerts.total() / summary.span_days:,.1f} a day, {count:,} on the worst, {day}"
    if summary.delays.count:
        half, most = (in_words(summary.delays.quantile(share)) for share in (0.5, 0.95))
        told += f"; from the story's first headline to them: median {half}, 95 % {most}"
    return told


def _candidates(files: Sequence[Path], run: _Run) -> Iterator[Candidate]:
    """The headlines of the files. Their own time stands in for that at which Kafka would have received them."""
    left_out: dict[str, LeftOut] = {}
    inputs = Inputs(None, files, Context(None, None, None, clock(), None, progress()), left_out)
    number = 0
    for name, reading in inputs.readings():
        if isinstance(reading, Unreadable):
            run.refuse(name, reading)
            continue
        place = f"replay:0:{number}"
        number += 1
        yield candidate_of(reading, id=place, position=place, received=reading.published)
