"""What a rule asks beyond its query: how many headlines it takes, what must have come before, and what is too much.

These are the settings alone; `streams.core.correlate` says what they come to. All spans are event time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from streams.core.duration import written

#: What is counted apart: each story, topic or source by itself, or all headlines of the rule together.
By: TypeAlias = Literal["story", "topic", "source", "rule"]


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``count`` alerts in any ``per``; what is more is held back."""

    count: int
    per: timedelta
    by: By = "rule"

    def __str__(self) -> str:
        return f"throttle: at most {self.count} alerts in {written(self.per)}{_apart(self.by)}"


@dataclass(frozen=True, slots=True)
class Repeat:
    """After an alert the next one comes ``after`` a while at the earliest; what comes sooner is held back.

    With ``up_to`` the while is twice as long each time that something was held back in it, up to that, and begins anew
    when nothing was.
    """

    after: timedelta
    by: By = "story"
    up_to: timedelta | None = None

    def __str__(self) -> str:
        longer = f", twice as long each time, up to {written(self.up_to)}" if self.up_to else ""
        return f"repeat: a pause of {written(self.after)} after an alert{longer}{_apart(self.by)}"


@dataclass(frozen=True, slots=True)
class Burst:
    """Fire when there are ``count`` headlines of so many distinct ``sources`` ``within`` a span, repeats counted.

    It fires once, and again only after there were fewer.
    """

    within: timedelta
    count: int = 1
    sources: int = 1
    by: By = "rule"

    def __str__(self) -> str:
        of = f" of {self.sources} sources" if self.sources > 1 else ""
        return f"burst: {self.count} headlines{of} in {written(self.within)}{_apart(self.by)}"


@dataclass(frozen=True, slots=True)
class Spike:
    """Fire when there are ``factor`` times as many headlines ``within`` a span as usual, and ``at_least`` so many.

    Usual is the mean of the ``reference`` that lies before the span. It fires once, and again only after there were fewer.
    """

    factor: float
    within: timedelta
    reference: timedelta
    at_least: int = 5
    by: By = "rule"

    def __str__(self) -> str:
        return (
            f"spike: {self.factor:g} times as many headlines in {written(self.within)} as usual in "
            f"{written(self.reference)}, {self.at_least} at least{_apart(self.by)}"
        )


@dataclass(frozen=True, slots=True)
class Sequence:
    """Fire on what the rule asks for where, ``within`` a span before it, there was something else.

    What that is, a rule of its own says: `Rule.prelude`.
    """

    within: timedelta
    by: By = "rule"

    def __str__(self) -> str:
        return f"sequence: within {written(self.within)} after what must come before{_apart(self.by)}"


@dataclass(frozen=True, slots=True)
class Absence:
    """Fire when nothing has come that the rule asks for, for so long ``span`` after the last that did."""

    span: timedelta

    def __str__(self) -> str:
        return f"absence: when no such headline has come for {written(self.span)}"


@dataclass(frozen=True, slots=True)
class Collect:
    """Collect the alerts of a channel, those apart that differ in what ``by`` names, into one message.

    The first goes after ``wait``, with what came meanwhile; the next not before ``interval`` after that.
    """

    by: tuple[str, ...]
    wait: timedelta
    interval: timedelta

    def __str__(self) -> str:
        apart = f", by {' and '.join(self.by)}" if self.by else ""
        return f"group: one message after {written(self.wait)}, the next after {written(self.interval)}{apart}"


def _apart(by: By) -> str:
    return "" if by == "rule" else f", each {by} apart"


#: What decides whether a rule fires, where its query alone does not. A rule has one at most.
Condition: TypeAlias = Burst | Spike | Sequence | Absence
