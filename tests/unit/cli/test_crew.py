"""Workers that end by themselves are started again, told of, and in the end given up."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.cli.crew import LIMIT, LONGEST_WAIT, QUICK, Crew, GivenUpError, WorkerProcess, command

DIES = "import sys; sys.exit('Redis is full')"
DIES_QUIETLY = "raise SystemExit(70)"
REFUSES = "import sys; print('rules/a.yaml:3: is wrong', file=sys.stderr); sys.exit(3)"
SLEEPS = "import time; time.sleep(60)"


class Stage:
    """A crew of programs instead of workers, with a clock that we set."""

    def __init__(self, *programs: str, size: int = 1) -> None:
        self.now = 1000.0
        self.heard = io.BytesIO()
        self.told: list[tuple[str, str]] = []
        self.started: list[WorkerProcess] = []
        self._programs = iter([*programs, *[programs[-1]] * 100])
        self.crew = Crew(
            size, self._start, tell=lambda what, words: self.told.append((what, words)), clock=lambda: self.now
        )

    def _start(self) -> WorkerProcess:
        program = [sys.executable, "-c", next(self._programs)]
        self.started.append(WorkerProcess(program, environ={}, pass_on=self.heard, clock=lambda: self.now))
        return self.started[-1]

    def let_die(self, index: int = -1) -> None:
        """Wait until one of the processes has ended, and have the crew notice."""
        self.started[index].wait()
        self.crew.look()


@pytest.fixture
def on_stage() -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(*programs: str, size: int = 1) -> Stage:
        stages.append(Stage(*programs, size=size))
        stages[-1].crew.__enter__()
        return stages[-1]

    yield make
    for stage in stages:
        stage.crew.__exit__()
        assert all(process.exit_code is not None for process in stage.started), "a process was left"


def test_a_dead_worker_is_told_of_with_its_last_words_and_started_again(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(DIES, SLEEPS)
    stage.let_die()
    assert stage.told == [("the worker has ended with exit code 1; another starts in 0.5 s", "Redis is full")]
    assert stage.heard.getvalue() == b"Redis is full\n"
    stage.now += 0.4
    stage.crew.look()
    assert len(stage.started) == 1
    stage.now += 0.1
    stage.crew.look()
    assert len(stage.started) == 2
    assert stage.started[1].exit_code is None


def test_the_others_are_left_alone(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(SLEEPS, DIES_QUIETLY, SLEEPS, size=3)
    stage.let_die(1)
    stage.now += 1
    stage.crew.look()
    assert stage.told == [("worker 2 has ended with exit code 70; another starts in 0.5 s", "")]
    assert [process.exit_code for process in stage.started] == [None, 70, None, None]


def test_one_that_keeps_dying_waits_longer_each_time_and_is_given_up(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(DIES)
    for _ in range(LIMIT - 1):
        stage.let_die()
        stage.now += LONGEST_WAIT
        stage.crew.look()
    waits = [what.rpartition(" in ")[2] for what, _ in stage.told]
    assert waits == ["0.5 s", "1 s", "2 s", "4 s"]
    with pytest.raises(GivenUpError, match="ended with exit code 1, 5 times in a row within 30 s") as given_up:
        stage.let_die()
    assert given_up.value.hint == "its last words:\nRedis is full"
    assert given_up.value.exit_code == 1


def test_one_that_lived_long_has_its_past_forgiven(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(DIES)
    for _ in range(3 * LIMIT):
        stage.now += QUICK + 1
        stage.let_die()
        stage.now += LONGEST_WAIT
        stage.crew.look()
    assert {what.rpartition(" in ")[2] for what, _ in stage.told} == {"0.5 s"}


def test_a_crew_of_which_one_lives_is_not_given_up(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(SLEEPS, DIES, size=2)
    for _ in range(3 * LIMIT):
        stage.let_die()
        stage.now += LONGEST_WAIT
        stage.crew.look()
    assert stage.told[-1][0] == "worker 2 has ended with exit code 1; another starts in 30 s"


def test_one_that_refuses_the_users_files_at_its_first_start_is_not_started_again(
    on_stage: Callable[..., Stage],
) -> None:
    stage = on_stage(REFUSES)
    with pytest.raises(GivenUpError, match="the worker refuses to start") as given_up:
        stage.let_die()
    assert given_up.value.exit_code == 3
    assert b"rules/a.yaml:3" in stage.heard.getvalue()


def test_one_that_refuses_later_may_find_the_files_mended(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(DIES, REFUSES, SLEEPS)
    for _ in range(2):
        stage.let_die()
        stage.now += LONGEST_WAIT
        stage.crew.look()
    assert stage.started[2].exit_code is None


def test_where_the_services_are_gone_workers_end_unheard(on_stage: Callable[..., Stage]) -> None:
    stage = on_stage(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('Kafka does not answer'))\n"
        "print('up', file=sys.stderr, flush=True)\n"
        "time.sleep(60)"
    )
    while not stage.heard.getvalue():
        assert stage.started[0].exit_code is None
    stage.crew.hurry()
    stage.crew.__exit__()
    assert stage.started[0].last_words() == "up\nKafka does not answer"
    assert stage.heard.getvalue() == b"up\n"


def test_what_a_worker_said_minutes_ago_is_not_its_last_words(tmp_path: Path, on_stage: Callable[..., Stage]) -> None:
    go_on = tmp_path / "go-on"
    stage = on_stage(
        "import pathlib, sys, time\n"
        "print('Redis is away', file=sys.stderr, flush=True)\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)\n"
        "sys.exit('no space left')",
        SLEEPS,
    )
    while not stage.heard.getvalue():
        assert stage.started[0].exit_code is None
    stage.now += 300
    go_on.touch()
    stage.let_die()
    assert [words for _, words in stage.told] == ["no space left"]
    assert stage.heard.getvalue() == b"Redis is away\nno space left\n", "all of it was passed on when it was said"


def test_a_worker_gets_the_settings_file_where_there_is_one() -> None:
    assert command(Path("a desk/wirewatch.yaml"))[-2:] == ["--config", "a desk/wirewatch.yaml"]
    assert "--config" not in command(None)
