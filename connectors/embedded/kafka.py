"""A real Apache Kafka on this machine: one broker for a laptop, three for tests of failure.

KRaft in combined mode (every node is broker and controller), listening on 127.0.0.1 only. The voters of the
quorum are given by ``controller.quorum.voters``: such a quorum is not written into the data, so the ports may
change from run to run.

Start-up, from ``start()`` to the first record acknowledged on a topic just created, on 2 cores of a cloud
machine, by ``python -m benchmarks.start_up``:

    Kafka, first start on a machine       1.05 s    2.06 s  kafka-storage format, kafka-server-start
    Kafka, any later start, new data      0.51 s    2.06 s
    Kafka, any later start, kept data     0.55 s    2.06 s

Three brokers are up in 2.5 s and take 5 s to stop, for Raft's last voters wait so long for the others. A
broker that was killed serves again after 4 s: its controller takes it for alive until its session has ended.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from connectors.embedded.errors import EmbeddedError, writing_below
from connectors.embedded.jars import Lock, class_path, default_cache, kafka_home, read_lock
from connectors.embedded.java import FLAGS, ClassArchive, Java, environment, find_java
from connectors.embedded.process import STOP_SECONDS, DirectoryLock, Process, choose_port, port_is_free

DEFAULT_PORT = 9092

#: Seconds that a broker has to come up. One takes two seconds; a machine that compiles something else takes
#: longer.
START_SECONDS = 60.0

#: How often other ports are tried when somebody took one between our look and the broker's.
_ATTEMPTS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a data directory remembers of its cluster: the file ``cluster.json``.

    ``ports`` has the client port of each broker, ``controller_ports`` the one its controller listens on.
    """

    cluster_id: str
    ports: tuple[int, ...]
    controller_ports: tuple[int, ...]

    @property
    def brokers(self) -> int:
        """How many brokers the cluster has."""
        return len(self.ports)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers, as Kafka clients take them."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)


def broker_settings(layout: Layout, broker: int) -> dict[str, str]:
    """The ``server.properties`` of one broker.

    What differs from Kafka's defaults serves one of three ends: a cluster on one machine, where nobody waits
    for others to appear; session time-outs as short as tests need; and few threads and little memory.
    """
    replicas = str(min(3, layout.brokers))
    enough = "2" if layout.brokers >= 3 else "1"
    port, controller_port = layout.ports[broker], layout.controller_ports[broker]
    return {
        "process.roles": "broker,controller",
        "node.id": str(broker),
        "controller.quorum.voters": ",".join(
            f"{node}@127.0.0.1:{port}" for node, port in enumerate(layout.controller_ports)
        ),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": "data",  # relative to the broker's directory, so that its path may hold commas and spaces
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": enough,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": enough,
        # fast: one machine, nobody to wait for
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "100",
        "group.coordinator.append.linger.ms": "0",
        "controller.quorum.append.linger.ms": "1",
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        # small: an idle laptop
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "group.coordinator.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),  # instead of 128 MB of the heap
    }


