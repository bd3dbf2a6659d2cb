"""Count words in the real stream, for ``streams/core/story/weights.tsv``.

    python -m benchmarks.stories.weights > weights.tsv

A line has a word's meaning (the stem of the word that it stands for), the number of 100,000 headlines that use it, and
the share of its uses that begin with a capital, counted in headlines that are not in title case and not of the first
word. What fewer than eight headlines use is left out: that is rare enough to know.
"""

from __future__ import annotations

import sys
from collections import Counter

from benchmarks.stream import headlines
from streams.core.story.lexicon import lexicon
from streams.core.story.reading import Reading
from streams.core.text import clean, tokenize
from streams.core.wire import read_wire

FEWEST = 8


def main() -> None:
    """Print the table."""
    stream = headlines()
    used: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for headline in stream:
        text = read_wire(clean(headline.headline), headline.source).text
        used.update(list(Reading(text).by_meaning))
        tokens = [(lexicon().look(token.word).meaning, text[token.start]) for token in tokenize(text)]
        long = [first for meaning, first in tokens if len(meaning) >= 4 and first.isalpha()]
        if len(long) >= 4 and sum(map(str.isupper, long)) / len(long) < 0.6:
            for meaning, first in tokens[1:]:
                if first.isalpha():
                    (capital if first.isupper() else small)[meaning] += 1
    for meaning, count in sorted(used.items()):
        if count < FEWEST or not meaning.isascii():
            continue
        seen = capital[meaning] + small[meaning]
        share = f"{capital[meaning] / seen:.2f}" if seen >= 3 else ""
        sys.stdout.write(f"{meaning}\t{count * 100_000 / len(stream):.0f}\t{share}\n")


if __name__ == "__main__":
    main()
