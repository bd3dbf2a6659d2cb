"""Clients of Kafka leave nothing open, even where their start is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from streams.worker.clients import admin_client, reader

pytestmark = pytest.mark.services


@pytest.mark.parametrize("opened", [admin_client, reader])
async def test_a_start_that_is_cancelled_leaves_no_connection_open(
    kafka_client: dict[str, str], opened: Callable[[Any], AbstractAsyncContextManager[Any]]
) -> None:
    async def use() -> None:
        async with opened(kafka_client):
            await asyncio.sleep(60)

    for tenths_of_ms in range(80):
        using = asyncio.create_task(use())
        await asyncio.sleep(tenths_of_ms / 10_000)
        using.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await using
    left = [each for each in gc.get_objects() if isinstance(each, AIOKafkaConnection) and each.connected()]
    assert left == []
