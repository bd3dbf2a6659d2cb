from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from streams.backtest.decided import Decided
from streams.backtest.replay import AsDecided, InOrder, Summary, replay
from streams.cli import app
from streams.core.classify import Classifier
from streams.core.conditions import Absence, Throttle
from streams.core.decide import RuleChannels
from streams.core.dedupe import Candidate, ExactDeduper
from streams.core.match import Matcher
from streams.core.pipeline import Engine, candidate_of
from streams.core.query import compile_query
from streams.core.records import Dropped, Headline, Unique
from streams.core.rule import Rule, RuleSet
from streams.core.taxonomy import compile_taxonomy

START = datetime(2026, 3, 1, tzinfo=UTC)
TAXONOMY = compile_taxonomy([])
WORDS = ("tanker seized", "port opens", "talks resume", "quiet day")
STREAMS = st.lists(st.tuples(st.integers(0, 500), st.sampled_from(WORDS)), max_size=30)


def candidate(number: int, text: str, minutes: int) -> Candidate:
    at = START + timedelta(minutes=minutes)
    return candidate_of(Headline(headline=text, published=at), id=str(number), position=f"r:0:{number}", received=at)


def candidates(stream: list[tuple[int, str]]) -> list[Candidate]:
    return [candidate(number, f"{text} {number % 3}", minutes) for number, (minutes, text) in enumerate(stream)]


def engine() -> Engine:
    rules = RuleSet(
        [
            Rule("tanker", "t", compile_query("tanker"), "high", ("desk",)),
            Rule("lull", "l", compile_query("port"), "low", ("desk",), condition=Absence(timedelta(hours=1))),
        ]
    )
    return Engine(Matcher(rules), Classifier(TAXONOMY), ExactDeduper(timedelta(hours=72)), RuleChannels())


def decided(stream: list[Candidate]) -> list[Decided]:
    return list(replay(stream, engine()))


def fired(found: list[Decided]) -> list[tuple[datetime, str]]:
    return [(one.at, alert.rule.name) for one in found for alert in one.alerts]


def test_an_absence_fires_by_event_time_before_the_headline_that_comes_after_it() -> None:
    found = decided([candidate(0, "port opens", 0), candidate(1, "tanker seized", 90)])
    assert [one.headline is None for one in found] == [False, True, False]
    assert [rule for _, rule in fired(found)] == ["lull", "tanker"]


def test_a_repeat_is_dropped_and_alerts_nobody() -> None:
    found = decided([candidate(0, "tanker seized", 0), candidate(1, "Tanker seized", 5)])
    assert isinstance(found[1].headline, Dropped)
    assert found[1].alerts == ()


@given(STREAMS, st.integers(0, 30))
@settings(deadline=None)
def test_what_fired_before_a_cut_is_the_same_whatever_comes_after_it(stream: list[tuple[int, str]], cut: int) -> None:
    ordered = list(InOrder().of(candidates(stream)))
    before = decided(ordered[:cut])
    assert decided(ordered)[: len(before)] == before


@given(STREAMS, st.integers(0, 5))
def test_order_keeps_every_headline_and_counts_those_that_stay_late(stream: list[tuple[int, str]], ahead: int) -> None:
    given_ = candidates(stream)
    order = InOrder(ahead)
    found = [one.headline.published for one in order.of(given_)]
    assert sorted(found) == sorted(one.headline.published for one in given_)
    assert (found == sorted(found)) == (order.late == 0)


@given(st.permutations(range(12)), st.integers(0, 12))
def test_what_was_decided_keeps_its_order_and_what_is_there_twice_comes_once(seqs: list[int], ahead: int) -> None:
    records = [
        Unique(
            id=f"h{seq}",
            seq=seq,
            position=f"r:0:{seq}",
            received=START,
            headline=Headline(headline="Port reopens", published=START - timedelta(minutes=seq)),
            story_id="h0",
        )
        for seq in seqs
    ]
    found = [candidate.id for candidate in AsDecided(2 * len(seqs)).of([*records, *records])]
    assert found == [f"h{seq}" for seq in range(12)]
    order = AsDecided(ahead)
    some = [candidate.id for candidate in order.of(records)]
    assert sorted(some) == sorted(found)
    assert (some == found) == (order.late == 0)


def test_a_summary_names_the_rules_that_never_fired() -> None:
    summary = Summary(["tanker", "lull"])
    for one in decided([candidate(0, "tanker seized", 0)]):
        summary.take(one)
    assert (summary.headlines, dict(summary.alerts), summary.silent) == (1, {"tanker": 1}, ["lull"])


def test_a_summary_tells_the_worst_day_how_soon_alerts_came_and_why_others_did_not() -> None:
    summary = Summary(["tanker"])
    throttled = Rule(
        "tanker", "t", compile_query("tanker"), "high", ("desk",), throttle=Throttle(1, timedelta(hours=1))
    )
    rules = Engine(Matcher(RuleSet([throttled])), Classifier(TAXONOMY), ExactDeduper(timedelta(hours=72)))
    told = [candidate(number, f"tanker {number}", minutes) for number, minutes in enumerate((0, 1, 2, 1_500))]
    for one in replay(told, rules):
        summary.take(one)
    assert summary.worst_day == (START.date(), 1)
    assert summary.suppressed == {"throttled: 1 in 1h": 2}
    assert (summary.delays.count, summary.delays.quantile(0.95), round(summary.span_days, 2)) == (2, 0, 1.04)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text("rules: [{name: tanker, when: tanker, channels: [desk]}]", "utf-8")
    lines = [
        {"headline": "Tanker seized off Hormuz", "published": "2026-03-01T12:00:00Z"},
        {"headline": "Ferry strike ends in Dover", "published": "2026-03-01T11:00:00Z"},
    ]
    text = "\n".join([json.dumps(lines[0]), "{broken", json.dumps(lines[1])])
    (tmp_path / "wire.jsonl").write_text(text, "utf-8")
    return tmp_path


def test_the_command_counts_bad_lines_writes_decisions_in_order_and_opens_no_socket(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("replay opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    command = ["replay", "wire.jsonl", "--rules", "rules.yaml", "--decisions", "d.jsonl", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["headlines"], told["alerts"], told["unreadable"]) == (2, {"tanker": 1}, 1)
    assert told["unreadable_shown"][0]["line"] == 2
    rows = [json.loads(line) for line in (project / "d.jsonl").read_text("utf-8").splitlines()]
    assert [row["headline"]["headline"]["headline"][:6] for row in rows] == ["Ferry ", "Tanker"]


def test_a_source_that_is_not_there_is_refused(project: Path) -> None:
    done = CliRunner().invoke(app, ["replay", "gone.jsonl", "--rules", "rules.yaml", "--json"])
    assert done.exit_code == 3
    assert "is no file and no folder" in done.output


def test_ctrl_c_tells_what_there_is_so_far(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stream: Iterable[Candidate], engine: Engine, _order: None) -> Iterator[Decided]:
        yield next(replay(stream, engine))
        raise KeyboardInterrupt

    monkeypatch.setattr("streams.cli.replay_slices.decisions_of", interrupted)
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", "--json"])
    assert done.exit_code == 130
    told = json.loads(done.stdout)
    assert (told["ok"], told["headlines"]) == (False, 1)


def test_a_file_of_decisions_of_another_kind_is_refused_and_not_made(project: Path) -> None:
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", "--decisions", "d.parquet"])
    assert done.exit_code == 2
    assert not (project / "d.parquet").exists()
