"""Real Kafka and Redis, started once a session and thrown away after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors import embedded


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Services]:
    """Kafka and Redis on free ports. Tests keep apart by prefixes of their own."""
    with embedded.start(tmp_path_factory.mktemp("services"), progress=print) as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(services: embedded.Services) -> str:
    return services.redis_url


@pytest.fixture(scope="session")
def kafka_client(services: embedded.Services) -> dict[str, str]:
    """The connection settings of aiokafka."""
    return {"bootstrap_servers": services.bootstrap_servers}
