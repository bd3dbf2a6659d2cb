from __future__ import annotations

import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.backtest.decided import Decided
from streams.backtest.order import Order
from streams.backtest.replay import Decider, replay
from streams.backtest.slices import processes
from streams.backtest.slices.cluster import Cluster
from streams.cli import app
from streams.core.dedupe import Candidate
from tests.unit.backtest.slices.telling import lines, told

RULES = """
rules:
  - {name: blast, when: blast OR killed, channels: [desk], burst: {count: 3, within: 1h, by: story}}
  - {name: ships, when: tanker OR ferry, channels: [desk, archive], throttle: {count: 2, per: 1h}, repeat: 10m}
  - {name: told, when: "story.sources:>=2", channels: [desk]}
  - {name: iran, when: "topic:iran AND kind:update", channels: [desk], group: {by: [rule], wait: 5m, interval: 30m}}
  - {name: lull, when: Riga, channels: [desk], absence: 3h}
  - {name: sequel, when: extinguished, channels: [desk], sequence: {after: fire, within: 2h}}
"""
TOPICS = """
topic: iran
title: Iran
description: Iran
threshold: 0.5
entities: {places: [Iran, Hormuz, Basra]}
conditions: [{name: names it, weight: 0.9, any: [places]}]
"""
SETTINGS = "rules: [rules.yaml]\ntaxonomy: [topics.yaml]\ndedupe: {window: 3h, sources: {wire.example: 1h}}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / "topics.yaml").write_text(TOPICS, "utf-8")
    (tmp_path / "wirewatch.yaml").write_text(SETTINGS, "utf-8")
    told_lines = [json.dumps(line) for line in lines(list(told(3_000)))]
    told_lines[1_500:1_500] = ["not a headline", told_lines[700]]
    (tmp_path / "wire.jsonl").write_text("\n".join(told_lines), "utf-8")
    return tmp_path


def replayed(*options: str, ending: int = 0) -> str:
    done = CliRunner().invoke(app, ["replay", "wire.jsonl", "--rules", "rules.yaml", *options])
    assert done.exit_code == ending, done.output
    return done.output


def decisions(project: Path, *options: str) -> tuple[bytes, dict[str, Any]]:
    """Every decision, and the summary without what tells how long it took."""
    summary = json.loads(replayed("--decisions", "d.jsonl", "--json", *options))
    del summary["seconds"]
    return (project / "d.jsonl").read_bytes(), summary


def test_more_processes_decide_what_one_decides(project: Path) -> None:
    one, summary = decisions(project)
    assert summary["unreadable"] == 1
    assert set(summary["decisions"]) == {"first", "update", "duplicate"}
    assert not summary["silent"]
    assert summary["suppressed"]
    assert decisions(project, "--jobs", "2", "--slices", "5") == (one, summary)
    assert decisions(project, "--jobs", "3") == (one, summary)


def test_a_comparison_is_the_same(project: Path) -> None:
    (project / "other.yaml").write_text(RULES.replace("count: 3", "count: 2").replace("tanker", "mine"), "utf-8")
    (project / "other_settings.yaml").write_text(SETTINGS.replace("3h", "30m"), "utf-8")
    for against in (("--against", "other.yaml"), ("--against-config", "other_settings.yaml")):
        one, summary = decisions(project, *against)
        assert summary["comparison"]["lost"] + summary["comparison"]["added"] > 0
        assert decisions(project, *against, "--jobs", "2", "--slices", "3") == (one, summary)


