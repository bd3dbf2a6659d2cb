"""What a receiver of webhooks gets, as a JSON Schema made of the records themselves.

``docs/reference/webhook.schema.json`` holds it; ``python -m alerts.schema`` prints it anew.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from streams.core.records import Alert


class WebhookMessage(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The body of a webhook. ``truncated`` names the parts that were shortened or left out."""

    type: Literal["alert"]
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    data: Alert
    truncated: tuple[str, ...] = ()


class WebhookMessages(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The body of a webhook of several alerts. ``truncated`` names the parts that were shortened or left out of any."""

    type: Literal["alerts"]
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    data: Annotated[tuple[Alert, ...], msgspec.Meta(min_length=2)]
    truncated: tuple[str, ...] = ()


def webhook_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a webhook's body."""
    bodies, records = msgspec.json.schema_components([WebhookMessage, WebhookMessages], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A webhook of wirewatch",
        "anyOf": list(bodies),
        "$defs": records,
    }


def as_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(webhook_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")  # noqa: T201 - this is what it is run for
