"""Runs the benchmarks, prints a table, and writes ``benchmarks/results/NAME.json``.

A benchmark is a module with a ``run`` that gives rows, one after the other or all at once.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.report import Row

RESULTS = Path(__file__).parent / "results"
console = Console()


def names() -> list[str]:
    """The benchmarks: every module here that has a ``run``."""
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return [name for name in sorted(modules) if hasattr(importlib.import_module(f"benchmarks.{name}"), "run")]


def show(name: str, rows: list[Row]) -> None:
    """Print one benchmark's rows."""
    table = Table(title=name, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in ("what", "ours", "peer", "peer's name", "ratio", "unit"):
        table.add_column(column, justify="right" if column in ("ours", "peer", "ratio") else "left")
    for row in rows:
        ratio = f"{row['ratio']:,.2f}" if row["ratio"] is not None else ""
        table.add_row(row["what"], figure(row["ours"]), figure(row["peer"]), row["peer_name"], ratio, row["unit"])
    console.print(table)
    console.print()


def figure(value: float | None) -> str:
    """A figure with as many digits as it means."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def main() -> int:
    """Run those named on the command line, or all."""
    wanted = sys.argv[1:] or names()
    unknown = set(wanted) - set(names())
    if unknown:
        console.print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in wanted:
        measure(name)
    return 0


def measure(name: str) -> None:
    """Run one benchmark. What it has found stands in its file as it goes, so that a part that fails takes none along."""
    rows: list[Row] = []
    try:
        for row in importlib.import_module(f"benchmarks.{name}").run():
            rows.append(row)
            (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    finally:
        show(name, rows)


if __name__ == "__main__":
    sys.exit(main())
