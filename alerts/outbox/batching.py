"""Scripts of Redis that are asked for in the same moment, sent in one round trip.

A hundred channels ask at once, each for little. A script that is asked for alone goes at once; while one round trip is on
its way, what is asked for meanwhile is collected for the next, so that the more there is to do, the less each costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

#: Scripts of one round trip, at most: nobody is to wait long for the answer to the first.
MOST = 100


class _Call(NamedTuple):
    script: Any
    keys: Sequence[str]
    arguments: Sequence[Any]
    answer: asyncio.Future[Any]


class Batches:
    """Runs scripts on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The answer to a script, which is one atomic step whoever else is in its round trip.

        Raises:
            RedisError: it failed, or Redis is away.
        """
        loop = asyncio.get_running_loop()
        call = _Call(script, keys, arguments, loop.create_future())
        self._waiting.append(call)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        return await call.answer

    async def _send(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                answers = await self._ask(calls)
                unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
                if unknown:
                    for script in {calls[n].script for n in unknown}:
                        await self._redis.script_load(script.script)
                    for n, answer in zip(unknown, await self._ask([calls[n] for n in unknown]), strict=True):
                        answers[n] = answer
            except BaseException as error:
                _settle(calls, [error] * len(calls))
                if not isinstance(error, Exception):
                    raise
            else:
                _settle(calls, answers)

    async def _ask(self, calls: Sequence[_Call]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.arguments)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers


def _settle(calls: Sequence[_Call], answers: Sequence[Any]) -> None:
    """Give each its answer, but who does not wait any more."""
    for call, answer in zip(calls, answers, strict=True):
        if call.answer.done():
            continue
        if isinstance(answer, asyncio.CancelledError):
            call.answer.cancel()
        elif isinstance(answer, BaseException):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
