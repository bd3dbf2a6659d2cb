"""The whole pipeline on embedded Kafka and Redis: throughput, latency and memory of a worker in its own process.

*Throughput.* The stream stands in ``headlines.raw``, spread evenly over four partitions, before the worker starts. Time
runs from the first decision that it publishes to the last record of ``headlines.classified`` and ``alerts``; the start
of the process is no part of it, delivery goes on beside it. There are 100 rules of all kinds, the taxonomy that comes
along, and one signed webhook. The peers read the same topic in the same round and do nothing with it. Quix Streams and
Bytewax run where the interpreter in ``BENCH_PEERS_PYTHON`` (else our own) has them.

*Latency.* From the producer's call to the webhook's receipt, by the clock of one machine, at a steady rate and after a
warm-up. The peer is one Kafka hop, from ``send`` to ``getmany``, at the same rate.

*Memory.* The resident set of the worker, over a million headlines.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from alerts.receiver import Received, Receiver
from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from connectors import embedded
from connectors.embedded.process import Process, choose_port
from streams.cli.up import worker_process
from streams.core.records import Alert, Headline
from streams.core.text import tokenize
from streams.worker.clients import admin_client, reader
from streams.worker.history import partitions_of
from streams.worker.topics import Topics, create_topics

ROUNDS = 3
PARTITIONS = 4
RULES = 100
#: Seconds after which a run that has not come to its end is given up.
PATIENCE = 900.0

#: Headlines a second, seconds, and one headline of how many that fires a rule.
LATENCIES = ((10, 20, 1), (100, 15, 1), (1_000, 10, 10))
WARM_UP = 2.0
#: The word by which a headline fires a rule when latency is measured; no other rule has it.
MARKER = "zzalarm"

MEMORY_AT = (100_000, 500_000, 1_000_000)

PEERS = Path(__file__).parent / "peers"
_SECRET = "whsec_" + "d2lyZXdhdGNoLWJlbmNobWFyay1zZWNyZXQ="
_BATCH = 900_000
_FORMS = (
    '{a} AND ({b} OR {c} OR "{d} {a}")',
    '"{a} {b}" OR {c}',
    "{a} AND {b}* AND NOT {c}",
    '"{a} {b}"~5 OR ({c} AND {d})',
    "topic:(iran OR russia_energy) AND ({a} OR {b}*)",
    "source:{source} AND ({a} OR {b} OR {c})",
    "topic:tech_deals AND {a}",
    "({a} OR {b}) AND ({c} OR {d}*)",
)
#: Few rules need one, and those cost most.
_REGEX = "/{a}(s|ed|ing)?/ AND NOT {b}"
_REGEX_EVERY = 30
_REMEMBERS_EVERY = 5


@dataclass(frozen=True, slots=True)
class Bed:
    """What the runs share: Kafka, Redis, a receiver of webhooks, and a folder."""

    services: embedded.Services
    receiver: Receiver
    folder: Path

    @property
    def servers(self) -> str:
        """Where Kafka is."""
        return self.services.bootstrap_servers


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder with topics of its own."""

    file: Path
    topics: Topics
    group: str


def run() -> Iterator[Row]:
    """Throughput, latency and memory."""
    with laid() as bed:
        yield from throughput(bed)
        yield from latency(bed)
        yield from memory(bed)


