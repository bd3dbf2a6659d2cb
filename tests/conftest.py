"""Real Kafka and Redis, started once a session and thrown away after it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from connectors import embedded
from connectors.embedded.process import choose_port

# How long an example takes says more of what else the machine does than of our code.
settings.register_profile("wirewatch", deadline=None)
settings.load_profile("wirewatch")

# The commands that tests run in processes of their own compile our modules once, also where Python is told to write no
# bytecode beside the sources.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")

# A job in the background of a shell ignores Ctrl-C, and so would all that the tests start: they send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Services]:
    """Kafka and Redis on free ports. Tests keep apart by prefixes of their own.

    The ports are drawn: the usual ones would be asked for by all processes of tests in the same moment.
    """
    kafka_port = choose_port(None, (), service="Kafka")
    redis_port = choose_port(None, (), service="Redis", not_among=(kafka_port,))
    folder = tmp_path_factory.mktemp("services")
    with embedded.start(folder, kafka_port=kafka_port, redis_port=redis_port, progress=print) as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(services: embedded.Services) -> str:
    return services.redis_url


@pytest.fixture(scope="session")
def kafka_client(services: embedded.Services) -> dict[str, str]:
    """The connection settings of aiokafka."""
    return {"bootstrap_servers": services.bootstrap_servers}


@pytest.fixture(autouse=True)
def _own_log_levels() -> Iterator[None]:
    """The levels of all loggers are as they were, after a command has run in this very process and quietened libraries."""
    loggers = [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    before = {logger: logger.level for logger in loggers}
    yield
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(before.get(logger, logging.NOTSET))
