"""How many headlines a second one core classifies with the built-in taxonomy.

The peers do less: they find the same names and words as one alternation between word boundaries, in text that
is folded for them beforehand, and weigh no condition. `re` tries one name after the other, so it runs on
fewer headlines. RE2 gets the memory that it asks for, without which it falls back to its slow machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import re2

from benchmarks.report import Row, row
from benchmarks.stream import headlines, name
from streams.core.classify import Classifier
from streams.core.document import parse
from streams.core.taxonomy import Taxonomy, compile_taxonomy
from streams.core.text import clean, flatten

FILES = sorted((Path(__file__).parents[1] / "streams" / "taxonomy").glob("*.yaml"))
COUNT = 40_000
COUNT_FOR_RE = 500


def run() -> list[Row]:
    """Headlines a second: the classifier beside RE2 and `re`."""
    taxonomy = compile_taxonomy(parse(file.read_text(encoding="utf-8"), file.name) for file in FILES)
    texts = [clean(headline.headline) for headline in headlines(COUNT)]
    lines = [flatten(text) for text in texts]
    ours = rate(Classifier(taxonomy).classify, texts)
    pattern = alternation(taxonomy)
    options = re2.Options()
    options.max_mem = 1 << 30
    what = f"headlines classified, one core, {name()}"
    by_re2 = rate(finder(re2.compile(pattern, options)), lines)
    by_re = rate(finder(re.compile(pattern)), lines[:COUNT_FOR_RE])
    return [
        row(what, ours, "headlines/s", peer=by_re2, peer_name="google-re2, names only"),
        row(what, ours, "headlines/s", peer=by_re, peer_name="re, names only"),
    ]


def alternation(taxonomy: Taxonomy) -> str:
    """Every name and word of the taxonomy, the longest first, between word boundaries."""
    entities = [entity for topic in taxonomy.topics for entity in topic.entities]
    forms = {form for entity in entities for form in entity.forms}
    names = {re.escape(" ".join(form.words)) + (r"\w*" if form.prefix else "") for form in forms}
    return rf"\b(?:{'|'.join(sorted(names, key=lambda text: (-len(text), text)))})\b"


def finder(pattern: Any) -> Callable[[str], object]:
    """A function that finds all that ``pattern`` matches."""
    return lambda line: [match.span() for match in pattern.finditer(line)]


def rate(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Texts a second of one core's time, the best of three rounds: what else the machine does counts little."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for text in texts:
            work(text)
        best = min(best, time.process_time() - start)
    return len(texts) / best
