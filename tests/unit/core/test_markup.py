from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.markup import without_markup


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a <b>bold</b> word", "a bold word"),
        ('<a href="https://x.example/?a>b">link</a>', "link"),
        ("one<br/>two", "one two"),
        ("<![CDATA[Oil & gas]]>", "Oil & gas"),
        ("a<!-- not seen -->b", "ab"),
        ("a<SCRIPT type='x'>if (1 < 2) {}</SCRIPT >b", "ab"),
        ("a<script>without an end", "a<script>without an end"),
        ("&quot;x&quot; &#x2019; &unknown; &copy", '"x" \u2019 &unknown; &copy'),
        ("x <b and c> y", "x <b and c> y"),
    ],
)
def test_known_markup_goes_and_the_rest_stays(html: str, text: str) -> None:
    assert without_markup(html) == text


@given(st.text(alphabet="abc 123.,;:'\"-\n"))
def test_text_without_markup_stays_as_it_is(text: str) -> None:
    assert without_markup(text) == text


@pytest.mark.parametrize(
    "piece", ["<!--", "<script>", "<a ", "<a b='", '<a b="', "<b", "&amp;", "&#38;lt;", "<![CDATA["]
)
def test_the_time_grows_with_the_length_only(piece: str) -> None:
    """Half a million characters of what makes a careless pattern start over at every place."""
    begun = time.process_time()
    without_markup(piece * (500_000 // len(piece)))
    assert time.process_time() - begun < 3
