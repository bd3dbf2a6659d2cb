"""When a group's next message goes: one pure rule, for the outbox on the clock and for replay on event time.

Modelled on Alertmanager's ``group_wait`` and ``group_interval``
(https://prometheus.io/docs/alerting/latest/configuration/#route).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from streams.core.records import Grouping


def next_message(group: Grouping, began: datetime, last: datetime | None) -> datetime:
    """When the alerts that wait in a group go, all in one message.

    ``began`` is when the oldest of them came, ``last`` when the group's last message went, or None where none has.

    While ``interval`` has not passed since the last message, the next goes at its end, however lately its alerts came.
    After that the group is quiet, and begins anew: what comes waits ``wait`` for company.
    """
    if last is not None:
        open_again = last + timedelta(seconds=group.interval)
        if began < open_again:
            return open_again
    return began + timedelta(seconds=group.wait)
