from __future__ import annotations

import pytest

from streams.backtest.duplicates import read_pairs
from streams.backtest.topics import read_rows
from streams.core.document import RefusedError


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"headline": 7, "topics": []}', "`headline` is a number, and should be a text"),
        (b'{"headline": null, "topics": []}', "`headline` is null, and should be a text"),
        (b'{"headline": "x", "topics": "iran"}', "`topics` is a text, and should be a list"),
        (b'{"headline": "x", "topics": [7]}', "`topics[0]` is a number, and should be a text"),
        (b'{"headline": "x", "topics": [], "edge": "maybe"}', "`edge` is a text, and should be true or false"),
        (b'{"topics": []}', "`headline` is missing"),
        (b"[]", "the line is a list, and should be a JSON object"),
        (b'{"headline": x}', "it is not JSON from byte 14 on"),
        (b'{"headline": "x"', "it is not JSON: it ends too early"),
        (b'{"headline": "\xff", "topics": []}', "it is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_in_our_words(line: bytes, told: str) -> None:
    with pytest.raises(RefusedError) as caught:
        list(read_rows([b"", line], "rows.jsonl"))
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (2, f"is not labelled as it should be: {told}")
    assert problem.hint.startswith("a line is ")


def test_a_label_that_there_is_not_is_named() -> None:
    with pytest.raises(RefusedError) as caught:
        list(read_pairs([b'{"a": "x", "b": "y", "label": "same"}'], "pairs.jsonl"))
    assert "pairs.jsonl:1:1: is not labelled as it should be: `label` is never 'same'" in str(caught.value)
