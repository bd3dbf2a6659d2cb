"""How fast recorded headlines are replayed, and how far that has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streams.backtest.replay import event_time
from streams.cli.common import TOLD_EVERY, err
from streams.core.dedupe import Candidate


@dataclass(frozen=True, slots=True)
class Pace:
    """``speed`` is how many seconds of event time pass in one of ours; None is as fast as it goes."""

    speed: float | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def read(cls, text: str) -> Pace:
        """``max``, ``1`` or another number.

        Raises:
            typer.BadParameter: it is none of these.
        """
        if text == "max":
            return cls()
        try:
            speed = float(text)
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            raise typer.BadParameter(f"--speed is max, 1 for real time, or a number such as 60, not {text!r}")
        return cls(speed)

    def of(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates, each when it is its turn. The first comes at once, one that is late as soon as it can."""
        if self.speed is None:
            yield from candidates
            return
        began, first = self.clock(), None
        for candidate in candidates:
            at = event_time(candidate)
            first = at if first is None else first
            wait = began + (at - first) / 1000 / self.speed - self.clock()
            if wait > 0:
                self.sleep(wait)
            yield candidate

    @contextmanager
    def shown(self, expected: Callable[[], int | None]) -> Iterator[Callable[[int], None]]:
        """Says on a terminal how many headlines are through, how many a second, and how long the rest will take.

        ``expected`` is asked again and again how many there will be.
        """
        columns = [
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f} headlines, {task.fields[rate]:,.0f}/s"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        ]
        every = TOLD_EVERY if self.speed is None else 1
        began = self.clock()
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=None, rate=0.0)

            def tell(count: int) -> None:
                if count % every == 0:
                    rate = count / max(self.clock() - began, 1e-9)
                    bar.update(task, total=expected(), completed=count, rate=rate)

            yield tell
