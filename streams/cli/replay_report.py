"""The files that a replay writes beside what it prints, and what they need to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.backtest.report.page import About, report
from streams.backtest.report.sums import Sums
from streams.cli.common import UnreachableError, clock
from streams.cli.outputs import named, write_file
from streams.cli.plan import Rulebook
from streams.settings import Loaded

ReportOption = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Write a page with plots there, to read and to share.")
]


def extra(module: str, name: str, option: str) -> Any:
    """A module that an extra of wirewatch's brings.

    Raises:
        UnreachableError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UnreachableError(
            f"{option} needs {package}, which is not installed",
            f'pip install "wirewatch[{name}]", or {package} alone into the same environment',
        ) from None


def plotly_script() -> str:
    """The script that draws plots, to stand in a page.

    Raises:
        UnreachableError: plotly is not installed.
    """
    script: str = extra("plotly.offline", "report", "--report").get_plotlyjs()
    return script


@dataclass(frozen=True, slots=True)
class Misgivings:
    """What a replay left out, and what kept it from being of all headlines, in the order of their time."""

    not_simulated: Sequence[str]
    unreadable: int = 0
    late: int = 0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The page of a replay: its sums, which hear of all decisions, and what it is to be made of at the end."""

    file: Path
    sums: Sums
    script: str

    @classmethod
    def of(cls, file: Path, book: Rulebook, loaded: Loaded) -> Report:
        """A page to be written to ``file``; what is missing for it is told before the work begins."""
        place, script = named(file, ".html", "--report"), plotly_script()
        return cls(place, Sums(book.matched.rules, loaded.settings.dedupe.longest), script)

    def write(self, replayed: About) -> None:
        """Write the page."""
        write_file(self.file, report(self.sums, replayed, self.script).encode())


def about(book: Rulebook, sources: Sequence[Path | str], misgivings: Misgivings) -> About:
    """What a page says of the replay that it is about."""
    return About(
        sources=[Path(source).name or str(source) for source in sources],
        rules=len(book.matched.rules),
        rules_revision=book.matched.revision,
        taxonomy_revision=book.taxonomy.revision,
        made=clock(),
        version=version("wirewatch"),
        not_simulated=misgivings.not_simulated,
        unreadable=misgivings.unreadable,
        late=misgivings.late,
        interrupted=misgivings.interrupted,
    )
