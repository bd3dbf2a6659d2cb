"""Silences: what is kept from channels for some time, by whom and why.

``silence`` is a silence and what it matches, pure; ``store`` keeps silences, in Redis or in memory.
"""

from __future__ import annotations

from alerts.silence.silence import KEPT, Silence, SilenceError, Snapshot, asked_in_vain, make_silence, quoted
from alerts.silence.store import MemorySilences, RedisSilences, SilenceStore, add_silence

__all__ = [
    "KEPT",
    "MemorySilences",
    "RedisSilences",
    "Silence",
    "SilenceError",
    "SilenceStore",
    "Snapshot",
    "add_silence",
    "asked_in_vain",
    "make_silence",
    "quoted",
]
