"""Child processes that never outlive us, directories that only one of us uses, and ports nobody has."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from connectors.embedded import guard
from connectors.embedded.errors import EmbeddedError, writing_below

#: Seconds that a service has to end after it was asked to; then it is killed.
STOP_SECONDS = 10.0

#: Where ports are looked for: below the ports that Linux (32768) and macOS (49152) give to outgoing
#: connections, so that no such connection takes the port of a service while it restarts.
_FIRST_PORT, _PORTS = 20_000, 10_000


#: Seconds after which a lock that is still taken is not just being looked at by ``is_held``.
_GLANCE = 0.2


class Process:
    """A running program under a guard (``guard.py``), its output in a file.

    It has a session of its own, so that Ctrl-C at the terminal reaches us and not it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path | None,
        directory: Path,
        environment: Mapping[str, str],
        hold: Sequence[int] = (),
        errors: int | None = None,
    ) -> None:
        """Start ``command`` in ``directory``.

        Args:
            log: gets what it prints; what the last run printed is kept beside it as ``<log>.1``. With None it
                prints where we do.
            environment: all of the variables that it sees.
            hold: descriptors that the guard, but not the program, keeps open until the program has ended.
            errors: a descriptor that gets its standard error, where there is no log.
        """
        self.log = log
        if log and log.exists():
            log.replace(log.with_name(log.name + ".1"))
        self._asked_to_end = False
        self._orders, theirs = socket.socketpair()
        try:
            with theirs, log.open("wb") if log else nullcontext() as output:
                channel = theirs.fileno()
                self._guard = subprocess.Popen(
                    [sys.executable, "-I", "-S", guard.__file__, str(channel), "--", *map(str, command)],
                    cwd=directory,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if log else errors,
                    pass_fds=(channel, *hold),
                    start_new_session=True,
                )
        except BaseException:
            self._orders.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while the program runs; 128 + n if signal n ended it."""
        return self._guard.poll()

    def terminate(self) -> None:
        """Ask the program to end, once however often this is called, and do not wait for it.

        A second signal would meet a program that is ending, and may cut short what it still has to say.
        """
        if not self._asked_to_end:
            self._asked_to_end = True
            self._order(b"T")

    def kill(self) -> None:
        """End the program at once (SIGKILL) and wait until it is gone."""
        self._order(b"K")
        self._guard.wait()
        self._orders.close()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask the program to end and wait for it; kill it after ``seconds``."""
        self.terminate()
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._orders.close()

    def wait(self) -> int:
        """Wait for the end of the program, however it comes, and give its exit code."""
        return self._guard.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the program has printed."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) if self.log else ""

    def ended(self, name: str) -> EmbeddedError:
        """The error for a program that should still run: how it ended, and the last lines of its log."""
        code = self.exit_code
        hint = f"its log, {self.log}, ends with:\n{tail}" if (tail := self.log_tail()) else "it has logged nothing"
        if code == 128 + signal.SIGKILL:
            hint += "\nThe system kills a program so where memory runs short."
        return EmbeddedError(f"{name} has ended by itself, {in_words(code or 0)}", hint)

    def _order(self, order: bytes) -> None:
        if self.alive:
            try:
                self._orders.send(order)
            except BrokenPipeError:
                self._guard.wait()  # it ended between the two lines above


def in_words(exit_code: int) -> str:
    """An exit code as ``Process.exit_code`` gives it: ``with exit code 1``, or ``by SIGKILL``."""
    try:
        return f"by {signal.Signals(exit_code - 128).name}"
    except ValueError:
        return f"with exit code {exit_code}"


class DirectoryLock:
    """One user at a time for a directory, by flock(2) on the file ``lock`` in it.

    The guards of the services share the descriptor. So after a ``kill -9`` of the holder the directory is
    taken until its services have really ended, and free thereafter.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """What a guard has to hold; the lock must have been acquired."""
        assert self._descriptor is not None, "the lock is not held"
        return self._descriptor

    def acquire(self, seconds: float = STOP_SECONDS + guard.GRACE) -> None:
        """Take the lock, waiting ``seconds`` for the services of a holder that is gone.

        Raises:
            EmbeddedError: another process uses the directory, or it cannot be written.
        """
        with writing_below(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        began = time.monotonic()
        while not try_lock(descriptor):
            holder = os.pread(descriptor, 32, 0).decode().strip()
            patience = min(seconds, _GLANCE) if _runs(holder) else seconds
            if time.monotonic() - began > patience:
                os.close(descriptor)
                raise EmbeddedError(
                    f"{self._directory} is in use by another wirewatch (process {holder or 'unknown'})",
                    "stop that process, or use another data directory",
                )
            time.sleep(0.05)
        try:
            with writing_below(self._directory):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except EmbeddedError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; without effect if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(directory: Path) -> bool:
    """Whether a ``DirectoryLock`` on ``directory`` is held, by a process that lives or by a service that it left."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def try_lock(descriptor: int) -> bool:
    """Lock an open file (flock(2)) unless another has; it stays locked until every copy of it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(process_id: str) -> bool:
    if not process_id.isdigit():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def port_is_free(port: int) -> bool:
    """Whether a service could listen on ``port`` of 127.0.0.1, now."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False  # macOS would let us bind beside a listener on all addresses
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_port(asked: int | None, preferred: Sequence[int], *, service: str, not_among: Sequence[int] = ()) -> int:
    """The port ``asked`` for; or, with None, the first of ``preferred`` that is free; or else any free one.

    Raises:
        EmbeddedError: the port asked for is taken.
    """
    if asked is not None:
        if not port_is_free(asked):
            raise EmbeddedError(
                f"{service} cannot listen on port {asked}: another program does",
                f"stop that program (`lsof -i :{asked}` shows it), or choose another port, "
                "or none: then a free one is found",
            )
        return asked
    for port in preferred:
        if port not in not_among and port_is_free(port):
            return port
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        if port not in not_among and port_is_free(port):
            return port
