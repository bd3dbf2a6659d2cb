"""How measurements become a judgement: an additive model whose points a person can read.

Every measurement earns points for each of the three verdicts, by a step function of its value, and the points add up
(a generalised additive model, Hastie and Tibshirani 1986; fitted by boosting trees of one split, as in Lou, Caruana and
Gehrke, "Intelligible models for classification and regression", 2012). The sums become probabilities by a softmax.
``model.json`` holds the steps; ``benchmarks/stories/train.py`` fitted them and says on what.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from operator import getitem, itemgetter
from typing import Final, NamedTuple

import msgspec

from streams.core.story.compare import MEASUREMENTS

#: The verdicts, in the order of their points.
RELATIONS: Final = ("different", "update", "duplicate")

Points = tuple[float, float, float]


class Steps(msgspec.Struct, frozen=True, gc=False):
    """The points of one measurement: those of ``points[i]`` up to and with ``cuts[i]``, of the last one above."""

    cuts: tuple[float, ...]
    points: tuple[Points, ...]


class Model(msgspec.Struct, frozen=True, gc=False):
    """The points that all pairs start with, and the steps of each measurement."""

    start: Points
    steps: dict[str, Steps]


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """How probable each relation is. The three add up to 1."""

    different: float
    update: float
    duplicate: float

    @property
    def same_story(self) -> float:
        """How probable it is that both tell of one story."""
        return self.update + self.duplicate


class _Table(NamedTuple):
    """The model as `judge` adds it up, measurement by measurement: places in `MEASUREMENTS`, cuts, and points.

    Only differences count in a softmax, so the points of "different" are taken off the others, and a complex number
    holds both that are left, "update" and "duplicate": one addition for the two.
    """

    start: complex
    values: Callable[[Sequence[float]], tuple[float, ...]]
    cuts: tuple[tuple[float, ...], ...]
    points: tuple[tuple[complex, ...], ...]


@cache
def _model() -> Model:
    stored = resources.files(__package__ or __name__).joinpath("model.json").read_bytes()
    return msgspec.json.decode(stored, type=Model)


@cache
def _table() -> _Table:
    model = _model()
    return _Table(
        start=_beyond_different(model.start),
        values=itemgetter(*[MEASUREMENTS.index(name) for name in model.steps]),
        cuts=tuple([steps.cuts for steps in model.steps.values()]),
        points=tuple([tuple(map(_beyond_different, steps.points)) for steps in model.steps.values()]),
    )


def _beyond_different(points: Points) -> complex:
    different, update, duplicate = points
    return complex(update - different, duplicate - different)


def judge(values: Sequence[float]) -> Judgement:
    """The judgement on a pair with these measurements, in the order of `MEASUREMENTS`."""
    start, pick, cuts, points = _table()
    total = sum(map(getitem, points, map(bisect_left, cuts, pick(values))), start)
    update, duplicate = math.exp(total.real), math.exp(total.imag)
    odds = 1.0 + update + duplicate
    return Judgement(1.0 / odds, update / odds, duplicate / odds)


def points(values: Sequence[float]) -> dict[str, Points]:
    """The points of every measurement of a pair, for explanations."""
    return {
        name: steps.points[bisect_left(steps.cuts, values[MEASUREMENTS.index(name)])]
        for name, steps in _model().steps.items()
    }
