"""What README and the pages of the reference tell a newcomer to type: it exists, and leads where they say."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from alerts.channels import read_channels
from alerts.rulefile import load_rules
from connectors.embedded.jars import read_lock
from streams.cli import app
from streams.cli.plan import load_taxonomy
from streams.core.document import parse
from tests.acceptance.conftest import Run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in a page, their indentation taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indentation}", "", block, flags=re.MULTILINE) for indentation, block in found]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every use of ``wirewatch`` in a block of shell, as words after it."""
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                for place, word in enumerate(words):
                    if Path(word).name == "wirewatch":
                        yield str(page.relative_to(ROOT)), words[place + 1 :]


@pytest.mark.parametrize(("page", "words"), list(command_lines()))
def test_every_command_that_is_shown_can_be_typed(page: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if word not in ("&&", "|")]
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{page} shows `wirewatch {' '.join(words)}`"
        command = command.commands[rest.pop(0)]
    command.make_context(words[0], rest)  # raises what click makes of a wrong option or argument


def test_every_target_of_make_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {
        target
        for page in PAGES
        for block in [*blocks(page.read_text(encoding="utf-8"), "sh"), *re.findall(r"`make [^`]+`", README)]
        for target in re.findall(r"\bmake ([a-z-]+)", block)
    }
    assert {"demo", "test"} <= shown <= targets


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [f"{name}#{at}" for name, at in links if at not in anchors(page.parent / name if name else page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_examples_of_rules_and_channels_are_in_order(tmp_path: Path) -> None:
    channels: set[str] = set()
    rules = tmp_path / "rules.yaml"
    for block in blocks(README, "yaml"):
        if "channels" in parse(block, "README.md").data:
            channels |= read_channels(block, "README.md").keys()
        else:
            rules.write_text(block, encoding="utf-8")
    topics = {topic.name for topic in load_taxonomy([]).topics}
    assert len(load_rules([rules], channels=channels, topics=topics).rules) == 1


def test_your_own_desk_up_to_the_services(wirewatch: Run, tmp_path: Path) -> None:
    """The lines of "Your own desk" up to `up`, typed as they stand, in an empty folder."""
    desk = README.partition("## Your own desk")[2]
    lines = [shlex.split(line, comments=True) for line in blocks(desk, "sh")[0].splitlines()]
    assert [words[1:] if "wirewatch" in words[0] else words for words in lines] == [
        ["init", "desk"],
        ["cd", "desk"],
        ["rules", "check"],
        ["rules", "test"],
        ["up"],
    ]
    assert wirewatch(*lines[0][1:]).returncode == 0
    for item in (tmp_path / "desk").iterdir():
        shutil.move(item, tmp_path)
    checked = wirewatch(*lines[2][1:])
    assert checked.returncode == 0, checked.stderr
    assert "rules in order" in checked.stdout
    assert wirewatch(*lines[3][1:]).returncode == 0


def test_the_download_is_as_large_as_it_is_said_when_it_begins() -> None:
    megabytes = round(sum(jar.size for jar in read_lock().jars) / 1e6)
    assert f"fetches Apache Kafka ({megabytes} MB)" in README
