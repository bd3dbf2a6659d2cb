"""What `wirewatch replay` and its like read: files, folders, standard input, and the topics of a live cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import typer

from connectors import embedded
from connectors.interface import Context, Source, SourceError, Unreadable
from connectors.registry import SOURCES, guess
from streams.backtest.order import LogOrder
from streams.backtest.replay import AsDecided, InOrder
from streams.cli.common import UnreachableError, clock, progress
from streams.cli.ingest import STDIN, Inputs, LeftOut, context_of
from streams.core.dedupe import Candidate, milliseconds
from streams.core.document import Problem, RefusedError
from streams.core.headline import UnreadableError, nearest_time, read_time, received_at
from streams.core.pipeline import candidate_of, read
from streams.core.records import Classified, Correlated, Dropped, Unique
from streams.settings import Loaded

#: What a source in Kafka begins with.
KAFKA = "kafka:"
#: The topics that hold headlines that have been decided on, and what a record of each is.
_DECIDED: dict[str, type[Unique | Dropped | Classified]] = {
    "headlines.unique": Unique,
    "headlines.dropped": Dropped,
    "headlines.classified": Classified,
}
#: The topic that tells in which order rules that remember saw them.
_ORDER = "headlines.correlated"
#: How the hints of sources say what to type.
_SAY_WHAT = re.compile(rf"wirewatch ingest ({'|'.join(SOURCES)}) ([^`]+)")
_NO_HEADLINES = ("headlines.invalid", _ORDER, "alerts", "deliveries", "deliveries.dead")
#: So much earlier than a headline, by the clock of another worker, may be told where it stands.
_CLOCKS_DIFFER = timedelta(hours=1)

T = TypeVar("T")

Refuse = Callable[[str, Unreadable], None]


class Readable(Protocol):
    """Recorded headlines. ``late`` could not be put in order."""

    @property
    def late(self) -> int: ...

    def candidates(self, refuse: Refuse) -> Iterator[Candidate]:
        """The headlines in the order in which they are to be replayed; ``refuse`` hears of what cannot be read."""
        ...

    def tell(self, listener: Callable[[Candidate], None]) -> None:
        """Let ``listener`` hear of each headline as it is read, where it is put in order by its time after that."""
        ...

    def expected(self) -> int | None:
        """About how many headlines there are, by what has been read of them so far; None where nobody knows."""
        ...

    def order(self, refuse: Refuse) -> LogOrder | None:
        """The order in which live workers' rules that remember saw these headlines, where that was recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What the user says of the sources, each as it was written or None: what they are, and what of them is meant.

    ``kind``, ``outlet``, ``date`` and ``zone`` are for files, as `ingest` has them. ``since`` and ``until`` are of a file by
    when a headline was published, of a topic by when Kafka received it.
    """

    kind: str | None = None
    outlet: str | None = None
    date: str | None = None
    zone: str | None = None
    since: str | None = None
    until: str | None = None

    def source(self) -> Source | None:
        """The kind of the files, None for a guess.

        Raises:
            typer.BadParameter: there is no such kind.
        """
        if self.kind is not None and self.kind not in SOURCES:
            raise typer.BadParameter(f"--as is one of {', '.join(SOURCES)}, not {self.kind!r}")
        return SOURCES[self.kind] if self.kind is not None else None

    def span(self) -> tuple[datetime | None, datetime | None]:
        """From when on, and before when, aware; None without such an end.

        Raises:
            typer.BadParameter: one is no time.
        """
        return _moment("--from", self.since), _moment("--to", self.until)

    @property
    def of_files(self) -> list[str]:
        """The options that topics have no use for."""
        given = {"--as": self.kind, "--source": self.outlet, "--date": self.date, "--zone": self.zone}
        return [option for option, value in given.items() if value is not None]


def open_sources(sources: Sequence[str], loaded: Loaded, said: Said) -> Readable:
    """What the sources of a command hold.

    Raises:
        RefusedError: one is not there.
        typer.BadParameter: they do not go together.
    """
    topics = [source.removeprefix(KAFKA) for source in sources if source.startswith(KAFKA)]
    if not topics:
        kind, span, context = said.source(), said.span(), context_of(said.outlet, said.date, said.zone)
        return Files(files_of([Path(source) for source in sources], kind), kind, context, span)
    if len(topics) < len(sources):
        raise typer.BadParameter("files and topics are not replayed together")
    if said.of_files:
        raise typer.BadParameter(f"{', '.join(said.of_files)}: for files; what a topic holds says so itself")
    return Topics(topics, loaded, *said.span())


def _moment(option: str, text: str | None) -> datetime | None:
    try:
        return read_time(text, UTC) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r} {error}") from None


def files_of(sources: Sequence[Path], kind: Source | None = None) -> list[Path]:
    """The files; those of a folder by name, without hidden and empty ones. Standard input is one, too. Without a ``kind``,
    theirs is guessed.

    Raises:
        RefusedError: a source is not there, or no source reads what is in it.
    """
    found: list[Path] = []
    problems: list[Problem] = []
    for source in sources:
        if source == STDIN:
            found.append(source)
            continue
        below = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith(".") and p.stat().st_size)
        files = below if source.is_dir() else [source] if source.is_file() else []
        if not files:
            what = "holds no files" if source.is_dir() else "is no file and no folder"
            problems.append(Problem(str(source), 0, 0, what, "name recorded headlines"))
        problems += filter(None, (_unfit(file, kind) for file in files))
        found += files
    if problems:
        raise RefusedError(problems)
    return found


def _unfit(file: Path, kind: Source | None) -> Problem | None:
    """Why a file cannot be read, as its beginning tells: better to hear of it now than after the hundred before it."""
    name = str(file)
    try:
        with file.open("rb") as data:
            if kind is None:
                guess(name, data)
    except SourceError as error:
        return Problem(name, error.line or 0, 1, error.message, _as_here(error.hint))
    except OSError as error:
        return Problem(name, 0, 0, f"cannot be read: {error.strerror or error}")
    return None


def _as_here(hint: str) -> str:
    """What a source proposes to type, as it is typed for a replay."""
    return _SAY_WHAT.sub(r"wirewatch replay \2 --as \1", hint)


class Files:
    """Files of headlines, in the order of event time; their own time stands in for when Kafka would have received them.

    With a ``span`` only headlines that were published from its beginning on and before its end are given.
    """

    def __init__(
        self,
        files: Sequence[Path],
        kind: Source | None = None,
        context: Context | None = None,
        span: tuple[datetime | None, datetime | None] = (None, None),
    ) -> None:
        self._files = files
        self._kind, self._span = kind, span
        self._size = None if STDIN in files else sum(file.stat().st_size for file in files)
        self._order = InOrder()
        self._context = context or Context(None, None, None, clock(), None, progress())
        self._done = 0
        self._inputs: Inputs | None = None
        self._read = 0

    @property
    def late(self) -> int:
        return self._order.late

    def tell(self, listener: Callable[[Candidate], None]) -> None:
        """Let ``listener`` hear of each headline as it is read."""
        self._order.listener = listener

    def candidates(self, refuse: Refuse) -> Iterator[Candidate]:
        """The headlines of the files."""
        return self._order.of(self._unordered(refuse))

    def _unordered(self, refuse: Refuse) -> Iterator[Candidate]:
        for file in self._files:
            inputs = self._inputs = Inputs(self._kind, [file], self._context, dict[str, LeftOut](), _as_here)
            before = self._read
            try:
                yield from self._of_a_file(inputs, refuse)
            except RefusedError as error:
                if self._read == before:
                    raise
                # It is damaged further on: what came before it counts, and the next file.
                for problem in error.problems:
                    refuse(problem.file, Unreadable(problem.line, problem.message, b""))
            self._done, self._inputs = self._done + inputs.bytes_read, None

    def _of_a_file(self, inputs: Inputs, refuse: Refuse) -> Iterator[Candidate]:
        for name, reading in inputs.readings():
            if isinstance(reading, Unreadable):
                refuse(name, reading)
                continue
            since, until = self._span
            if (since and reading.published < since) or (until and reading.published >= until):
                continue
            place = f"replay:0:{self._read}"
            self._read += 1
            yield candidate_of(reading, id=place, position=place, received=reading.published)

    def expected(self) -> int | None:
        """By the bytes that were read, those of what is compressed as they stand on the disk."""
        read = self._done + (self._inputs.bytes_read if self._inputs else 0)
        return round(self._read * self._size / read) if self._size and read else None

    def order(self, _refuse: Refuse) -> None:
        """There is one order."""


class Topics:
    """Topics of the settings' Kafka: raw headlines in the order of event time, decided ones in that of their decisions."""

    def __init__(self, topics: Sequence[str], loaded: Loaded, since: datetime | None, until: datetime | None) -> None:
        prefix = loaded.settings.kafka.topic_prefix
        names = [topic.removeprefix(prefix) for topic in topics]
        known = {*_DECIDED, *_NO_HEADLINES, "headlines.raw"}
        if unfit := [name for name in names if name in _NO_HEADLINES]:
            raise typer.BadParameter(f"the topic {unfit[0]} holds no headlines: name headlines.raw")
        self._kinds = {prefix + name: kind for name, kind in _DECIDED.items() if name in names}
        if self._kinds and len(self._kinds) < len(set(names)):
            raise typer.BadParameter(f"{', '.join(_DECIDED)} hold what was decided, and are not replayed with others")
        self._order, self._as_decided = InOrder(), AsDecided()
        from connectors.recorded import Recording  # noqa: PLC0415 - whoever replays files needs no Kafka

        whole = [prefix + name if name in known else topic for name, topic in zip(names, topics, strict=True)]
        self._client, self._until = _client(loaded), until
        self._recording = Recording(self._client, list(dict.fromkeys(whole)), since, until)
        self._order_topic = prefix + _ORDER
        self._first: datetime | None = None

    @property
    def late(self) -> int:
        return self._order.late + self._as_decided.late

    def tell(self, listener: Callable[[Candidate], None]) -> None:
        """Let ``listener`` hear of each headline as it is read."""
        self._order.listener = listener

    def candidates(self, refuse: Refuse) -> Iterator[Candidate]:
        """The headlines of the topics."""
        if self._kinds:
            return self._as_decided.of(self._decided(refuse))
        return self._order.of(self._raw(refuse))

    def _raw(self, refuse: Refuse) -> Iterator[Candidate]:
        for record in _records(self._recording):
            try:
                received = received_at(record.timestamp)
                yield read(record.value, id=record.id, position=record.position, received=received)
            except UnreadableError as error:
                refuse(record.position, Unreadable(0, str(error), record.value))

    def _decided(self, refuse: Refuse) -> Iterator[Unique | Dropped | Classified]:
        decoders = {topic: msgspec.json.Decoder(kind) for topic, kind in self._kinds.items()}
        for record in _records(self._recording):
            self._first = self._first or nearest_time(record.timestamp)
            yield from _decoded(record, decoders[record.topic], refuse)

    def expected(self) -> int | None:
        """The records between the offsets, once they are known."""
        return self._recording.total or None

    def order(self, refuse: Refuse) -> LogOrder | None:
        """Of headlines that were decided on, that of the log."""
        if not self._kinds:
            return None
        until = milliseconds(self._until) if self._until is not None else None
        return LogOrder(self._correlated(refuse), until=until)

    def _correlated(self, refuse: Refuse) -> Iterator[Correlated]:
        """What was recorded of the order, from the first headline on; nothing by workers of before."""
        from connectors.recorded import Recording  # noqa: PLC0415 - whoever replays files needs no Kafka

        since = self._first - _CLOCKS_DIFFER if self._first is not None else None
        decoder = msgspec.json.Decoder(Correlated)
        for record in _records(Recording(self._client, [self._order_topic], since), may_be_missing=True):
            yield from _decoded(record, decoder, refuse)


