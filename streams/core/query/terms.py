"""The words of a query, cut and folded the way headlines are, with their wildcards."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import re2
from rapidfuzz.distance import OSA

from streams.core.query.source import QueryError
from streams.core.query.view import fold_value
from streams.core.text import bare, clean, fold, tokenize

#: The longest word, in characters.
LONGEST_WORD = 200
#: A pattern needs so many letters or digits besides its wildcards: fewer match nearly every headline.
SHORTEST_PATTERN = 2
#: A word needs so many letters for one of them, or two, to be uncertain: shorter ones are near half the language.
SHORTEST_FUZZY = {1: 4, 2: 7}

_WILD = "*?"
# Wildcards at the end of a word, or `*` at its beginning, need no regular expression.
_SIMPLE_PATTERN = re.compile(r"(\*?)([^*?]+)(\?*)(\*?)")
_LITERAL_START = re.compile(r"[A-Za-z0-9]*")
_REGEX_OF = {"*": "[^ ]*", "?": "[^ ]"}


class Character(NamedTuple):
    """A character of a query. ``wild`` is true of `*` and `?` that are not escaped."""

    text: str
    wild: bool


def characters(written: str) -> Iterator[Character]:
    """The characters of a word or phrase as written, escapes resolved."""
    steps = iter(written)
    for char in steps:
        yield Character(next(steps), wild=False) if char == "\\" else Character(char, wild=char in _WILD)


def unescape(written: str) -> str:
    """``written`` without escapes; wildcards are plain characters."""
    return "".join(char.text for char in characters(written))


def phrase_words(written: str) -> tuple[str, ...]:
    """The folded words of what stands between quotation marks."""
    return tuple(token.word for token in tokenize(clean(unescape(written))))


def phrase_letters(written: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a word or phrase, folded, and the same words in the letters in which they are written."""
    text = clean(unescape(written))
    tokens = tokenize(text)
    return tuple(token.word for token in tokens), tuple(letters_of(text[token.start : token.end]) for token in tokens)


def letters_of(word: str) -> str:
    """A word as it stands in a text, in the form in which words are compared letter by letter."""
    return bare(word) or fold(word)


def is_near(word: str, other: str, edits: int) -> bool:
    """Whether two folded words differ by at most ``edits`` letters."""
    return OSA.distance(word, other, score_cutoff=edits) <= edits


def word_patterns(written: str) -> tuple[str, ...]:
    """The folded words of a word as written: several for ``re-elect``; `*` and `?` in them are wildcards.

    A wildcard belongs to the letters that it touches, so that ``re-elect*`` is ``re`` and ``elect*``.
    """
    words: list[str] = []
    touching = False
    for wild, run in groupby(characters(written), key=lambda char: char.wild):
        text = "".join(char.text for char in run)
        if not text.isascii():
            text = clean(text)
        cut = [(text, 0, len(text))] if wild else list(tokenize(text))
        for word, start, _ in cut:
            if touching and start == 0:
                words[-1] += word
            else:
                words.append(word)
            touching = False
        touching = bool(cut) and cut[-1][2] == len(text)
    return tuple(words)


def has_wildcard(word: str) -> bool:
    """Whether a folded word is a pattern. No folded word holds a `*` or `?` of its own."""
    return "*" in word or "?" in word


def refuse_broad(patterns: Iterable[str], shown: str, column: int) -> None:
    """Refuse a pattern that says too little, or too much.

    Raises:
        QueryError: a word of ``patterns`` has a wildcard and fewer than `SHORTEST_PATTERN` letters or digits, or they
            are longer than `LONGEST_WORD`.
    """
    if len(shown) > LONGEST_WORD:
        message = f"a word of {len(shown):,} characters, the most is {LONGEST_WORD}"
        raise QueryError(message, column, "put spaces between the words")
    for pattern in patterns:
        if has_wildcard(pattern) and sum(map(str.isalnum, pattern)) < SHORTEST_PATTERN:
            message = f"`{shown}` is too broad: it matches nearly every headline"
            hint = f"write at least {SHORTEST_PATTERN} letters or digits beside the wildcard"
            raise QueryError(message, column, hint)


def word_regex(pattern: str) -> str:
    """The regular expression of a folded word with wildcards."""
    return "".join(_REGEX_OF.get(char) or re.escape(char) for char in pattern)


def value_regex(written: str) -> str:
    """The regular expression of a value with wildcards, as in ``source:*.gov``; here `*` also stands for spaces."""
    return "".join(
        {"*": ".*", "?": "."}[char.text] if char.wild else re.escape(char.text.casefold())
        for char in characters(written)
    )


def exact_value(written: str) -> str:
    """The folded value of a word or phrase that has no wildcards."""
    return fold_value(unescape(written))


@functools.lru_cache(maxsize=4096)
def compile_regex(regex: str) -> Any:
    """A compiled RE2 expression: time linear in the text, whatever the expression (https://swtch.com/~rsc/regexp/).

    Raises:
        re2.error: RE2 does not take it, or it needs more than 1 MiB.
    """
    options = _options()
    options.dot_nl = True
    return re2.compile(regex, options)


def compile_line_regex(regex: str) -> Any:
    """An expression that describes a whole line, in letters of any case. No part of it can leave the line.

    Raises:
        re2.error: as above.
    """
    return re2.compile(*line_regex(regex))


def line_regex(regex: str) -> tuple[str, Any]:
    """The same before it is compiled, and the options to compile it with."""
    options = _options()
    options.never_nl = True
    options.case_sensitive = False
    return f"(?m)^(?:{regex})$", options


def literal_start(regex: str) -> str:
    """Letters with which every folded word begins that ``regex`` describes, as far as that is plain to see."""
    found = _LITERAL_START.match(regex)
    assert found
    start, depth, escaped = found[0], 0, False
    for char in regex[found.end() :]:
        if char == "|" and not depth and not escaped:
            return ""  # what begins so is one of several
        depth += {"(": 1, ")": -1}.get(char, 0) * (not escaped)
        if depth < 0 or char == "[":
            return ""  # brackets within brackets are not plain to see
        escaped = char == "\\" and not escaped
    optional = regex[found.end() : found.end() + 1] in ("?", "*", "{")
    return (start[:-1] if optional else start).lower()


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


def word_test(pattern: str) -> Callable[[str], Any]:
    """Tells whether a folded word of a headline is what a word of a query asks for."""
    found = _SIMPLE_PATTERN.fullmatch(pattern)
    if not found:
        return compile_regex(word_regex(pattern)).fullmatch  # type: ignore[no-any-return]
    before, start, single, after = found[1], found[2], len(found[3]), found[4]
    least = len(start) + single
    if before and not single and not after:
        return lambda word: word.endswith(start)
    if before:
        return compile_regex(word_regex(pattern)).fullmatch  # type: ignore[no-any-return]
    if after:
        return lambda word: word.startswith(start) and len(word) >= least
    return lambda word: word.startswith(start) and len(word) == least
