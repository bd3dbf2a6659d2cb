"""Fit ``streams/core/story/model.json``, and say how good it is on pairs that it was not fitted on.

    python -m benchmarks.stories.train [--write]

Two labelled sets are used: ``../shared/data/pairs_dev.jsonl``, and ``labels.tsv`` beside this script, whose lines name
two headlines of ``../shared/data/stream_2022q4.jsonl.gz`` by their numbers (from 0), what a reader took them for
(``d`` duplicate, ``u`` update, ``x`` different), and a question mark where the reader was in doubt. Neither set's text is
part of the project. Needs scikit-learn, which the project itself does not use:
`pip install --group train`.

The figures come from five-fold cross-validation over the first set, three times over, with the second always fitted
on; for the stored model both sets are fitted on whole. Labels in doubt are left out; the first set counts `DEV_WEIGHT`
times, and a measurement of its own tells the sets apart, so that the second's other mixture of relations does not
become the model's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from benchmarks.stream import REAL, headlines
from streams.core.dedupe import read_saying
from streams.core.records import Headline
from streams.core.story.compare import MEASUREMENTS, measure
from streams.core.story.model import RELATIONS
from streams.core.story.reading import Reading

PAIRS = REAL.with_name("pairs_dev.jsonl")
LABELS = Path(__file__).with_name("labels.tsv")
MODEL = Path(__file__).parents[2] / "streams" / "core" / "story" / "model.json"
#: How often a pair of the first set counts.
DEV_WEIGHT = 3.0
#: How many fits are averaged.
FORESTS = 5
LETTERS = {"x": 0, "u": 1, "d": 2}


class Pairs:
    """Measurements, relations as numbers, hours apart, and whether a guard forbids a duplicate."""

    def __init__(self) -> None:
        self.guarded: list[bool] = []
        self.values: list[tuple[float, ...]] = []
        self.relations: list[int] = []
        self.hours: list[float] = []

    def add(self, first: Headline, second: Headline, hours: float, relation: int) -> None:
        if first.published > second.published:
            first, second = second, first
        one, other = (Reading(read_saying(headline).text) for headline in (second, first))
        measured = measure(one, other, hours, same_source=first.source == second.source)
        self.values.append(measured.values)
        self.guarded.append(measured.contradicts)
        self.relations.append(relation)
        self.hours.append(hours)


def dev_pairs() -> Pairs:
    """The labelled pairs that came with the project's data."""
    pairs = Pairs()
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        first, second = (
            Headline(
                headline=row[side], published=row[f"date_{side}"], source=row[f"source_{side}"].removeprefix("rss:")
            )
            for side in "ab"
        )
        pairs.add(first, second, row["gap_h"], RELATIONS.index(row["label"]))
    return pairs


def own_pairs() -> Pairs:
    """The pairs of the real stream that were labelled for this project."""
    pairs, stream = Pairs(), headlines()
    for line in LABELS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or line.endswith("?"):
            continue
        one, other, label = line.split("\t")
        first, second = stream[int(one)], stream[int(other)]
        hours = abs((second.published - first.published).total_seconds()) / 3600
        pairs.add(first, second, hours, LETTERS[label])
    return pairs


def fit(values: Any, relations: Any, own: Pairs) -> list[Any]:
    """Trees of a single split, so that every measurement's points stand by themselves; several forests, to average."""
    origin = np.concatenate([np.zeros(len(relations)), np.ones(len(own.relations))])
    values = np.hstack([np.vstack([values, np.array(own.values)]), origin[:, None]])
    relations = np.concatenate([relations, own.relations])
    weights = np.where(origin == 0, DEV_WEIGHT, 1.0)
    return [
        GradientBoostingClassifier(
            n_estimators=300,
            max_depth=1,
            learning_rate=0.08,
            subsample=0.6,
            max_features=0.3,
            min_samples_leaf=10,
            random_state=seed,
        ).fit(values, relations, weights)
        for seed in range(FORESTS)
    ]


