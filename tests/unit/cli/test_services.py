"""Where commands look for Kafka and Redis, and what they say where none are."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.embedded.process import DirectoryLock
from streams.cli.common import UnreachableError
from streams.cli.services import addresses
from streams.settings import load


def test_services_that_are_starting_are_not_to_be_started_again(tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text("data_dir: data\n")
    loaded = load(tmp_path / "wirewatch.yaml", {})
    with pytest.raises(UnreachableError, match="no Kafka and Redis are running") as refused:
        addresses(loaded)
    assert "start them with `wirewatch up`" in refused.value.hint
    lock = DirectoryLock(tmp_path / "data" / "redis")
    lock.acquire()
    try:
        with pytest.raises(UnreachableError, match="are starting, or stopping") as refused:
            addresses(loaded)
    finally:
        lock.release()
    assert "start them" not in refused.value.hint


def test_who_needs_no_redis_is_not_asked_for_its_address(tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text("kafka: {bootstrap_servers: 'kafka:9092'}\n")
    loaded = load(tmp_path / "wirewatch.yaml", {})
    found = addresses(loaded, redis=False)
    assert (found.kafka["bootstrap_servers"], found.redis_url) == ("kafka:9092", "")
    with pytest.raises(UnreachableError):
        addresses(loaded)
