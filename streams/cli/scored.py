"""What `wirewatch replay --labels` and `--reference` tell: how good the alerts were, and how early."""

from __future__ import annotations

import statistics
from datetime import timedelta
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from streams.backtest.score import Lead, Scorer, Share, Tally, Weights, read_labels, unknown_scopes
from streams.cli.common import err, out, several
from streams.cli.evaluate import read_rows
from streams.cli.plan import Rulebook
from streams.core.duration import written


def scorer_of(labels: Path | None, reference: str | None, book: Rulebook) -> Scorer | None:
    """What hears of the decisions, where somebody asks for a score. Labels of rules and topics that there are not are told.

    Raises:
        RefusedError: the file of labels cannot be read, or a line of it is none.
    """
    if labels is None and reference is None:
        return None
    rows = read_rows(labels, read_labels, "label") if labels else []
    rules, topics = ([one.name for one in many] for many in (book.matched.rules, book.taxonomy.topics))
    unknown = unknown_scopes(rows, str(labels), rules, topics)
    for problem in unknown:
        err.print(f"{problem.file}:{problem.line}: {problem.message}", markup=False)
        if problem.hint:
            err.print(f"    {problem.hint}", style="dim", markup=False)
    return Scorer([label for _, label in rows], reference, unknown=unknown)


def print_score(scorer: Scorer) -> None:
    """The tables."""
    if scorer.cases:
        out.print(_table_of(scorer))
        weights = scorer.weights
        out.print(
            f"cost: {weights.miss:g} a miss, {weights.false_alarm:g} a false alarm, up to {weights.late:g} an alert that is "
            f"{written(timedelta(seconds=weights.within))} late; score: 100 without any, 0 like never alerting",
            markup=False,
        )
        out.print(f"{several(scorer.unlabelled, 'alert')} that no label speaks of", markup=False)
        if scorer.unseen:
            err.print(f"{several(scorer.unseen, 'label')} of headlines that are not in the stream, not scored")
    if scorer.reference is not None:
        out.print(_leads_of(scorer))


def _table_of(scorer: Scorer) -> Table:
    names = ("", "right", "false", "missed", "precision", "recall", "F1", "delay", "cost", "score")
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    for (kind, name), tally in scorer.tallies().items():
        called = {"all": "all labels", "any": "any rule", "topic": f"topic {name}"}.get(kind, name)
        table.add_row(escape(called), *_figures(tally, scorer.weights))
    return table


def _figures(tally: Tally, weights: Weights) -> tuple[str, ...]:
    standing = tally.standing(weights)
    return (
        str(tally.right),
        str(tally.false_alarms),
        str(tally.misses),
        _share(tally.precision),
        _share(tally.recall),
        _with_interval(*tally.f1) if tally.f1 else "-",
        _span(statistics.median(tally.delays)) if tally.delays else "-",
        f"{tally.cost(weights):.2f}",
        "-" if standing is None else f"{standing:.1f}",
    )


def _share(share: Share) -> str:
    return "-" if share.value is None or share.interval is None else _with_interval(share.value, share.interval)


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.2f}-{interval[1]:.2f})"


def _leads_of(scorer: Scorer) -> Table:
    title = f"alerts against {scorer.reference}: by how much they come before its telling of the story"
    names = ("", "stories", "before", "with", "after", "median lead", "quartiles", "not told by it")
    table = Table(*names, box=None, header_style="bold", pad_edge=False, title=escape(title), title_justify="left")
    for rule, lead in scorer.leads().items():
        table.add_row(escape(rule) or "first alert of a story", *_lead(lead))
    return table


def _lead(lead: Lead) -> tuple[str, ...]:
    found = lead.as_dict()
    quarters = found["quartiles"]
    return (
        str(found["stories"]),
        str(found["before"]),
        str(found["with"]),
        str(found["after"]),
        "-" if found["median"] is None else _span(found["median"]),
        " to ".join(map(_span, quarters)) if quarters else "-",
        str(found["not_told_by_it"]),
    )


def _span(seconds: float) -> str:
    sign = "-" if seconds < 0 else ""
    return sign + written(timedelta(seconds=round(abs(seconds))))