def _decoded(record: Any, decoder: msgspec.json.Decoder[T], refuse: Refuse) -> Iterator[T]:
    """What a record of ours holds; ``refuse`` hears of one that is none."""
    try:
        decoded = decoder.decode(record.value)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
        refuse(record.position, Unreadable(0, f"not a record of {record.topic}: {error}", record.value))
    else:
        yield decoded


def _records(recording: Any, *, may_be_missing: bool = False) -> Iterator[Any]:
    """The records of topics of Kafka."""
    from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError  # noqa: PLC0415 - as above

    try:
        yield from recording.records()
    except (KafkaError, OSError) as error:
        if may_be_missing and isinstance(error, UnknownTopicOrPartitionError):
            return
        raise UnreachableError(f"Kafka cannot be read: {error}", "`wirewatch doctor` shows more") from None


def _client(loaded: Loaded) -> dict[str, Any]:
    """The connection to the Kafka of the settings, or to the embedded one that `wirewatch up` runs."""
    servers, data_dir = loaded.settings.kafka.bootstrap_servers, loaded.path(loaded.settings.data_dir).absolute()
    if servers is None and (running := embedded.find(data_dir)):
        servers = running.bootstrap_servers
    if servers is None:
        raise UnreachableError(
            f"no Kafka is running for {data_dir}", "start it with `wirewatch up`, or set kafka.bootstrap_servers"
        )
    return loaded.kafka_client(servers)
