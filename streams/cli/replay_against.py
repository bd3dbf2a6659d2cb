"""``wirewatch replay --against``: which alerts differ between two versions of rules, topics or settings, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from alerts.route import ChannelRouter, Silences
from alerts.rulefile import load_rules
from streams.backtest.compare import KINDS, Change, Changes, Following, Leading, Side, Twin
from streams.backtest.report.comparison import (
    Rewritten,
    Versions,
    comparison,
    markdown,
    rewritten,
    rules_by_change,
    shift,
)
from streams.backtest.report.page import About
from streams.cli.common import FLAG, out, several
from streams.cli.outputs import named, write_file
from streams.cli.plan import Rulebook, load_rulebook, load_taxonomy
from streams.cli.replay_report import plotly_script
from streams.cli.replay_slices import Deciding
from streams.cli.revision import rules_at, told_as
from streams.core.dedupe import Deduper
from streams.core.document import RefusedError
from streams.core.duration import written
from streams.core.pipeline import Engine
from streams.core.rule import RuleSet
from streams.settings import Loaded, load

AgainstOption = Annotated[
    str | None, typer.Option(metavar="RULES", help="Compare with other rules: a file, a folder, a git revision.")
]
AgainstTaxonomyOption = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Compare with another taxonomy.", show_default=False)
]
AgainstConfigOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with other settings.")]
MarkdownOption = Annotated[
    Path | None, typer.Option(metavar="FILE.md", help="Write the comparison there, for a pull request.")
]
FailOnChangeOption = Annotated[
    bool, typer.Option("--fail-on-change", metavar=FLAG, help="End with 1 if an alert differs.")
]

#: Changes of each kind, and rules that differ, that the terminal shows; and so many characters of a query.
_SHOWN = 10
_LONGEST_QUERY = 200
_SIGNS = {"added": "+", "lost": "-", "earlier": "<", "later": ">", "changed": "~"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compare with, and where to tell of it."""

    rules: str | None
    taxonomy: Sequence[Path]
    config: Path | None
    markdown: Path | None
    fail_on_change: bool

    @property
    def given(self) -> bool:
        """Whether there is another version to compare with.

        Raises:
            typer.BadParameter: there is none, and an option needs one.
        """
        if self.rules or self.taxonomy or self.config:
            return True
        if self.markdown or self.fail_on_change:
            option = "--markdown" if self.markdown else "--fail-on-change"
            raise typer.BadParameter(f"{option} is of a comparison: say with what, by --against RULES")
        return False

    @property
    def name(self) -> str:
        """What the other version is called."""
        named_ = [self.rules or "", *map(str, self.taxonomy), str(self.config or "")]
        return ", ".join(filter(None, named_))


@dataclass(frozen=True, slots=True)
class Versus:
    """One comparison: the other version, which is the earlier one, and what differs."""

    asked: Asked
    loaded: Loaded
    deciding: Deciding
    book: Rulebook
    deduper: Deduper
    now: Rulebook
    changes: Changes
    differences: Sequence[str]
    page: Path | None
    script: str

    @classmethod
    def of(
        cls,
        asked: Asked,
        loaded: Loaded,
        rules: Sequence[Path],
        now: Rulebook,
        deduper: Leading,
        page: Path | None,
        deciding: Deciding,
    ) -> Versus:
        """Read the other version. Where it deduplicates alike, it follows ``deduper``.

        Raises:
            RefusedError: a file of it is refused, or there is no such revision.
        """
        if page is not None:
            named(page, ".html", "--report")
        if asked.markdown is not None:
            named(asked.markdown, ".md", "--markdown")
        other = load(asked.config, os.environ) if asked.config else loaded
        alike = other.settings.dedupe == loaded.settings.dedupe
        longest = max(other.settings.dedupe.longest, loaded.settings.dedupe.longest)
        book = _other_book(asked, other, rules, now)
        return cls(
            asked,
            other,
            deciding,
            book,
            Following(deduper) if alike else deciding.deduper(other),
            now,
            Changes(book.matched, now.matched, longest),
            list(_differences(book, now, other, loaded)),
            page,
            plotly_script() if page is not None else "",
        )

    def twin(self, engine: Engine, silences: Silences) -> Twin:
        """Both versions as one, of which ``engine`` is the later."""
        router = ChannelRouter(self.book.routing, silences)
        before = self.deciding.engine(self.loaded, self.book, self.deduper, router)
        return Twin(Side(before, self.book.matched), Side(engine, self.now.matched), self.changes)

    def finish(self, about: About) -> None:
        """Nothing more comes: write what was asked for."""
        self.changes.finish()
        versions = Versions(self.asked.name, about, self.differences)
        if self.page is not None:
            write_file(self.page, comparison(self.changes, versions, self.script).encode())
        if self.asked.markdown is not None:
            write_file(self.asked.markdown, markdown(self.changes, versions).encode())

    @property
    def failed(self) -> bool:
        """Whether a change is to be told by the exit code."""
        return self.asked.fail_on_change and self.changes.changed

    def as_dict(self) -> dict[str, Any]:
        """The comparison for programs."""
        changes = self.changes
        return {
            "against": self.asked.name,
            "differences": list(self.differences),
            "rewritten": [asdict(one) for one in rewritten(changes)],
            "same": changes.same,
            **{kind: changes.totals[kind] for kind in KINDS},
            "rules": {
                name: {
                    "before": counts.before,
                    "after": counts.after,
                    "same": counts.same,
                    **{kind: counts.kinds[kind] for kind in KINDS},
                }
                for name, counts in sorted(changes.rules.items())
            },
            "changes": [_as_dict(change) for kind in KINDS for change in changes.kept(kind)],
            "left_out": sum(changes.left_out(kind, changes.kept(kind)) for kind in KINDS),
        }

    def give(self) -> None:
        """Tell of it on the terminal."""
        changes = self.changes
        counted = ", ".join(f"{changes.totals[kind]:,} {kind}" for kind in KINDS)
        out.print(
            f"compared with {self.asked.name}: {several(changes.same, 'alert')} the same, {counted}", markup=False
        )
        for difference in self.differences:
            out.print(f"  {difference}", markup=False)
        _give_rewritten(rewritten(changes))
        if not changes.changed:
            return
        table = Table("rule", box=None, pad_edge=False, header_style="bold")
        for title in ("before", "now", *KINDS):
            table.add_column(title, justify="right")
        for name in rules_by_change(changes):
            counts = changes.rules[name]
            kinds = (f"{counts.kinds[kind]:,}" if counts.kinds[kind] else "" for kind in KINDS)
            table.add_row(name, f"{counts.before:,}", f"{counts.after:,}", *kinds)
        out.print(table)
        for kind in KINDS:
            for change in (shown := changes.kept(kind, _SHOWN)):
                _give(change)
            if more := changes.left_out(kind, shown):
                out.print(
                    f"{_SIGNS[kind]} and {more:,} more {kind}; --report FILE.html or --json shows more", markup=False
                )


