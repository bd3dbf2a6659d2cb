"""Which alerts a channel would have been sent together: groups and rates, in event time.

The rule by which a group's message goes is the outbox's (`streams.core.grouping`), so that replay composes the messages that
delivery does, where that has no outage to wait for.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streams.backtest.decided import Decided, Message
from streams.core.grouping import next_message
from streams.core.records import Alert


@dataclass(slots=True)
class _Open:
    """A message that still collects."""

    channel: str
    key: str
    due: datetime
    interval: timedelta
    alerts: list[str] = field(default_factory=list)


class Messages:
    """Composes messages of the alerts that go out. Memory is that of what waits, and of the pauses of groups."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Open] = {}
        self._due: list[tuple[datetime, int, tuple[str, str]]] = []
        self._pauses: dict[tuple[str, str], datetime] = {}
        self._number = 0

    def take(self, at: datetime, alerts: Iterable[Alert]) -> Iterator[Message]:
        """Collect alerts that came ``at`` a time; those of no group go at once. Ask for what is :meth:`due` before."""
        for alert in alerts:
            if alert.suppressed is not None:
                continue
            if alert.group is None:
                yield Message(at=at, channel=alert.channel, alerts=(alert.alert_id,))
            else:
                self._collect(at, alert)

    def _collect(self, at: datetime, alert: Alert) -> None:
        group = alert.group
        assert group is not None
        place = (alert.channel, group.key)
        message = self._open.get(place)
        if message is None:
            due = next_message(group, at, self._pauses.get(place))
            interval = timedelta(seconds=group.interval)
            message = self._open[place] = _Open(alert.channel, group.key, due, interval)
            self._number += 1
            heapq.heappush(self._due, (due, self._number, place))
        message.alerts.append(alert.alert_id)

    def due(self, at: datetime) -> Iterator[Message]:
        """Messages whose time has come before ``at``, in order: what comes at one moment goes together."""
        while self._due and self._due[0][0] < at:
            yield self._close(heapq.heappop(self._due)[2])

    def rest(self) -> Iterator[Message]:
        """Messages that wait at the end, as they would go."""
        while self._due:
            yield self._close(heapq.heappop(self._due)[2])

    def _close(self, place: tuple[str, str]) -> Message:
        message = self._open.pop(place)
        self._pauses[place] = message.due + message.interval
        if len(self._pauses) > _MANY:
            self._pauses = {place: pause for place, pause in self._pauses.items() if pause > message.due}
        return Message(at=message.due, channel=message.channel, alerts=tuple(message.alerts), key=message.key)


#: Pauses after which those that are over are forgotten.
_MANY = 10_000


def with_messages(decisions: Iterable[Decided]) -> Iterator[Decided | Message]:
    """All that is decided, and the messages that come of it, each in its time."""
    messages = Messages()
    for one in decisions:
        yield from messages.due(one.at)
        yield one
        if one.alerts:
            yield from messages.take(one.at, one.alerts)
    yield from messages.rest()
