"""Why one version of the rules gives an alert that the other does not, in words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from streams.backtest.decided import Decided
from streams.core.query import View
from streams.core.query.explain import lacks
from streams.core.records import Alert, Classified, Dropped
from streams.core.rule import Rule

#: Parts of a query that are told of, and how long one may be.
_PARTS = 3
_LONGEST = 90


class Recent:
    """The texts of the headlines that a deduper may still compare others with, by id: those of the last ``span``."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._texts: OrderedDict[str, tuple[datetime, str]] = OrderedDict()

    def add(self, one: Decided) -> None:
        """Remember a headline, and forget those that are too old."""
        if one.headline is not None:
            self._texts[one.headline.id] = one.at, one.headline.headline.headline
        while self._texts and one.at - next(iter(self._texts.values()))[0] > self._span:
            self._texts.popitem(last=False)

    def of(self, id_: str | None) -> str:
        """The headline of that id in quotation marks, or what to say in its place."""
        found = self._texts.get(id_ or "")
        return f"“{_cut(found[1])}”" if found else "an earlier headline"


def why_not(alert: Alert, rules: Mapping[str, Rule], here: Decided, there: Decided, recent: Recent) -> str:
    """What kept the other version from giving ``alert``.

    ``here`` is what was decided where the alert was given, ``there`` what the version did that has ``rules`` by name.
    """
    name, same = alert.rule.name, [one for one in there.alerts if one.rule.name == alert.rule.name]
    if held := next((one.suppressed for one in same if one.alert_id == alert.alert_id), None):
        return f"held back: {held}"
    if name not in rules:
        return "it has no such rule"
    if same:
        others = ", ".join(sorted(one.channel for one in same))
        return f"the rule fires, and tells not this channel but {others}"
    if here.headline is None or there.headline is None:
        return "nothing was missed there: what the rule waits for came, or it was not waiting"
    if isinstance(there.headline, Dropped) and not isinstance(here.headline, Dropped):
        return f"dropped as a repeat of {recent.of(there.headline.duplicate_of)}: {there.headline.reason}"
    record = there.headline if isinstance(there.headline, Classified) else alert.headline
    return _why_silent(rules[name], record, recent)


def _why_silent(rule: Rule, record: Classified, recent: Recent) -> str:
    """What keeps a rule from firing on a headline that it was shown."""
    lacking = [
        f"`{_cut(lack.asks)}`: {lack.reason}" + (f" (nor has it {_cut(', '.join(lack.others))})" if lack.others else "")
        for lack in lacks(rule.query, View(record))
    ]
    if lacking:
        more = f"; and {len(lacking) - _PARTS} more" if len(lacking) > _PARTS else ""
        return "; ".join(lacking[:_PARTS]) + more
    if not rule.concerns(record):
        if rule.over(record.moment.astimezone(UTC).date()):
            return f"the rule is over since {rule.expiry}"
        kind = (
            f"is an update of {recent.of(record.update_of)}" if record.kind == "update" else "is the first of its story"
        )
        return f"the headline {kind}, and the rule is about `story: {rule.story}`"
    if rule.condition is not None:
        return f"its query holds, and its `{type(rule.condition).__name__.lower()}` is not met"
    if rule.once_a_story:
        return "it fired on this story before"
    return "its query holds, and no channel is told"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"
