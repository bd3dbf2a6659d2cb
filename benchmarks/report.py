"""What a benchmark returns."""

from __future__ import annotations

from typing import TypedDict


class Row(TypedDict):
    """One figure beside a peer's. ``ratio`` is ours divided by the peer's; None where there is no peer."""

    what: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None
    unit: str


def row(what: str, ours: float, unit: str, *, peer: float | None = None, peer_name: str = "") -> Row:
    """A row, with its ratio."""
    ratio = ours / peer if peer else None
    return Row(what=what, ours=ours, peer=peer, peer_name=peer_name, ratio=ratio, unit=unit)
