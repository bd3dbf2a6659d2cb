"""Work that may hang, in a thread that nothing waits for when the program ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class OneAtATime:
    """Does one piece of work after the other, each in a thread of a name. Ask whether it is ``busy`` before."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._busy = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether a thread still works, though nobody may wait for it any more."""
        return self._busy.is_set()

    async def do(self, work: Callable[[], T]) -> T:
        """Do ``work``. Whoever stops waiting does not stop the thread.

        Raises:
            Exception: what ``work`` raises.
        """
        self._busy.set()
        return await _in_thread(lambda: self._done(work), self._name)

    def _done(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            self._busy.clear()


async def _in_thread(work: Callable[[], T], name: str) -> T:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            settle(outcome)

    def run() -> None:
        settle: Callable[[Any], None] = done.set_result
        outcome: Any
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - raised again on the other side
            settle, outcome = done.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, settle, outcome)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await done
