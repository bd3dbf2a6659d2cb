"""Which topics a headline belongs to, and by which of its words.

The names and words of all topics are searched in one pass (Aho and Corasick, "Efficient string matching",
1975, as `ahocorasick_rs` does it) over the folded line of `text.flatten`, in which a name between spaces is
a name between word boundaries. A first, cheap pass takes only what some condition requires. It shows which
topics are possible at all, and for most headlines none is. Only the others are searched for everything, and
have their words placed, their exact case and context looked at, and the conditions tried.

A condition that holds is testimony of its weight ``w``. Independent testimony adds up as noisy-or (Pearl,
"Probabilistic Reasoning in Intelligent Systems", 1988): ``1 - Π(1 - w)``, times ``Π(1 - w)`` over the
conditions against the topic that hold. A headline belongs to a topic where that confidence reaches the
topic's threshold.
"""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import ahocorasick_rs

from streams.core.document import Problem
from streams.core.records import Evidence, Span, TopicMatch
from streams.core.taxonomy import Condition, Entity, Form, Item, Near, Taxonomy, Topic
from streams.core.text import Token, amounts, flatten, tokenize
from streams.core.why import Outcome, TopicReading, item_in_words, near_in_words, some_in_words

#: The name of a sum of money among the evidence.
MONEY = "money"
#: Sets of groups that were seen, of which the possible topics are remembered.
_REMEMBERED = 1 << 16


class Classifier:
    """Finds the topics of headlines by a taxonomy. The same headline gets the same answer, always."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._topics = [_TopicReader(topic) for topic in taxonomy.topics]
        bits: dict[tuple[int, str], int] = {}
        masks: dict[str, int] = {}
        for index, topic in enumerate(taxonomy.topics):
            for group in frozenset().union(*itertools.chain(*_required(topic))):
                bits[index, group] = 1 << len(bits)
            for entity in topic.entities:
                for line in map(_line, entity.forms):
                    masks[line] = masks.get(line, 0) | bits.get((index, entity.group), 0)
        required = {line: mask for line, mask in masks.items() if mask}
        self._masks = list(required.values())
        self._search = _search(required)
        self._gates = [
            [
                (condition, *_gate([sum(bits[index, group] for group in groups) for groups in condition.required()]))
                for condition in topic.conditions
            ]
            for index, topic in enumerate(taxonomy.topics)
        ]
        self._possible = functools.lru_cache(_REMEMBERED)(self._topics_behind)

    def classify(self, text: str) -> tuple[TopicMatch, ...]:
        """The topics of a cleaned headline, in the order of their names, each with the words that say so."""
        line = flatten(text)
        seen = 0
        masks = self._masks
        for pattern, _, _ in self._search.find_matches_as_indexes(line, overlapping=True):
            seen |= masks[pattern]
        possible = self._possible(seen) if seen else ()
        if not possible:
            return ()
        tokens = tokenize(text)
        matches = (topic.judge(text, line, tokens, conditions) for topic, conditions in possible)
        return tuple(match for match in matches if match is not None)

    def explain(self, text: str) -> tuple[TopicReading, ...]:
        """How a cleaned headline was read for every topic, also for those that it has not."""
        line, tokens = flatten(text), tokenize(text)
        return tuple(topic.explain(text, line, tokens) for topic in self._topics)

    def _topics_behind(self, seen: int) -> tuple[tuple[_TopicReader, tuple[Condition, ...]], ...]:
        """The topics with those of their conditions that have all they require in ``seen``, a mask of groups."""
        behind = []
        for topic, gate in zip(self._topics, self._gates, strict=True):
            conditions = tuple([condition for condition, a, b, c in gate if seen & a and seen & b and seen & c])
            if conditions:
                behind.append((topic, conditions))
        return tuple(behind)


def run_tests(taxonomy: Taxonomy) -> list[Problem]:
    """Classify the headlines of every topic's ``tests:``; each that comes out otherwise is a problem."""
    classifier = Classifier(taxonomy)
    problems = []
    for topic in taxonomy.topics:
        for example in topic.examples:
            match = next((m for m in classifier.classify(example.headline) if m.topic == topic.name), None)
            if (match is not None) == example.belongs:
                continue
            if match is None:
                message = f"`{example.headline}` should match {topic.name}, and does not"
                hint = "add the name or words that make it one"
            else:
                words = ", ".join(f"`{piece.span.text}` ({piece.condition})" for piece in match.evidence)
                message = f"`{example.headline}` should not match {topic.name}, and does by {words}"
                hint = "narrow the condition, or add the phrase to `ignore:`"
            problems.append(Problem(example.file, example.line, example.column, message, hint))
    return problems


class _Hit(NamedTuple):
    """Words ``first`` to ``last`` (inclusive) of a headline name ``entity``."""

    first: int
    last: int
    entity: str