class Kafka:
    """An Apache Kafka that runs for as long as we do.

    ``start`` and ``stop`` it, or use it as a context manager. Its data stay in ``data_dir/kafka`` from run to
    run, and so does its port, if that is free.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        brokers: int = 1,
        progress: Callable[[str], None] = _log.info,
        cache_dir: Path | None = None,
    ) -> None:
        """Prepare a cluster; nothing is started or written yet.

        Args:
            port: of the first broker. With None, the one used last, or 9092, or any: whatever is free.
            brokers: 1, or 3 with every topic on all of them and ``min.insync.replicas`` 2.
            progress: gets a line for people before anything that takes its time.
            cache_dir: for the jars and the class archive; see ``jars.default_cache``.
        """
        if brokers not in (1, 3):
            raise ValueError(f"a cluster has 1 broker or 3, not {brokers}")
        self._directory = data_dir.absolute() / "kafka"
        self._asked_port = port
        self._brokers = brokers
        self._progress = progress
        self._cache = cache_dir or default_cache()
        self._lock = DirectoryLock(self._directory)
        self._layout: Layout | None = None
        self._installation: _Installation | None = None
        self._processes: dict[int, Process] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """``127.0.0.1:PORT`` of each broker, joined by commas. Known once the cluster was launched."""
        return self._known_layout.bootstrap_servers

    @property
    def cluster_id(self) -> str:
        """What Kafka calls this cluster, for as long as its data are kept. Known once the cluster was launched."""
        return self._known_layout.cluster_id

    @property
    def alive(self) -> bool:
        """Whether every broker runs."""
        return len(self._processes) == self._brokers and all(p.alive for p in self._processes.values())

    def check(self) -> None:
        """Look whether the brokers, once started, still run.

        Raises:
            EmbeddedError: one has ended; the error has the last lines of its log.
        """
        for broker, process in self._processes.items():
            if not process.alive:
                raise process.ended("Kafka" if self._brokers == 1 else f"Kafka's broker {broker}")

    def start(self) -> None:
        """Start all brokers, and return when each of them knows of the others and serves clients.

        Raises:
            EmbeddedError: it cannot be had; the error says why and what to do.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start all brokers without waiting for them; ``wait_until_ready`` has to follow."""
        java, lock = find_java(), read_lock()
        home = kafka_home(lock, self._cache, self._progress)
        jars = class_path(lock, home)
        self._lock.acquire()
        try:
            self._installation = _Installation(lock, java, jars, ClassArchive(java, home, jars))
            self._launch_all()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self) -> None:
        """Wait until every broker knows of the others and serves clients.

        Raises:
            EmbeddedError: a broker died, or was not up in time; the error has the last lines of its log.
        """
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    for broker in range(self._brokers):
                        self._wait_for(broker, set(range(self._brokers)))
                    break
                except _PortTakenError as error:
                    if attempt == _ATTEMPTS or self._asked_port is not None:
                        raise error.as_embedded() from None
                    self._stop_processes()
                    self._launch_all()
            self._installed.archive.make_soon(self._class_list)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all brokers, wait for their end, and free the data directory; harmless if nothing runs."""
        if self._installation is not None:
            self._installation.archive.close()
        self._stop_processes()
        self._lock.release()

    def kill(self, broker: int = 0) -> None:
        """End a broker as a power cut would (SIGKILL)."""
        self._processes[broker].kill()

    def restart(self, broker: int = 0) -> None:
        """Start a broker, stopped first if it runs, on the same port and data, and wait until it serves."""
        self._processes[broker].stop()
        self._processes[broker] = self._launch(broker)
        self._wait_for(broker, {broker})

    def log_tail(self, lines: int = 20, broker: int = 0) -> str:
        """The last lines of a broker's log: its warnings and errors."""
        return self._processes[broker].log_tail(lines)

    # -- the cluster on disk

    @property
    def _known_layout(self) -> Layout:
        assert self._layout is not None, "the cluster was not launched"
        return self._layout

    @property
    def _installed(self) -> _Installation:
        assert self._installation is not None, "the cluster was not launched"
        return self._installation

    @property
    def _class_list(self) -> Path:
        return self._home_of(0) / "classes.list"

    def _home_of(self, broker: int) -> Path:
        return self._directory / f"broker-{broker}"

    def _launch_all(self) -> None:
        with writing_below(self._directory):
            self._layout = self._lay_out()
            for broker in range(self._brokers):
                self._format(broker)
            self._progress(f"Starting Apache Kafka {self._installed.lock.version} on {self.bootstrap_servers} ...")
            for broker in range(self._brokers):
                self._processes[broker] = self._launch(broker)

    def _lay_out(self) -> Layout:
        """Choose the ports of this run, and remember them."""
        file = self._directory / "cluster.json"
        last = _read_layout(file)
        if last is not None and last.brokers != self._brokers:
            raise EmbeddedError(
                f"{self._directory} holds a cluster of {last.brokers} broker(s), not {self._brokers}",
                "use another data directory, or delete this one and the records in it",
            )
        cluster_id = last.cluster_id if last else _new_id()
        taken: list[int] = []
        for broker in range(self._brokers):
            asked = self._asked_port if broker == 0 else None
            preferred = [last.ports[broker]] if last else []
            preferred += [DEFAULT_PORT] if broker == 0 else []
            taken.append(choose_port(asked, preferred, service="Kafka", not_among=taken))
        for broker in range(self._brokers):
            preferred = [last.controller_ports[broker]] if last else []
            taken.append(choose_port(None, preferred, service="Kafka", not_among=taken))
        layout = Layout(cluster_id, tuple(taken[: self._brokers]), tuple(taken[self._brokers :]))
        _write(file, msgspec.json.format(msgspec.json.encode(layout)).decode() + "\n")
        return layout

    def _format(self, broker: int) -> None:
        """Do what ``kafka-storage format`` does, once, without its second of Java.

        ``meta.properties`` comes last and makes it count.
        """
        data = self._home_of(broker) / "data"
        if (data / "meta.properties").exists():
            return
        data.mkdir(parents=True, exist_ok=True)
        (data / "bootstrap.checkpoint").write_bytes(self._installed.lock.bootstrap_checkpoint)
        meta = {
            "version": "1",
            "cluster.id": self._known_layout.cluster_id,
            "node.id": str(broker),
            "directory.id": _new_id(),
        }
        _write(data / "meta.properties", properties(meta))

    # -- the brokers

    def _launch(self, broker: int) -> Process:
        home, installed = self._home_of(broker), self._installed
        with writing_below(home):
            _write(home / "server.properties", properties(broker_settings(self._known_layout, broker)))
            return Process(
                [
                    installed.java.executable,
                    *FLAGS,
                    *installed.archive.flags(self._class_list if broker == 0 else None),
                    *_LOGGING,
                    *("-cp", installed.class_path),
                    "kafka.Kafka",
                    "server.properties",
                ],
                log=home / "broker.log",
                directory=home,
                environment=environment(),
                hold=[self._lock.descriptor],
            )

    def _stop_processes(self) -> None:
        """All at once: a quorum that is going away would otherwise be waited for by its last member."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.stop(STOP_SECONDS)
        self._processes.clear()

    def _wait_for(self, broker: int, members: set[int]) -> None:
        """Wait until ``broker`` serves clients and tells them of all ``members``."""
        process, layout = self._processes[broker], self._known_layout
        deadline = time.monotonic() + START_SECONDS
        while not members <= _members(layout.cluster_id, layout.ports[broker]):
            if not process.alive:
                self._explain_death(broker, process)
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Kafka's broker {broker} was not up after {START_SECONDS:.0f} seconds",
                    _with_log("is the machine short of memory or busy? Its log ends with:", process),
                )
            time.sleep(0.02)

    def _explain_death(self, broker: int, process: Process) -> None:
        layout = self._known_layout
        if "Address already in use" in process.log_tail(200):
            taken = [p for p in (layout.ports[broker], layout.controller_ports[broker]) if not port_is_free(p)]
            raise _PortTakenError(taken[0] if taken else layout.ports[broker])
        raise EmbeddedError(
            f"Kafka's broker {broker} ended with exit code {process.exit_code} while it started",
            _with_log("its log ends with:", process),
        )


@dataclass(frozen=True, slots=True)
class _Installation:
    """What is needed to run a broker."""

    lock: Lock
    java: Java
    class_path: str
    archive: ClassArchive


class _PortTakenError(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port

    def as_embedded(self) -> EmbeddedError:
        return EmbeddedError(
            f"Kafka cannot listen on port {self.port}: another program does",
            f"`lsof -i :{self.port}` shows it; start again to use other ports",
        )


#: Warnings and errors with the time of day, on standard error.
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


def _with_log(hint: str, process: Process) -> str:
    return f"{hint}\n{process.log_tail()}".rstrip()


def _new_id() -> str:
    """An identifier as Kafka writes it: a UUID in 22 characters of base64, no dash in front (KIP-516)."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text


