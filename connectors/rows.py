"""What the sources of tables share: a row, whose columns have names, read as the JSON object that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import msgspec

from connectors.interface import Context, Reading, Unreadable
from streams.core.headline import UnreadableError, read_headline

_encode = msgspec.json.Encoder(enc_hook=str).encode  # what JSON has no form for, such as an interval, as it prints


def read_row(row: Mapping[str, Any], number: int, context: Context, original: bytes | None = None) -> Reading:
    """A row as a headline. ``number`` is its line or place, from 1; ``original`` the row as it came, or else its JSON."""
    value = _encode(row)
    try:
        return read_headline(value, received=context.time(), zone=context.zone or UTC, source=context.outlet)
    except UnreadableError as error:
        return Unreadable(number, str(error), value if original is None else original)
