"""Long work in parts, with a turn for everybody else in between.

A worker that has fallen behind decides on thousands of records at once. Its event loop also sends the alerts, and a request
takes a dozen turns of it: were each as long as a thousand decisions, alerts would wait until the worker has caught up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

#: Records that are worked on in one turn: a few milliseconds.
IN_A_TURN: Final = 16


async def in_turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """``items`` in parts, in order, with a turn for all others before each but the first: a lone one does not wait."""
    for start in range(0, len(items), IN_A_TURN):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + IN_A_TURN]
