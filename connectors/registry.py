"""The sources: one line each, in the order in which they are asked whether an input is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from connectors.article import Article
from connectors.compressed import DAMAGED, plain
from connectors.interface import Source, SourceError
from connectors.jsonl import JsonLines
from connectors.lines import Lines
from connectors.ticker import Ticker

_ALL: tuple[Source, ...] = (
    JsonLines(),
    Article(),
    Ticker(),
    Lines(),
)

SOURCES: Mapping[str, Source] = {source.name: source for source in _ALL}

#: Bytes that a guess may look at.
_HEAD = 16_384


def guess(name: str, data: BinaryIO) -> tuple[Source, BinaryIO]:
    """The source for an input, by how it begins, and the input, whole; compressed input as what it holds.

    Raises:
        SourceError: it is empty, or damaged.
    """
    buffered = plain(data)
    try:
        head = buffered.peek(_HEAD)[:_HEAD]
    except DAMAGED as error:
        raise SourceError(f"the compressed data are damaged: {error}") from None
    if not head.strip():
        raise SourceError(f"{name} is empty")
    for source in _ALL:
        if source.recognises(head):
            return source, buffered
    raise SourceError(f"{name} is in no form that is known", f"say which: {', '.join(SOURCES)}")
