"""From the rules that a headline fires to the alerts that go out.

``docs/adr/0005-decisions-with-memory.md`` has the steps. Correlation gives firings, a router makes alerts of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

import msgspec

from streams.core.match import RuleMatch
from streams.core.records import Alert, Classified, FiredRule, Grouping, Span
from streams.core.rule import Rule


class Firing(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A rule that fires on a headline, and the words by which it does.

    ``suppressed`` is why nobody is told, where that is so. ``because`` says for a person what of several headlines it took.
    ``occasion`` tells two firings of one rule on one headline apart, where there can be two: an absence is such. ``at`` is
    when it fires, in event time, where that is not when the headline came.
    """

    rule: Rule
    headline: Classified
    spans: tuple[Span, ...] = ()
    suppressed: str | None = None
    because: str | None = None
    occasion: str = ""
    at: datetime | None = None

    @property
    def moment(self) -> datetime:
        """When it fires, in event time."""
        return self.at or self.headline.moment


class Router(Protocol):
    """Says who is told of a firing."""

    def alerts(self, firing: Firing) -> list[Alert]:
        """One alert for each channel that is told, and for each that is not, though it would be, with the reason."""


class RuleChannels:
    """The simplest router: the channels that a rule names."""

    def alerts(self, firing: Firing) -> list[Alert]:
        """One alert for each channel of the rule, in the order given."""
        return [alert_of(firing, channel) for channel in firing.rule.channels]


def fire(headline: Classified, matches: Iterable[RuleMatch]) -> Iterator[Firing]:
    """The firings of the rules among them that have no memory."""
    moment = headline.moment
    for match in matches:
        if not match.rule.remembers:
            yield Firing(rule=match.rule, headline=headline, spans=match.spans, suppressed=match.rule.idle(moment))


def alert_of(firing: Firing, channel: str, *, suppressed: str | None = None, group: Grouping | None = None) -> Alert:
    """The alert that tells ``channel`` of a firing; ``suppressed`` is the router's reason why it does not."""
    rule = firing.rule
    return Alert(
        alert_id=alert_id(rule.name, firing.headline.id, firing.headline.headline.headline, channel, firing.occasion),
        channel=channel,
        rule=FiredRule(
            name=rule.name,
            title=rule.title,
            severity=rule.severity,
            revision=rule.revision,
            matched=firing.spans,
            labels=dict(rule.labels),
            owner=rule.owner,
            because=firing.because,
        ),
        headline=firing.headline,
        suppressed=firing.suppressed or suppressed,
        group=group,
    )


def alert_id(rule: str, headline_id: str, text: str, channel: str, occasion: str = "") -> str:
    """``al_`` and 26 letters and digits: 128 bits of BLAKE2b (RFC 7693) over these, which alone decide it.

    The headline's ``text`` is among them because its id may be its producer's, who may use one for two headlines.
    """
    what = json.dumps([rule, headline_id, text, channel, *([occasion] if occasion else [])], separators=(",", ":"))
    digest = hashlib.blake2b(what.encode(), digest_size=16).digest()
    return "al_" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()
