from __future__ import annotations

import os
from pathlib import Path

import pytest

from alerts.userfile import LARGEST, files_below, read_text
from streams.core.document import RefusedError


def refused(path: Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_text(path, "write one")
    (problem,) = caught.value.problems
    return str(problem).removeprefix(f"{path.parent}/")


def test_a_byte_order_mark_and_line_ends_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_text(tmp_path / "f.yaml") == "a: 1\r\n"


def test_the_files_below_a_folder_leave_out_what_is_hidden_and_what_never_ends(tmp_path: Path) -> None:
    for name in ("b.yml", "deeper/a.yaml", "notes.txt", ".hidden.yaml", "..2026_11_25/b.yml", ".git/c.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / ".#b.yml").symlink_to("me@host.1")
    (tmp_path / "dead.yaml").symlink_to("nowhere")  # told when it is read
    os.mkfifo(tmp_path / "pipe.yaml")
    found = [str(file.relative_to(tmp_path)) for file in files_below(tmp_path)]
    assert found == ["b.yml", "dead.yaml", "deeper/a.yaml"]


def test_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"a: 1\nb: caf\xe9\n")
    (tmp_path / "wide").write_bytes("a: 1".encode("utf-16"))
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert [refused(tmp_path / name) for name in ("rule.yaml", "x", "folder", "latin", "wide", "huge")] == [
        "rule.yaml: cannot be read: No such file or directory (did you mean `rules.yaml`?)",
        "x: cannot be read: No such file or directory (write one)",
        "folder: is a folder (name a file)",
        "latin:2:7: is not UTF-8 text (save it as UTF-8)",
        "wide: is not UTF-8 text but UTF-16 (save it as UTF-8)",
        "huge: is larger than 5 MB (is it the right file? If so, make several)",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "f").touch(mode=0)
    assert refused(tmp_path / "f").startswith("f: cannot be read: Permission denied (`chmod u+r ")
