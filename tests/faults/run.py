"""A run: the load, the faults one after the other, the drain, and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.worker.tally import Tally
from tests.faults.bench import Bench
from tests.faults.checker import Verdict, check
from tests.faults.nemesis import Fault, bring_about

#: Faults that happen at the same time.
Moment = Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``drained`` is in seconds."""

    bench: Bench
    verdict: Verdict
    tally: Tally
    drained: float

    @property
    def findings(self) -> list[str]:
        """All that is wrong: broken promises, workers that misbehaved, and a count that does not add up."""
        left = [] if self.tally.finished else [f"it did not drain: {self.tally}"]
        return [*left, *self.bench.misbehaviour, *self.verdict.violations]

    def table(self) -> str:
        """The figures of the run, a line each."""
        verdict = self.verdict
        rows: list[tuple[str, object]] = [
            *sorted(self.bench.counts.items()),
            ("", ""),
            ("headlines in", verdict.headlines),
            *((f"  {fate}", verdict.fates[fate]) for fate in ("unique", "dropped", "invalid")),
            ("alerts due", verdict.alerts),
            ("  delivered", verdict.delivered),
            ("  dead", verdict.dead),
            ("  both, because they were posted again", verdict.two_ends),
            ("lost", verdict.lost),
            ("alerts posted again (same id, same body)", verdict.repeats),
            ("messages, alone or of a group", verdict.messages),
            ("headlines told again after Redis fell", verdict.told_again),
            ("workers that ended by themselves or not at all", len(self.bench.misbehaviour)),
            ("seconds to drain", f"{self.drained:.1f}"),
            ("promises broken", len(verdict.violations)),
        ]
        return "\n".join(f"{name:<44}{figure!s:>10}".rstrip() for name, figure in rows)


async def run(bench: Bench, moments: Iterable[Moment], *, lead: float = 2.0, drain: float = 60.0) -> Outcome:
    """Speak, bring about the faults of each moment, be silent, wait until all is done, and check it.

    Args:
        lead: seconds of speech before the first fault, and after the last.
        drain: seconds that the rest may take, at most.
    """
    bench.note(f"seed {bench.seed}, {bench.brokers} broker(s), {len(bench.workers)} workers")
    supervising = asyncio.create_task(bench.supervise())
    speaking = asyncio.create_task(bench.speak())
    try:
        await asyncio.sleep(lead)
        for moment in moments:
            async with asyncio.TaskGroup() as together:
                for fault in moment:
                    together.create_task(bring_about(bench, fault))
            for task in (supervising, speaking):
                if task.done():
                    task.result()
            await asyncio.sleep(bench.random.uniform(0.2, 1.0))
        await asyncio.sleep(lead)
        await _cancelled(speaking)
        bench.note(f"silence after {len(bench.confirmed)} records")
        drained, tally = await bench.drained(drain)
        bench.note(f"drained in {drained:.1f} s")
        verdict = check(bench.history, await bench.observe())
    finally:
        await _cancelled(speaking)
        await _cancelled(supervising)
    return Outcome(bench, verdict, tally, drained)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
