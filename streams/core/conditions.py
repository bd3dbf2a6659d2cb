"""What a rule asks beyond its query: how many headlines it takes, what must have come before, and what is too much.

These are the settings alone; `streams.core.correlate` says what they come to. All spans are event time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

#: What is counted apart: each story, topic or source by itself, or all headlines of the rule together.
By: TypeAlias = Literal["story", "topic", "source", "rule"]


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``count`` alerts in any ``per``; what is more is held back."""

    count: int
    per: timedelta
    by: By = "rule"


@dataclass(frozen=True, slots=True)
class Repeat:
    """After an alert the next one comes ``after`` a while at the earliest; what comes sooner is held back.

    With ``up_to`` the while is twice as long each time that something was held back in it, up to that, and begins anew
    when nothing was.
    """

    after: timedelta
    by: By = "story"
    up_to: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Burst:
    """Fire when there are ``count`` headlines of so many distinct ``sources`` ``within`` a span, repeats counted.

    It fires once, and again only after there were fewer.
    """

    within: timedelta
    count: int = 1
    sources: int = 1
    by: By = "rule"


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


@dataclass(frozen=True, slots=True)
class Sequence:
    """Fire on what the rule asks for where, ``within`` a span before it, there was something else.

    What that is, a rule of its own says: `Rule.prelude`.
    """

    within: timedelta
    by: By = "rule"


@dataclass(frozen=True, slots=True)
class Absence:
    """Fire when nothing has come that the rule asks for, for so long ``span`` after the last that did."""

    span: timedelta


#: What decides whether a rule fires, where its query alone does not. A rule has one at most.
Condition: TypeAlias = Burst | Spike | Sequence | Absence
