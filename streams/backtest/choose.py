"""Which headlines a person should label first, to learn most of how good rules are.

Two kinds tell most. A *near miss* is a headline of which all clauses of a rule hold but one: should it have alerted, the
rule is too narrow. A *firing* is the more telling the fewer rules agree with it, the fewer words it goes by, and the fewer
sources have told the story: should it not have alerted, the rule is too wide. Rules take turns, and so do the two kinds.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from streams.backtest.score import fold
from streams.core.match import Matcher, RuleMatch
from streams.core.query import QueryError, compile_query
from streams.core.query.nodes import And, Node, join
from streams.core.records import Classified, Span
from streams.core.rule import Rule, RuleSet

#: What parts the name of a rule from the number of the clause that it was freed of; no name of a rule has it.
_FREED = "\0"


@dataclass(frozen=True, slots=True)
class Pick:
    """A headline to be labelled for a rule. ``lacks`` is the clause that does not hold, empty where the rule fires."""

    record: Classified
    rule: Rule
    spans: tuple[Span, ...]
    lacks: str = ""

    @property
    def words(self) -> list[str]:
        """The words by which the rule fires, or nearly does."""
        return [span.text for span in self.spans]


class Chooser:
    """Hears of all unique headlines and keeps the best ``most`` of each rule and kind.

    ``known`` are those that need no label any more: pairs of a headline as `fold` gives it, and the name of a rule.
    """

    def __init__(self, rules: Collection[Rule], known: Collection[tuple[str, str]], most: int) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._known = known
        self._most = most
        self._clauses = {rule.name: list(_clauses(rule)) for rule in rules}
        freed = [rule for name in self._rules for rule in _freed(self._rules[name], self._clauses[name])]
        alone = [dataclasses.replace(rule, prelude=None) for rule in (*rules, *freed)]  # what came before is not asked
        self._matcher = Matcher(RuleSet(alone))
        self._best: dict[tuple[str, bool], dict[str, tuple[tuple[int, ...], int, Pick]]] = defaultdict(dict)
        self._seen = 0

    def take(self, record: Classified) -> None:
        """Hear of a headline."""
        self._seen += 1
        matches = self._matcher.match(record)
        if not matches:
            return
        fired = {match.rule.name: match for match in matches if _FREED not in match.rule.name}
        text = fold(record.headline.headline)
        for name, match in fired.items():
            rank = (len(fired) - 1, len(match.spans), record.story_sources)
            self._keep(text, rank, Pick(record, self._rules[name], match.spans))
        for match in matches:
            name, _, number = match.rule.name.partition(_FREED)
            if number and name not in fired:
                self._keep(text, self._nearness(name, match), self._near(name, int(number), match, record))

    def _nearness(self, name: str, match: RuleMatch) -> tuple[int, ...]:
        return (-len(self._clauses[name]), -len(match.spans))

    def _near(self, name: str, number: int, match: RuleMatch, record: Classified) -> Pick:
        return Pick(record, self._rules[name], match.spans, str(self._clauses[name][number]))

    def _keep(self, text: str, rank: tuple[int, ...], pick: Pick) -> None:
        if (text, pick.rule.name) in self._known:
            return
        best = self._best[pick.rule.name, bool(pick.lacks)]
        if text in best:
            return
        best[text] = (rank, self._seen, pick)
        if len(best) > 2 * self._most:
            kept = heapq.nsmallest(self._most, best.items(), key=lambda item: item[1][:2])
            self._best[pick.rule.name, bool(pick.lacks)] = dict(kept)

    def picks(self) -> Iterator[Pick]:
        """The headlines, most telling first: of each rule in turn a near miss and a firing; ``most`` in all, at most."""
        turns = [
            (turn, name, not near, pick)
            for name in sorted(self._rules)
            for near in (True, False)
            for turn, (_, _, pick) in enumerate(sorted(self._best[name, near].values(), key=lambda kept: kept[:2]))
        ]
        for _, _, _, pick in sorted(turns, key=lambda turn: turn[:3])[: self._most]:
            yield pick


def _clauses(rule: Rule) -> Iterator[Node]:
    """The parts of a rule that must all hold; a rule of one part has none, and no near misses."""
    if isinstance(rule.query.root, And):
        yield from rule.query.root.parts


def _freed(rule: Rule, clauses: list[Node]) -> Iterator[Rule]:
    """A rule without each of its clauses in turn, but for those without which it would ask for nothing."""
    for number in range(len(clauses)):
        rest = [clause for place, clause in enumerate(clauses) if place != number]
        try:
            query = compile_query(str(join(And, rest)))
        except QueryError:
            continue
        yield dataclasses.replace(rule, name=f"{rule.name}{_FREED}{number}", query=query)
