"""``wirewatch ingest``: headlines from a file, a page or standard input onto ``headlines.raw``."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from connectors.interface import Context, Source, SourceError
from connectors.registry import SOURCES, guess
from connectors.standard_input import LetGoError, StandardInput
from connectors.stored import DAMAGED, HEAD, plain
from streams.cli.common import (
    FLAG,
    ConfigOption,
    Exit,
    JsonOption,
    TerminatedError,
    UnreachableError,
    clock,
    ending_on_sigterm,
    err,
    out,
    print_json,
    progress,
    settings,
    told_plainly,
)
from streams.cli.sending import SHOWN, Named, Sent, send
from streams.cli.services import make_topics, reach
from streams.core.document import Problem, RefusedError, nearest
from streams.core.headline import NAME_LIMIT, tidy
from streams.core.records import Headline
from streams.settings import Loaded

#: What stands for standard input.
STDIN = Path("-")
#: As many of the texts that a page has beside what was read are quoted.
_EXAMPLES = 5

OutletOption = Annotated[str | None, typer.Option("--source", help="The name of the outlet, where the input has none.")]
DateOption = Annotated[str | None, typer.Option(help="The day of the newest headline, such as 2026-02-11.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        help="The zone of times that have none, such as Europe/Paris.", show_default="what a page says, or UTC"
    ),
]


def ingest(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] FILE",
            help="Files, or `-` for standard input; before them what they are.",
        ),
    ],
    source: OutletOption = None,
    date: DateOption = None,
    zone: ZoneOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar=FLAG, help="Print the headlines as JSON lines; send nothing.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put headlines onto the pipeline: from a ticker, an article page, a file, or standard input.

    What the input is, is guessed, or said first: ticker, article, jsonl, csv, parquet, lines, or file for a guess. What
    cannot be read goes to headlines.invalid, and is told; then the exit code is 1. What a page has beside the article or
    the ticker that was read, and may be a headline, is told, too.

    Examples:

        wirewatch ingest ticker page.txt --zone Europe/Paris

        wirewatch ingest article story.html

        wirewatch ingest file headlines.jsonl.gz

        tail -f wire.jsonl | wirewatch ingest -
    """
    as_report = as_json and not dry_run
    report = _Report(Sent() if as_report else Sent(tell=_tell_unreadable), as_json=as_report, dry_run=dry_run)
    with told_plainly(as_json=as_json), ending_on_sigterm():
        kind, paths = _kind_and_paths(what)
        context = dataclasses.replace(context_of(source, date, zone), clock=clock)
        inputs = Inputs(kind, paths, context, report.left_out)
        with report.of_a_failure():
            if dry_run:
                _print(inputs, report.sent)
            else:
                _send(settings(config), inputs, report.sent)
    report.give()
    if report.sent.unreadable:
        raise typer.Exit(Exit.FOUND)


def context_of(source: str | None, date: str | None, zone: str | None) -> Context:
    """What the user says of input: its outlet, the day of its newest headline, the zone of its times.

    Raises:
        typer.BadParameter: one of them is none.
    """
    outlet = tidy(source or "", NAME_LIMIT) or None
    return Context(outlet, _date(date), _zone(zone), clock(), None, progress())


def _kind_and_paths(words: Sequence[str]) -> tuple[Source | None, list[Path]]:
    known = {"file": None, **SOURCES}
    kind, rest = (known[words[0]], words[1:]) if words[0] in known else (None, words)
    if not rest:
        raise typer.BadParameter(f"name a file after `{words[0]}`, or `-` for standard input")
    paths = [Path(word) for word in rest]
    problems = [Problem(_name(path), 0, 0, "is no file", "name a file, or `-`") for path in paths if _is_missing(path)]
    unknown = kind is None and len(words) > 1 and problems and problems[0].file == _name(paths[0])
    if unknown and (near := nearest(words[0], known)):
        problems[0] = dataclasses.replace(problems[0], hint=f"did you mean `{near}`?")
    if problems:
        raise RefusedError(problems)
    return kind, paths


def _is_missing(path: Path) -> bool:
    try:
        return path != STDIN and not path.is_file()
    except OSError:
        return False  # it may be there, and why it cannot be read is told when it is opened


def _name(path: Path) -> str:
    """What an input is called; the name of a file need not be text."""
    return "standard input" if path == STDIN else os.fsencode(path).decode("utf-8", "replace")


