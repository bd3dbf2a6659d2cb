from __future__ import annotations

from datetime import timedelta

from streams.backtest.report.sums import Sums
from streams.core.conditions import Throttle
from streams.core.dedupe import Candidate
from streams.core.rule import Rule
from tests.unit.backtest.wire import REMEMBERED, START, decided, rule, stream


def sums(candidates: list[Candidate], *rules: Rule) -> Sums:
    found = Sums(rules, REMEMBERED)
    for one in decided(candidates, *rules):
        found.take(one)
    found.finish()
    return found


def test_counts_of_a_small_stream() -> None:
    found = sums(
        stream((0, "Tanker seized"), (5, "Tanker seized"), (60, "Port opens"), (1_500, "Tanker freed")),
        rule("tanker", "tanker", channels=("desk", "archive")),
        rule("never", "volcano"),
    )
    assert dict(found.decisions) == {"first": 3, "duplicate": 1}
    assert (found.alerts, found.headlines) == (4, 4)
    assert found.days == {START.date(): 2, (START + timedelta(days=1)).date(): 2}
    assert found.over_time.totals("channel") == {"desk": 2, "archive": 2}
    assert [one.rule.name for one in found.silent] == ["never"]
    tanker = found.rules["tanker"]
    assert (tanker.alerts, tanker.headlines, tanker.most_in_a_day) == (4, 2, 2)
    assert found.delays.steps == {"at once": 2}


def test_the_worst_hour_is_the_one_with_most_alerts_also_where_it_is_the_last() -> None:
    found = sums(stream((0, "Tanker one"), (61, "Tanker two"), (62, "Tanker three")), rule("tanker", "tanker"))
    assert found.worst_hour is not None
    assert (found.worst_hour.began, found.worst_hour.alerts) == (START + timedelta(hours=1), 2)
    assert [one.text for one in found.worst_hour.headlines] == ["Tanker two", "Tanker three"]


def test_equal_reasons_count_as_one_though_they_end_at_other_times() -> None:
    throttled = rule("tanker", "tanker", throttle=Throttle(1, timedelta(hours=1)))
    told = [(minutes, f"Tanker {minutes}") for minutes in (0, 1, 2, 100, 101)]
    found = sums(stream(*told), throttled)
    [held] = found.held
    assert (held.reason, held.count, held.rules) == ("throttled: 1 in 1h", 3, [("tanker", 3)])
    assert held.example.text == "Tanker 1"
    assert (found.alerts, found.rules["tanker"].held) == (2, 3)


def test_a_rule_that_nobody_could_read_is_told_as_too_much_and_others_are_not() -> None:
    told = [(minutes, f"Tanker {minutes}") for minutes in range(60)]
    found = sums(stream(*told, (61, "Port opens")), rule("tanker", "tanker"), rule("port", "port"))
    assert "60 alerts a day" in (found.too_much(found.rules["tanker"]) or "")
    assert found.too_much(found.rules["port"]) is None