class _TopicReader:
    """Reads headlines for one topic."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        senses: dict[str, list[tuple[Form, Entity | None]]] = defaultdict(list)
        for entity in topic.entities:
            for form in entity.forms:
                senses[_line(form)].append((form, entity))
        for form in topic.ignored:
            senses[_line(form)].append((form, None))
        self._senses = list(senses.values())
        self._search = _search(senses)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The topic's conditions, in the order of the file."""
        return self._topic.conditions

    def judge(
        self, text: str, line: str, tokens: Sequence[Token], conditions: Iterable[Condition]
    ) -> TopicMatch | None:
        """The topic with its confidence and evidence by ``conditions``, which are all of its that may hold.

        None is returned where the confidence is below the threshold.
        """
        reading = _Reading(text, tokens, self._hits(text, line, tokens)[0])
        doubt, against = 1.0, 1.0
        evidence: set[Evidence] = set()
        for condition in conditions:
            proof = reading.proof(condition)
            if proof is not None:
                doubt *= 1 - condition.weight
                evidence.update(reading.evidence(condition, proof))
        if not evidence:
            return None
        for condition in self._topic.against:
            if reading.proof(condition) is not None:
                against *= 1 - condition.weight
        confidence = round((1 - doubt) * against, 4)
        if confidence < self._topic.threshold:
            return None
        ordered = sorted(evidence, key=lambda piece: (piece.span, piece.condition, piece.entity))
        return TopicMatch(topic=self._topic.name, confidence=confidence, evidence=tuple(ordered))

    def explain(self, text: str, line: str, tokens: Sequence[Token]) -> TopicReading:
        """What every condition found in the headline, and lacked."""
        hits, doubtful = self._hits(text, line, tokens)
        reading = _Reading(text, tokens, hits)
        hidden = [hit for _, hit, counts in self._named(text, line, tokens) if not counts]
        outcomes = tuple(reading.outcome(condition) for condition in self._topic.conditions)
        against = tuple(reading.outcome(condition) for condition in self._topic.against)
        match = self.judge(text, line, tokens, self.conditions)
        doubt = math.prod(1 - outcome.weight for outcome in outcomes if outcome.holds)
        standing = math.prod(1 - outcome.weight for outcome in against if outcome.holds)
        return TopicReading(
            topic=self._topic.name,
            title=self._topic.title,
            confidence=match.confidence if match else round((1 - doubt) * standing, 4),
            threshold=self._topic.threshold,
            outcomes=outcomes,
            against=against,
            doubtful=tuple(sorted(set(reading.pieces(doubtful, "lacks its context")), key=lambda piece: piece.span)),
            hidden=tuple(
                sorted(set(reading.pieces(hidden, "within a phrase to ignore")), key=lambda piece: piece.span)
            ),
        )

    def _hits(self, text: str, line: str, tokens: Sequence[Token]) -> tuple[dict[str, list[_Hit]], list[_Hit]]:
        """What the headline names, by group, and apart from it the names that lack their need."""
        groups: dict[str, list[_Hit]] = defaultdict(list)
        needy: list[tuple[Entity, _Hit]] = []
        for entity, hit, counts in self._named(text, line, tokens):
            if not counts:
                continue
            if entity.needs:
                needy.append((entity, hit))
            else:
                groups[entity.group].append(hit)
        if not needy:
            return groups, []
        firm = _Reading(text, tokens, {group: list(hits) for group, hits in groups.items()})
        doubtful = []
        for entity, hit in needy:
            if any(firm.find(need) for need in entity.needs):
                groups[entity.group].append(hit)
            else:
                doubtful.append(hit)
        return groups, doubtful

    def _named(self, text: str, line: str, tokens: Sequence[Token]) -> Iterator[tuple[Entity, _Hit, bool]]:
        """The entities whose name stands in the headline, in its exact case, and whether in no phrase to ignore."""
        shouted = text.isupper()
        starts = list(itertools.accumulate((len(token.word) + 1 for token in tokens), initial=0))
        ignored: list[tuple[int, int]] = []
        named: list[tuple[int, int, Entity]] = []
        for pattern, start, _ in self._search.find_matches_as_indexes(line, overlapping=True):
            first = bisect_left(starts, start)
            for form, entity in self._senses[pattern]:
                last = first + len(form.words) - 1
                if entity is None:
                    ignored.append((first, last))
                elif not form.cased or shouted or _written_so(text, tokens[first : last + 1], form):
                    named.append((first, last, entity))
        ignored.sort()
        reach = list(itertools.accumulate((last for _, last in ignored), max))
        for first, last, entity in named:
            before = bisect_right(ignored, first, key=lambda phrase: phrase[0])
            yield entity, _Hit(first, last, entity.name), not before or reach[before - 1] < last


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was found of one topic in a headline, and what that proves."""

    text: str
    tokens: Sequence[Token]
    hits: Mapping[str, Sequence[_Hit]]
    named: dict[frozenset[str], list[_Hit]] = field(default_factory=dict)

    def find(self, item: Item) -> list[_Hit]:
        """Every place where ``item`` stands."""
        found = self.named.get(item.groups)
        if found is None:  # many conditions ask for the same groups
            groups = self.hits.keys() & item.groups
            found = self.named[item.groups] = [hit for group in groups for hit in self.hits[group]]
        return found if item.money is None else [*found, *self._money(item.money)]

    def proof(self, condition: Condition) -> list[_Hit] | None:
        """The hits by which ``condition`` holds, or None where it does not."""
        needed: list[list[_Hit]] = []
        for item in condition.every:
            needed.append(self.find(item))
            if not needed[-1]:
                return None
        if condition.some:
            needed.append([hit for item in condition.some for hit in self.find(item)])
        needed += [self._close(near) for near in condition.near]
        if not all(needed) or any(self.find(item) for item in condition.none):
            return None
        return [hit for found in needed for hit in found]

    def evidence(self, condition: Condition, proof: Iterable[_Hit]) -> Iterator[Evidence]:
        """``proof`` in the words of the headline."""
        return self.pieces(proof, condition.name)

    def pieces(self, hits: Iterable[_Hit], condition: str) -> Iterator[Evidence]:
        """``hits`` in the words of the headline, as testimony for ``condition``."""
        for hit in hits:
            start, end = self.tokens[hit.first].start, self.tokens[hit.last].end
            span = Span(start, end, self.text[start:end])
            yield Evidence(span=span, entity=hit.entity, condition=condition)

    def outcome(self, condition: Condition) -> Outcome:
        """What was found for every part of ``condition``, and what was not."""
        parts = [(self.find(item), item_in_words(item)) for item in condition.every]
        if condition.some:
            parts.append(([hit for item in condition.some for hit in self.find(item)], some_in_words(condition)))
        parts += [(self._close(near), near_in_words(near)) for near in condition.near]
        found = {hit for hits, _ in parts for hit in hits}
        for near in condition.near:
            first, second = self.find(near.first), self.find(near.second)
            if first and second:  # both are there, if too far apart
                found |= {*first, *second}
        barred = {hit for item in condition.none for hit in self.find(item)}
        return Outcome(
            condition=condition.name,
            weight=condition.weight,
            found=tuple(sorted(set(self.pieces(found, condition.name)), key=lambda piece: piece.span)),
            lacking=tuple(words for hits, words in parts if not hits),
            barred=tuple(sorted(set(self.pieces(barred, condition.name)), key=lambda piece: piece.span)),
        )

    def _close(self, near: Near) -> list[_Hit]:
        first, second = self.find(near.first), self.find(near.second)
        found = _followed(first, second, near.within)
        return found if near.ordered else found + _followed(second, first, near.within)

    def _money(self, least: float) -> Iterator[_Hit]:
        for amount in amounts(self.text):
            if amount.value >= least:
                first = bisect_right(self.tokens, amount.start, key=lambda token: token.end)
                last = bisect_left(self.tokens, amount.end, key=lambda token: token.start) - 1
                yield _Hit(first, last, MONEY)


def _followed(first: Sequence[_Hit], second: Sequence[_Hit], within: int) -> list[_Hit]:
    """The pairs of which one of ``second`` follows one of ``first`` with at most ``within`` words between.

    One entity that is named twice is no pair: "SoftBank's Vision Fund" are not two companies.
    """
    later = sorted(second)
    found: dict[_Hit, None] = {}
    for hit in first:
        for at in range(bisect_right(later, hit.last, key=lambda other: other.first), len(later)):
            if later[at].first - hit.last - 1 > within:
                break
            if later[at].entity != hit.entity:
                found[hit] = found[later[at]] = None
    return list(found)


def _written_so(text: str, tokens: Sequence[Token], form: Form) -> bool:
    return all(text.startswith(raw, token.start) for token, raw in zip(tokens, form.raw, strict=True))


def _line(form: Form) -> str:
    """What to search for in a flattened headline: words between spaces, the last one open for a prefix."""
    return f" {' '.join(form.words)}" + ("" if form.prefix else " ")


def _search(lines: Iterable[str]) -> ahocorasick_rs.AhoCorasick:
    # The DFA is the fastest of the crate's automata on lines this short, and a few MB at thousands of names.
    return ahocorasick_rs.AhoCorasick(lines, implementation=ahocorasick_rs.Implementation.DFA)


def _gate(masks: Sequence[int]) -> tuple[int, int, int]:
    """The three masks that the fewest headlines meet; -1, which all meet, where there are fewer."""
    first, second, third, *_ = (*sorted(masks, key=int.bit_count), -1, -1, -1)
    return first, second, third


def _required(topic: Topic) -> list[tuple[frozenset[str], ...]]:
    return [condition.required() for condition in topic.conditions]
