"""Slices in the hands of processes of this machine, each fed and heard by a thread of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread

from streams.backtest.slices.finding import Work
from streams.backtest.slices.hands import HandsError
from streams.backtest.slices.worker import BATCH, BEGIN, WORK, receive, send

#: How long a process that is let go may take to end, seconds; then it is killed.
_PATIENCE = 5.0


class Processes:
    """So many processes at the most, which take slices in turn; each is started with the first slice that it takes."""

    def __init__(self, width: int, work: Work) -> None:
        self.width = width
        self._packed = work.packed()
        self._processes: list[_Process] = []

    def begin(self, number: int, warm_up: bytes, trusted: int) -> _Errand:
        """Begin a slice, as :class:`streams.backtest.slices.hands.Hands` has it."""
        place = (number - 1) % self.width
        if place == len(self._processes):
            self._processes.append(_Process(self._packed))
        errand = _Errand(self._processes[place], number)
        errand.begin(warm_up, trusted)
        return errand

    def drop(self) -> None:
        """Begin anew with others."""
        self.close()
        self._processes.clear()

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.end()


class _Process:
    """A process that looks at slices, and the threads that write to it and read from it."""

    def __init__(self, packed: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "streams.backtest.slices.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._orders: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        #: What it answers, in order; None once it has ended.
        self.answers: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self.order(WORK, packed)
        self._threads = [Thread(target=target, daemon=True) for target in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def order(self, kind: bytes, value: bytes) -> None:
        self._orders.put((kind, value))

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has died, which is told by what it does not answer
            while frame := self._orders.get():
                send(self._process.stdin, *frame)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while frame := receive(self._process.stdout):
                self.answers.put(frame)
        self.answers.put(None)

    def ending(self) -> str:
        """How it has ended, for a person."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return "has closed its output"
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def end(self) -> None:
        self._orders.put(None)
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(_PATIENCE)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


class _Errand:
    """A slice at a process, which answers one slice after the other, so that its answers are read in turn, too."""

    def __init__(self, process: _Process, number: int) -> None:
        self._process = process
        self._number = number
        self._due = 0
        self._ended = False

    def begin(self, warm_up: bytes, trusted: int) -> None:
        # An array of two, of which the second is encoded already.
        self._order(BEGIN, b"\x92\xce" + trusted.to_bytes(4, "big") + warm_up)

    def give(self, batch: bytes) -> None:
        self._order(BATCH, batch)

    def _order(self, kind: bytes, value: bytes) -> None:
        self._process.order(kind, value)
        self._due += 1

    def end(self) -> None:
        self._ended = True

    def results(self) -> Iterator[bytes]:
        while self._due or not self._ended:
            answer = self._process.answers.get()
            if answer is None:
                raise HandsError(
                    f"a process of the replay {self._process.ending()} at slice {self._number}",
                    "what it said stands above; where it was killed, memory may have been short: use fewer --jobs",
                )
            self._due -= 1
            yield answer[1]
