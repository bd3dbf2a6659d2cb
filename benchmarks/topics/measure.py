"""Score the built-in topics on labelled headlines of the real stream, apart for each part of the labels.

    python -m benchmarks.topics.measure [--misses]

A line of ``labels.tsv`` names a headline of ``../shared/data/stream_2022q4.jsonl.gz`` by its number (from 0), its topics
(``-`` for none, a question mark where the reader was in doubt), and the part that it belongs to; the text is no part of
the project. All lines were labelled from the headline alone, without a look at what the taxonomy says:

- ``read`` and ``held`` before the taxonomy of 3,400 companies was written, drawn at random from headlines with a word that
  may concern one of the topics. Of ``read`` the misses were looked at while it was written, of ``held`` the totals only.
- ``late`` after that, drawn from headlines with the words of Russian energy and of deals. Its first score is in
  ``docs/reference/taxonomy.md``; the misses were looked at afterwards.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.stream import REAL, headlines
from streams.backtest.topics import Row, evaluate
from streams.core.classify import Classifier
from streams.core.document import parse
from streams.core.taxonomy import compile_taxonomy

LABELS = Path(__file__).with_name("labels.tsv")
FILES = sorted((Path(__file__).parents[2] / "streams" / "taxonomy").glob("*.yaml"))
console = Console(soft_wrap=True)


def rows() -> dict[str, list[Row]]:
    """The labelled headlines, by the part that they belong to."""
    stream = headlines()
    parts: dict[str, list[Row]] = defaultdict(list)
    for line in LABELS.read_text(encoding="utf-8").splitlines():
        number, topics, part = line.split("\t")
        names = frozenset(topics.rstrip("?").split(",")) - {"-", ""}
        parts[part].append(Row(stream[int(number)].headline, names, edge=topics.endswith("?")))
    return parts


def main() -> int:
    """Print the scores, and the misses if they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--misses", action="store_true", help="list them too, judgement calls last")
    wanted = parser.parse_args()
    if not REAL.exists():
        print(f"the stream is not on this machine: {REAL}", file=sys.stderr)
        return 1
    classifier = Classifier(compile_taxonomy(parse(file.read_text(encoding="utf-8"), file.name) for file in FILES))
    table = Table(
        "part", "topic", "precision", "recall", "F1", "headlines", "F1, edge", "edge", box=None, pad_edge=False
    )
    for part, labelled in rows().items():
        found = evaluate(labelled, classifier)
        for topic in found.topics:
            score, edge = found.score(topic), found.score(topic, edge=True)
            figures = (f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support))
            table.add_row(part, topic, *figures, f"{edge.f1:.3f}", str(edge.support))
        for miss in found.misses if wanted.misses else ():
            sign = "+" if miss.given else "-"
            console.print(
                f"{part} {sign} {miss.topic}{' (edge)' if miss.row.edge else ''}  {escape(miss.row.headline)}"
            )
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