def predict(boosters: list[Any], values: Any) -> Any:
    """The probabilities of the three relations, from the average of the boosters' points."""
    values = np.hstack([values, np.zeros((len(values), 1))])
    points = np.mean([booster.decision_function(values) for booster in boosters], axis=0)
    odds = np.exp(points - points.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def steps_of(boosters: list[Any]) -> dict[str, Any]:
    """The fitted trees, added up by measurement and averaged, in the form of ``model.json``."""
    splits: dict[int, list[tuple[float, int, float, float]]] = {}
    for booster in boosters:
        rate = booster.learning_rate / len(boosters)
        for stage in booster.estimators_:
            for relation, tree in enumerate(stage):
                nodes = tree.tree_
                if nodes.node_count == 3:
                    low, high = nodes.value[1][0][0] * rate, nodes.value[2][0][0] * rate
                    splits.setdefault(int(nodes.feature[0]), []).append(
                        (round(float(nodes.threshold[0]), 2), relation, low, high)
                    )
    of_origin = splits.pop(len(MEASUREMENTS), [])
    start = np.mean([_start(booster) for booster in boosters], axis=0)
    for _, relation, low, _ in of_origin:
        start[relation] += low
    return {
        "start": [round(float(point), 3) for point in start],
        "steps": {MEASUREMENTS[place]: _added_up(found) for place, found in sorted(splits.items())},
    }


def _added_up(splits: list[tuple[float, int, float, float]]) -> dict[str, Any]:
    """The points of one measurement between each two of its cuts."""
    cuts = sorted({cut for cut, *_ in splits})
    middles = [cuts[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(cuts)), cuts[-1] + 1]
    points = [[0.0, 0.0, 0.0] for _ in middles]
    for cut, relation, low, high in splits:
        for row, middle in zip(points, middles, strict=True):
            row[relation] += low if middle <= cut else high
    return {"cuts": cuts, "points": [[round(point, 3) for point in row] for row in points]}


def _start(booster: Any) -> Any:
    """The points before any tree, which scikit-learn keeps to itself."""
    return np.array(booster._raw_predict_init(np.zeros((1, len(MEASUREMENTS) + 1)))[0])  # noqa: SLF001


def evaluate(dev: Pairs, own: Pairs) -> None:
    """Print what cross-validation over the first set gives, for several thresholds."""
    values, relations = np.array(dev.values), np.array(dev.relations)
    macro = np.mean([_macro_f1(_cross_validated(values, relations, own, seed), relations) for seed in range(3)])
    print(f"macro F1 of the three relations {macro:.3f}")
    for threshold in (0.5, 0.55, 0.6, 0.64, 0.68, 0.72, 0.76, 0.8):
        rows = []
        for seed in range(3):
            probabilities = _cross_validated(values, relations, own, seed)
            free = (np.array(dev.hours) <= 72) & ~np.array(dev.guarded)
            rows.append(_scores(probabilities, relations, free, threshold))
        precision, recall, f1, suppressed = np.mean(rows, axis=0)
        print(
            f"duplicate from {threshold:.2f}: precision {precision:.3f}  recall {recall:.3f}  F1 {f1:.3f}  "
            f"updates suppressed {suppressed:.1%}"
        )


_FITTED: dict[int, Any] = {}


def _cross_validated(values: Any, relations: Any, own: Pairs, seed: int) -> Any:
    if seed not in _FITTED:
        found = np.zeros((len(relations), 3))
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(values, relations):
            found[test] = predict(fit(values[train], relations[train], own), values[test])
        _FITTED[seed] = found
    return _FITTED[seed]


def _scores(probabilities: Any, relations: Any, free: Any, threshold: float) -> tuple[float, float, float, float]:
    """Of the duplicates, where ``free`` says which pairs lie in the window and are held back by no guard."""
    said = (probabilities[:, 2] >= threshold) & free
    right = (said & (relations == 2)).sum()
    precision, recall = right / max(said.sum(), 1), right / (relations == 2).sum()
    return precision, recall, 2 * precision * recall / (precision + recall), said[relations == 1].mean()


def _macro_f1(probabilities: Any, relations: Any) -> float:
    """The F1 of the three relations, averaged, when the likeliest is taken."""
    said = probabilities.argmax(axis=1)
    return float(
        np.mean(
            [
                2 * ((said == at) & (relations == at)).sum() / ((said == at).sum() + (relations == at).sum())
                for at in range(3)
            ]
        )
    )


def _laid_out(model: dict[str, Any]) -> str:
    """The model as JSON, a measurement's cuts and points on a line each."""
    steps = ",\n".join(
        f'  {json.dumps(name)}: {{\n   "cuts": {json.dumps(step["cuts"])},\n   "points": {json.dumps(step["points"])}}}'
        for name, step in model["steps"].items()
    )
    return f'{{\n "start": {json.dumps(model["start"])},\n "steps": {{\n{steps}\n }}\n}}\n'


def main() -> None:
    """Evaluate, and with ``--write`` store the model."""
    arguments = argparse.ArgumentParser(description="Fit the model that recognises stories.")
    arguments.add_argument("--write", action="store_true", help="store the model that is fitted on everything")
    write = arguments.parse_args().write
    dev, own = dev_pairs(), own_pairs()
    print(f"{len(dev.relations)} pairs to evaluate on, {len(own.relations)} of the stream to fit on as well")
    evaluate(dev, own)
    if write:
        model = steps_of(fit(np.array(dev.values), np.array(dev.relations), own))
        MODEL.write_text(_laid_out(model), encoding="utf-8")
        sys.stdout.write(f"stored {MODEL.name}\n")


if __name__ == "__main__":
    main()