def _read_layout(file: Path) -> Layout | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Layout)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise EmbeddedError(
            f"{file} cannot be read: {error}",
            "use another data directory, or delete this one and the records in it",
        ) from None


def properties(settings: Mapping[str, str]) -> str:
    """Settings as a Java properties file; all of ours are plain ASCII."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _write(file: Path, text: str) -> None:
    """Write all of the file or nothing of it."""
    part = file.with_name(file.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(file)


def _members(cluster_id: str, port: int) -> set[int]:
    """The ids of the brokers that the one at ``port`` tells its clients of; none if it does not serve yet, or serves
    another cluster.

    It asks by a Metadata request, version 2, for no topics
    (https://kafka.apache.org/protocol#The_Messages_Metadata). A port that accepts a connection proves less:
    the broker may still be fenced off by its controller.
    """
    request = struct.pack(">hhih", 3, 2, 0, -1) + struct.pack(">i", 0)  # key, version, correlation, no client id
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                found, brokers = _read_metadata(answer.read(size))
    except (OSError, struct.error):
        return set()
    return brokers if found == cluster_id.encode() else set()


def _read_metadata(metadata: bytes) -> tuple[bytes, set[int]]:
    """The cluster id and the broker ids of a Metadata response: the correlation id; id, host, port and rack of each
    broker; the cluster id."""
    (count,) = struct.unpack_from(">i", metadata, 4)
    at, brokers = 8, set()
    for _ in range(count):
        broker, host = struct.unpack_from(">ih", metadata, at)
        at += 4 + 2 + host + 4
        (rack,) = struct.unpack_from(">h", metadata, at)
        at += 2 + max(rack, 0)
        brokers.add(broker)
    (length,) = struct.unpack_from(">h", metadata, at)
    return metadata[at + 2 : at + 2 + max(length, 0)], brokers
