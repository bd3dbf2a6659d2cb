"""Which of many words, wildcards, fuzzy words and regular expressions a word is.

Headlines repeat their words (Zipf's law), so what a word is gets found out once and is remembered: then each word of a
headline costs one look in a dictionary, however many patterns there are. A new word is compared with few patterns:
wildcards are found by their longest part, all at once (Aho and Corasick, "Efficient string matching", 1975), fuzzy words
by what remains when letters are left out of both (W. Garbe, "Symmetric Delete spelling correction", 2012), and regular
expressions by the letters that they require (``FilteredRE2`` of RE2).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ahocorasick_rs
import re2

from streams.core.query import terms
from streams.core.query.frequency import Anchor

Rules = tuple[int, ...]

#: Words that are remembered; then all are forgotten. A year of headlines has about as many.
REMEMBERED = 1 << 17
#: Longer words are no words, and do not come again.
_LONGEST_REMEMBERED = 64
#: Regular expressions in one filter: so few that the memory that RE2 allows it always suffices.
_FILTERED = 100


class Lexicon:
    """Finds the rules behind the words of headlines."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]]) -> None:
        self._exact = {anchor.text: tuple(rules) for anchor, rules in index.items() if anchor.place == "word"}
        #: Of the first words of pairs, what the next word brings.
        self.pairs: dict[str, dict[str, Rules]] = {}
        for anchor, rules in index.items():
            if anchor.place == "pair":
                word, following = anchor.text.split()
                self.pairs.setdefault(word, {})[following] = tuple(rules)
        self._kinds = [kind for kind in (_Wildcards(index), _Fuzzies(index), _Regexes(index)) if kind]
        #: What is remembered. A word that is not here is to be looked up by `rules_of`.
        self.known: dict[str, Rules] = {}

    def rules_of(self, word: str) -> Rules:
        """The rules of which ``word`` is an anchor, in order; remembered from now on, unless it is endless."""
        if word in self.known:
            return self.known[word]
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        rules = {*self._exact.get(word, ()), *(rule for kind in self._kinds for rule in kind.rules_of(word))}
        found = tuple(sorted(rules)) if rules else ()
        if len(word) <= _LONGEST_REMEMBERED:
            self.known[word] = found
        return found


class _Wildcard(NamedTuple):
    """A pattern that has a certain part. ``regex`` decides; it is None where the part alone does."""

    regex: Any
    rules: Rules


class _Wildcards:
    """Words with wildcards, by the longest part that these leave."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]]) -> None:
        by_part: defaultdict[str, list[_Wildcard]] = defaultdict(list)
        for anchor, rules in index.items():
            if anchor.place == "wildcard":
                part, alone = _longest_part(anchor.text)
                regex = None if alone else terms.compile_regex(terms.word_regex(anchor.text))
                by_part[part].append(_Wildcard(regex, tuple(rules)))
        self._behind = list(by_part.values())
        self._search = ahocorasick_rs.AhoCorasick(list(by_part)) if by_part else None

    def __bool__(self) -> bool:
        return self._search is not None

    def rules_of(self, word: str) -> Iterator[int]:
        """The rules of the patterns that ``word`` is."""
        assert self._search is not None
        hits = {hit[0] for hit in self._search.find_matches_as_indexes(f" {word} ", overlapping=True)}
        for hit in hits:
            for pattern in self._behind[hit]:
                if pattern.regex is None or pattern.regex.fullmatch(word):
                    yield from pattern.rules


def _longest_part(pattern: str) -> tuple[str, bool]:
    """The longest part of a word that its wildcards leave, with a space where the word begins or ends.

    Beside it, whether every word that has the part is as the pattern says.
    """
    parts = re.split(r"[*?]+", f" {pattern} ")
    longest = max(parts, key=lambda part: len(part.strip()))
    others = [part for part in parts if part.strip() and part is not longest]
    return longest, "?" not in pattern and not others


class _Fuzzy(NamedTuple):
    """A word of which so many letters may differ."""

    word: str
    edits: int
    rules: Rules


class _Fuzzies:
    """Words of which letters may differ, by every form that is left when so many are taken out."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]]) -> None:
        self._by_form: defaultdict[str, list[_Fuzzy]] = defaultdict(list)
        self._edits = self._longest = 0
        for anchor, rules in index.items():
            if anchor.place == "fuzzy":
                word, edits = anchor.text.rsplit("~", 1)
                fuzzy = _Fuzzy(word, int(edits), tuple(rules))
                self._edits = max(self._edits, fuzzy.edits)
                self._longest = max(self._longest, len(word) + fuzzy.edits)
                for form in _forms(word, fuzzy.edits):
                    self._by_form[form].append(fuzzy)

    def __bool__(self) -> bool:
        return bool(self._by_form)

    def rules_of(self, word: str) -> Iterator[int]:
        """The rules of the fuzzy words that ``word`` is near to."""
        if len(word) > self._longest:
            return
        found = {fuzzy for form in _forms(word, self._edits) for fuzzy in self._by_form.get(form, ())}
        for fuzzy in found:
            if terms.is_near(fuzzy.word, word, fuzzy.edits):
                yield from fuzzy.rules


def _forms(word: str, most: int) -> set[str]:
    """``word`` with up to ``most`` of its letters left out."""
    forms = {word}
    shorter = forms
    for _ in range(most):
        shorter = {form[:place] + form[place + 1 :] for form in shorter for place in range(len(form))}
        forms = forms | shorter
    return forms


class _Regexes:
    """Regular expressions of words, by the letters that they require."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]]) -> None:
        regexes = [(anchor.text, tuple(rules)) for anchor, rules in index.items() if anchor.place == "regex"]
        self._filters = [_filtered(regexes[start : start + _FILTERED]) for start in range(0, len(regexes), _FILTERED)]

    def __bool__(self) -> bool:
        return bool(self._filters)

    def rules_of(self, word: str) -> Iterator[int]:
        """The rules of the expressions that describe ``word``."""
        for filtered, rules in self._filters:
            for number in filtered.Match(word) or ():
                yield from rules[number]


def _filtered(regexes: Sequence[tuple[str, Rules]]) -> tuple[Any, list[Rules]]:
    filtered = re2.Filter()
    for regex, _ in regexes:
        filtered.Add(*terms.line_regex(regex))
    filtered.Compile()
    return filtered, [rules for _, rules in regexes]
