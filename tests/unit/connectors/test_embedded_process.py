"""Programs under a guard: they end when asked, when killed, and when nobody is left to ask."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.embedded.errors import EmbeddedError
from connectors.embedded.process import DirectoryLock, Process, choose_port, in_words, is_held, port_is_free

Run = Callable[..., Process]

#: Says its process id and its guard's, then sleeps.
SLEEPER = "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() != "" and not state.startswith("Z")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Process] = []

    def start(program: str, *, hold: tuple[int, ...] = ()) -> Process:
        command = [sys.executable, "-c", program]
        process = Process(
            command, log=tmp_path / "log", directory=tmp_path, environment={"LC_ALL": "C.UTF-8"}, hold=hold
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def ids_in(log: Path) -> tuple[int, int]:
    """The process ids of the program and of its guard."""
    assert eventually(lambda: log.exists() and log.read_text().endswith("\n")), "the program did not start"
    program, guard = map(int, log.read_text().split())
    return program, guard


def test_what_it_prints_is_in_its_log_and_the_last_run_is_kept(run: Run, tmp_path: Path) -> None:
    first = run("import sys; print('one'); print('two', file=sys.stderr)")
    assert first.wait() == 0
    assert sorted(first.log_tail(2).splitlines()) == ["one", "two"]
    second = run("print('three')")
    second.wait()
    assert second.log_tail(1) == "three"
    assert "one" in (tmp_path / "log.1").read_text()


def test_its_exit_code_is_told_as_a_shell_tells_it(run: Run) -> None:
    assert run("raise SystemExit(3)").wait() == 3
    assert run("import os; os.kill(os.getpid(), 9)").wait() == 128 + 9


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "with exit code 0"), (70, "with exit code 70"), (137, "by SIGKILL"), (250, "with exit code 250")],
)
def test_an_exit_code_is_put_in_words(code: int, words: str) -> None:
    assert in_words(code) == words


def test_one_that_should_run_and_has_ended_is_told_with_its_log(run: Run, tmp_path: Path) -> None:
    process = run("import os; print('out of disk', flush=True); os.kill(os.getpid(), 9)")
    process.wait()
    error = process.ended("Kafka")
    assert error.message == "Kafka has ended by itself, by SIGKILL"
    assert error.hint.startswith(f"its log, {tmp_path / 'log'}, ends with:\nout of disk\n")
    assert "memory" in error.hint
    silent = run("pass")
    silent.wait()
    assert silent.ended("Redis").hint == "it has logged nothing"


def test_its_errors_can_be_had_apart(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        process = Process(
            [sys.executable, "-c", "import sys; sys.exit('alas')"],
            log=None,
            directory=tmp_path,
            environment={},
            errors=errors.fileno(),
        )
    assert process.wait() == 1
    process.stop()
    assert (tmp_path / "errors").read_text() == "alas\n"


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = Process(["/nowhere/redis"], log=tmp_path / "log", directory=tmp_path, environment={})
    assert process.wait() == 127
    assert process.log_tail() == "cannot run /nowhere/redis: No such file or directory"
    process.stop()


def test_it_stops_when_asked(run: Run, tmp_path: Path) -> None:
    process = run(SLEEPER)
    pid, _ = ids_in(tmp_path / "log")
    assert process.alive
    process.stop()
    assert process.exit_code == 128 + 15
    assert not runs(pid)


def test_one_that_will_not_stop_is_killed(run: Run, tmp_path: Path) -> None:
    process = run(DEAF)
    pid, _ = ids_in(tmp_path / "log")
    process.stop(seconds=0.2)
    assert process.exit_code == 128 + 9
    assert not runs(pid)


def test_stopping_or_killing_twice_is_harmless(run: Run) -> None:
    process = run("pass")
    process.wait()
    process.stop()
    process.kill()
    process.stop()


def test_interrupting_the_guard_ends_the_program(run: Run, tmp_path: Path) -> None:
    run(SLEEPER)
    pid, guard = ids_in(tmp_path / "log")
    os.kill(guard, signal.SIGTERM)
    assert eventually(lambda: not runs(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_killing_the_guard_ends_the_program(run: Run, tmp_path: Path) -> None:
    run(DEAF)
    pid, guard = ids_in(tmp_path / "log")
    os.kill(guard, signal.SIGKILL)
    assert eventually(lambda: not runs(pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_does_not_outlive_us_however_we_end(tmp_path: Path, number: int) -> None:
    asking = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from connectors.embedded.process import DirectoryLock, Process
        here = Path({str(tmp_path)!r})
        lock = DirectoryLock(here)
        lock.acquire()
        service = Process([sys.executable, "-c", {SLEEPER!r}], log=here / "log", directory=here,
                          environment={{}}, hold=[lock.descriptor])
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", asking], stderr=subprocess.DEVNULL) as parent:
        try:
            pid, _ = ids_in(tmp_path / "log")
            assert os.getsid(pid) != os.getsid(parent.pid), "Ctrl-C at the terminal would reach the program"
            parent.send_signal(number)
            parent.wait(10)
        finally:
            parent.kill()
    assert eventually(lambda: not runs(pid))
    lock = DirectoryLock(tmp_path)
    lock.acquire()  # waits for the guard of the one that was killed
    lock.release()


def test_a_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path / "kafka"), DirectoryLock(tmp_path / "kafka")
    first.acquire()
    with pytest.raises(EmbeddedError, match=rf"kafka is in use by another wirewatch \(process {os.getpid()}\)"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_others_see_whether_a_directory_is_taken(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "kafka")
    assert not is_held(tmp_path / "kafka")
    lock.acquire()
    assert is_held(tmp_path / "kafka")
    lock.release()
    assert not is_held(tmp_path / "kafka")


def test_a_look_at_a_directory_does_not_keep_its_next_user_out(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")  # a number that another process has by now
    with (tmp_path / "lock").open() as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        end = threading.Timer(0.1, lambda: fcntl.flock(looked_at, fcntl.LOCK_UN))
        end.start()
        lock = DirectoryLock(tmp_path)
        lock.acquire()
        end.join()
    lock.release()


def test_a_directory_stays_taken_until_its_service_has_ended(run: Run, tmp_path: Path) -> None:
    holder = DirectoryLock(tmp_path)
    holder.acquire()
    process = run(SLEEPER, hold=(holder.descriptor,))
    ids_in(tmp_path / "log")
    (tmp_path / "lock").write_text("0\n")  # as if its holder were gone
    holder.release()
    late = DirectoryLock(tmp_path)
    with pytest.raises(EmbeddedError, match="in use"):
        late.acquire(seconds=0.2)
    process.kill()
    late.acquire(seconds=5)
    late.release()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        with pytest.raises(EmbeddedError, match=f"Kafka cannot listen on port {port}: another program does") as error:
            choose_port(port, [], service="Kafka")
        assert "choose another port" in error.value.hint


def test_a_taken_port_that_was_only_preferred_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose_port(None, [port], service="Kafka")
    assert chosen != port
    assert port_is_free(chosen)


def test_a_listener_on_all_addresses_takes_the_port_too() -> None:
    with socket.create_server(("", 0)) as taken:
        assert not port_is_free(taken.getsockname()[1])


def test_a_free_preferred_port_is_taken_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert choose_port(None, [port], service="Kafka") == port
    assert choose_port(None, [port], service="Kafka", not_among=[port]) != port
