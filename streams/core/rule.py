"""Rules: a query, and what to do where it matches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, TypeAlias

from streams.core.conditions import Burst, Collect, Condition, Repeat, Spike, Throttle
from streams.core.duration import written
from streams.core.hours import Hours, within
from streams.core.query import Query
from streams.core.records import Classified, Severity

#: Which headlines of a story a rule is about: its first report, what adds to it, or both.
Story: TypeAlias = Literal["first", "updates", "every"]

#: Whether a rule alerts, or is only watched: by tests, by the linter, and by whoever wrote it.
Stage: TypeAlias = Literal["staged", "live"]


@dataclass(frozen=True)
class Rule:
    """Alert ``channels`` with ``severity`` about every headline that ``query`` matches.

    ``name`` identifies the rule for ever: alerts are told apart by it. ``labels`` and ``owner`` are for people and for
    what receives the alerts; they decide nothing. ``expiry`` is the last day, in UTC and by the time of the headlines, on
    which the rule fires. One that is ``staged`` fires and alerts nobody, and so does one outside its ``active`` hours.

    With a ``condition`` the rule fires by what other headlines it matched, or by what its ``prelude`` did, which is the
    first half of a sequence. ``throttle`` and ``repeat`` hold its alerts back, and ``group`` collects them.
    """

    name: str
    title: str
    query: Query
    severity: Severity
    channels: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    story: Story = "every"
    expiry: date | None = None
    stage: Stage = "live"
    condition: Condition | None = None
    prelude: Query | None = None
    throttle: Throttle | None = None
    repeat: Repeat | None = None
    active: tuple[Hours, ...] = ()
    group: Collect | None = None

    @property
    def restraints(self) -> tuple[Repeat | Throttle, ...]:
        """What holds alerts back by those before, in the order in which it is asked."""
        return tuple([restraint for restraint in (self.repeat, self.throttle) if restraint is not None])

    @property
    def beyond_the_query(self) -> list[str]:
        """What the rule asks or holds back beside its query, for a person."""
        found = [str(part) for part in (self.condition, *self.restraints, self.group) if part is not None]
        if self.prelude is not None:
            found.append(f"what must come before: {self.prelude}")
        if self.once_a_story:
            found.append("once a story, for it asks how many sources have told it")
        if self.active:
            found.append(f"active: {', '.join(map(str, self.active))}")
        if self.expiry is not None:
            found.append(f"expiry: until {self.expiry}")
        return found

    @cached_property
    def once_a_story(self) -> bool:
        """Whether the rule asks how many sources have told a story, and so would fire again with each further one."""
        return self.query.asks("story.sources")

    @cached_property
    def remembers(self) -> bool:
        """Whether it takes more than the headline to say what comes of it."""
        return self.condition is not None or bool(self.restraints) or self.once_a_story or self.is_prelude

    @cached_property
    def counts_repeats(self) -> bool:
        """Whether headlines that say nothing new count."""
        return isinstance(self.condition, Burst | Spike) or self.once_a_story

    @property
    def is_prelude(self) -> bool:
        """Whether this is the first half of another rule, and nothing by itself."""
        return self.name.endswith(_PRELUDE)

    @cached_property
    def before(self) -> Rule | None:
        """The first half of a sequence, as a rule for the matcher."""
        if self.prelude is None:
            return None
        return Rule(self.name + _PRELUDE, self.title, self.prelude, self.severity, (), expiry=self.expiry)

    def idle(self, moment: datetime) -> str | None:
        """Why the rule alerts nobody at an aware ``moment``, whatever happens; None if it does."""
        if self.stage == "staged":
            return STAGED
        if self.active and not within(self.active, moment):
            return f"outside its hours: {', '.join(map(str, self.active))}"
        return None

    def concerns(self, headline: Classified) -> bool:
        """Whether the rule is about such a headline, whatever its words: of that kind, and no later than the expiry."""
        if not self._is_of(headline):
            return False
        return self.expiry is None or not self.over(headline.moment.astimezone(UTC).date())

    def _is_of(self, headline: Classified) -> bool:
        return self.story == "every" or self.story == _STORY_OF_KIND[headline.kind]

    def over(self, day: date) -> bool:
        """Whether ``day``, in UTC, comes after the expiry."""
        return self.expiry is not None and day > self.expiry

    def bars(self, headline: Classified) -> list[str]:
        """What keeps such a headline out, whatever its words, for a person; nothing where `concerns` is true."""
        found = []
        if not self._is_of(headline):
            kind = "an update" if headline.kind == "update" else "the first of its story"
            found.append(f"the rule is about `story: {self.story}`, and the headline is {kind}")
        if self.over(headline.moment.astimezone(UTC).date()):
            found.append(f"the rule is {OVER.format(self.expiry)}")
        return found

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
                # What is as usual is left out, so that a new key changes no revision of a rule without it.
                *([self.story] if self.story != "every" else []),
                *([self.expiry.isoformat()] if self.expiry else []),
                *([self.stage] if self.stage != "live" else []),
                *([str(self.prelude)] if self.prelude else []),
                *[_parts(part) for part in (self.condition, self.throttle, self.repeat, self.group) if part],
                *map(str, self.active),
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
    def matched(self) -> tuple[Rule, ...]:
        """What headlines are matched with: the rules, and the first halves of those that are sequences."""
        halves = [rule.before for rule in self.rules if rule.before is not None]
        return tuple(sorted([*self.rules, *halves], key=lambda rule: rule.name)) if halves else self.rules

    @cached_property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with any rule."""
        return _digest([rule.revision for rule in self.rules])

    @property
    def unindexed(self) -> tuple[Rule, ...]:
        """The rules that have to be evaluated on every headline: no word or value is required for them to match."""
        return tuple(rule for rule in self.rules if rule.query.anchors is None)


#: Why the alerts of a staged rule go to nobody.
STAGED = "staged"

#: What the names of first halves end in. No rule of a file can be named so.
_PRELUDE = "/before"

#: What to say of a rule that is over, with its expiry.
OVER = "over: it fires on no headline after {}"
_STORY_OF_KIND: Mapping[str, Story] = {"first": "first", "update": "updates"}


def _parts(condition: Any) -> list[str]:
    """A condition as it is told apart from others: its kind and its settings."""
    settings = ((setting.name, getattr(condition, setting.name)) for setting in fields(condition))
    values = (f"{name}={written(value) if isinstance(value, timedelta) else value}" for name, value in settings)
    return [type(condition).__name__.lower(), *values]


def _digest(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
