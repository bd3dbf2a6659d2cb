from __future__ import annotations

from collections import Counter

import pytest

from streams.cli.demo import Account, Arrivals
from streams.worker.tally import Tally


def tally(alerts: int = 0) -> Tally:
    """Three headlines, all at their ends, and ``alerts`` that are not."""
    return Tally(read=3, unique=2, dropped=1, alerts=alerts)


def arrivals(decided: str, arrived: str) -> Arrivals:
    """Alerts by one-letter ids."""
    return Arrivals(frozenset(decided), Counter(arrived))


def test_in_is_out_where_all_that_was_decided_arrived() -> None:
    account = Account(3, tally(), channels={"desk": arrivals("ab", "ba"), "archive": arrivals("", "")})
    assert list(account.faults()) == []


def test_an_alert_that_came_twice_is_counted_and_no_fault() -> None:
    twice = arrivals("ab", "aab")
    assert twice.repeated == 1
    assert list(twice.faults()) == []


@pytest.mark.parametrize(
    ("account", "faults"),
    [
        (Account(4, tally()), ["4 headlines went in and 3 came out"]),
        (Account(3, tally(alerts=1)), ["not all is done yet"]),
        (Account(3, tally(), channels={"desk": arrivals("ab", "b")}), ["channel desk: a never arrived"]),
        (
            Account(3, tally(), channels={"desk": arrivals("a", "a"), "archive": arrivals("a", "b")}),
            ["channel archive: a never arrived", "channel archive: b arrived, and no rule decided it"],
        ),
    ],
)
def test_what_does_not_add_up_is_named(account: Account, faults: list[str]) -> None:
    assert list(account.faults()) == faults
