"""The text of a query, made ready for luqum.

luqum reads the grammar of Lucene, but not all of its spellings: `&&`, `||` and `!` are words to it, as are typographic
quotation marks. They are rewritten here, with a record of where each character came from, and what would be misread
or would end in an error without a place is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from streams.core.query.operators import UNCOUNTED, MisplacedError, Piece, grouped

#: The longest query, in characters.
LONGEST = 10_000
#: How deep parentheses and negations may nest.
DEEPEST = 50

_STRAIGHT = str.maketrans("“”„‟«»\uff02", '"' * 7)  # the last is a full-width quotation mark
# Control characters but white space, and halves of characters.
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
# Phrases, regular expressions and words are cut where luqum's own lexer cuts them.
_PIECE = re.compile(
    r"""
    (?P<phrase> " (?: [^\\"] | \\. )* " )
  | (?P<regex>  / (?: [^\\/] | \\. )* / )
  | (?P<and>    && (?= [\s()"] | $ ) )
  | (?P<or>     \|\| (?= [\s()"] | $ ) )
  | (?P<not>    ! )
  | (?P<word>   (?: [^\s:^~(){}\[\]/"'+\-\\<>] | \\. ) (?: [^\s:^\\~(){}\[\]] | \\. )* )
  | (?P<near>   ~ [0-9.]* )
  | (?P<boost>  \^ )
  | (?P<space>  \s+ )
  | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REWRITTEN = {"and": " AND ", "or": " OR ", "not": "NOT "}
_MOVES = re.compile(r"~[0-9]{1,3}")
_LETTERS = re.compile(r"~[12]")
_AT_LEAST = re.compile(r"@[0-9]+")
_INNER_OPERATOR = re.compile(r"(?<!\\)(?:&&|\|\|)")
_INNER_QUOTE = re.compile(r'(?<!\\)"')
_STRAY = {
    '"': ("this quotation mark is not closed", 'write `"` at the end of the phrase, or `\\"` for the character'),
    "'": ("single quotation marks do not make a phrase", 'use double ones: `"strait of hormuz"`'),
    "/": ("this `/` opens a regular expression that is not closed", "write `/` at its end, or `\\/` for the character"),
    "\\": ("a lone `\\`", "write `\\\\` for the character"),
}


class QueryError(ValueError):
    """A query is refused. ``column`` counts its characters from 1; ``hint`` says what to write instead."""

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(f"{message} at character {column}" + (f" ({hint})" if hint else ""))
        self.message = message
        self.column = column
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Source:
    """A query as luqum reads it. The character at ``text[i]`` came from column ``columns[i]`` of the user's text."""

    text: str
    columns: Sequence[int]

    def column(self, position: int) -> int:
        """The user's column of a position in ``text``."""
        return self.columns[min(position, len(self.columns) - 1)]


def prepare(text: str) -> Source:
    """Rewrite ``text`` for luqum.

    Raises:
        QueryError: it is empty, too long or nested too deeply, its quotes or parentheses do not pair, or something in
            it would be misread.
    """
    if not text.strip():
        raise QueryError("the query is empty", 1, "write what a headline must say, such as `iran AND oil`")
    if len(text) > LONGEST:
        message = f"the query has {len(text):,} characters, the most is {LONGEST:,}"
        raise QueryError(message, LONGEST + 1, "make several rules of it")
    if found := _NO_TEXT.search(text):
        raise QueryError(f"a character that is no text, U+{ord(found[0]):04X}", found.start() + 1, "remove it")
    written: list[str] = []
    columns: list[int] = []
    try:
        for kind, piece, column in grouped(_pieces(text.translate(_STRAIGHT))):
            rewritten = _REWRITTEN.get(kind, piece)
            written.append(rewritten)
            columns += (column + min(i, len(piece) - 1) for i in range(len(rewritten)))
    except MisplacedError as error:
        raise QueryError(error.message, error.piece.column, error.hint) from None
    return Source("".join(written), [*columns, len(text.rstrip()) + 1])


def _pieces(text: str) -> list[Piece]:
    """The pieces of a query of which each, by itself, is in order, and of which parentheses pair."""
    pieces: list[Piece] = []
    open_at: list[int] = []
    before = ""
    touching = Piece("", "", 1)
    for found in _PIECE.finditer(text):
        kind, piece, column = str(found.lastgroup), found[0], found.start() + 1
        _refuse(kind, piece, column, before)
        _refuse_touching(touching, kind, piece, column)
        if kind == "other":
            _pair(piece, column, open_at)
        before, touching = before if kind == "space" else kind, Piece(kind, piece, column)
        pieces.append(touching)
    if open_at:
        raise QueryError("this parenthesis is not closed", open_at[-1], "write `)` where the group ends")
    return pieces


def _refuse(kind: str, piece: str, column: int, before: str) -> None:
    """Refuse what luqum would misread, or would fail on without saying where."""
    if kind == "boost":
        raise QueryError("`^` weighs terms for a score, and a rule has none", column, "leave it out")
    if kind == "near" and before not in ("phrase", "word"):
        hint = 'write it after each word, as in `tanker~1`, or after a phrase: `"oil iran"~5`'
        raise QueryError("`~` belongs to a word or a phrase", column, hint)
    if kind == "near" and before == "word" and not _LETTERS.fullmatch(piece):
        message = "`~` after a word needs the number of letters that may differ, 1 or 2"
        raise QueryError(message, column, "write for example `tanker~1`")
    if kind == "near" and before == "phrase" and not _MOVES.fullmatch(piece):
        message = "`~` after a phrase needs a whole number below 1,000"
        raise QueryError(message, column, 'write for example `"oil iran"~5`')
    if kind == "other" and piece in _STRAY:
        message, hint = _STRAY[piece]
        raise QueryError(message, column, hint)
    if kind == "word" and (found := _INNER_OPERATOR.search(piece)):
        raise QueryError(f"`{found[0]}` within a word", column + found.start(), f"put spaces around `{found[0]}`")
    if kind == "word" and (found := _INNER_QUOTE.search(piece)):
        raise QueryError("a quotation mark within a word", column + found.start(), "put a space before the phrase")


def _refuse_touching(last: Piece, kind: str, piece: str, column: int) -> None:
    """Refuse what means something else, to Lucene or to who wrote it, by what it touches."""
    if kind == "word" and last.kind == "regex":
        hint = "case never counts; put a space before the next word"
        raise QueryError(f"`{piece}` right after a regular expression", column, hint)
    if kind == "word" and last.text == ")" and (found := _AT_LEAST.match(piece)):
        hint = f"write `ATLEAST/{found[0][1:]}(oil gas coal)`"
        raise QueryError(f"`{found[0]}` after a group is Lucene's minimum of matches", column, hint)
    if piece == "(" and last.kind == "word" and last.text in UNCOUNTED:
        hint = f"write `{last.text}/2(oil gas coal)`; put a space after `{last.text}` if it is a word"
        raise QueryError(f"`{last.text}` needs a number before its parentheses", last.column, hint)


def _pair(piece: str, column: int, open_at: list[int]) -> None:
    if piece == "(":
        open_at.append(column)
        if len(open_at) > DEEPEST:
            raise QueryError(f"more than {DEEPEST} parentheses within each other", column, "make several rules of it")
    elif piece == ")":
        if not open_at:
            raise QueryError("this parenthesis closes nothing", column, "remove it, or write `(` before the group")
        open_at.pop()
