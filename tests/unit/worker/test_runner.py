"""When an agent works: not for ever ahead of what is confirmed, and one at a time where there is much to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.worker import agents
from streams.worker.agents import Records, Refusals, Runner
from streams.worker.chunks import Chunk
from streams.worker.publish import Output
from streams.worker.topics import Topics
from streams.worker.turns import IN_A_TURN

PARTITION = TP("alerts", 0)


class Deliver:
    """A stage that puts out nothing, and counts."""

    name = "deliver"

    def __init__(self) -> None:
        self.refusals = Refusals(self.name, Topics())
        self.worked = 0

    async def work(self, records: Records) -> list[Output]:
        self.worked += len(records)
        return []


class Busy(Deliver):
    """A stage that works until it may stop."""

    def __init__(self, may_stop: asyncio.Event) -> None:
        super().__init__()
        self._may_stop = may_stop

    async def work(self, records: Records) -> list[Output]:
        await super().work(records)
        await self._may_stop.wait()
        return []


class Event:
    """A chunk as Faust hands it out."""

    def __init__(self, size: int, released: asyncio.Event) -> None:
        self.value = Chunk(PARTITION, [SimpleNamespace()] * size, released)
        self.message = self
        self.state = "in hand"

    def ack(self) -> None:
        self.state = "acknowledged"

    def let_go(self, message: Event) -> None:
        message.state = "let go"


class Stream:
    """A stream of as many chunks as there are, each of which comes by itself."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self.channel = SimpleNamespace(empty=lambda: True)

    def noack(self) -> Stream:
        return self

    async def events(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event


class Trickle(Stream):
    """A stream of which the next chunk comes in a few milliseconds."""

    async def events(self) -> AsyncIterator[Event]:
        for event in self._events:
            await asyncio.sleep(0.005)
            yield event


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["confirmed", "released"])
async def test_an_agent_waits_while_too_much_is_unconfirmed(how: str) -> None:
    released, disk, late = asyncio.Event(), asyncio.Event(), True

    async def confirm() -> None:
        await disk.wait()
        if late:
            raise TimeoutError("Redis has not written to its disk yet")

    stage, events = Deliver(), [Event(1000, released) for _ in range(30)]
    app: Any = SimpleNamespace(consumer=SimpleNamespace(let_go=lambda message: message.let_go(message)))
    runner = Runner(stage, app, lambda: datetime(2025, 3, 3, 12, tzinfo=UTC), lambda _agent, _step: None, confirm)
    running = [asyncio.create_task(runner.run(Stream(events))), asyncio.create_task(runner.acknowledge_confirmed())]
    await settled()
    assert stage.worked == agents.MOST_UNCONFIRMED + 1000
    if how == "released":
        released.set()
    else:
        late = False
    disk.set()
    await asyncio.wait_for(running[0], 10)
    await settled()
    if how == "confirmed":
        assert (stage.worked, {event.state for event in events}) == (30_000, {"acknowledged"})
    else:
        assert {event.state for event in events} == {"let go"}
    running[1].cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_chunks_that_come_soon_after_one_another_are_confirmed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents, "GATHER", 0.5)
    confirmed: list[int] = []

    async def confirm() -> None:
        confirmed.append(stage.worked)

    stage, events = Deliver(), [Event(1, asyncio.Event()) for _ in range(5)]
    runner = Runner(
        stage, SimpleNamespace(), lambda: datetime(2025, 3, 3, 12, tzinfo=UTC), lambda _agent, _step: None, confirm
    )
    acknowledging = asyncio.create_task(runner.acknowledge_confirmed())
    await runner.run(Trickle(events))
    assert {event.state for event in events} == {"in hand"}
    async with asyncio.timeout(20):
        while events[-1].state == "in hand":  # noqa: ASYNC110 - an event of Faust's says nothing
            await asyncio.sleep(0.01)
    assert (confirmed, {event.state for event in events}) == ([5], {"acknowledged"})
    acknowledging.cancel()


async def test_stages_with_much_to_do_work_one_after_the_other_and_a_few_records_do_not_wait() -> None:
    may_stop, at_work = asyncio.Event(), asyncio.Lock()
    app: Any = SimpleNamespace()
    stages = [Busy(may_stop), Deliver(), Deliver()]
    sizes = [1000, 1000, IN_A_TURN]
    running = []
    for stage, size in zip(stages, sizes, strict=True):
        runner = Runner(
            stage, app, lambda: datetime(2025, 3, 3, 12, tzinfo=UTC), lambda _agent, _step: None, at_work=at_work
        )
        running.append(asyncio.create_task(runner.run(Stream([Event(size, asyncio.Event())]))))
        await settled()
    assert [stage.worked for stage in stages] == [1000, 0, IN_A_TURN]
    may_stop.set()
    await asyncio.gather(*running)
    assert [stage.worked for stage in stages] == sizes


async def test_chunks_that_were_released_while_they_waited_are_let_go_unworked() -> None:
    released, held = asyncio.Event(), asyncio.Event()
    released.set()
    stage, events = Deliver(), [Event(3, released), Event(4, held)]
    app: Any = SimpleNamespace(consumer=SimpleNamespace(let_go=lambda message: message.let_go(message)))
    runner = Runner(stage, app, lambda: datetime(2025, 3, 3, 12, tzinfo=UTC), lambda _agent, _step: None)
    await runner.run(Stream(events))
    assert (stage.worked, [event.state for event in events]) == (4, ["let go", "acknowledged"])
