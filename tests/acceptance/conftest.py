"""The command as a user runs it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wirewatch(tmp_path: Path) -> Run:
    """Run ``wirewatch`` with some arguments, in an empty folder, and wait for its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}

    def run(*arguments: str, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streams", *arguments],
            cwd=tmp_path,
            env={**clean, "COLUMNS": "200", **environ},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