def _date(text: str | None) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"--date is written like 2026-02-11, not {text!r}") from None
    if day and day.year < 1900:
        raise typer.BadParameter(f"--date lies before 1900: {text}")
    return day


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name is not None else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"--zone is an IANA name such as Europe/Paris, not {name!r}") from None


@dataclass(slots=True)
class LeftOut:
    """The texts that an input has beside what was read from it, and that may be headlines: (line, text)."""

    source: str
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, text: str) -> None:
        """Count one, and keep the first few."""
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append((line, text))


class Inputs:
    """The inputs of one command, one after the other. What they hold beside headlines is told to ``left_out``.

    ``hint`` is how to say what an error proposes, where the command is another than ``ingest``.
    """

    def __init__(
        self,
        kind: Source | None,
        paths: Sequence[Path],
        context: Context,
        left_out: dict[str, LeftOut],
        hint: Callable[[str], str] = str,
    ) -> None:
        self._kind = kind
        self._hint = hint
        self._paths = paths
        self._context = context
        self._left_out = left_out
        self._stopped = False
        self._stdin = StandardInput() if STDIN in paths else None
        self._read_before = 0
        self._file: BinaryIO | None = None

    @property
    def bytes_read(self) -> int:
        """The bytes that were read of files, as they stand on the disk."""
        return self._read_before + (self._file.tell() if self._file else 0)

    def stop(self) -> None:
        """Read no further than standard input has come, or a file has been read."""
        self._stopped = True
        if self._stdin:
            self._stdin.let_go()

    def readings(self) -> Iterator[Named]:
        """The readings of all inputs, with the names of these.

        Raises:
            RefusedError: an input cannot be read; those before it were.
        """
        for path in self._paths:
            name = _name(path)
            try:
                with self._opened(path) as data:
                    for reading in self._read(path, data):
                        yield name, reading
                        if self._stopped and path != STDIN:
                            return
            except LetGoError:
                return
            except SourceError as error:
                problem = Problem(name, error.line or 0, 1, error.message, self._hint(error.hint))
                raise RefusedError([problem]) from None
            except DAMAGED as error:
                raise RefusedError([Problem(name, 0, 0, f"the compressed data are damaged: {error}")]) from None
            except OSError as error:
                raise RefusedError([Problem(name, 0, 0, f"cannot be read: {error.strerror or error}")]) from None

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        if path != STDIN:
            with path.open("rb", buffering=0) as file:
                self._file = file
                try:
                    yield io.BufferedReader(file, HEAD)
                finally:
                    self._file = None
                    self._read_before += path.stat().st_size
        elif sys.stdin is None or self._stdin is None:
            raise SourceError("it is closed")
        else:
            yield io.BufferedReader(self._stdin, HEAD)

    def _read(self, path: Path, data: BinaryIO) -> Iterator[Any]:
        lasts = path == STDIN
        called = "-" if lasts else _name(path)
        source, whole = (self._kind, plain(data)) if self._kind else guess(called, data, lasts=lasts)
        if lasts and not self._kind and source.name == "ticker":
            self._context.note("standard input begins as a ticker does, and is read to its end as one")
        left_out = self._left_out.setdefault(_name(path), LeftOut(source.name))
        yield from source.read(whole, dataclasses.replace(self._context, left_out=left_out.add))


def _print(inputs: Inputs, sent: Sent) -> None:
    for name, reading in inputs.readings():
        if isinstance(reading, Headline):
            sent.headlines += 1
            out.print(msgspec.json.encode(reading).decode(), markup=False)
        else:
            sent.note_unreadable(name, reading.line, reading.reason)


def _send(loaded: Loaded, inputs: Inputs, sent: Sent) -> None:
    """Send it all. The first Ctrl-C ends the reading, and what was read is confirmed; a second one ends that, too.

    Raises:
        RefusedError, UnreachableError, KeyboardInterrupt: what came between; ``sent`` tells how far it was.
    """
    interrupt = _Interrupt(inputs.stop)
    try:
        asyncio.run(_send_until(interrupt, loaded, inputs, sent))
    except asyncio.CancelledError:
        assert interrupt.error, "nothing else cancels the task"
    if interrupt.error:
        raise interrupt.error


