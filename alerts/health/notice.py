"""What another channel is told of one that is disabled. Pure: every worker makes the same alert of it, which is sent once."""

from __future__ import annotations

import hashlib

from alerts.health.store import Disabled
from streams.core.decide import alert_id
from streams.core.records import Alert, Classified, FiredRule, Headline

#: The rule and the source that stand on it: no rule of a user's fired.
RULE = "wirewatch-channel-disabled"
SOURCE = "wirewatch"


def notice(disabled: Disabled, to: str) -> Alert:
    """The alert by which the channel ``to`` is told."""
    text = (
        f"The channel {disabled.channel} is disabled and its alerts are dead: {disabled.reason}. "
        f"When it works again: wirewatch channels enable {disabled.channel}"
    )
    name = hashlib.sha256(f"{RULE}\n{disabled.channel}\n{disabled.since.isoformat()}".encode()).hexdigest()[:32]
    return Alert(
        alert_id=alert_id(RULE, name, text, to),
        channel=to,
        rule=FiredRule(name=RULE, title="A channel is disabled", severity="high", revision=""),
        headline=Classified(
            id=name,
            seq=0,
            position="",
            received=disabled.since,
            headline=Headline(headline=text, published=disabled.since, source=SOURCE),
            story_id=name,
        ),
    )
