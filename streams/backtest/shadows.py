"""Which rules say no more than another: whatever one alerts about, the other does, to the same channels.

Comparing every rule with every other takes too long where there are thousands. So rules are kept by what they require, as
the matcher keeps them (`streams.core.query.anchors`), and for each rule those are looked up that it might imply. None is
missed: one rule implies another by terms of its own that say what terms of the other ask for, and what the other is kept
under is among these.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

from streams.core.query import Anchor, terms
from streams.core.query.anchors import anchors_of
from streams.core.query.implies import implies
from streams.core.query.leaves import Cased, Within
from streams.core.query.lexicon import Lexicon
from streams.core.query.nodes import Node, Not, Or, Term
from streams.core.records import Severity
from streams.core.rule import Rule, RuleSet

_SEVERITIES = get_args(Severity)
#: Patterns of values, by the places of the values that they may describe.
_PATTERNS_OF = {"topic": "topics", "source": "sources"}


def shadowed(rules: RuleSet) -> Iterator[tuple[Rule, Rule]]:
    """Each rule that says no more than another by their words, with the first such other by name.

    Of two that say the same, the later one by name is told.
    """
    kept = _Kept(rules)
    for rule in rules.rules:
        for other in kept.near(rule):
            if other is rule or not covers(other, rule) or not implies(rule.query.root, other.query.root):
                continue
            same = covers(rule, other) and implies(other.query.root, rule.query.root)
            if not same or rule.name > other.name:
                yield rule, other
                break


def covers(wide: Rule, narrow: Rule) -> bool:
    """Whether a rule alerts whom another does: as loudly, about the same kinds of headline and for as long.

    A narrow rule that is more severe than a wide one escalates what the wide one tells, and is not covered by it. Nor does one
    cover another that tells less than it matches, by its hours or by what it remembers.
    """
    if wide.remembers or wide.active or narrow.condition is not None:
        return False
    lasting = wide.expiry is None or (narrow.expiry is not None and narrow.expiry <= wide.expiry)
    kinds = wide.story in ("every", narrow.story)
    loud = _SEVERITIES.index(wide.severity) >= _SEVERITIES.index(narrow.severity)
    heard = set(narrow.channels) <= set(wide.channels) and wide.stage in ("live", narrow.stage)
    return lasting and kinds and loud and heard


class _Kept:
    """Rules, kept by what they require."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules.rules
        self._behind: defaultdict[Anchor | None, list[int]] = defaultdict(list)
        for number, rule in enumerate(rules.rules):
            for anchor in rule.query.anchors or (None,):
                self._behind[anchor].append(number)
        known = [anchor for anchor in self._behind if anchor is not None]
        self._words = Lexicon(
            {anchor: self._behind[anchor] for anchor in known if anchor.place in ("word", "wildcard")}
        )
        self._patterns = [
            (anchor, terms.compile_regex(anchor.text)) for anchor in known if anchor.place in _PATTERNS_OF.values()
        ]

    def near(self, rule: Rule) -> Iterator[Rule]:
        """All rules that ``rule`` may imply, in the order of their names, and some others."""
        found = set(self._behind.get(None, ()))
        for term in _telling(rule.query.root):
            for anchor in _said(term):
                found.update(self._behind.get(anchor, ()))
                found.update(self._wider(anchor))
        return (self._rules[number] for number in sorted(found))

    def _wider(self, anchor: Anchor) -> Iterator[int]:
        """What is kept under wildcards and patterns that take in what ``anchor`` says."""
        if anchor.place == "word":
            yield from self._words.rules_of(anchor.text)
        elif anchor.place == "wildcard":
            # Only `tank*` is known to be wider than a wildcard, and it is so if it finds what stands before that one.
            yield from self._words.rules_of(re.split(r"[*?]", anchor.text)[0])
        for pattern, regex in self._patterns:
            if pattern.place == _PATTERNS_OF.get(anchor.place) and regex.fullmatch(anchor.text):
                yield from self._behind[pattern]


def _telling(node: Node, *, every: bool = False) -> Iterator[Term]:
    """Terms among which are those by which ``node`` implies another query, whichever that is.

    Each of several alternatives must imply the other query, so that the terms of one are enough, unless ``every`` is
    asked for: within a negation it is the other way round.
    """
    match node:
        case Within(left=left, right=right):
            yield from (*left, *right)
        case Term():
            yield node
        case Or(parts=parts) if not every:
            yield from _telling(parts[0])
        case _:
            for part in node.below:
                yield from _telling(part, every=every or isinstance(node, Not))


def _said(term: Term) -> Iterator[Anchor]:
    """What a headline has of which a term holds."""
    yield from anchors_of(term)
    if isinstance(term, Cased):
        yield from (Anchor("pair", " ".join(pair)) for pair in pairwise(term.words))
