"""The pipeline that the tests of whole workers run."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.channels import open_channels, read_channels
from alerts.delivery import Timing
from alerts.receiver import Receiver
from streams.core import document
from streams.core.classify import Classifier
from streams.core.dedupe import ExactDeduper
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.rule import Rule, RuleSet
from streams.core.taxonomy import compile_taxonomy
from streams.worker.app import Plan
from streams.worker.reload import Current
from streams.worker.rules import InForce
from streams.worker.topics import Topics, create_topics
from tests.integration.rig import SECRET, TAXONOMY, WINDOW, Pipeline


@pytest.fixture
async def pipeline(kafka_client: dict[str, str], redis_url: str, tmp_path: Path) -> AsyncIterator[Pipeline]:
    name = f"t{secrets.token_hex(3)}"
    topics = Topics(f"{name}.")
    await create_topics(kafka_client, topics, partitions=4, replication=1)
    rules = RuleSet(
        [
            Rule("vessels", "Vessels", compile_query("topic:ships AND held"), "high", ("desk",)),
            Rule("money", "Money", compile_query('"for $2 billion" OR billion'), "low", ("desk",)),
        ]
    )
    taxonomy = compile_taxonomy([document.parse(TAXONOMY, "ships.yaml")])
    with Receiver(secret=SECRET) as receiver:
        text = f"channels:\n  desk: {{type: webhook, url: '{receiver.url}', secret: env:S, timeout: 2s, allow_private: true}}\n"

        def plan() -> Plan:
            return Plan(
                kafka=kafka_client,
                group=name,
                topics=topics,
                redis_url=redis_url,
                redis_prefix=name,
                window=WINDOW,
                deduper=lambda: ExactDeduper(WINDOW),
                classifier=Current(Classifier(taxonomy)),
                rules=Current(InForce(Matcher(rules))),
                notifiers=open_channels(read_channels(text, "c.yaml").values(), {"S": SECRET}),
                clock=lambda: datetime.now(UTC),
                data_dir=tmp_path,
                session_timeout=2.0,
                timing=Timing(lease_margin=2.0),
            )

        yield Pipeline(plan, topics, name, kafka_client, receiver)
