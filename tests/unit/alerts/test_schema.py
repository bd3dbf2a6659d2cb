from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from alerts import render
from alerts.schema import WebhookMessage, WebhookMessages, as_text, webhook_schema
from streams.core.records import Alert

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "webhook.schema.json"


def test_the_published_schema_is_that_of_the_records() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == as_text(), "run python -m alerts.schema"


@pytest.mark.parametrize("words", ["Ferries resume after storm", "Ferries and storm " * 4_000])
def test_bodies_are_as_described(make_alert: Callable[..., Alert], words: str) -> None:
    body = render.webhook_body(make_alert(words))
    message = msgspec.json.decode(body, type=WebhookMessage)
    assert msgspec.json.encode(message) == msgspec.json.encode(json.loads(body)), "nothing is left undescribed"
    assert bool(message.truncated) == (len(words) > 1000)


def test_bodies_of_several_alerts_are_as_described(make_alert: Callable[..., Alert]) -> None:
    body = render.webhook_bodies([make_alert(), make_alert(alert_id="al_2", body="word " * 9_000)])
    message = msgspec.json.decode(body, type=WebhookMessages)
    assert msgspec.json.encode(message) == msgspec.json.encode(json.loads(body)), "nothing is left undescribed"
    assert message.truncated


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = webhook_schema()
    assert set(schema["$defs"]) >= {"WebhookMessage", "Alert", "Classified", "Headline"}
    assert schema["anyOf"] == [{"$ref": "#/$defs/WebhookMessage"}, {"$ref": "#/$defs/WebhookMessages"}]