@contextmanager
def laid() -> Iterator[Bed]:
    """A bed with nothing in it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that are made this moment have no leader yet
    with (
        tempfile.TemporaryDirectory(prefix="wirewatch-bench-") as folder,
        embedded.start(Path(folder), kafka_port=_free_port(), redis_port=_free_port()) as services,
        Receiver(secret=_SECRET) as receiver,
    ):
        yield Bed(services, receiver, Path(folder))


def _free_port() -> int:
    """Not the usual port, where others look for their own Kafka."""
    return choose_port(None, [], service="the benchmark")


# Throughput


def throughput(bed: Bed) -> list[Row]:
    """One worker beside its peers, and two workers, and rules that remember, beside one; the median of the rounds."""
    stream = headlines()
    one, two, told, remembering = [], [], [], []
    peers: dict[str, list[float]] = {title: [] for title in _peers()}
    for number in range(ROUNDS):
        project = make_project(bed, f"one{number}", stream)
        asyncio.run(fill(bed, project, stream))
        one.append(asyncio.run(pipeline_rate(bed, project, 1, len(stream))))
        for title, command in _peers().items():
            peers[title].append(peer_rate([*command, bed.servers, project.topics.raw, str(len(stream))]))
        project = make_project(bed, f"two{number}", stream)
        asyncio.run(fill(bed, project, stream))
        two.append(asyncio.run(pipeline_rate(bed, project, 2, len(stream))))
        project = make_project(bed, f"stories{number}", stream, stories=True)
        asyncio.run(fill(bed, project, stream))
        told.append(asyncio.run(pipeline_rate(bed, project, 1, len(stream))))
        project = make_project(bed, f"remembering{number}", stream, remembering=True)
        asyncio.run(fill(bed, project, stream))
        remembering.append(asyncio.run(pipeline_rate(bed, project, 1, len(stream))))
    ours = statistics.median(one)
    by_story, both = statistics.median(told), statistics.median(two)
    exact = f"whole pipeline, one worker, {RULES} rules, {name()}, exact repeats only"
    stories = exact.replace("exact repeats only", "by story")
    rows = [
        row(what, rate, "headlines/s", peer=statistics.median(rates), peer_name=title)
        for what, rate in ((exact, ours), (stories, by_story))
        for title, rates in peers.items()
    ]
    rows += [row(exact, ours, "headlines/s", peer_name=missing) for missing in _missing()]
    noted = statistics.median(remembering)
    every = f"whole pipeline, one worker, exact, every {_REMEMBERS_EVERY}th rule remembers"
    return [
        *rows,
        row("whole pipeline, two workers, exact", both, "headlines/s", peer=ours, peer_name="one worker"),
        row(every, noted, "headlines/s", peer=ours, peer_name="one worker, no rule remembers"),
    ]


def _peers() -> dict[str, list[str]]:
    """The peers that can run, by name, each with its command."""
    ours, theirs = sys.executable, os.environ.get("BENCH_PEERS_PYTHON", sys.executable)
    found = {
        "stock Faust, doing nothing": [ours, str(PEERS / "stock_faust.py")],
        "plain aiokafka, doing nothing": [ours, str(PEERS / "plain_aiokafka.py")],
    }
    if _has(theirs, "quixstreams"):
        found["Quix Streams, doing nothing"] = [theirs, str(PEERS / "quix_streams.py")]
    if _has(theirs, "bytewax"):
        found["Bytewax, doing nothing"] = [theirs, str(PEERS / "bytewax_flow.py")]
    return found


def _missing() -> list[str]:
    theirs = os.environ.get("BENCH_PEERS_PYTHON", sys.executable)
    return [
        f"{package} left out: pip install {package} elsewhere, and set BENCH_PEERS_PYTHON"
        for package in ("quixstreams", "bytewax")
        if not _has(theirs, package)
    ]


def _has(python: str, module: str) -> bool:
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", look], check=False).returncode == 0


def peer_rate(command: Sequence[str]) -> float:
    """Records a second of a peer, as it says itself."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    return int(command[-1]) / float(done.stdout.split()[-1])


async def pipeline_rate(bed: Bed, project: Project, workers: int, count: int) -> float:
    """Headlines a second that came through the whole pipeline."""
    topics = project.topics
    with running(project, workers) as processes:
        async with watching(bed, project) as watch:
            await watch.until(lambda: watch.decided() >= count, processes)
            await watch.until(watch.idle, processes)
            first = await watch.times(topics.unique, topics.dropped, last=False)
            last = await watch.times(topics.classified, topics.alerts, last=True)
    return count / (max(last) - min(first)) * 1000


# Latency


