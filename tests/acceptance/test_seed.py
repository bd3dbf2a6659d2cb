"""The seed's ticker: what a reader would say that each of its headlines is about, by the time beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.interface import Context
from connectors.ticker import Ticker
from streams.cli.plan import load_taxonomy
from streams.core.classify import Classifier
from streams.core.records import Headline

SEED = Path(__file__).parents[3] / "shared" / "data" / "seed_ticker.txt"

pytestmark = pytest.mark.skipif(not SEED.exists(), reason="the seed's ticker is not beside this checkout")

READER = {
    "iran": {"18:50", "17:20", "15:02", "08:20"},
    "russia_energy": {"17:50", "12:20", "11:50", "10:20", "07:50"},
    "tech_deals": {"16:50"},
}


def test_its_topics_are_those_a_reader_would_give() -> None:
    context = Context(None, date(2026, 2, 11), ZoneInfo("UTC"), datetime(2026, 2, 11, 20, tzinfo=UTC))
    classifier = Classifier(load_taxonomy([]))
    found: dict[str, set[str]] = {topic: set() for topic in READER}
    for headline in Ticker().read(BytesIO(SEED.read_bytes()), context):
        assert isinstance(headline, Headline)
        for match in classifier.classify(headline.headline):
            found[match.topic].add(f"{headline.published:%H:%M}")
            assert all(
                headline.headline[proof.span.start : proof.span.end] == proof.span.text for proof in match.evidence
            )
            assert match.evidence
    assert found == READER
