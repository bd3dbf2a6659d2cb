"""The rules and routes that a worker goes by, which may be replaced while it works."""

from __future__ import annotations

from dataclasses import dataclass, field

from alerts.route import Routing
from streams.core.match import Matcher


@dataclass(frozen=True, slots=True)
class InForce:
    """Which headlines matter, and who is told: one is never replaced without the other."""

    matcher: Matcher
    routing: Routing = field(default_factory=Routing)

    @property
    def revision(self) -> str:
        """That of the rules, those that stand for subscriptions included."""
        return self.matcher.ruleset.revision
