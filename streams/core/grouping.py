"""When a group's next message goes: one pure rule, for the outbox on the clock and for replay on event time.

Modelled on Alertmanager's ``group_wait`` and ``group_interval``
(https://prometheus.io/docs/alerting/latest/configuration/#route).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.records import Grouping


def next_message(group: Grouping, began: datetime, pause: datetime | None) -> datetime:
    """When the alerts that wait in a group go, all in one message.

    ``began`` is when the first of them came. ``pause`` is when the interval after the group's last message ends, if there was
    one, and not before that goes the next, however lately its alerts came. Else the group has been quiet, and begins anew:
    what comes waits ``wait`` for company.
    """
    if pause is not None and began < pause:
        return pause
    return began + timedelta(seconds=group.wait)
