"""``wirewatch replay``: what these rules would have done with recorded headlines. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from alerts.route import ChannelRouter, NoSilences
from connectors.interface import Unreadable
from connectors.registry import SOURCES
from streams.backtest.compare import Leading
from streams.backtest.decided import Decided, Message
from streams.backtest.messages import with_messages
from streams.backtest.order import LogOrder
from streams.backtest.replay import Consumer, Summary
from streams.backtest.report.delays import in_words
from streams.backtest.report.page import About
from streams.backtest.score import Scorer
from streams.cli.common import (
    FLAG,
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
from streams.cli.ingest import DateOption, OutletOption, ZoneOption
from streams.cli.outputs import spare, writing
from streams.cli.pace import Pace
from streams.cli.plan import load_rulebook, read_silences
from streams.cli.reading import Readable, Said, open_sources
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
from streams.cli.replay_report import Misgivings, Report, ReportOption, about
from streams.cli.replay_slices import ClusterOption, Deciding, Help, JobsOption, SlicesOption
from streams.cli.scored import print_score, scorer_of
from streams.cli.through import decisions_through
from streams.core.dedupe import Candidate, Deduper

#: So many of what could not be read are shown; all are counted.
_SHOWN = 20


def replay(  # noqa: PLR0913, PLR0917 - a command of typer takes its options so
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Files of headlines, folders of them, `-`, or kafka:TOPIC."),
    ],
    rules: Annotated[
        list[Path] | None, typer.Option(help="Rules to try, files or folders.", show_default="those of the settings")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every decision there, one a line.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="What was published from then on; of a topic, what Kafka received."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="What was published before then; of a topic, what Kafka received."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--as", metavar="KIND", help=f"What the files are: {', '.join(SOURCES)}.", show_default="guessed"),
    ] = None,
    outlet: OutletOption = None,
    date: DateOption = None,
    zone: ZoneOption = None,
    speed: Annotated[
        str, typer.Option(metavar="SPEED", help="max, 1 for real time, or so many times as fast, such as 60.")
    ] = "max",
    through_kafka: Annotated[
        bool,
        typer.Option(
            "--through-kafka", metavar=FLAG, help="Through a copy of the pipeline, on Kafka and Redis of the settings."
        ),
    ] = False,
    silences: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Silences, as `silence list --all --json` prints them.")
    ] = None,
    parquet: ParquetOption = None,
    report: ReportOption = None,
    against: AgainstOption = None,
    against_taxonomy: AgainstTaxonomyOption = None,
    against_config: AgainstConfigOption = None,
    markdown: MarkdownOption = None,
    fail_on_change: FailOnChangeOption = False,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="What should have alerted, to score the alerts by.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="OUTLET", help="A source: how long before it told a story the alert came.")
    ] = None,
    jobs: JobsOption = 1,
    slices: SlicesOption = None,
    cluster: ClusterOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What these rules would have done with recorded headlines: deduplicated, classified, matched, routed. Nothing is sent.

    A source is what `ingest` reads: JSON lines, CSV, Parquet, a ticker, an article, lines; compressed by gzip or zstd, or
    not; `-` is standard input; kafka:headlines.raw is that topic of the settings' Kafka. Ctrl-C ends the replay, shows
    what there is so far, and exits with 130.

    Examples:

        wirewatch replay last-quarter.jsonl.gz

        wirewatch replay archive/ --rules new-rules/ --json

        wirewatch replay kafka:headlines.raw --from 2026-03-01T06:00Z

        wirewatch replay archive/ --from 2026-03-01 --to 2026-03-08

        wirewatch replay desk.csv --as csv --zone Europe/Paris

        wirewatch replay last-quarter.jsonl.gz --report report.html

        wirewatch replay last-quarter.jsonl.gz --against main --markdown changes.md

        wirewatch replay last-quarter.csv --labels labels.jsonl --reference reuters.com

        wirewatch replay yesterday.jsonl --through-kafka --speed 60

        wirewatch replay archive/ --jobs 4
    """
    with told_plainly(as_json=as_json), ExitStack() as stack:
        asked = Asked(against, against_taxonomy or (), against_config, markdown, fail_on_change)
        written = {"--decisions": decisions, "--parquet": parquet, "--report": report, "--markdown": markdown}
        spare(
            _read_by(*sources, *(rules or ()), *(against_taxonomy or ()), labels, silences, config, against_config),
            written,
        )
        compares, loaded, pace = asked.given, settings(config), Pace.read(speed)
        source = open_sources(sources, loaded, Said(kind, outlet, date, zone, since, until))
        book = load_rulebook(loaded, rules or ())
        scorer = scorer_of(labels, reference, book)
        if compares and through_kafka:
            raise typer.BadParameter("--through-kafka runs one version: leave out --against, or replay without it")
        router = ChannelRouter(book.routing, silenced := read_silences(silences) if silences else NoSilences())
        deciding = _deciding(Help(jobs, slices, cluster), stack, sources, source, through_kafka, pace)
        deduper: Deduper = deciding.deduper(loaded)
        versus = None
        if compares:
            deduper = leading = Leading(deduper)
            versus = Versus.of(asked, loaded, rules or (), book, leading, report, deciding)
        summary = Summary([rule.name for rule in book.matched.rules])
        consumers: list[Consumer] = [summary, *([scorer] if scorer else []), *_written(stack, decisions, parquet)]
        pages: list[Callable[[About], None]] = [versus.finish] if versus else []
        if report is not None and versus is None:
            page = Report.of(report, book, loaded)
            consumers.append(page.sums)
            pages.append(page.write)
        run = _Run(
            summary, source, pace, silenced=silences is not None, live=through_kafka, of_a_span=bool(since or until)
        )
        if not through_kafka:
            engine = deciding.engine(loaded, book, deduper, router)
            run.order = source.order(run.refuse)
            decider = versus.twin(engine, silenced) if versus else engine
            decided = with_messages(deciding.decisions(run.candidates(), decider, run.order))
        else:
            decided = decisions_through(run.candidates(), loaded, book, router)
        run.go(decided, consumers)
        for finish in pages:
            finish(about(book, sources, run.misgivings()))
        _tell(run, versus, scorer, written, as_json=as_json)
    if run.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if not summary.headlines or (versus is not None and versus.failed):
        raise typer.Exit(Exit.FOUND)


