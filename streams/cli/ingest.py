"""``wirewatch ingest``: headlines from a file, a page or standard input onto ``headlines.raw``."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import queue
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from connectors.compressed import DAMAGED, plain
from connectors.interface import Context, Reading, Source, SourceError
from connectors.registry import SOURCES, guess
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    err,
    out,
    print_json,
    progress,
    settings,
    told_plainly,
)
from streams.cli.services import Addresses, reach
from streams.core.document import Problem, RefusedError
from streams.core.records import Headline, Invalid
from streams.settings import Loaded
from streams.worker.topics import Topics, create_topics

T = TypeVar("T")
#: As much is kept of what cannot be read, bytes; so the record of it stays below Kafka's limit.
KEPT = 64_000
_STDIN = Path("-")
#: Headlines that may be on their way to the broker, unconfirmed.
_IN_FLIGHT = 2_000


@dataclass(slots=True)
class Sent:
    """What came of an ingestion."""

    headlines: int = 0
    unreadable: list[tuple[str, int, str]] = field(default_factory=list)


def ingest(
    what: Annotated[
        list[str],
        typer.Argument(help="Files, or `-` for standard input; before them a source's name, to say what they are."),
    ],
    source: Annotated[str | None, typer.Option(help="The name of the outlet, where the input has none.")] = None,
    date: Annotated[str | None, typer.Option(help="The day of the newest headline, such as 2026-02-11.")] = None,
    zone: Annotated[str, typer.Option(help="The zone of times that have none, such as Europe/Paris.")] = "UTC",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the headlines as JSON lines; send nothing.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put headlines onto the pipeline: from a ticker, an article page, a file, or standard input.

    What the input is, is guessed, or said first: ticker, article, jsonl, lines, or file for a guess. What cannot be
    read goes to headlines.invalid, and is told; then the exit code is 1.

    Examples:

        wirewatch ingest ticker page.txt --zone Europe/Paris

        wirewatch ingest article story.html

        wirewatch ingest file headlines.jsonl.gz

        tail -f wire.jsonl | wirewatch ingest -
    """
    with told_plainly(as_json=as_json):
        kind, paths = _kind_and_paths(what)
        context = Context(source=source, date=_date(date), zone=_zone(zone), now=clock(), clock=clock, note=progress())
        sent = _print(kind, paths, context) if dry_run else asyncio.run(_send(settings(config), kind, paths, context))
    _report(sent, as_json=as_json, dry_run=dry_run)
    if sent.unreadable:
        raise typer.Exit(Exit.FOUND)


def _kind_and_paths(words: Sequence[str]) -> tuple[Source | None, list[Path]]:
    known = {"file": None, **SOURCES}
    kind, rest = (known[words[0]], words[1:]) if words[0] in known else (None, words)
    if not rest:
        raise typer.BadParameter(f"name a file after `{words[0]}`, or `-` for standard input")
    paths = [Path(word) for word in rest]
    missing = [path for path in paths if path != _STDIN and not path.is_file()]
    if missing:
        raise RefusedError([Problem(str(path), 0, 0, "is no file", "name a file, or `-`") for path in missing])
    return kind, paths


def _date(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"--date is written like 2026-02-11, not {text!r}") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"--zone is an IANA name such as Europe/Paris, not {name!r}") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise RefusedError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None


def _readings(kind: Source | None, paths: Sequence[Path], context: Context) -> Iterator[tuple[str, Reading]]:
    for path in paths:
        with _opened(path) as file:
            name = "standard input" if path == _STDIN else str(path)
            try:
                found, whole = (kind, plain(file)) if kind else guess(name, file)
                for reading in found.read(whole, context):
                    yield name, reading
            except SourceError as error:
                raise RefusedError([Problem(name, error.line or 0, 1, error.message, error.hint)]) from None
            except DAMAGED as error:
                raise RefusedError([Problem(name, 0, 0, f"the compressed data are damaged: {error}")]) from None


def _print(kind: Source | None, paths: Sequence[Path], context: Context) -> Sent:
    sent = Sent()
    for name, reading in _readings(kind, paths, context):
        if isinstance(reading, Headline):
            sent.headlines += 1
            out.print(msgspec.json.encode(reading).decode(), markup=False)
        else:
            sent.unreadable.append((name, reading.line, reading.reason))
    return sent