def latency(bed: Bed) -> list[Row]:
    """Produce to receipt beside one bare Kafka hop, at every rate."""
    rows = []
    for rate, seconds, every in LATENCIES:
        ours = asyncio.run(webhook_delays(bed, rate, seconds, every))
        peer = asyncio.run(hop_delays(bed, rate, seconds))
        share = "each alerts" if every == 1 else f"1 in {every} alerts"
        for quantile in (50, 95, 99):
            what = f"produce to webhook, {rate:,}/s, {share}, p{quantile}"
            figure, beside = percentile(ours, quantile), percentile(peer, quantile)
            rows.append(row(what, figure, "ms", peer=beside, peer_name="one Kafka hop"))
    return rows


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which ``percent`` of the values lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def webhook_delays(bed: Bed, rate: int, seconds: int, every: int) -> list[float]:
    """Milliseconds from the call that produced a headline to the receipt of its webhook."""
    stream = headlines(5_000)
    project = make_project(bed, f"latency{rate}", stream)
    await fill(bed, project, stream[:100])
    count, seen = round(rate * (seconds + WARM_UP)), len(bed.receiver.received)
    with running(project, 1) as processes:
        async with watching(bed, project) as watch:
            await watch.until(lambda: watch.decided() >= 100, processes)
            texts = itertools.cycle(headline.headline for headline in stream)
            async with AIOKafkaProducer(bootstrap_servers=bed.servers, acks="all") as producer:
                async for number in paced(rate, count):
                    mark = MARKER if number % every == 0 else "plain"
                    text = f"{next(texts)} {mark} {number}"
                    headline = Headline(headline=text, published=datetime.now(UTC), source="bench.example")
                    await producer.send(project.topics.raw, msgspec.json.encode(headline))
            await watch.until(watch.idle, processes)
            posts = [post for post in bed.receiver.received[seen:] if MARKER.encode() in post.body]
    expected = (count + every - 1) // every
    marked = [delay for delay in map(_delay, posts) if delay is not None]
    if len(marked) != expected:
        raise RuntimeError(f"{len(marked)} of {expected} alerts arrived")
    return marked[round(rate * WARM_UP / every) :]


def _delay(post: Received) -> float | None:
    """The milliseconds since the headline of a post was published; None if another rule fired."""
    alert = msgspec.convert(post.json()["data"], Alert)
    if alert.rule.name != "marker":
        return None
    return (post.at - alert.headline.headline.published).total_seconds() * 1000


async def hop_delays(bed: Bed, rate: int, seconds: int) -> list[float]:
    """Milliseconds from the call that produced a record to its consumption, with nothing in between."""
    topic = f"hop{rate}"
    topics = Topics(f"{topic}.")
    await create_topics({"bootstrap_servers": bed.servers}, topics, partitions=PARTITIONS, replication=1)
    count = round(rate * (seconds + WARM_UP))
    delays: list[float] = []

    async def consume(consumer: AIOKafkaConsumer) -> None:
        while len(delays) < count:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                now = time.perf_counter()
                delays.extend((now - float(record.value)) * 1000 for record in records)

    async with (
        reader({"bootstrap_servers": bed.servers}) as consumer,
        AIOKafkaProducer(bootstrap_servers=bed.servers, acks="all") as producer,
    ):
        partitions = [TopicPartition(topics.raw, partition) for partition in range(PARTITIONS)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)  # where a reset by the client itself could overtake the first records
        consuming = asyncio.create_task(consume(consumer))
        async for _ in paced(rate, count):
            await producer.send(topics.raw, repr(time.perf_counter()).encode())
        await asyncio.wait_for(consuming, PATIENCE)
    return delays[round(rate * WARM_UP) :]


async def paced(rate: int, count: int) -> AsyncIterator[int]:
    """The numbers to ``count``, so many a second. One that is late does not delay those after it."""
    begun = time.perf_counter()
    for number in range(count):
        wait = begun + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        yield number


# Memory


def memory(bed: Bed) -> list[Row]:
    """The resident set of a worker after so many headlines, beside that after the first of these counts."""
    sizes = asyncio.run(worker_sizes(bed))
    return [
        row(
            f"memory of a worker after {count:,} headlines",
            size,
            "MB",
            peer=sizes[MEMORY_AT[0]],
            peer_name=f"after {MEMORY_AT[0]:,}",
        )
        for count, size in sizes.items()
    ]