def _deciding(
    help_: Help, stack: ExitStack, sources: Sequence[str], source: Readable, through_kafka: bool, pace: Pace
) -> Deciding:
    """Who decides, this process alone or with others."""
    if through_kafka or pace.speed is not None:
        help_.refuse_with("--through-kafka" if through_kafka else "--speed")
    return help_.deciding(stack, sources, source)


def _written(stack: ExitStack, decisions: Path | None, parquet: Path | None) -> Iterator[Consumer]:
    """What writes every decision to files."""
    if decisions is not None:
        yield Written(stack.enter_context(_opened(decisions)))
    if parquet is not None:
        yield Columns.opened(parquet, stack)


def _tell(
    run: _Run, versus: Versus | None, scorer: Scorer | None, written: Mapping[str, Path | None], *, as_json: bool
) -> None:
    """What came of it, on standard output, and where more stands."""
    if as_json:
        compared = {"comparison": versus.as_dict()} if versus else {}
        print_json(run.as_dict() | compared | ({"score": scorer.as_dict()} if scorer else {}))
    else:
        run.give()
        if versus is not None:
            versus.give()
        if scorer is not None:
            print_score(scorer)
        for file in filter(None, written.values()):
            err.print(f"written: {file}", markup=False)


def _read_by(*given: Path | str | None) -> list[Path]:
    return [Path(one) for one in given if one]


def _opened(file: Path) -> BinaryIO:
    if file.suffix != ".jsonl":
        raise typer.BadParameter(f"--decisions writes JSON lines: name a file that ends in .jsonl, not {file}")
    with writing(file):
        return file.open("wb")


class Written:
    """A consumer that writes each decision as a line of JSON."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def take(self, one: Decided | Message) -> None:
        """Write a decision; what channels would have been sent follows from it, and is counted elsewhere."""
        if isinstance(one, Decided):
            self._file.write(self._encode(one) + b"\n")

    def finish(self) -> None:
        """Bring it to the disk's cache."""
        self._file.flush()


def _keep_quiet(_count: int) -> None:
    """Nobody wants to hear."""


