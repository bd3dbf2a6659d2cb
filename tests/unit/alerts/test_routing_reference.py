"""The examples of the reference are accepted, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path

from alerts.channels import read_channels
from alerts.filter import FilterModel
from alerts.routefile import NOTHING_KNOWN, RouteModel, read_routes
from alerts.subscriptions import read_subscriptions

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "routing.md").read_text("utf-8")


def test_the_examples_are_accepted() -> None:
    channels, subscriptions, routes = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)[:3]
    assert len(read_channels(channels, "routing.md")["desk"].subscriptions) == 3
    assert len(read_subscriptions(subscriptions, "routing.md", NOTHING_KNOWN)) == 1
    assert len(read_routes(routes, "routing.md", NOTHING_KNOWN).routes) == 3


def test_every_key_is_named() -> None:
    keys = [info.alias or name for model in (FilterModel, RouteModel) for name, info in model.model_fields.items()]
    assert [key for key in keys if f"`{key}`" not in REFERENCE] == []
