"""What tables keep where there is little room, or nobody looks."""

from __future__ import annotations

import os
import subprocess
import sys

SHOW = """
from rich.table import Table
from streams.cli.common import out, uncut

table = Table("rule", uncut("alert", ["al_" + "x" * 24]), "reason")
table.add_row("a rule with many words and a long name", "al_" + "x" * 24, "why " * 60)
out.print(table)
"""


def shown(**environ: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, env={**clean, **environ}
    )
    return shown.stdout


def test_nothing_is_cut_where_no_terminal_shows_it() -> None:
    (row,) = [line for line in shown().splitlines() if "al_x" in line]
    assert "al_" + "x" * 24 in row
    assert row.count("why") == 60


def test_what_is_copied_from_a_table_stays_whole_where_there_is_little_room() -> None:
    lines = shown(COLUMNS="50").splitlines()
    assert max(map(len, lines)) <= 50
    assert any("al_" + "x" * 24 in line for line in lines)
