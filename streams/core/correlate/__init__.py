"""Rules with a memory: whether they fire, and whether it is held back, decided by folding a log of events.

``docs/adr/0005-decisions-with-memory.md`` has the design. An `Event` is a fact: a headline, and the rules that it matched. A
`Correlator` takes one event after the other and says what comes of each; what it has taken determines its state, and
nothing else does.
"""

from streams.core.correlate.correlator import Correlator
from streams.core.correlate.event import Event, Hit, event_of, tick

__all__ = ["Correlator", "Event", "Hit", "event_of", "tick"]
