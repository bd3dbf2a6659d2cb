"""The outbox: the alerts that are still to be delivered, and what became of the others.

:class:`Outbox` is the interface, :class:`RedisOutbox` the real one, :class:`MemoryOutbox` a fake for tests
and dry runs; one contract suite holds both (``tests/contract/test_outbox.py``).
"""

from alerts.outbox.interface import Counts, Durability, Leased, Outbox, OutboxError, Outcome
from alerts.outbox.memory import MemoryOutbox
from alerts.outbox.redis import RedisOutbox

__all__ = [
    "Counts",
    "Durability",
    "Leased",
    "MemoryOutbox",
    "Outbox",
    "OutboxError",
    "Outcome",
    "RedisOutbox",
]
