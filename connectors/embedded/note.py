"""Which services run for a data directory: the file ``services.json`` in it, for other processes to find them.

A ``kill -9`` leaves the file behind, and by the time that somebody reads it another project's Kafka may listen on
that port. So it is believed for as long as the services hold their directories, and it says which Kafka and which
Redis it means, for the reader to compare with the ones that answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from connectors.embedded.errors import writing_below
from connectors.embedded.process import is_held

FILE = "services.json"


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services are, and which they are. Empty is what was not asked for.

    ``cluster_id`` is Kafka's, the same for as long as its data are kept; ``run_id`` is Redis's, another one at every
    start.
    """

    bootstrap_servers: str
    redis_url: str
    cluster_id: str
    run_id: str


def find(data_dir: Path) -> Services | None:
    """The services that run now for ``data_dir``, whoever started them; None where none do."""
    try:
        noted = msgspec.json.decode((data_dir / FILE).read_bytes(), type=Services)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    asked_for = [name for name, address in (("kafka", noted.bootstrap_servers), ("redis", noted.redis_url)) if address]
    return noted if asked_for and all(is_held(data_dir / name) for name in asked_for) else None


def in_between(data_dir: Path) -> bool:
    """Whether services of ``data_dir`` are starting, or stopping: something holds their directories, and :func:`find`
    finds none that can be used."""
    return find(data_dir) is None and any(is_held(data_dir / name) for name in ("kafka", "redis"))


@contextmanager
def noted(data_dir: Path, services: Services) -> Iterator[None]:
    """Let others find ``services`` for the duration of a block.

    Raises:
        EmbeddedError: the note cannot be written.
    """
    file = data_dir / FILE
    with writing_below(data_dir):
        part = file.with_name(FILE + ".part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(services)) + b"\n")
        part.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