async def _send(loaded: Loaded, kind: Source | None, paths: Sequence[Path], context: Context) -> Sent:
    where = await reach(loaded, patience=10.0)
    kafka = loaded.settings.kafka
    topics = Topics(kafka.topic_prefix)
    await create_topics(where.kafka, topics, partitions=kafka.partitions, replication=kafka.replication)
    return await send(where, topics, _readings(kind, paths, context))


async def send(where: Addresses, topics: Topics, readings: Iterator[tuple[str, Reading]]) -> Sent:
    """Publish readings, and return once the broker has confirmed every one. On Ctrl-C, what was read is confirmed."""
    sent = Sent()
    producer = AIOKafkaProducer(**where.kafka, acks="all", enable_idempotence=True, linger_ms=2)
    await producer.start()
    on_their_way: set[asyncio.Future[Any]] = set()
    try:
        with _spinner() as tell:
            async for name, reading in _as_they_come(readings):
                on_their_way.add(await _publish(producer, topics, name, reading))
                if isinstance(reading, Headline):
                    sent.headlines += 1
                else:
                    sent.unreadable.append((name, reading.line, reading.reason))
                if len(on_their_way) >= _IN_FLIGHT:
                    done, on_their_way = await asyncio.wait(on_their_way, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.gather(*done)  # raises what the broker refused
                tell(sent.headlines)
        await asyncio.gather(*on_their_way)
    except KafkaError as error:
        message = f"Kafka did not take every headline: {error!r}"
        raise UnreachableError(message, "what was taken is deduplicated: ingest the same input again") from None
    finally:
        await asyncio.gather(*on_their_way, return_exceptions=True)
        await producer.stop()
    return sent


async def _as_they_come(readings: Iterator[T]) -> AsyncIterator[T]:
    """The readings, read in a thread of their own, because standard input may be silent for hours."""
    feed: queue.Queue[T | Exception | None] = queue.Queue(maxsize=_IN_FLIGHT)

    def read() -> None:
        try:
            for reading in readings:
                feed.put(reading)
            feed.put(None)
        except Exception as error:  # noqa: BLE001 - raised again on the other side
            feed.put(error)

    threading.Thread(target=read, daemon=True, name="reading").start()
    while True:
        try:
            item = feed.get_nowait()
        except queue.Empty:
            item = await asyncio.to_thread(feed.get)
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item


async def _publish(producer: AIOKafkaProducer, topics: Topics, name: str, reading: Reading) -> asyncio.Future[Any]:
    if isinstance(reading, Headline):
        sending: asyncio.Future[Any] = await producer.send(
            topics.raw,
            msgspec.json.encode(reading),
            key=reading.source.encode(),
            headers=[("id", str(uuid.uuid4()).encode())],
        )
        return sending
    invalid = Invalid(
        position=f"{name}:{reading.line}",
        received=clock(),
        stage="ingest",
        reason=reading.reason,
        original=reading.original[:KEPT],
    )
    refusing: asyncio.Future[Any] = await producer.send(topics.invalid, msgspec.json.encode(invalid))
    return refusing


@contextlib.contextmanager
def _spinner() -> Iterator[Any]:
    """Says how many headlines were sent, on a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} headlines"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda count: bar.update(task, completed=count)


def _report(sent: Sent, *, as_json: bool, dry_run: bool) -> None:
    if as_json and not dry_run:
        unreadable = [{"file": f, "line": n, "reason": reason} for f, n, reason in sent.unreadable]
        print_json({"ok": not unreadable, "headlines": sent.headlines, "unreadable": unreadable})
        return
    for name, line, reason in sent.unreadable:
        err.print(f"{name}:{line}: {reason}", markup=False)
    done = "read" if dry_run else "sent to headlines.raw"
    told = f"{sent.headlines} headline{'s' if sent.headlines != 1 else ''} {done}"
    more = f", {len(sent.unreadable)} unreadable, kept on headlines.invalid" if sent.unreadable else ""
    err.print(told + more)
