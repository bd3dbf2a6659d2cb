"""What other processes believe of a data directory's services, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.embedded.errors import EmbeddedError
from connectors.embedded.note import FILE, Services, find, in_between, noted
from connectors.embedded.process import DirectoryLock

SERVICES = Services("127.0.0.1:9092", "redis://127.0.0.1:6379/0", "4L6g3nShT-eMCtK--X86sw", "f" * 40)


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[dict[str, DirectoryLock]]:
    """The locks of a data directory, taken: its services run."""
    taken = {name: DirectoryLock(tmp_path / name) for name in ("kafka", "redis")}
    for lock in taken.values():
        lock.acquire()
    yield taken
    for lock in taken.values():
        lock.release()


@pytest.mark.usefixtures("locks")
def test_services_are_found_while_they_run(tmp_path: Path) -> None:
    with noted(tmp_path, SERVICES):
        assert find(tmp_path) == SERVICES
    assert find(tmp_path) is None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("ended", ["kafka", "redis"])
def test_a_note_that_outlived_a_service_is_not_believed(
    tmp_path: Path, locks: dict[str, DirectoryLock], ended: str
) -> None:
    with noted(tmp_path, SERVICES):
        locks[ended].release()
        assert (tmp_path / FILE).exists()
        assert find(tmp_path) is None


def test_only_what_was_asked_for_has_to_run(tmp_path: Path, locks: dict[str, DirectoryLock]) -> None:
    locks["kafka"].release()
    only_redis = Services("", SERVICES.redis_url, "", SERVICES.run_id)
    with noted(tmp_path, only_redis):
        assert find(tmp_path) == only_redis


def test_services_that_hold_their_directories_without_a_note_are_in_between(
    tmp_path: Path, locks: dict[str, DirectoryLock]
) -> None:
    assert in_between(tmp_path)
    with noted(tmp_path, SERVICES):
        assert not in_between(tmp_path), "they are there"
        locks["kafka"].release()
        assert in_between(tmp_path), "Redis still stops"
        locks["redis"].release()
        assert not in_between(tmp_path)
    assert not in_between(tmp_path / "new")


@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "\x80", '{"bootstrap_servers": "127.0.0.1:9092", "redis_url": "redis://127.0.0.1:6379/0"}'],
)
def test_a_spoilt_note_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, "latin-1")
    assert find(tmp_path) is None


def test_a_data_directory_that_was_never_used_has_no_services(tmp_path: Path) -> None:
    assert find(tmp_path / "new") is None


def test_a_note_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="cannot write below"), noted(tmp_path / "nowhere", SERVICES):
        pass