async def worker_sizes(bed: Bed) -> dict[int, float]:
    """Megabytes after each of the counts in ``MEMORY_AT``."""
    stream = headlines()
    project = make_project(bed, "memory", stream)
    sizes: dict[int, float] = {}
    await fill(bed, project, ())  # makes the topics, which the watch asks for their partitions
    with running(project, 1) as processes:
        feeding = asyncio.create_task(fill(bed, project, endless(stream, MEMORY_AT[-1])))
        async with watching(bed, project) as watch:
            for count in MEMORY_AT:
                await watch.until(lambda count=count: watch.decided() >= count, processes)  # type: ignore[misc]
                sizes[count] = resident(project)
        await feeding
    return sizes


def endless(stream: Sequence[Headline], count: int) -> Iterator[Headline]:
    """The stream again and again, later and in other words each time, so that nothing is a repeat of the last time."""
    length = stream[-1].published - stream[0].published + timedelta(hours=1)
    for number in range(count):
        turn, place = divmod(number, len(stream))
        headline = stream[place]
        yield Headline(
            headline=f"{headline.headline} part {turn}",
            published=headline.published + turn * length - 20 * length,
            source=headline.source,
            url=headline.url,
        )


def resident(project: Project) -> float:
    """The resident set of a project's worker, megabytes, as ``ps`` says: the largest process with its settings file."""
    told = subprocess.run(["ps", "-A", "-o", "rss=,args="], check=True, capture_output=True, text=True).stdout
    return max(int(line.split()[0]) for line in told.splitlines() if str(project.file) in line) / 1024


# The worker and what it works on


def make_project(
    bed: Bed, title: str, stream: Sequence[Headline], *, stories: bool = False, remembering: bool = False
) -> Project:
    """A project folder with 100 rules, and its topics.

    With ``stories``, what is told in other words is a repeat too; with ``remembering``, some rules have a throttle, so that
    what they count goes through Redis and onto ``headlines.correlated``.
    """
    folder = bed.folder / title
    folder.mkdir()
    prefix = f"{title}."
    settings = {
        "kafka": {"bootstrap_servers": bed.servers, "topic_prefix": prefix, "group": title, "partitions": PARTITIONS},
        "redis": {"url": bed.services.redis_url, "prefix": title},
        "data_dir": "data",
        "dedupe": {"stories": stories},
    }
    channel = {"type": "webhook", "url": bed.receiver.url, "secret": "env:BENCH_SECRET", "allow_private": True}
    for file, content in (
        ("wirewatch.yaml", settings),
        ("channels.yaml", {"channels": {"desk": channel}}),
        ("rules/rules.yaml", {"rules": make_rules(stream, remembering=remembering)}),
    ):
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return Project(folder / "wirewatch.yaml", Topics(prefix), title)


def make_rules(stream: Sequence[Headline], *, remembering: bool = False) -> list[dict[str, object]]:
    """Rules as desks write them, over words of the stream that are neither frequent nor unique."""
    dice = random.Random(4)
    seen = Counter(token.word for headline in stream for token in tokenize(headline.headline))
    words = [word for word, count in seen.most_common(3_000) if word.isalpha() and len(word) > 3][300:]
    sources = sorted({headline.source for headline in stream if headline.source.replace(".", "").isalnum()})
    rules: list[dict[str, object]] = [{"name": "marker", "when": MARKER, "severity": "high", "channels": ["desk"]}]
    for number in range(1, RULES):
        form = _FORMS[number % len(_FORMS)] if number % _REGEX_EVERY else _REGEX
        a, b, c, d = dice.sample(words, 4)
        when = form.format(a=a, b=b, c=c, d=d, source=dice.choice(sources))
        rules.append({"name": f"rule-{number}", "when": when, "channels": ["desk"]})
        if remembering and number % _REMEMBERS_EVERY == 0:
            rules[-1]["throttle"] = {"count": 1_000, "per": "1h"}  # holds nothing back: as many alerts are delivered
    return rules


