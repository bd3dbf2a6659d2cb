from __future__ import annotations

import itertools
from importlib import resources

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.story.compare import MEASUREMENTS
from streams.core.story.model import RELATIONS, Judgement, Model, judge, points

NOTHING = (0.0,) * len(MEASUREMENTS)


@pytest.fixture(scope="module")
def model() -> Model:
    stored = resources.files("streams.core.story") / "model.json"
    return msgspec.json.decode(stored.read_bytes(), type=Model)


def test_every_measurement_of_the_model_is_measured(model: Model) -> None:
    assert set(model.steps) <= set(MEASUREMENTS)


def test_steps_rise_and_have_one_row_of_points_more_than_cuts(model: Model) -> None:
    for name, steps in model.steps.items():
        assert len(steps.points) == len(steps.cuts) + 1, name
        assert all(one < other for one, other in itertools.pairwise(steps.cuts)), name


@given(st.lists(st.floats(-1, 5), min_size=len(MEASUREMENTS), max_size=len(MEASUREMENTS)))
def test_a_judgement_sums_to_one(values: list[float]) -> None:
    judgement = judge(values)
    parts = (judgement.different, judgement.update, judgement.duplicate)
    assert sum(parts) == pytest.approx(1)
    assert all(0 <= part <= 1 for part in parts)


def test_a_judgement_is_its_points_added_up(model: Model) -> None:
    sums = [
        start + sum(earned[place] for earned in points(NOTHING).values()) for place, start in enumerate(model.start)
    ]
    judgement = judge(NOTHING)
    parts = dict(zip(RELATIONS, sums, strict=True))
    likeliest = max(parts, key=lambda relation: parts[relation])
    assert getattr(judgement, likeliest) == max(judgement.different, judgement.update, judgement.duplicate)


def test_points_up_to_and_with_a_cut_are_those_before_it(model: Model) -> None:
    name, steps = next(iter(model.steps.items()))
    place = MEASUREMENTS.index(name)
    at = [*NOTHING[:place], steps.cuts[0], *NOTHING[place + 1 :]]
    above = [*NOTHING[:place], steps.cuts[0] + 1e-6, *NOTHING[place + 1 :]]
    assert points(at)[name] == steps.points[0]
    assert points(above)[name] == steps.points[1]


def test_figures_in_conflict_speak_against_a_duplicate() -> None:
    place = MEASUREMENTS.index("figures in conflict")
    conflict = [*NOTHING[:place], 0.5, *NOTHING[place + 1 :]]
    assert judge(conflict).duplicate < judge(NOTHING).duplicate


def test_one_story_is_an_update_or_a_duplicate() -> None:
    assert Judgement(0.25, 0.5, 0.25).same_story == 0.75
