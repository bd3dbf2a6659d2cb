"""Kafka's jars from a Maven repository that is there, lies, is incomplete, or is out of reach."""

from __future__ import annotations

import functools
import gc
import hashlib
import http.server
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from connectors.embedded.errors import EmbeddedError
from connectors.embedded.jars import Jar, Lock, class_path, default_cache, kafka_home, read_lock

pytest.importorskip("jgo", reason="needs the `embedded` extra")


@dataclass
class Repository:
    """A Maven repository on this machine, and what was asked of it."""

    root: Path
    asked: list[str] = field(default_factory=list)

    def publish(self, coordinate: str, content: bytes) -> Jar:
        jar = Jar(coordinate, hashlib.sha256(content).hexdigest(), len(content))
        (self.root / jar.path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / jar.path).write_bytes(content)
        return jar

    def fetched(self) -> list[str]:
        return sorted(path for path in self.asked if path.endswith(".jar"))


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: object, repository: Repository) -> None:
        self._repository = repository
        super().__init__(*args, directory=str(repository.root))  # type: ignore[arg-type]  # what the server gives

    def do_GET(self) -> None:
        self._repository.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


def use_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    settings = tmp_path / "jgo.conf"
    settings.write_text(f"[repositories]\ncentral = {url}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))


@pytest.fixture(autouse=True)
def _close_what_jgo_left_open() -> Iterator[None]:
    """jgo reads no answer that is not a file and leaves its connection to the garbage collector, which may come late."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    shelf = Repository(tmp_path / "repository")
    shelf.root.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, repository=shelf)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        use_repository(monkeypatch, tmp_path, f"http://127.0.0.1:{server.server_port}")
        yield shelf
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(repository: Repository) -> Lock:
    jars = [repository.publish(f"org.example:part{n}:1.{n}", b"%d" % n * 5000) for n in range(4)]
    return Lock("4.1.1", b"", tuple(jars), "0123456789ab")


def test_every_jar_is_fetched_once_with_a_line_before(tmp_path: Path, repository: Repository, lock: Lock) -> None:
    said: list[str] = []
    home = kafka_home(lock, tmp_path / "cache", said.append)
    assert kafka_home(lock, tmp_path / "cache", said.append) == home
    assert said == ["Fetching Apache Kafka 4.1.1 (1 MB, once) ..."]
    assert repository.fetched() == sorted("/" + jar.path for jar in lock.jars)
    for file, jar in zip(class_path(lock, home).split(":"), lock.jars, strict=True):
        assert hashlib.sha256(Path(file).read_bytes()).hexdigest() == jar.sha256


def test_a_killed_download_is_taken_up(tmp_path: Path, repository: Repository, lock: Lock) -> None:
    unfinished = tmp_path / "cache" / "kafka-4.1.1-0123456789ab.unfinished"
    whole, cut = unfinished / lock.jars[0].path, unfinished / lock.jars[1].path
    for file, size in ((whole, 5000), (cut, 100)):
        file.parent.mkdir(parents=True)
        file.write_bytes((repository.root / file.relative_to(unfinished)).read_bytes()[:size])
    home = kafka_home(lock, tmp_path / "cache", print)
    assert all(jar.is_at(home) for jar in lock.jars)
    assert "/" + lock.jars[0].path not in repository.fetched()
    assert not unfinished.exists()


def test_a_file_that_vanished_from_the_cache_is_fetched_again(
    tmp_path: Path, repository: Repository, lock: Lock
) -> None:
    home = kafka_home(lock, tmp_path / "cache", print)
    (home / lock.jars[2].path).unlink()
    repository.asked.clear()
    kafka_home(lock, tmp_path / "cache", print)
    assert repository.fetched() == ["/" + lock.jars[2].path]


def test_two_at_once_fetch_once(tmp_path: Path, repository: Repository, lock: Lock) -> None:
    with ThreadPoolExecutor(4) as pool:
        homes = list(pool.map(lambda _: kafka_home(lock, tmp_path / "cache", print), range(4)))
    assert len(set(homes)) == 1
    assert len(repository.fetched()) == len(lock.jars)


def test_a_jar_that_is_not_what_the_lock_says_is_refused_and_removed(
    tmp_path: Path, repository: Repository, lock: Lock
) -> None:
    victim = lock.jars[1]
    (repository.root / victim.path).write_bytes(b"x" * victim.size)
    with pytest.raises(
        EmbeddedError, match=r"org\.example:part1:1\.1 of Apache Kafka is not what it should be: SHA-256"
    ):
        kafka_home(lock, tmp_path / "cache", print)
    assert not list((tmp_path / "cache").rglob("part1-1.1.jar"))


def test_a_repository_that_lacks_a_jar_is_explained(tmp_path: Path, lock: Lock) -> None:
    lacking = replace(lock, jars=(*lock.jars, Jar("org.example:none:1", "0" * 64, 1)))
    with pytest.raises(EmbeddedError, match=r"no Maven repository gave org\.example:none:1") as error:
        kafka_home(lacking, tmp_path / "cache", print)
    assert "mirror" in error.value.hint


def test_no_network_is_explained(tmp_path: Path, lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    use_repository(monkeypatch, tmp_path, "http://127.0.0.1:1")
    with pytest.raises(EmbeddedError, match=r"cannot fetch org\.example:part.*: .*Connection refused") as error:
        kafka_home(lock, tmp_path / "cache", print)
    assert error.value.hint.startswith("the first start needs the network")


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path, lock: Lock) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(EmbeddedError, match=r"cannot write below .*cache"):
        kafka_home(lock, tmp_path / "cache", print)


def test_the_cache_is_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WIREWATCH_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache() == tmp_path / ".cache" / "wirewatch"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache() == tmp_path / ".cache" / "wirewatch"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "wirewatch"
    monkeypatch.setenv("WIREWATCH_CACHE_DIR", "~/own")
    assert default_cache() == tmp_path / "own"


def test_the_lock_file_of_this_release_is_whole() -> None:
    lock = read_lock()
    assert any(jar.coordinate == f"org.apache.kafka:kafka_2.13:{lock.version}" for jar in lock.jars)
    assert len({jar.coordinate for jar in lock.jars}) == len(lock.jars)
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in lock.jars)
    assert b"metadata.version" in lock.bootstrap_checkpoint