def _differences(book: Rulebook, now: Rulebook, other: Loaded, loaded: Loaded) -> Iterator[str]:
    """What differs beside the rules, in words, each as it was and as it is."""
    if book.taxonomy.revision != now.taxonomy.revision:
        yield f"topics: revision {book.taxonomy.revision}, now {now.taxonomy.revision}"
    was, is_now = (given.settings.dedupe.model_dump() for given in (other, loaded))
    for name in was:
        if was[name] != is_now[name]:
            yield f"dedupe.{name}: {_value(was[name])}, now {_value(is_now[name])}"
    if book.routing != now.routing:
        yield "routes or subscriptions"


def _value(value: Any) -> str:
    """A setting as a file has it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items()) or "none"
    return written(value) if isinstance(value, timedelta) else str(value).lower()


def _other_book(asked: Asked, other: Loaded, rules: Sequence[Path], now: Rulebook) -> Rulebook:
    """The rules, topics and routes to compare with: those of now, but for what was named."""
    book = load_rulebook(other, rules) if asked.config else now
    taxonomy = load_taxonomy(list(asked.taxonomy)) if asked.taxonomy else book.taxonomy
    ruleset = book.rules
    if asked.rules:
        topics = {topic.name for topic in taxonomy.topics}
        ruleset = _other_rules(asked.rules, rules or [other.path(path) for path in other.settings.rules], topics)
    return Rulebook(book.channels, ruleset, taxonomy, book.routing, book.subscriptions)


def _other_rules(named_: str, paths: Sequence[Path], topics: set[str]) -> RuleSet:
    """The rules of a file, of a folder, or of a revision of those at ``paths``. Their channels may be gone by now."""
    path = Path(named_).expanduser()
    if path.exists():
        return load_rules([path], topics=topics)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="wirewatch-")))
        try:
            return load_rules(rules_at(named_, paths, folder), topics=topics)
        except RefusedError as error:
            raise RefusedError(told_as(error.problems, named_, folder), error.more) from None


def _as_dict(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "at": change.at,
        "was": change.was,
        "rule": change.rule,
        "severity": change.severity,
        "channels": change.channels,
        "headline": change.headline.text,
        "source": change.headline.source,
        "headline_before": change.instead.text if change.instead else None,
        "why": change.why,
        "rules_before": list(change.before),
        "rules_after": list(change.after),
    }


def _give_rewritten(rules: Sequence[Rewritten]) -> None:
    for one in rules[:_SHOWN]:
        out.print(f"  {one.rule} {one.how}", markup=False)
        for title, query in (("was", one.was), ("is ", one.now)):
            if query:
                shown = query if len(query) <= _LONGEST_QUERY else f"{query[: _LONGEST_QUERY - 1]}…"
                out.print(f"    {title} {shown}", markup=False, style="dim")
    if len(rules) > _SHOWN:
        out.print(f"  and {len(rules) - _SHOWN:,} more; --report FILE.html or --json shows all", markup=False)


def _give(change: Change) -> None:
    moved = f"  {shift(change)} {change.kind}" if change.was else ""
    place = f"{change.at:%Y-%m-%d %H:%M}  {change.rule} to {', '.join(change.channels)}{moved}"
    out.print(f"{_SIGNS[change.kind]} {place}: {change.headline.text}", markup=False)
    out.print(f"    {change.why}", markup=False, style="dim")
