"""How long a newcomer waits for the embedded Kafka and Redis: ``python -m benchmarks.start_up``.

Time from the start to the first record that is acknowledged (acks=all) on a topic created for it. The peer is
the same broker of the same jars as Kafka's own scripts run it, after ``kafka-storage format``: with their
Java flags, Kafka's default settings, and no class archive. Downloads are not part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors import embedded
from connectors.embedded.jars import class_path, default_cache, kafka_home, read_lock
from connectors.embedded.java import environment, find_java
from connectors.embedded.process import Process, choose_port
from connectors.embedded.redis import find_server
from connectors.embedded.relock import format_cluster

ROUNDS = 5
STOCK = "kafka-storage format, kafka-server-start"

#: What ``kafka-server-start`` and ``kafka-run-class`` of Kafka 4.1 give to Java.
STOCK_FLAGS = (
    *("-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *(
        "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent",
        "-Djava.awt.headless=true",
    ),
)


async def first_record(bootstrap_servers: str) -> None:
    """Create a topic and get one record acknowledged, trying until the broker is there."""
    while True:
        topic = f"first-{time.monotonic_ns()}"
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(topic, 1, 1)])
            async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
                await producer.send_and_wait(topic, b"one")
        except Exception:  # noqa: BLE001  (of many kinds while a broker comes up)
            await asyncio.sleep(0.02)
        else:
            return
        finally:
            with contextlib.suppress(Exception):
                await admin.close()


@contextmanager
def stock(directory: Path) -> Iterator[str]:
    """The peer: format a cluster, then run its broker as Kafka's scripts do."""
    lock, port = read_lock(), choose_port(None, [], service="Kafka")
    jars = class_path(lock, kafka_home(lock, default_cache(), print))
    format_cluster(directory, jars)
    settings = {
        "process.roles": "broker,controller",
        "node.id": "0",
        "controller.quorum.voters": f"0@127.0.0.1:{port + 10_000}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 10_000}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": "data",
        "offsets.topic.replication.factor": "1",
    }
    (directory / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    command: list[str | Path] = [
        find_java().executable,
        *STOCK_FLAGS,
        "-cp",
        jars,
        "kafka.Kafka",
        "server.properties",
    ]
    broker = Process(command, log=directory / "log", directory=directory, environment=environment())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        broker.stop()


@contextmanager
def ours(directory: Path, cache: Path) -> Iterator[str]:
    """One embedded broker."""
    with embedded.Kafka(directory, cache_dir=cache) as kafka:
        yield kafka.bootstrap_servers


def seconds(start: Callable[[], AbstractContextManager[str]]) -> float:
    """The time that one start takes, to the first record."""
    began = time.perf_counter()
    with start() as bootstrap_servers:
        asyncio.run(asyncio.wait_for(first_record(bootstrap_servers), 60))
        return time.perf_counter() - began


def in_new_directory(start: Callable[[Path], AbstractContextManager[str]]) -> float:
    """The time that a start takes on a data directory that is new."""
    with tempfile.TemporaryDirectory() as directory:
        return seconds(lambda: start(Path(directory)))


def redis_seconds() -> float:
    """The time until the embedded Redis answers."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        with embedded.Redis(Path(directory)):
            return time.perf_counter() - began


def without_archive(cache: Path) -> Path:
    """Remove the class archive from a cache: what a first start finds."""
    for file in cache.rglob("*.jsa"):
        file.unlink()
    return cache


def with_archive(cache: Path) -> Path:
    """Keep a broker up until the archive is made: what every later start finds."""
    with (
        tempfile.TemporaryDirectory() as directory,
        embedded.Kafka(Path(directory), cache_dir=cache) as kafka,
    ):
        asyncio.run(first_record(kafka.bootstrap_servers))
        while not list(cache.rglob("*.jsa")):
            time.sleep(0.1)
    return cache


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure, the median of ``ROUNDS``, in seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        lock, cache = read_lock(), Path(temporary) / "cache"
        fetched = kafka_home(lock, default_cache(), print)
        shutil.copytree(fetched, cache / fetched.name, ignore=shutil.ignore_patterns("*.jsa"))
        peer = statistics.median(in_new_directory(stock) for _ in range(ROUNDS))
        first = statistics.median(
            in_new_directory(lambda directory: ours(directory, without_archive(cache))) for _ in range(ROUNDS)
        )
        with_archive(cache)
        later = statistics.median(in_new_directory(lambda directory: ours(directory, cache)) for _ in range(ROUNDS))
        kept = Path(temporary) / "kept"
        again = statistics.median(seconds(lambda: ours(kept, cache)) for _ in range(ROUNDS))
    memory = statistics.median(redis_seconds() for _ in range(ROUNDS))
    return [
        _row("Kafka, first start on a machine", first, peer),
        _row("Kafka, any later start, new data", later, peer),
        _row("Kafka, any later start, kept data", again, peer),
        {
            "what": f"{find_server()}, new data",
            "ours": round(memory, 3),
            "peer": None,
            "peer_name": "",
            "ratio": None,
            "unit": "s",
        },
    ]


def _row(what: str, own: float, peer: float) -> dict[str, Any]:
    return {
        "what": what,
        "ours": round(own, 2),
        "peer": round(peer, 2),
        "peer_name": STOCK,
        "ratio": round(peer / own, 1),
        "unit": "s",
    }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for row in run():
        beside = (
            f"{row['peer']:5.2f} {row['unit']}  {row['peer_name']}, {row['ratio']} times as long" if row["peer"] else ""
        )
        print(f"{row['what']:36} {row['ours']:5.2f} {row['unit']}   {beside}")