@dataclass(slots=True)
class _Run:
    """One replay, and how it went."""

    summary: Summary
    source: Readable
    pace: Pace
    silenced: bool = False
    live: bool = False
    of_a_span: bool = False
    order: LogOrder | None = None
    unreadable: list[tuple[str, int, str]] = field(default_factory=list)
    unreadable_count: int = 0
    interrupted: bool = False
    seconds: float = 0.0

    def refuse(self, name: str, reading: Unreadable) -> None:
        self.unreadable_count += 1
        if len(self.unreadable) < _SHOWN:
            self.unreadable.append((name, reading.line, reading.reason))

    @property
    def not_simulated(self) -> list[str]:
        return [*([] if self.silenced else ["silences"]), "channels" if self.live else "delivery"]

    def candidates(self) -> Iterator[Candidate]:
        return self.pace.of(self.source.candidates(self.refuse))

    def go(self, decided: Iterator[Decided | Message], consumers: Sequence[Consumer]) -> None:
        """Replay all of it, or until Ctrl-C."""
        began = perf_counter()
        try:
            # What goes through a copy of the pipeline is told while it is sent.
            with nullcontext(_keep_quiet) if self.live else self.pace.shown(self.source.expected) as tell:
                for number, one in enumerate(decided, start=1):
                    for consumer in consumers:
                        consumer.take(one)
                    tell(number)
        except KeyboardInterrupt:
            self.interrupted = True
        self.seconds = perf_counter() - began
        for consumer in consumers:
            consumer.finish()

    def as_dict(self) -> dict[str, Any]:
        summary = self.summary
        return {
            "ok": not self.interrupted and bool(summary.headlines),
            "headlines": summary.headlines,
            "from": summary.first,
            "to": summary.last,
            "decisions": dict(summary.decisions),
            "unreadable": self.unreadable_count,
            "unreadable_shown": [{"file": n, "line": line, "reason": why} for n, line, why in self.unreadable],
            "late": self.source.late,
            "in_log_order": self.order.considered if self.order else 0,
            "alerts": dict(summary.alerts.most_common()),
            "alerts_a_day": round(summary.alerts.total() / summary.span_days, 2),
            "worst_day": summary.worst_day and {"day": summary.worst_day[0], "alerts": summary.worst_day[1]},
            "delay_seconds": {
                "median": round(summary.delays.quantile(0.5)),
                "p95": round(summary.delays.quantile(0.95)),
            },
            "suppressed": dict(summary.suppressed.most_common()),
            "messages": dict(summary.messages.most_common()),
            "silent": summary.silent,
            "held_back_only": summary.held_back_only,
            "seconds": round(self.seconds, 3),
            "not_simulated": self.not_simulated,
        }

    def misgivings(self) -> Misgivings:
        """What kept the replay from being of all headlines, in their order."""
        return Misgivings(self.not_simulated, self.unreadable_count, self.source.late, self.interrupted)

    def give(self) -> None:
        summary = self.summary
        for name, line, reason in self.unreadable:
            err.print(f"{name}:{line}: {reason}" if line else f"{name}: {reason}", markup=False)
        if summary.first is None or summary.last is None:
            out.print(self._nothing_read(), markup=False)
            return
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.decisions.most_common())
        out.print(
            f"{several(summary.headlines, 'headline')} from {_utc(summary.first)} to {_utc(summary.last)}: {kinds}",
            markup=False,
        )
        if self.unreadable_count:
            out.print(f"{self.unreadable_count:,} could not be read", markup=False)
        if self.source.late:
            out.print(f"{several(self.source.late, 'headline')} came too late to be put in order", markup=False)
        out.print(_alerts_in_words(summary), markup=False)
        for rule, count in summary.alerts.most_common():
            out.print(f"  {count:>8,}  {rule}", markup=False)
        for reason, count in summary.suppressed.most_common():
            out.print(f"  {count:>8,}  held back: {reason}", markup=False)
        if summary.silent:
            out.print(f"never fired: {', '.join(summary.silent)}", markup=False)
        if summary.held_back_only:
            out.print(f"held back altogether: {', '.join(summary.held_back_only)}", markup=False)
        out.print(f"not simulated: {', '.join(self.not_simulated)}", markup=False)
        if self.interrupted:
            err.print("interrupted; this is how far it came")

    def _nothing_read(self) -> str:
        among = " of those from --from on and before --to" if self.of_a_span else ""
        if self.unreadable_count:
            return f"no headline was read{among}; {self.unreadable_count:,} could not be"
        return f"no headline was read{among or ': there is none in it'}"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _alerts_in_words(summary: Summary) -> str:
    """How many alerts there were, on which day most, and how soon they came."""
    told = several(summary.alerts.total(), "alert")
    if summary.messages:
        told += f" in {several(summary.messages.total(), 'message')} to channels"
    if summary.worst_day is not None:
        day, count = summary.worst_day
        told += f", {summary.alerts.total() / summary.span_days:,.1f} a day, {count:,} on the worst, {day}"
    if summary.delays.count:
        half, most = (in_words(summary.delays.quantile(share)) for share in (0.5, 0.95))
        told += f"; from the story's first headline to them: median {half}, 95 % {most}"
    return told