def test_what_is_written_and_scored_is_the_same(project: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (project / "labels.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in labels(lines(list(told(3_000))))), "utf-8"
    )

    def everything(*options: str) -> tuple[Any, str, dict[str, Any]]:
        written = ("--parquet", "all.parquet", "--report", "report.html", "--labels", "labels.jsonl")
        _, summary = decisions(project, *written, "--reference", "wire.example", *options)
        assert summary["score"]["rules"]["ships"]["right"] > 0
        page = (project / "report.html").read_text("utf-8")
        return parquet.read_table("all.parquet"), re.sub(r"[0-9:]+ UTC by w", "", page), summary  # but when it was made

    table, page, summary = everything()
    others, other_page, other_summary = everything("--jobs", "2", "--slices", "4")
    assert table.num_rows >= 3_000
    assert others.equals(table)
    assert other_summary == summary
    assert other_page == page


def labels(told_: Iterable[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Every ferry should alert, and no visit."""
    for one in told_:
        if "ferry" in one["headline"] or "visits" in one["headline"]:
            yield {"headline": one["headline"], "rule": "ships", "should_alert": "ferry" in one["headline"]}


@pytest.fixture
def cluster() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running,
    ):
        yield running.scheduler_address


@pytest.mark.filterwarnings("default")
def test_a_cluster_decides_what_one_process_decides(project: Path, cluster: str) -> None:
    assert decisions(project, "--cluster", cluster, "--slices", "4") == decisions(project)


@pytest.mark.filterwarnings("default")
def test_the_slice_of_a_worker_that_dies_is_looked_at_again(
    project: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = decisions(project)
    killed: list[int] = []

    class Mortal(Cluster):
        """Kills a worker while it is at a slice: the first that somebody has begun and nobody has ended."""

        def begin(self, number: int, warm_up: bytes, trusted: int) -> Any:
            at_work = [worker for worker, tasks in self._client.processing().items() if tasks]
            if at_work and not killed:
                killed.append(self._client.run(os.getpid, workers=at_work[:1])[at_work[0]])
                os.kill(killed[0], signal.SIGKILL)
            return super().begin(number, warm_up, trusted)

    monkeypatch.setattr("streams.cli.replay_slices.Cluster", Mortal)
    assert decisions(project, "--cluster", cluster, "--slices", "6") == one
    assert killed


def test_a_process_that_dies_is_told_with_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = processes.Processes.begin

    def dying(self: processes.Processes, number: int, warm_up: bytes, trusted: int) -> Any:
        if number == 3:
            os.kill(self._processes[0]._process.pid, signal.SIGKILL)
        return begin(self, number, warm_up, trusted)

    monkeypatch.setattr(processes.Processes, "begin", dying)
    told_ = replayed("--jobs", "2", "--slices", "4", ending=4)
    assert "was killed by signal 9 at slice" in told_
    assert "use fewer --jobs" in told_


def test_without_the_extra_it_is_named_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "wirewatch[cluster]"' in replayed("--cluster", "tcp://127.0.0.1:1", ending=4)


@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_does_not_answer_is_told() -> None:
    pytest.importorskip("distributed")
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in replayed("--cluster", "tcp://127.0.0.1:1", ending=4)


@pytest.mark.parametrize(
    ("options", "told_"),
    [
        (("--slices", "3"), "say who, by --jobs N or --cluster"),
        (("--jobs", "2", "--cluster", "tcp://h:1"), "leave it out with --cluster"),
        (("--jobs", "2", "--speed", "60"), "--speed goes headline by headline"),
        (("--jobs", "2", "--through-kafka"), "--through-kafka goes headline by headline"),
        (("--jobs", "0"), "'--jobs': it is 1 or more"),
        (("--jobs", "100000"), "'--jobs': it is 64 or less"),
    ],
)
def test_what_does_not_go_together_is_refused(options: tuple[str, ...], told_: str) -> None:
    assert told_ in " ".join(replayed(*options, ending=2).replace("│", " ").split())


def test_the_length_of_standard_input_is_not_known() -> None:
    done = CliRunner().invoke(app, ["replay", "-", "--rules", "rules.yaml", "--jobs", "2", "--slices", "2"], input="")
    assert done.exit_code == 2
    assert "leave out --slices" in done.output


def noting(pids: list[int]) -> Callable[[processes.Processes], None]:
    """A way of closing processes that notes which there were."""
    close = processes.Processes.close

    def closing(self: processes.Processes) -> None:
        pids.extend(process._process.pid for process in self._processes)
        close(self)

    return closing


def test_there_are_no_more_processes_than_slices(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []
    monkeypatch.setattr(processes.Processes, "close", noting(pids))
    replayed("--jobs", "8", "--slices", "3")
    assert len(pids) == 3
    (project / "wire.jsonl").write_text('{"headline": "Tanker seized", "published": "2026-03-01T12:00:00Z"}', "utf-8")
    replayed("--jobs", "64")
    assert len(pids) == 4


def test_ctrl_c_ends_the_processes_and_tells_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def interrupted(stream: Iterable[Candidate], engine: Decider, order: Order | None) -> Iterator[Decided]:
        for number, one in enumerate(replay(stream, engine, order)):
            if number == 1_000:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(processes.Processes, "close", noting(pids))
    monkeypatch.setattr("streams.cli.replay_slices.decisions_of", interrupted)
    summary = json.loads(replayed("--jobs", "2", "--slices", "6", "--json", ending=130))
    assert (summary["ok"], len(pids)) == (False, 2)
    assert 0 < summary["headlines"] <= 1_000
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
