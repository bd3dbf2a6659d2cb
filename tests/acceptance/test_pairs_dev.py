"""The deduper on the labelled development pairs, where they are at hand.

The floors lie a little below what was reached. The model was fitted on these pairs among others, which flatters it:
`benchmarks/stories/train.py` tells what cross-validation gives.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streams.backtest.duplicates import Evaluation, evaluate, read_pairs
from streams.core.story.deduper import StoryDeduper

LABELLED = Path(__file__).parents[3] / "shared" / "data" / "pairs_dev.jsonl"

pytestmark = pytest.mark.skipif(not LABELLED.exists(), reason="the labelled pairs are not on this machine")


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    with LABELLED.open("rb") as lines:
        return evaluate(read_pairs(lines, LABELLED.name), lambda: StoryDeduper(timedelta(hours=72)))


def told(evaluation: Evaluation) -> str:
    return "\n".join(f"{m.pair.label}, taken for {m.said}: {m.pair.a} / {m.pair.b}" for m in evaluation.misses)


def test_duplicates_are_found(evaluation: Evaluation) -> None:
    score = evaluation.score("duplicate")
    assert score.f1 >= 0.90, told(evaluation)
    assert score.precision >= 0.93, told(evaluation)
    assert score.recall >= 0.87, told(evaluation)


def test_few_updates_are_lost(evaluation: Evaluation) -> None:
    assert evaluation.updates_suppressed <= 0.08, told(evaluation)


def test_updates_are_told_from_other_stories(evaluation: Evaluation) -> None:
    assert evaluation.score("update").f1 >= 0.77, told(evaluation)
    assert evaluation.macro_f1 >= 0.83, told(evaluation)
