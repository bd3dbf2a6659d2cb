"""``wirewatch replay``: what these rules would have done with recorded headlines. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from alerts.route import ChannelRouter, NoSilences
from connectors.interface import Unreadable
from streams.backtest.decided import Decided, Message
from streams.backtest.replay import Consumer, Summary
from streams.backtest.replay import replay as decisions_of
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    err,
    out,
    print_json,
    settings,
    several,
    told_plainly,
)
from streams.cli.pace import Pace
from streams.cli.plan import deduper_of, load_rulebook, read_silences
from streams.cli.reading import Readable, open_sources
from streams.cli.scored import print_score, scorer_of
from streams.cli.through import decisions_through
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate
from streams.core.match import Matcher
from streams.core.pipeline import Engine

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
        str | None, typer.Option("--from", metavar="TIME", help="Of a topic, what Kafka received from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Of a topic, what Kafka received before then.")
    ] = None,
    speed: Annotated[
        str, typer.Option(metavar="SPEED", help="max, 1 for real time, or so many times as fast, such as 60.")
    ] = "max",
    through_kafka: Annotated[
        bool, typer.Option("--through-kafka", help="Through a copy of the pipeline on the settings' Kafka and Redis.")
    ] = False,
    silences: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Silences, as `silence list --all --json` prints them.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="What should have alerted, to score the alerts by.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="OUTLET", help="A source: how long before it told a story the alert came.")
    ] = None,
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

        wirewatch replay last-quarter.csv --labels labels.jsonl --reference reuters.com

        wirewatch replay yesterday.jsonl --through-kafka --speed 60
    """
    with told_plainly(as_json=as_json), ExitStack() as stack:
        loaded, pace = settings(config), Pace.read(speed)
        source, scorer = open_sources(sources, loaded, since, until), scorer_of(labels, reference)
        book = load_rulebook(loaded, rules or ())
        router = ChannelRouter(book.routing, read_silences(silences) if silences else NoSilences())
        summary = Summary([rule.name for rule in book.matched.rules])
        consumers: list[Consumer] = [summary]
        if scorer is not None:
            consumers.append(scorer)
        if decisions is not None:
            consumers.append(Written(stack.enter_context(_opened(decisions))))
        run = _Run(summary, source, pace, silenced=silences is not None)
        if through_kafka:
            run.live = True
            run.go(decisions_through(run.candidates(), loaded, book, router), consumers)
        else:
            engine = Engine(Matcher(book.matched), Classifier(book.taxonomy), deduper_of(loaded)(), router)
            run.go(decisions_of(run.candidates(), engine), consumers)
        if as_json:
            print_json(run.as_dict() | ({"score": scorer.as_dict()} if scorer else {}))
        else:
            run.give()
            if scorer is not None:
                print_score(scorer)
    if run.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)


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
        return [*([] if self.silenced else ["silences"]), *(["channels"] if self.live else ["groups", "delivery"])]

    def candidates(self) -> Iterator[Candidate]:
        return self.pace.of(self.source.candidates(self.refuse))

    def go(self, decided: Iterator[Decided], consumers: Sequence[Consumer]) -> None:
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
            "ok": not self.interrupted,
            "headlines": summary.headlines,
            "from": summary.first,
            "to": summary.last,
            "decisions": dict(summary.decisions),
            "unreadable": self.unreadable_count,
            "unreadable_shown": [{"file": n, "line": line, "reason": why} for n, line, why in self.unreadable],
            "late": self.source.late,
            "alerts": dict(summary.alerts.most_common()),
            "suppressed": dict(summary.suppressed.most_common()),
            "silent": summary.silent,
            "seconds": round(self.seconds, 3),
            "not_simulated": self.not_simulated,
        }

    def give(self) -> None:
        summary = self.summary
        for name, line, reason in self.unreadable:
            err.print(f"{name}:{line}: {reason}" if line else f"{name}: {reason}", markup=False)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.decisions.most_common())
        out.print(
            f"{several(summary.headlines, 'headline')} from {summary.first} to {summary.last}: {kinds}", markup=False
        )
        if self.unreadable_count:
            out.print(f"{self.unreadable_count:,} could not be read", markup=False)
        if self.source.late:
            out.print(f"{several(self.source.late, 'headline')} came too late to be put in order", markup=False)
        out.print(f"{several(summary.alerts.total(), 'alert')}", markup=False)
        for rule, count in summary.alerts.most_common():
            out.print(f"  {count:>8,}  {rule}", markup=False)
        for reason, count in summary.suppressed.most_common():
            out.print(f"  {count:>8,}  held back: {reason}", markup=False)
        if summary.silent:
            out.print(f"never fired: {', '.join(summary.silent)}", markup=False)
        out.print(f"not simulated: {', '.join(self.not_simulated)}", markup=False)
        if self.interrupted:
            err.print("interrupted; this is how far it came")