async def fill(bed: Bed, project: Project, stream: Iterable[Headline]) -> None:
    """Make a project's topics, and put headlines on the first, as `wirewatch ingest` writes them.

    They are spread evenly over the partitions, not by their source, so that two workers have as much to do each.
    """
    await create_topics({"bootstrap_servers": bed.servers}, project.topics, partitions=PARTITIONS, replication=1)
    now = round(time.time() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=bed.servers, acks="all", max_batch_size=_BATCH) as producer:
        partitions = itertools.cycle(range(PARTITIONS))
        stream = iter(stream)
        while some := list(itertools.islice(stream, 1_000)):
            batch = producer.create_batch()
            for headline in some:
                header = [("id", str(uuid.uuid4()).encode())]
                key, value = headline.source.encode(), msgspec.json.encode(headline)
                batch.append(key=key, value=value, timestamp=now, headers=header)
            await (await producer.send_batch(batch, project.topics.raw, partition=next(partitions)))


@contextmanager
def running(project: Project, workers: int) -> Iterator[list[Process]]:
    """Workers at work on a project, each in a process of its own, which ends with us however we end."""
    environ = {"BENCH_SECRET": _SECRET}
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                worker_process(project.file, environ=environ, log=project.file.with_name(f"worker-{number}.log"))
            )
            for number in range(workers)
        ]


@asynccontextmanager
async def watching(bed: Bed, project: Project) -> AsyncIterator[Watch]:
    """A watch on the topics and offsets of a project."""
    client = {"bootstrap_servers": bed.servers}
    partitions = await partitions_of(client, project.topics.all())
    async with reader(client) as consumer, admin_client(client) as admin:
        yield Watch(project, partitions, consumer, admin)


class Watch:
    """How far a project's pipeline has come, as Kafka's offsets say."""

    def __init__(
        self, project: Project, partitions: Sequence[TopicPartition], consumer: AIOKafkaConsumer, admin: Any
    ) -> None:
        self._project = project
        self._partitions = partitions
        self._consumer = consumer
        self._admin = admin
        self._ends: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    async def until(self, reached: Callable[[], bool], processes: Sequence[Process]) -> None:
        """Look four times a second, until what is looked for has come.

        Raises:
            RuntimeError: a worker ended, or patience did.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and all(process.alive for process in processes):
            with contextlib.suppress(KafkaError):  # the group may not be there yet
                self._ends = await self._consumer.end_offsets(self._partitions)
                found = await self._admin.list_consumer_group_offsets(self._project.group)
                self._committed = {tp: meta.offset for tp, meta in found.items()}
                if reached():
                    return
            await asyncio.sleep(0.25)
        words = "\n".join(f"exit code {process.exit_code}\n{process.log_tail()}" for process in processes)
        raise RuntimeError(f"the pipeline did not come to its end; the workers' last words:\n{words}")

    def decided(self) -> int:
        """How many raw headlines were decided on, or refused."""
        topics = self._project.topics
        return self._records(topics.unique, topics.dropped, topics.invalid)

    def idle(self) -> bool:
        """Whether all is classified, matched and delivered."""
        topics = self._project.topics
        read = all(
            self._committed.get(tp, 0) == end
            for tp, end in self._ends.items()
            if tp.topic in (topics.raw, topics.unique, topics.classified, topics.alerts)
        )
        return read and self._records(topics.deliveries) >= self._records(topics.alerts)

    def _records(self, *topics: str) -> int:
        return sum(end for tp, end in self._ends.items() if tp.topic in topics)

    async def times(self, *topics: str, last: bool) -> list[int]:
        """When the first or the last record of each partition was published, milliseconds since 1970."""
        found = []
        for tp, end in self._ends.items():
            if tp.topic in topics and end:
                self._consumer.assign([tp])
                self._consumer.seek(tp, end - 1 if last else 0)
                found.append((await self._consumer.getone(tp)).timestamp)
        return found
