from __future__ import annotations

from dataclasses import dataclass

from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from alerts.outage import Outage
from streams.worker.outage import SILENT_FOR, KafkaWatch


@dataclass
class Broker:
    """Answers or does not, and has the clock."""

    answers: bool = True
    now: float = 100.0

    async def ask(self) -> None:
        if not self.answers:
            raise KafkaConnectionError("no broker answers")


async def test_a_kafka_that_does_not_answer_is_told_of_once_and_when_it_is_back() -> None:
    broker = Broker()
    watch = KafkaWatch(broker.ask, lambda: broker.now)
    told = []
    with capture_logs() as logs:
        for second, answers in enumerate([*[True] * 5, *[False] * 30, *[True] * 5]):
            broker.now, broker.answers = 100.0 + second, answers
            await watch.look()
            told += [(second, line["log_level"], line["event"], line.get("silent_for")) for line in logs]
            logs.clear()
    assert told == [(14, "warning", "away, waiting", SILENT_FOR), (35, "warning", "back", None)]


async def test_a_moment_without_an_answer_is_no_outage() -> None:
    broker = Broker()
    watch = KafkaWatch(broker.ask, lambda: broker.now)
    with capture_logs() as logs:
        for second in range(60):
            broker.now, broker.answers = 100.0 + second, second % 9 == 0
            await watch.look()
    assert logs == []


def test_an_outage_has_one_line_at_each_end() -> None:
    outage = Outage("the outbox")
    with capture_logs() as logs:
        outage.ends()
        for _ in range(3):
            outage.begins(OSError("refused"))
        outage.ends()
        outage.ends()
    assert [(line["event"], line["what"]) for line in logs] == [("away, waiting", "the outbox"), ("back", "the outbox")]
