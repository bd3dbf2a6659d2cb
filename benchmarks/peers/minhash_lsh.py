"""Near-duplicates by MinHash and locality-sensitive hashing (datasketch), as a stream: query, insert, expire.

``python FILE WINDOW PERMUTATIONS`` reads a headline a line from its standard input, milliseconds and text with a tab
between, and prints the seconds that all took and how many had a neighbour. A headline is its set of words; whatever was
published more than ``WINDOW`` milliseconds ago goes.
"""

from __future__ import annotations

import importlib
import sys
import time
import zlib
from collections import deque
from typing import Any

#: The share of words in common from which on two headlines are to find each other.
THRESHOLD = 0.5


def main(window: int, permutations: int) -> None:
    """Print the seconds and the number of headlines with a neighbour."""
    sketch: Any = importlib.import_module("datasketch")  # of another environment, so no import for type checkers
    lines = [line.rstrip("\n").partition("\t") for line in sys.stdin]
    headlines = [(int(published), text) for published, _, text in lines]
    index = sketch.MinHashLSH(threshold=THRESHOLD, num_perm=permutations)
    blank = sketch.MinHash(num_perm=permutations, hashfunc=zlib.crc32)
    held: deque[tuple[int, int]] = deque()
    neighbours = 0
    began = time.perf_counter()
    for number, (published, text) in enumerate(headlines):
        while held and held[0][0] < published - window:
            index.remove(held.popleft()[1])
        minhash = blank.copy()
        minhash.update_batch([word.encode() for word in set(text.lower().split())])
        neighbours += bool(index.query(minhash))
        index.insert(number, minhash, check_duplication=False)
        held.append((published, number))
    print(time.perf_counter() - began, neighbours)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
