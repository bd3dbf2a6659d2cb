"""`wirewatch evaluate stories`, as a person and a program meet it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run

ROWS = [
    ("At least 24 killed in Orvana mine [blast]", "2026-03-01T12:00:00Z", "a.example"),
    ("Norda to close Lissom plant", "2026-03-01T13:00:00Z", "b.example"),
    ("Orvana mine blast kills at least 46", "2026-03-01T14:30:00Z", "b.example"),
    ("NORDA TO CLOSE LISSOM PLANT", "2026-03-01T15:00:00Z", "a.example"),
    ("46 killed in Orvana mine blast", "2026-03-02T13:00:00Z", "c.example"),
]


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    file = tmp_path / "stream.jsonl"
    rows = [{"headline": text, "published": published, "source": source} for text, published, source in ROWS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_fate_of_a_stream_is_told_to_a_person(wirewatch: Run, stream: Path) -> None:
    shown = wirewatch("evaluate", "stories", stream.name, "--unsure", "1")
    assert shown.returncode == 0, shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert lines[0] == "5 headlines, 2026-03-01 12:00 to 2026-03-02 13:00 UTC"
    assert "first 2 40.0%" in lines
    assert "update 1 20.0%" in lines
    assert "duplicate 2 40.0%" in lines
    assert "exact repeats 1 20.0%" in lines
    assert "1 1 3 1d 1h At least 24 killed in Orvana mine [blast]" in lines
    assert "1 1 100.0% c.example" in lines
    place = lines.index("decisions, evenly spread")
    assert lines[place + 1].startswith("update after 2h 30m (duplicate ")
    assert lines[place + 1].endswith(" the figures differ: 46 dead, was 24 dead")
    assert lines[place + 2 : place + 4] == [f"{ROWS[2][0]} b.example", f"{ROWS[0][0]} a.example"]
    assert "decisions, least sure first" in lines


def test_what_is_listed_can_be_said(wirewatch: Run, stream: Path) -> None:
    shown = wirewatch("evaluate", "stories", stream.name, "--sample", "0", "--top", "0").stdout
    assert "decisions" not in shown
    assert "stories" not in shown
    assert "by source" not in shown


def test_the_same_is_there_for_programs(wirewatch: Run, stream: Path) -> None:
    shown = wirewatch("evaluate", "stories", stream.name, "--json", "--unsure", "5")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["headlines"], found["read"], found["interrupted"], found["unreadable"]) == (5, 5, False, [])
    assert found["duplicate"] == {"count": 2, "share": 0.4}
    assert found["exact_repeats"] == 1
    assert [(story["updates"], story["duplicates"]) for story in found["stories"]] == [(1, 1), (0, 1)]
    assert found["sources"][0] == {"source": "a.example", "headlines": 2, "dropped": 1, "share": 0.5}
    assert len(found["sample"]) == len(found["unsure"]) == 2


@pytest.mark.parametrize("way", ["compressed", "standard input", "said"])
def test_every_form_that_ingest_reads_is_read(wirewatch: Run, stream: Path, tmp_path: Path, way: str) -> None:
    if way == "compressed":
        (tmp_path / "s.gz").write_bytes(gzip.compress(stream.read_bytes()))
        shown = wirewatch("evaluate", "stories", "s.gz", "--json")
    elif way == "standard input":
        shown = wirewatch("evaluate", "stories", "-", "--json", given=stream.read_text())
    else:
        (tmp_path / "s.txt").write_text("Port shut\n")
        shown = wirewatch("evaluate", "stories", "s.txt", "--as", "lines", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["headlines"] == (1 if way == "said" else 5)


def test_the_settings_decide(wirewatch: Run, stream: Path, tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text("dedupe: {window: 1h}\n")
    found = json.loads(wirewatch("evaluate", "stories", stream.name, "--json").stdout)
    assert found["first"]["count"] == 5


def test_what_cannot_be_read_is_told_and_the_rest_is_decided(wirewatch: Run, stream: Path) -> None:
    stream.write_text(stream.read_text() + '{"headline": 7}\nnonsense\n')
    shown = wirewatch("evaluate", "stories", stream.name)
    assert shown.returncode == 1
    assert shown.stdout.startswith("5 headlines")
    assert f"{stream.name}:6: " in shown.stderr
    assert f"{stream.name}:7: " in shown.stderr


@pytest.mark.parametrize(
    ("content", "arguments", "code", "told"),
    [
        (None, [], 3, "s.jsonl: cannot be read: No such file or directory"),
        (b"", [], 3, "s.jsonl:"),
        (b"\n\n", ["--as", "jsonl"], 3, "s.jsonl:"),
        (b'{"headline": 7}\n', [], 3, "s.jsonl:1:1: "),
        (b"<html><body><p>Port shut</p></body></html>", [], 3, "say what it is: --as jsonl or"),
        (gzip.compress(b'{"headline": "x"}\n' * 999, mtime=0)[:-9], [], 3, "the compressed data are damaged"),
        (b"{}", ["--as", "xml"], 2, "--as is one of jsonl"),
        (b"{}", ["--sample", "-1"], 2, "--sample"),
    ],
)
def test_what_cannot_be_decided_is_told_plainly(
    wirewatch: Run, tmp_path: Path, content: bytes | None, arguments: list[str], code: int, told: str
) -> None:
    if content is not None:
        (tmp_path / "s.jsonl").write_bytes(content)
    refused = wirewatch("evaluate", "stories", "s.jsonl", *arguments)
    assert refused.returncode == code, refused.stderr
    assert told in " ".join(refused.stderr.replace("│", " ").split())
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_an_interrupt_it_tells_how_far_it_came(tmp_path: Path, number: int, code: int) -> None:
    words = [f"{a}{b}" for a in ("tar", "les", "orv", "sel") for b in ("ana", "by", "som", "ness", "wick")]
    with (tmp_path / "s.jsonl").open("w") as file:
        for n in range(60_000):
            text = f"{words[n % 20]} {words[n // 20 % 20]} {words[n // 400 % 20]} ferry {n}"
            file.write(json.dumps({"headline": text, "published": 1_770_000_000 + n, "source": "a.example"}) + "\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIREWATCH_")}
    # As the command, but it says when it has begun to decide.
    program = (
        "import sys, streams.backtest.stories as stories\n"
        "from streams.cli import app\n"
        "class Told(stories.Decision, frozen=True, gc=False):\n"
        "    def __post_init__(self):\n"
        "        if self.entry.seq == 100: print('deciding', file=sys.stderr, flush=True)\n"
        "stories.Decision = Told\n"
        "app(['evaluate', 'stories', 's.jsonl', '--json', '--sample', '0', '--top', '0'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "deciding\n"
    process.send_signal(number)
    shown, told = process.communicate(timeout=60)
    assert process.returncode == code
    found = json.loads(shown)
    assert found["interrupted"] is True
    assert 0 < found["headlines"] < found["read"] == 60_000
    assert "interrupted" in told
