"""A sample of `make parity`: two live workers and a replay of what they recorded decide the same."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from alerts.receiver import Receiver
from benchmarks.pipeline import Bed
from benchmarks.stream import headlines
from connectors import embedded
from tests.parity.parity import Check, printed, run


def test_whatever_differs_is_found_and_named() -> None:
    check = Check("decisions")
    same = {"verdict": "first"}
    check.compare_all({"a": same, "b": same, "c": same}, {"a": same, "b": {"verdict": "update"}, "d": same})
    assert check.compared == 4
    assert check.differences == [
        'b: verdict: live "first", replayed "update"',
        'c: live {"verdict": "first"}, replayed null',
        'd: live null, replayed {"verdict": "first"}',
    ]


@pytest.mark.services
@pytest.mark.parametrize("rate", [None, 200], ids=["all-at-once", "paced"])
def test_a_replay_of_what_two_workers_recorded_decides_the_same(
    services: embedded.Services, tmp_path: Path, rate: int | None
) -> None:
    with Receiver() as receiver:
        outcome = run(Bed(services, receiver, tmp_path), f"p{secrets.token_hex(4)}", headlines(1_000), rate)
    print(printed(outcome))
    assert not outcome.differences, printed(outcome)
    assert all(check.compared > 20 for check in outcome.checks), "too little was compared to tell anything"
    assert outcome.counts["headlines decided live by two workers"] == 1_000
