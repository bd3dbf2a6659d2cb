"""Work that may hang, in a thread that nothing waits for when the program ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Do ``work`` in a thread of that name. Whoever stops waiting does not stop the thread.

    Raises:
        Exception: what ``work`` raises.
    """
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
