"""Why two headlines are, or are not, the same: in a line for the records, and at length for a person."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.dedupe import read_saying
from streams.core.records import Headline
from streams.core.story.compare import MEASUREMENTS, Measured, measure
from streams.core.story.figures import Figure
from streams.core.story.model import Judgement, Points, judge, points
from streams.core.story.reading import Reading

_SHOWN = 4


def reason(measured: Measured, judgement: Judgement, *, duplicate: bool) -> str:
    """One line: what made a headline a duplicate or an update of another."""
    if duplicate:
        return f"tells the same ({judgement.duplicate:.0%})"
    if measured.figures.conflicts:
        told = "; ".join(f"{_figure(ours)}, was {_figure(theirs)}" for ours, theirs in measured.figures.conflicts[:2])
        return f"the figures differ: {told}"
    if measured.opposites:
        ours, theirs = measured.opposites[0]
        return f"says {ours}, not {theirs}"
    if measured.fulfilled:
        return "what was expected has come true"
    if measured.denied:
        return "one says what the other denies"
    if measured.reversed:
        return "who does it to whom is reversed"
    if measured.only_first:
        return f"says more of it: {', '.join(measured.only_first[:_SHOWN])}"
    return "the same story, told differently"


def _figure(figure: Figure) -> str:
    value = f"{figure.value:.0f}" if figure.kind == "year" else f"{figure.value:,.10g}"
    if figure.kind == "percent":
        return f"{value} %"
    if figure.kind == "score":
        return f"{figure.value // 1000:.0f}-{figure.value % 1000:.0f}"
    if figure.kind == "date":
        return f"{figure.value // 100:.0f}-{figure.value % 100:02.0f}"
    unit = figure.unit.upper() if figure.kind == "money" else figure.unit
    return f"{value} {unit}".strip() if figure.kind != "label" else f"{unit} {value}"


class Explanation(msgspec.Struct, frozen=True):
    """All that was measured of two headlines, the second against the first, and what it counted."""

    first: Reading
    second: Reading
    measured: Measured
    judgement: Judgement

    def told(self) -> list[tuple[str, str]]:
        """What the two share and what only one has, in words, under a heading each."""
        figures = self.measured.figures
        rows = [
            ("both", self.measured.shared),
            ("only A", self.measured.only_second),
            ("only B", self.measured.only_first),
            ("names in A", sorted(self.first.names)),
            ("names in B", sorted(self.second.names)),
            ("figures in A", [_figure(figure) for figure in self.first.figures]),
            ("figures in B", [_figure(figure) for figure in self.second.figures]),
            ("contradict", [f"{_figure(theirs)} and {_figure(ours)}" for ours, theirs in figures.conflicts]),
            ("exclude", [f"{theirs} and {ours}" for ours, theirs in self.measured.opposites]),
            ("guards", self.guards()),
        ]
        return [(name, ", ".join(words)) for name, words in rows if words]

    def guards(self) -> list[str]:
        """What keeps the second from being dropped as a repeat of the first, however alike they are."""
        measured = self.measured
        told = {
            "figures contradict each other": bool(measured.figures.conflicts),
            "words exclude each other": bool(measured.opposites),
            "a name stands in another's place": measured.swapped,
            "the story has moved on": measured.moved_on,
            "what was expected has come true": measured.fulfilled,
            "one says what the other denies": measured.denied,
            "who does it to whom is reversed": measured.reversed,
        }
        return [name for name, holds in told.items() if holds]

    def counted(self) -> list[tuple[str, float, Points]]:
        """Each measurement with its value and its points, those first that told most between the verdicts."""
        earned = points(self.measured.values)
        rows = [
            (name, value, earned.get(name, (0.0, 0.0, 0.0)))
            for name, value in zip(MEASUREMENTS, self.measured.values, strict=True)
        ]
        return sorted(rows, key=lambda row: max(row[2]) - min(row[2]), reverse=True)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "probability": {
                "duplicate": round(self.judgement.duplicate, 4),
                "update": round(self.judgement.update, 4),
                "different": round(self.judgement.different, 4),
            },
            "told": dict(self.told()),
            "measurements": {
                name: {"value": round(value, 4), "different": earned[0], "update": earned[1], "duplicate": earned[2]}
                for name, value, earned in self.counted()
            },
        }


def explain_pair(first: Headline, second: Headline) -> Explanation:
    """Measure and judge two headlines by themselves. The verdict also takes the window and the guards into account."""
    one, other = Reading(read_saying(first).text), Reading(read_saying(second).text)
    hours = abs((second.published - first.published).total_seconds()) / 3600
    measured = measure(other, one, hours, same_source=first.source == second.source)
    return Explanation(one, other, measured, judge(measured.values))
