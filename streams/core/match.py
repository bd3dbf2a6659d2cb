"""Which rules a headline fires.

Rules are indexed under their anchors (`streams.core.query.anchors`), so that a headline is compared only with rules of
which it has a required word or value, and with the few that have none. The parts of words that wildcards require are
searched all at once (Aho and Corasick, "Efficient string matching", 1975).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ahocorasick_rs

from streams.core.query import Anchor, View
from streams.core.records import Classified, Span
from streams.core.rule import Rule, RuleSet


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that a headline fired, and the words by which it did."""

    rule: Rule
    spans: tuple[Span, ...]


class Matcher:
    """Matches headlines with a set of rules. Pure: the same headline fires the same rules, always."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.ruleset = ruleset
        index: defaultdict[Anchor, list[int]] = defaultdict(list)
        unindexed = []
        for number, rule in enumerate(ruleset.rules):
            if rule.query.anchors is None:
                unindexed.append(number)
            for anchor in rule.query.anchors or ():
                index[anchor].append(number)
        self._always = frozenset(unindexed)
        self._words = _at(index, "word")
        fragments = _at(index, "fragment")
        self._behind_fragment = list(fragments.values())
        self._fragments = ahocorasick_rs.AhoCorasick(list(fragments)) if fragments else None
        fields = sorted({anchor.place for anchor in index} - {"word", "fragment"})
        self._values = [(field, _at(index, field)) for field in fields]

    def match(self, headline: Classified) -> tuple[RuleMatch, ...]:
        """The rules that ``headline`` fires, in the order of their names."""
        view = View(headline)
        rules = self.ruleset.rules
        fired = []
        for number in self.candidates(view):
            rule = rules[number]
            match = rule.query.match(view)
            if match is not None:
                fired.append(RuleMatch(rule, match.spans))
        return tuple(fired)

    def candidates(self, view: View) -> Sequence[int]:
        """The places in the rule set of all rules that may match, in order."""
        words = self._words
        found = [words[word] for word in view.headline.words if word in words]
        for field, index in self._values:
            found += [index[value] for value in view.values(field) if value in index]
        if self._fragments is not None:
            hits = self._fragments.find_matches_as_indexes(view.headline.line, overlapping=True)
            found += [self._behind_fragment[hit[0]] for hit in hits]
        if not found and not self._always:
            return ()
        return sorted(self._always.union(*found))


def _at(index: Mapping[Anchor, Iterable[int]], place: str) -> dict[str, tuple[int, ...]]:
    return {anchor.text: tuple(rules) for anchor, rules in index.items() if anchor.place == place}
