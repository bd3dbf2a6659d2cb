"""The sources: one line each, in the order in which they are asked whether an input is theirs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import BinaryIO

from connectors.article import Article
from connectors.csv_file import Csv
from connectors.foreign import refuse_foreign
from connectors.interface import Source, SourceError
from connectors.jsonl import JsonLines
from connectors.lines import Lines
from connectors.page import is_html
from connectors.parquet import Parquet
from connectors.stored import DAMAGED, HEAD, beginning, plain
from connectors.ticker import Ticker

_ALL: tuple[Source, ...] = (
    JsonLines(),
    Parquet(),
    Csv(),
    Article(),
    Ticker(),
    Lines(),
)

#: Those with a form of their own, which is known for sure, before anything is taken for something that no source reads.
_SURE = ("jsonl", "parquet", "csv")

SOURCES: Mapping[str, Source] = {source.name: source for source in _ALL}


def guess(name: str, data: BinaryIO, *, lasts: bool = False) -> tuple[Source, BinaryIO]:
    """The source for an input, by how it begins, and the input, whole; compressed input as what it holds.

    ``name`` is what the user calls the input by. One that ``lasts``, such as standard input, shows only what of it has
    come, and may never end; it is taken for no article, which has an end and would have to be waited for.

    Raises:
        SourceError: it is empty, or damaged, or of no kind that can be told for sure; then the hint says what to do.
    """
    name = shlex.quote(name)
    try:
        buffered = plain(data)
        head = buffered.peek(HEAD)[:HEAD]
        while lasts and head and not head.strip():  # blank lines that came by themselves tell nothing
            buffered.read(len(head))
            head = buffered.peek(HEAD)[:HEAD]
    except DAMAGED as error:
        raise SourceError(f"the compressed data are damaged: {error}") from None
    text = beginning(head)
    if not text.strip():
        raise SourceError("it is empty")
    source = next((SOURCES[sure] for sure in _SURE if SOURCES[sure].recognises(text)), None)
    if source is None:
        refuse_foreign(head, text, name)
        source = next((source for source in _ALL if source.recognises(text)), None)
    if source is None:
        raise _told_by_nothing(text, name)
    if lasts and isinstance(source, Article):
        raise SourceError("it looks like an article page", f"say what it is: {_choice(name, 'article', 'lines')}")
    return source, buffered


def _told_by_nothing(text: str, name: str) -> SourceError:
    if is_html(text):
        return SourceError(
            "it is an HTML page, and neither an article with its date nor a ticker",
            f"say what it is: {_choice(name, 'article', 'ticker')}",
        )
    return SourceError(
        "it is running text without a dateline, and no list of headlines",
        "an article has a dateline such as `Monday 02 June 2025 - 11:34` below its title; else say what it is: "
        + _choice(name, "lines"),
    )


def _choice(name: str, *sources: str) -> str:
    return " or ".join(f"`wirewatch ingest {source} {name}`" for source in sources)
