"""What becomes of a command whose output cannot be written, or whose terminal has few letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told_in_a_line() -> None:
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "streams", "rules", "schema"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("the output cannot be written: No space left on device\n")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_letters_that_a_terminal_lacks_are_spelled() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams", "explain", "Tanker\u2019s crew held \u2013 Iran"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "iran yes" in done.stdout
