"""A command in a folder of a project says where the project's settings are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    command = [sys.executable, "-m", "streams", "rules", "check", *options]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def test_the_settings_above_are_told_of_once_and_not_read(tmp_path: Path) -> None:
    below = tmp_path / "desk" / "rules"
    below.mkdir(parents=True)
    (tmp_path / "desk" / "wirewatch.yaml").write_text("channels: channels.yaml\n")
    (tmp_path / "desk" / "channels.yaml").write_text("channels: {desk: {type: stdout}}\n")
    (below / "oil.yaml").write_text("rules: [{name: oil, when: oil, channels: [desk]}]\n")
    told = check(below)
    assert told.returncode == 3
    assert told.stderr.count("no wirewatch.yaml here, but there is one above: use `-c ../wirewatch.yaml`") == 1
    there = check(below, "-c", "../wirewatch.yaml")
    assert (there.returncode, there.stderr) == (0, "")
    assert check(tmp_path / "desk").stderr == ""
    assert "above" not in check(tmp_path).stderr
