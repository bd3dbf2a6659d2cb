"""The language of rules: Lucene query syntax, read strictly, evaluated on one headline at a time.

`compile_query` turns a text into a `Query`; a query is matched against a `View` of a classified headline and answers
with the words that fired it. ``docs/reference/rules.md`` describes the language. What Lucene has and this language
leaves out is refused with the reason, so that no query quietly means something else here.

The package reads from top to bottom: ``source`` prepares the text, with the ``operators`` that Lucene has not, ``syntax``
parses it, ``terms`` cuts its words, ``fields`` knows what can be asked of a headline, ``nodes`` and ``leaves`` are the parsed
query, and ``view`` is the headline as a query sees it. ``anchors`` tells which words a headline must have for a query to be
worth evaluating, ``frequency`` how rare these are, and ``lexicon`` finds the queries behind a word. ``explain`` says why a
query holds or does not, and ``implies`` what follows from queries alone.
"""

from __future__ import annotations

from streams.core.query.compiled import Match, Query, compile_query
from streams.core.query.frequency import USUAL, Anchor, Weights, WordWeights
from streams.core.query.source import QueryError
from streams.core.query.view import View

__all__ = [
    "USUAL",
    "Anchor",
    "Match",
    "Query",
    "QueryError",
    "View",
    "Weights",
    "WordWeights",
    "compile_query",
]
