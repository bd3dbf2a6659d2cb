"""From the rules that a headline fires to the alerts that go out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable

from streams.core.match import RuleMatch
from streams.core.records import Alert, Classified, FiredRule


def alerts_for(headline: Classified, matches: Iterable[RuleMatch]) -> list[Alert]:
    """One alert for every rule that fired and every channel of that rule, in the order given."""
    return [
        Alert(
            alert_id=alert_id(match.rule.name, headline.id, channel),
            channel=channel,
            rule=FiredRule(
                name=match.rule.name,
                title=match.rule.title,
                severity=match.rule.severity,
                revision=match.rule.revision,
                matched=match.spans,
            ),
            headline=headline,
        )
        for match in matches
        for channel in match.rule.channels
    ]


def alert_id(rule: str, headline_id: str, channel: str) -> str:
    """``al_`` and 26 letters and digits: 128 bits of BLAKE2b (RFC 7693) over the three, which alone decide it."""
    what = json.dumps([rule, headline_id, channel], separators=(",", ":"))
    digest = hashlib.blake2b(what.encode(), digest_size=16).digest()
    return "al_" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()
