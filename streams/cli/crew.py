"""The workers of ``wirewatch up``: processes of their own, each started again where it ended by itself."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Self

from connectors.embedded.process import Process, in_words
from streams.cli.common import Exit

#: A worker that lived no longer than this, seconds, died quickly: something is wrong that a new start may not mend.
QUICK = 30.0

#: So many quick deaths in a row of every worker, and the crew is given up.
LIMIT = 5

#: The wait before a worker is started again, seconds: doubled with each quick death in a row, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0

#: How long a worker may take to finish what it has in hand, seconds.
PATIENCE = 20.0

#: The same once Kafka or Redis is gone: as long as the post in hand takes.
PATIENCE_WITHOUT_SERVICES = 6.0

#: As many of a worker's last lines are told when it has ended, of those that it said in its last seconds: a warning of
#: minutes ago is no reason.
LINES, LAST_SECONDS = 8, 10.0

#: What a worker does not get over by being started again: its own files or its command line are wrong.
_HOPELESS = (Exit.USAGE, Exit.REFUSED)


class GivenUpError(Exception):
    """The workers cannot be kept alive. ``exit_code`` is that of the last one to end, as a shell gives it."""

    def __init__(self, message: str, hint: str, exit_code: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def command(config: Path | None, *options: str) -> list[str]:
    """The command line of a worker with the settings of ``config``."""
    chosen = ["--config", str(config)] if config is not None else []
    return [sys.executable, "-P", "-m", "streams", "worker", "--log-level", "warning", *chosen, *options]


class WorkerProcess:
    """A worker. What it says on standard error is passed on at once, and its last lines are kept, by ``clock`` in seconds."""

    def __init__(
        self,
        command: list[str],
        *,
        environ: Mapping[str, str],
        pass_on: BinaryIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        heard, spoken = os.pipe()
        try:
            self._process = Process(
                command, log=None, directory=Path.cwd(), environment={**os.environ, **environ}, errors=spoken
            )
        except BaseException:
            os.close(heard)
            raise
        finally:
            os.close(spoken)
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque(maxlen=LINES)
        self._fell_silent = math.inf
        #: Whether what it says is passed on.
        self.heard = True
        self._listening = threading.Thread(target=self._listen, args=(heard, pass_on), daemon=True)
        self._listening.start()

    def _listen(self, heard: int, pass_on: BinaryIO) -> None:
        with open(heard, "rb") as said:
            for line in said:
                self._lines.append((self._clock(), line.decode("utf-8", "replace").rstrip()))
                if self.heard:
                    with contextlib.suppress(OSError):  # where nobody listens to us, the worker must not wait for it
                        pass_on.write(line)
                        pass_on.flush()
        self._fell_silent = self._clock()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + n if signal n ended it."""
        return self._process.exit_code

    def wait(self) -> int:
        """Wait for its end, however it comes, and give its exit code."""
        return self._process.wait()

    def last_words(self) -> str:
        """The last lines that it said, in its last seconds, once it has ended."""
        self._listening.join(timeout=1.0)
        ended = min(self._fell_silent, self._clock())
        return "\n".join(line for at, line in self._lines if ended - at <= LAST_SECONDS)

    def terminate(self) -> None:
        """Ask it to end, and do not wait for it."""
        self._process.terminate()

    def stop(self, seconds: float) -> None:
        """Ask it to end and wait for it; kill it after ``seconds``."""
        self._process.stop(seconds)


class _Berth:
    """The place of one worker: the process that is in it, and how its predecessors fared."""

    def __init__(self, name: str, process: WorkerProcess, now: float) -> None:
        self.name = name
        self.process = process
        self.since = now
        self.quick_deaths = 0
        self.starts = 1
        self.next_start: float | None = None

    def bury(self, now: float) -> float:
        """Note that the process has ended; the seconds until the next one starts."""
        self.process.stop(0)  # frees what led to it
        self.quick_deaths = self.quick_deaths + 1 if now - self.since <= QUICK else 1
        wait = min(FIRST_WAIT * 2.0 ** (self.quick_deaths - 1), LONGEST_WAIT)
        self.next_start = now + wait
        return wait

    def fill(self, process: WorkerProcess, now: float) -> None:
        """Put a new process into it."""
        self.process, self.since, self.next_start = process, now, None
        self.starts += 1

    def fails(self, now: float) -> bool:
        """Whether all that was put into it of late has died quickly."""
        return self.quick_deaths >= LIMIT and (self.next_start is not None or now - self.since <= QUICK)


class Crew:
    """Some workers, from ``__enter__`` to ``__exit__``."""

    def __init__(
        self,
        size: int,
        start: Callable[[], WorkerProcess],
        *,
        tell: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            size: how many workers.
            start: starts one.
            tell: gets what happened to a worker, and its last words or "".
            clock: seconds, for the time that a worker lived.
        """
        self._size = size
        self._start = start
        self._tell = tell
        self._clock = clock
        self._berths: list[_Berth] = []
        self._patience = PATIENCE

    def __enter__(self) -> Self:
        try:
            for number in range(1, self._size + 1):
                name = f"worker {number}" if self._size > 1 else "the worker"
                self._berths.append(_Berth(name, self._start(), self._clock()))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for berth in self._berths:
            berth.process.terminate()
        for berth in self._berths:
            berth.process.stop(self._patience)

    def hurry(self) -> None:
        """Make the end a short one, because Kafka or Redis is gone: what workers say of that is no news, and nothing
        but a post in hand can be finished. What is not, is delivered again."""
        self._patience = PATIENCE_WITHOUT_SERVICES
        for berth in self._berths:
            berth.process.heard = False

    def look(self) -> None:
        """Start again whose wait is over, and note who has ended.

        Raises:
            GivenUpError: a worker refuses to start at all, or all of them keep dying.
        """
        now = self._clock()
        for berth in self._berths:
            if berth.next_start is not None:
                if now >= berth.next_start:
                    berth.fill(self._start(), now)
            elif (code := berth.process.exit_code) is not None:
                self._mourn(berth, code, now)

    def _mourn(self, berth: _Berth, code: int, now: float) -> None:
        words = berth.process.last_words()
        if code in _HOPELESS and berth.starts == 1:
            raise GivenUpError(f"{berth.name} refuses to start", "mend what it says above" if words else "", code)
        wait = berth.bury(now)
        if all(other.fails(now) for other in self._berths):
            raise GivenUpError(
                f"{berth.name} has ended {in_words(code)}, {LIMIT} times in a row within {QUICK:.0f} s of its start",
                f"its last words:\n{words}" if words else "it said nothing in the end; is the machine short of memory?",
                code,
            )
        self._tell(f"{berth.name} has ended {in_words(code)}; another starts in {wait:g} s", words)