class _Interrupt:
    """Hears of Ctrl-C and SIGTERM. ``error`` is what it comes to in the end."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.error: KeyboardInterrupt | None = None
        self._stop = stop
        self._gentle = False

    def listen(self) -> None:
        """From now on, the running task is cancelled by either of them."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number, error in (signal.SIGINT, KeyboardInterrupt()), (signal.SIGTERM, TerminatedError()):
            loop.add_signal_handler(number, self._came, error, task)

    def be_gentle(self) -> None:
        """From now on, the first one only ends the reading."""
        self._gentle = True

    def _came(self, error: KeyboardInterrupt, task: asyncio.Task[Any]) -> None:
        self.error = error
        if self._gentle:
            self._gentle = False
            self._stop()
            progress()("waiting for what was read to be confirmed; again to give up")
        else:
            task.cancel()


async def _send_until(interrupt: _Interrupt, loaded: Loaded, inputs: Inputs, sent: Sent) -> None:
    interrupt.listen()
    where = await reach(loaded, patience=10.0, redis=False)  # a headline is safe on its topic, whatever Redis does
    topics = await make_topics(loaded, where)
    interrupt.be_gentle()
    await send(where.kafka, topics, inputs.readings(), sent)


def _tell_unreadable(number: int, name: str, line: int, reason: str) -> None:
    if number <= SHOWN:
        err.print(f"{name}:{line}: {reason}" if line else f"{name}: {reason}", markup=False)
    elif number == SHOWN + 1:
        err.print("more that cannot be read is only counted", markup=False)


@dataclass(slots=True)
class _Report:
    """What is told in the end, however it comes; but for what cannot be read, which was told as it came."""

    sent: Sent
    as_json: bool
    dry_run: bool
    left_out: dict[str, LeftOut] = field(default_factory=dict)

    @contextlib.contextmanager
    def of_a_failure(self) -> Iterator[None]:
        """Tell how far it came before what it failed of, so that the user knows where to go on."""
        try:
            yield
        except RefusedError as error:
            self._failed(Exit.REFUSED, {"problems": [problem.as_dict() for problem in error.problems]})
            raise
        except UnreachableError as error:
            self._failed(Exit.UNREACHABLE, {"error": error.message, "hint": error.hint})
            raise
        except KeyboardInterrupt as error:
            ending = Exit.TERMINATED if isinstance(error, TerminatedError) else Exit.INTERRUPTED
            self._failed(ending, {"error": "interrupted"})
            raise

    def _failed(self, ending: Exit, why: dict[str, Any]) -> None:
        if self.as_json:
            print_json({"ok": False, **self._result(), **why})
            raise typer.Exit(ending) from None
        if self.sent.headlines or self.sent.unconfirmed or self.sent.unreadable:
            self.give()

    def give(self) -> None:
        """Print it."""
        if self.as_json:
            print_json({"ok": not self.sent.unreadable, **self._result()})
            return
        for name, left in self.left_out.items():
            if left.count:
                err.print(f"{name}: {_texts(left.count)} beside the {left.source} and may be headlines:", markup=False)
                for line, text in left.examples:
                    err.print(f"    {line}: {text}", markup=False, style="dim")
        err.print(self._in_a_line(), markup=False)

    def _in_a_line(self) -> str:
        done = "read" if self.dry_run else "sent to headlines.raw"
        line = f"{_headlines(self.sent.headlines)} {done}"
        if self.sent.unreadable:
            line += f", {self.sent.unreadable:,} unreadable" + ("" if self.dry_run else ", kept on headlines.invalid")
        if self.sent.unconfirmed:
            line += f"; not known of {_headlines(self.sent.unconfirmed)} more, which Kafka did not confirm"
            if self.sent.last:
                name, headline = self.sent.last
                line += f". The last that it did, of {name}, is: {headline}"
        return line

    def _result(self) -> dict[str, Any]:
        return {
            "headlines": self.sent.headlines,
            "unconfirmed": self.sent.unconfirmed,
            "unreadable": [{"file": name, "line": line, "reason": why} for name, line, why in self.sent.shown],
            "unreadable_count": self.sent.unreadable,
            "left_out": [
                {
                    "file": name,
                    "count": left.count,
                    "examples": [{"line": line, "text": text} for line, text in left.examples],
                }
                for name, left in self.left_out.items()
                if left.count
            ],
        }


def _headlines(number: int) -> str:
    return f"{number:,} headline{'s' if number != 1 else ''}"


def _texts(number: int) -> str:
    return f"{number:,} texts were left out that stand" if number != 1 else "a text was left out that stands"
