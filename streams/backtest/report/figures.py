"""The plots of a report, as plotly.js takes them: JSON, in which ``var(--name)`` is a colour that the page gives.

Plotly takes some HTML in texts, so that every text of a user's or of a source's goes through `plain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from streams.backtest.report.delays import STEPS, Delays
from streams.backtest.report.stories import StorySoFar
from streams.backtest.report.sums import Sums
from streams.backtest.report.timeline import Timeline

Figure: TypeAlias = dict[str, Any]

#: So many things have a colour of their own, and the others one together.
_COLOURS = 7
_SEVERITIES = {
    "critical": "var(--critical)",
    "high": "var(--high)",
    "medium": "var(--medium)",
    "low": "var(--low)",
    "info": "var(--info)",
}
_KINDS = {"first": "var(--s1)", "update": "var(--s2)", "duplicate": "var(--other)"}
_MANY = {"first": "first reports", "update": "updates", "duplicate": "duplicates"}
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Up to so many, an axis has a line for each.
_FEW = 5
_LONGEST_LABEL = 34


def plain(text: str) -> str:
    """``text`` so that plotly shows it as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, longest: int = _LONGEST_LABEL) -> str:
    """``text``, cut where it is too long for a label."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def figures_of(sums: Sums) -> dict[str, Figure]:
    """The plots of a report by name, those left out that would be empty."""
    over, found = sums.over_time, dict[str, Figure]()
    if sums.headlines:
        found["decisions"] = _decisions(over)
    if sums.alerts:
        for kind in ("rule", "topic", "channel"):
            found[f"by_{kind}"] = stacked(over, kind)
        found["by_severity"] = _by_severity(over)
        found["week"] = _week(sums)
        if len(sums.days) > 1:
            found["days"] = _days(sums)
    if sums.delays.count:
        found["delays"] = _delays(sums.delays)
    for name, alerted in (("stories", True), ("untold", False)):
        if stories := sums.stories.biggest(alerted=alerted):
            found[name] = _stories(stories)
    return found


def stacked(over: Timeline, kind: str) -> Figure:
    """Bars over time, one colour for each of the most frequent of a kind."""
    names = [name for name, _ in over.totals(kind).most_common()]
    shown, others = names[:_COLOURS], names[_COLOURS:]
    if len(others) == 1:
        shown, others = names, []
    traces = [
        bars(over, plain(cut(name, 30)), over.counts(kind, name), f"var(--s{number})")
        for number, name in enumerate(shown, start=1)
    ]
    if others:
        together = [sum(counts) for counts in zip(*(over.counts(kind, name) for name in others), strict=True)]
        traces.append(bars(over, f"{len(others)} others", together, "var(--other)"))
    return figure(traces, barmode="stack", showlegend=True)


def _by_severity(over: Timeline) -> Figure:
    given = over.totals("severity")
    traces = [bars(over, name, over.counts("severity", name), _SEVERITIES[name]) for name in _SEVERITIES if given[name]]
    return figure(traces, barmode="stack", showlegend=True)


def _decisions(over: Timeline) -> Figure:
    traces = [bars(over, _MANY[kind], over.counts("decision", kind), colour) for kind, colour in _KINDS.items()]
    return figure(traces, barmode="stack", showlegend=True)


def bars(over: Timeline, name: str, counts: Sequence[int], colour: str) -> Figure:
    """One row of bars over the time of ``over``."""
    starts = over.starts()
    return {
        "type": "bar",
        "name": name,
        "x": [moment(start) for start in starts],
        "y": list(counts),
        "width": over.width * 1_000 * 0.86,
        "offset": 0,
        "marker": {"color": colour},
        "hovertemplate": "%{y:,}",
    }


def figure(traces: Sequence[Figure], **layout: Any) -> Figure:
    """A plot of traces, with what the layout has of its own. Where there are few, the axis counts by ones."""
    heights = [trace["y"] for trace in traces if trace["type"] == "bar"]
    if heights and max(map(sum, zip(*heights, strict=True))) <= _FEW:
        layout = {"yaxis": {"dtick": 1}, **layout}
    return {"data": list(traces), "layout": layout}


def moment(at: datetime) -> str:
    """A time as plotly reads it, which has no zones: in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _days(sums: Sums) -> Figure:
    days = sorted(sums.days)
    trace = {
        "type": "bar",
        "x": [f"{day} 12:00:00" for day in days],
        "y": [sums.days[day] for day in days],
        "width": 86_400_000 * 0.86,
        "marker": {"color": "var(--s1)"},
        "hovertemplate": "%{x|%a %-d %b %Y}: %{y:,}<extra></extra>",
    }
    return figure([trace], hovermode="closest")


def _week(sums: Sums) -> Figure:
    trace = {
        "type": "heatmap",
        "x": list(range(24)),
        "y": list(_WEEK),
        "z": [[sums.by_hour[day, hour] for hour in range(24)] for day in range(7)],
        "colorscale": [[0, "var(--heat-low)"], [1, "var(--heat-high)"]],
        "zmin": 0,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
        "hovertemplate": "%{y} %{x}:00 UTC: %{z:,}<extra></extra>",
    }
    axes = {"xaxis": {"dtick": 3, "ticksuffix": ":00", "showgrid": False, "zeroline": False}}
    axes["yaxis"] = {"autorange": "reversed", "showgrid": False, "type": "category"}
    return figure([trace], hovermode="closest", **axes)


def _delays(delays: Delays) -> Figure:
    names = [name for _, name in STEPS]
    trace = {
        "type": "bar",
        "x": names,
        "y": [delays.steps[name] for name in names],
        "text": [f"{delays.steps[name] / delays.count:.0%}" if delays.steps[name] else "" for name in names],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": "var(--s1)"},
        "hovertemplate": "%{x}: %{y:,}<extra></extra>",
    }
    return figure([trace], hovermode="closest", xaxis={"type": "category"})


def _stories(stories: Sequence[StorySoFar]) -> Figure:
    """A line a story: dots for what told it, diamonds for alerts."""
    marks = (
        ("duplicate", "duplicates", "line-ns-open", 9, "var(--other)"),
        ("update", "updates", "circle", 7, "var(--s2)"),
        ("first", "first report", "circle", 11, "var(--s1)"),
        ("alert", "alerts", "diamond", 11, "var(--critical)"),
    )
    traces = [_marks(stories, kind, name, symbol, size, colour) for kind, name, symbol, size, colour in marks]
    ticks = list(range(len(stories)))
    axis = {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{plain(cut(story.headline))}  {number}" for number, story in enumerate(stories, start=1)],
        "range": [len(stories) - 0.5, -0.5],
        "zeroline": False,
    }
    return figure([trace for trace in traces if trace["x"]], hovermode="closest", showlegend=True, yaxis=axis)


def _marks(stories: Sequence[StorySoFar], kind: str, name: str, symbol: str, size: int, colour: str) -> Figure:
    points = [(row, at, text) for row, story in enumerate(stories) for at, text in story.moments.get(kind, ())]
    raised = -0.22 if kind == "alert" else 0.0  # so that an alert does not hide the headline that it is about
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [moment(at) for _, at, _ in points],
        "y": [row + raised for row, _, _ in points],
        "text": [plain(cut(text, 110)) for _, _, text in points],
        "marker": {"symbol": symbol, "size": size, "color": colour, "line": {"width": 1, "color": colour}},
        "hovertemplate": f"%{{text}}<br>{name}, %{{x|%-d %b %H:%M}} UTC<extra></extra>",
    }
