"""Which rules a headline fires.

Rules are indexed under their anchors (`streams.core.query.anchors`), so that a headline is compared only with rules of
which it has a required word or value, and, where two are required, both; and with the few that require none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import ahocorasick_rs
import msgspec

from streams.core.query import USUAL, Anchor, View, Weights, terms
from streams.core.query.anchors import required_twice, without_needed, words_needed
from streams.core.query.lexicon import Lexicon, Rules
from streams.core.query.nodes import Test
from streams.core.query.view import RAW_VALUES, VALUES
from streams.core.records import Classified, Span
from streams.core.rule import Rule, RuleSet
from streams.core.text import squeeze


class RuleMatch(msgspec.Struct, frozen=True, gc=False):
    """A rule that a headline fired, and the words by which it did."""

    rule: Rule
    spans: tuple[Span, ...]


class Matcher:
    """Matches headlines with a set of rules. Pure: the same headline fires the same rules, always.

    ``weights`` say which words are rare, where more is known than how often words usually stand in headlines. They
    change what matching costs, and never what it finds.
    """

    def __init__(self, ruleset: RuleSet, weights: Weights = USUAL) -> None:
        self.ruleset = ruleset
        self._rules = ruleset.matched
        first: defaultdict[Anchor, list[int]] = defaultdict(list)
        second: defaultdict[Anchor, list[int]] = defaultdict(list)
        always, twice = [], []
        for number, rule in enumerate(self._rules):
            sets = required_twice(rule.query.root, weights)
            if not sets:
                always.append(number)
            elif len(sets) == 2:
                twice.append(number)
            for index, anchors in zip((first, second), sets, strict=False):
                for anchor in anchors:
                    index[anchor].append(number)
        self._always: Rules = tuple(always)
        self._twice = frozenset(twice)
        self._first, self._second = _Index(first), _Index(second)
        self._sieve = _Sieve.of(first, self._first.values, weights) if not always else None
        self._needs = [words_needed(rule.query.root) for rule in self._rules]
        self._tests: list[Test | None] = [None] * len(self._rules)

    def match(self, headline: Classified) -> tuple[RuleMatch, ...]:
        """The rules that ``headline`` fires, in the order of their names, each with the words by which it does."""
        view = self._view(headline)
        if view is None:
            return ()
        return tuple([RuleMatch(rule, rule.query.spans(view)) for rule in self._fired(view)])

    def fired(self, headline: Classified) -> list[Rule]:
        """The rules that ``headline`` fires, in the order of their names, for who does not ask by which words."""
        view = self._view(headline)
        return [] if view is None else self._fired(view)

    def candidates(self, view: View) -> Sequence[int]:
        """The places in the rule set of all rules that may match, in order."""
        words = view.headline.words
        found = self._first.rules_of(words, view.record)
        if not found:
            return self._always
        likely = set().union(self._always, *found)
        waiting = likely & self._twice
        if len(waiting) > _WORTH_A_SECOND_LOOK:
            likely -= waiting
            for rules in self._second.rules_of(words, view.record):
                likely |= waiting.intersection(rules)
        return sorted(likely)

    def _view(self, headline: Classified) -> View | None:
        """The headline as rules see it, unless its letters tell that none fires."""
        return None if self._sieve is not None and not self._sieve.passes(headline) else View(headline)

    def _fired(self, view: View) -> list[Rule]:
        candidates = self.candidates(view)
        if not candidates:
            return []
        bag, needs, tests, rules = view.headline.bag, self._needs, self._tests, self._rules
        fired = []
        for number in candidates:
            if needs[number] <= bag:
                test = tests[number] or self._test(number)
                if test(view) and (rule := rules[number]).concerns(view.record):
                    fired.append(rule)
        return fired

    def _test(self, number: int) -> Test:
        """The test of a rule, made when it is needed for the first time: most rules of many wait for weeks."""
        rest = without_needed(self._rules[number].query.root)
        test = self._tests[number] = rest.test() if rest is not None else _nothing_left
        return test


def _nothing_left(_: View) -> bool:
    return True


#: The fields whose values are anchors, each with the place of its patterns, if it may have some.
_FIELDS: Sequence[tuple[str, str]] = (
    ("topic", "topics"),
    ("source", "sources"),
    ("url", ""),
    ("kind", ""),
    ("status", ""),
)
#: So many rules are tested sooner than a second look at all words takes.
_WORTH_A_SECOND_LOOK = 4
#: Headlines of which the values of a field are remembered; then all are forgotten.
_REMEMBERED = 1 << 14
#: The share of headlines beyond which it does not pay to ask first whether they have anything at all.
_WORTH_ASKING = 0.25


class _Index:
    """Finds the rules behind the words and values of headlines."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]]) -> None:
        self._lexicon = Lexicon(index)
        self._pairs = self._lexicon.pairs
        self.values = [found for field, patterns in _FIELDS if (found := _Values(index, field, patterns))]

    def rules_of(self, words: Sequence[str], record: Classified) -> list[Rules]:
        """The rules of every anchor that a headline has, anchor by anchor."""
        found = list(map(self._lexicon.known.get, words))
        if None in found:
            found = list(map(self._lexicon.rules_of, words))
        pairs = self._pairs
        if pairs and not pairs.keys().isdisjoint(words):
            for following, next_word in zip(map(pairs.get, words), words[1:], strict=False):
                if following is not None:
                    found.append(following.get(next_word))
        for values in self.values:
            found += values.rules_of(record)
        return list(filter(None, found))


