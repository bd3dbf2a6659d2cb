"""Rules: a query, and what to do where it matches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from streams.core.query import Query
from streams.core.records import Severity


@dataclass(frozen=True)
class Rule:
    """Alert ``channels`` with ``severity`` about every headline that ``query`` matches.

    ``name`` identifies the rule for ever: alerts are told apart by it. ``labels`` and ``owner`` are for people and for
    what receives the alerts; they decide nothing.
    """

    name: str
    title: str
    query: Query
    severity: Severity
    channels: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""

    @cached_property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with anything about the rule but its layout and comments."""
        return _digest(
            [
                self.name,
                self.title,
                str(self.query),
                self.severity,
                sorted(self.channels),
                sorted(self.labels.items()),
                self.owner,
            ]
        )


class RuleSet:
    """Rules in the order of their names, whatever the order they came in.

    Raises:
        ValueError: two rules have the same name.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.name))
        for one, other in zip(self.rules, self.rules[1:], strict=False):
            if one.name == other.name:
                raise ValueError(f"two rules are named {one.name!r}")

    @cached_property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with any rule."""
        return _digest([rule.revision for rule in self.rules])

    @property
    def unindexed(self) -> tuple[Rule, ...]:
        """The rules that have to be evaluated on every headline: no word or value is required for them to match."""
        return tuple(rule for rule in self.rules if rule.query.anchors is None)


def _digest(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
