"""How well channels do: a circuit breaker each, and those that are disabled, which all workers know of.

:class:`HealthStore` is where it is kept beyond one worker, :class:`RedisHealth` the real one, :class:`MemoryHealth` a fake for
tests; one contract suite holds both (``tests/contract/test_health.py``).
"""

from alerts.health.breaker import Breaker, Limits
from alerts.health.health import DISABLE_AFTER, ChannelHealth, Health, Seen
from alerts.health.notice import RULE, notice
from alerts.health.store import APART, Disabled, Failing, HealthStore, MemoryHealth, RedisHealth

__all__ = [
    "APART",
    "DISABLE_AFTER",
    "RULE",
    "Breaker",
    "ChannelHealth",
    "Disabled",
    "Failing",
    "Health",
    "HealthStore",
    "Limits",
    "MemoryHealth",
    "RedisHealth",
    "Seen",
    "notice",
]