class _Values:
    """Finds the rules behind the values of one field. What the values of a headline give is remembered."""

    def __init__(self, index: Mapping[Anchor, Iterable[int]], field: str, patterns: str) -> None:
        self._read = VALUES[field]
        self._exact = {anchor.text: tuple(rules) for anchor, rules in index.items() if anchor.place == field}
        self._patterns: list[tuple[Callable[[str], Any], Rules]] = [
            (terms.compile_regex(anchor.text).fullmatch, tuple(rules))
            for anchor, rules in index.items()
            if patterns and anchor.place == patterns
        ]
        self._raw = RAW_VALUES[field]
        self._known: dict[Any, list[Rules]] = {}

    def __bool__(self) -> bool:
        return bool(self._exact or self._patterns)

    def rules_of(self, record: Classified) -> list[Rules]:
        """The rules of which the headline has a value."""
        raw = self._raw(record)
        found = self._known.get(raw)
        if found is None:
            found = [rules for value in self._read(record) for rules in self._behind(value)]
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[raw] = found
        return found

    def _behind(self, value: str) -> Iterator[Rules]:
        if value in self._exact:
            yield self._exact[value]
        yield from (rules for matches, rules in self._patterns if matches(value))


class _Sieve:
    """Tells most headlines that fire no rule of a few, from their letters: before their words are cut."""

    def __init__(self, needles: Sequence[str], values: Sequence[_Values]) -> None:
        self._values = values
        self._find = ahocorasick_rs.AhoCorasick(
            needles, implementation=ahocorasick_rs.Implementation.DFA
        ).find_matches_as_indexes

    @classmethod
    def of(cls, index: Iterable[Anchor], values: Sequence[_Values], weights: Weights) -> _Sieve | None:
        """A sieve, if there can be one and it keeps enough back to be worth asking."""
        needles = []
        share = 0.0
        for anchor in index:
            share += weights.share(anchor)
            if anchor.place == "word":
                needles.append(anchor.text.replace(".", ""))
            elif anchor.place == "pair":
                needles.append(max(anchor.text.replace(".", "").split(), key=len))
            elif anchor.place == "wildcard":
                needles.append(max(re.split(r"[*?.]+", anchor.text), key=len))
            elif anchor.place in ("fuzzy", "regex"):
                return None
        return cls(needles, values) if share < _WORTH_ASKING and all(needles) and needles else None

    def passes(self, record: Classified) -> bool:
        """Whether the headline has a word or value of a rule, or may have one."""
        letters = squeeze(record.headline.headline)
        return not letters or bool(self._find(letters)) or any(values.rules_of(record) for values in self._values)
