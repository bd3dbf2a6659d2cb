"""What ``wirewatch doctor`` makes of what it sees."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from alerts.outbox import Counts
from streams.cli.doctor import (
    judge_alerts,
    judge_balance,
    judge_copies,
    judge_group,
    judge_lag,
    judge_retention,
    judge_revisions,
)
from streams.worker.roster import Entry
from streams.worker.survey import Copies, Group
from streams.worker.tally import Tally
from streams.worker.topics import NAMES, Topics, retention_ms

SINCE = datetime(2025, 3, 3, 12, tzinfo=UTC)


def copies(replicas: int, in_sync: int, needed: int) -> list[Copies]:
    return [Copies("headlines.raw", 3, 3, 2), Copies("alerts", replicas, in_sync, needed)]


@pytest.mark.parametrize(
    ("brokers", "kept", "state", "said"),
    [
        (1, copies(1, 1, 1), "ok", "all 2 exist"),
        (3, copies(3, 3, 2), "ok", "all 2 exist"),
        (3, copies(3, 2, 2), "ok", "all 2 exist"),
        (3, copies(1, 1, 1), "warning", "on one broker only, and lost with it: alerts"),
        (3, copies(3, 3, 1), "warning", "min.insync.replicas is 1"),
        (3, copies(3, 1, 2), "failed", "Kafka takes no records for alerts (1 of 2)"),
        (3, copies(1, 1, 2), "warning", "on one broker only, and lost with it: alerts"),
        (3, copies(1, 0, 2), "failed", "Kafka takes no records for alerts (0 of 1)"),
    ],
)
def test_topics_are_to_outlive_a_broker_where_there_are_several(
    brokers: int, kept: list[Copies], state: str, said: str
) -> None:
    finding = judge_copies(brokers, kept)
    assert finding.state == state
    assert said in finding.detail
    assert bool(finding.hint) == (state != "ok")


def test_topics_are_to_keep_what_the_ledger_goes_back_to() -> None:
    topics, day = Topics("desk."), 86_400_000
    kept = dict.fromkeys(topics.all(), 14 * day)
    assert list(judge_retention(topics, kept, timedelta(days=7))) == []
    (finding,) = judge_retention(topics, kept | {topics.unique: -1}, timedelta(days=30))
    assert finding.state == "warning"
    assert finding.detail == (
        "kept for less than two windows of deduplication, 60 days: desk.headlines.dropped 14 days"
    )
    assert f"to {60 * day} by kafka-configs" in finding.hint


def test_topics_are_made_to_keep_two_windows_and_fourteen_days_at_least() -> None:
    days = {
        window: {name: retention_ms(name, timedelta(days=window)) // 86_400_000 for name in NAMES} for window in (3, 30)
    }
    assert {days[3][name] for name in ("raw", "unique", "dropped", "classified")} == {14}
    assert (days[30]["unique"], days[30]["dropped"], days[30]["raw"], days[30]["dead"]) == (60, 60, 14, 90)


def test_a_group_without_workers_fails_and_one_that_shares_out_does_not() -> None:
    assert judge_group("desk", Group("Empty", 0)).state == "failed"
    assert judge_group("desk", Group("Dead", 0)).state == "failed"
    assert judge_group("desk", Group("PreparingRebalance", 2)).state == "warning"
    assert judge_group("desk", Group("Stable", 2)).detail == "2 in group desk"


def test_a_worker_that_goes_by_other_rules_is_named() -> None:
    def worker(process: int, rules: str) -> Entry:
        return Entry(host="box", process=process, rules=rules, taxonomy="t1", at=datetime(2026, 1, 1, tzinfo=UTC))

    same = judge_revisions([worker(1, "r1"), worker(2, "r1")], "r1", "t1")
    assert (same.state, same.detail) == ("ok", "rules r1 and taxonomy t1 in 2 workers")
    other = judge_revisions([worker(1, "r1"), worker(2, "r0")], "r1", "t1")
    assert other.state == "warning"
    assert "box:2 has rules r0" in other.detail
    assert "box:1" not in other.detail
    assert "refused" in other.hint


def test_a_lag_is_in_order_as_long_as_it_moves() -> None:
    tally = Tally(lag={"headlines.raw": 12, "headlines.unique": 0})
    moving = judge_lag(tally, {})
    assert (moving.state, moving.detail) == ("ok", "12 records on the way: headlines.raw 12")
    held_up = judge_lag(tally, {"headlines.raw": 12})
    assert held_up.state == "warning"
    assert "headlines.raw 12" in held_up.detail
    assert "log" in held_up.hint


def test_a_balance_says_what_became_of_the_headlines_and_what_is_beside_it() -> None:
    tally = Tally(
        SINCE, read=9, unique=5, dropped=3, invalid=1, repeats=2, refused=Counter(ingest=4, classify=1, alert=1)
    )
    (finding,) = judge_balance(tally)
    assert finding.state == "ok"
    assert finding.detail == (
        "9 headlines since 2025-03-03 12:00 UTC = 5 unique + 3 dropped + 1 invalid "
        "(2 records published twice, as happens after a crash; 4 unreadable to `wirewatch ingest`; "
        "2 refused by a later stage: see headlines.invalid)"
    )


def test_a_loss_fails_and_names_the_first_places() -> None:
    tally = Tally(read=9, unique=2, missing=[f"headlines.raw:0:{n}" for n in range(7)])
    (finding,) = judge_balance(tally)
    assert finding.state == "failed"
    assert "9 headlines = 2 unique + 0 dropped + 0 invalid; 7 came out nowhere: headlines.raw:0:0, " in finding.detail
    assert finding.detail.endswith("headlines.raw:0:4 …")
    assert "report" in finding.hint


def test_two_fates_are_a_warning_of_their_own() -> None:
    balance, decisions = judge_balance(Tally(read=1, unique=1, dropped=1, twofold=["headlines.raw:0:3"]))
    assert balance.state == "ok"
    assert decisions.state == "warning"
    assert decisions.detail == "1 headline came out in two ways: headlines.raw:0:3"


def test_alerts_are_counted_by_their_ends_beside_the_outbox() -> None:
    tally = Tally(alerts=10, outcomes=Counter(delivered=5, suppressed=1))
    counts = {"desk": Counts(queued=3, due=1, leased=1, done=5, dead=0), "archive": Counts(0, 0, 0, 5, 0)}
    finding = judge_alerts(tally, counts)
    assert finding.state == "ok"
    assert finding.detail == "10 = 5 delivered + 1 suppressed + 0 dead + 4 waiting; in the outbox: desk 4"


def test_dead_alerts_and_a_lost_outbox_are_warnings() -> None:
    dead = judge_alerts(Tally(alerts=1, outcomes=Counter(dead=1)), {})
    assert (dead.state, dead.hint) == ("warning", "the reasons are on the topic deliveries.dead")
    lost = judge_alerts(Tally(alerts=1, rebuilding=["desk"]), {})
    assert lost.state == "warning"
    assert "the outbox has no data for desk" in lost.detail
