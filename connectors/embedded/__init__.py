"""A real Kafka and a real Redis from Python packages: no Docker, no Java installed, no account.

    with embedded.start(Path(".wirewatch")) as services:
        services.bootstrap_servers, services.redis_url

They live as long as the process that started them and not a moment longer, even if that is killed. Their data
stay. For people who try wirewatch and for its tests; a desk that depends on alerts runs a Kafka cluster of
its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors.embedded.errors import EmbeddedError
from connectors.embedded.kafka import Kafka
from connectors.embedded.note import Services, find, in_between, noted
from connectors.embedded.redis import Redis

_log = logging.getLogger(__name__)

__all__ = ["EmbeddedError", "Kafka", "Redis", "Running", "Services", "find", "in_between", "start"]


@dataclass(frozen=True, slots=True)
class Running(Services):
    """Services that run, for as long as we let them."""

    parts: tuple[Kafka | Redis, ...]

    def check(self) -> None:
        """Look whether they still run.

        Raises:
            EmbeddedError: one has ended by itself; the error has the last lines of its log.
        """
        for part in self.parts:
            part.check()


@contextmanager
def start(
    data_dir: Path,
    *,
    kafka: bool = True,
    redis: bool = True,
    kafka_port: int | None = None,
    redis_port: int | None = None,
    progress: Callable[[str], None] = _log.info,
) -> Iterator[Running]:
    """Run Kafka and Redis, or one of them, for the duration of a ``with`` block.

    Both come up at the same time, and both are gone when the block ends, however it ends. Meanwhile ``find`` tells
    other processes of them.

    Args:
        data_dir: holds ``kafka`` and ``redis``; what is in them is kept from run to run.
        kafka_port, redis_port: ports to insist on; with None, the ones used last or 9092 and 6379, or any others
            that are free.
        progress: gets a line for people before anything that takes its time.

    Raises:
        EmbeddedError: a service cannot be had; the error says why and what to do.
    """
    with ExitStack() as stack:
        memory = Redis(data_dir, port=redis_port, progress=progress) if redis else None
        broker = Kafka(data_dir, port=kafka_port, progress=progress) if kafka else None
        parts = tuple(part for part in (memory, broker) if part is not None)
        for part in parts:
            stack.callback(part.stop)
            part.launch()
        for part in parts:
            part.wait_until_ready()
        services = Services(
            bootstrap_servers=broker.bootstrap_servers if broker else "",
            redis_url=memory.url if memory else "",
            cluster_id=broker.cluster_id if broker else "",
            run_id=memory.run_id if memory else "",
        )
        stack.enter_context(noted(data_dir, services))
        yield Running(**asdict(services), parts=parts)
