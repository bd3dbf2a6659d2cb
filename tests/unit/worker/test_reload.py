from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.core.document import Problem, RefusedError
from streams.worker.reload import Current, Watch, stamp


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


def watched(file: Path, *paths: Path) -> tuple[Current[str], Watch[str]]:
    def build() -> str:
        text = file.read_text()
        if "broken" in text:
            raise RefusedError([Problem(str(file), 3, 7, "unknown key `titel`", "did you mean `title`?")])
        return text

    read_at = stamp(paths or [file])
    current = Current(file.read_text())
    watch = Watch("taxonomy", paths or [file], build, current, read_at=read_at, revision=lambda text: text.upper())
    watch.patience = 0.2
    return current, watch


async def test_what_changed_is_in_force_once_it_has_stayed_as_it_is(file: Path) -> None:
    current, watch = watched(file)
    write(file, "one and half of two")
    await watch.look()
    assert current.value == "one"
    write(file, "two, written to its end")
    await watch.look()
    assert current.value == "one"
    with capture_logs() as logs:
        await watch.look()
    assert current.value == "two, written to its end"
    # At a level that `wirewatch up` shows.
    assert [(entry["event"], entry["log_level"], entry["revision"]) for entry in logs] == [
        ("what changed is in force", "warning", "TWO, WRITTEN TO ITS END")
    ]


async def test_what_is_broken_is_told_once_with_its_place_and_what_was_before_stays(file: Path) -> None:
    current, watch = watched(file)
    write(file, "broken now")
    with capture_logs() as logs:
        for _ in range(4):
            await watch.look()
    assert current.value == "one"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("refused", "error"),
        ("what changed is refused, what was before stays in force", "error"),
    ]
    assert logs[0]["place"] == f"{file}:3:7"
    assert (logs[0]["problem"], logs[0]["hint"]) == ("unknown key `titel`", "did you mean `title`?")
    assert logs[1]["revision"] == "ONE"


async def test_what_was_mended_is_in_force(file: Path) -> None:
    current, watch = watched(file)
    write(file, "broken now")
    for _ in range(2):
        await watch.look()
    write(file, "mended")
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look()
    assert current.value == "mended"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("what changed is in force", "warning")]


async def test_a_change_of_the_same_length_counts(file: Path) -> None:
    current, watch = watched(file)
    write(file, "two")
    os.utime(file, ns=(1, 1))
    for _ in range(2):
        await watch.look()
    assert current.value == "two"


async def test_in_a_folder_new_files_and_gone_ones_count(file: Path) -> None:
    built: list[int] = []
    folder = file.parent
    current = Current(1)

    def build() -> int:
        built.append(len(list(folder.rglob("*.yaml"))))
        return built[-1]

    watch = Watch("rules", [folder], build, current, read_at=stamp([folder]))
    (folder / "deeper").mkdir()
    (folder / "deeper" / "b.yaml").write_text("")
    (folder / "notes.txt").write_text("none of the watch's business")
    for _ in range(3):
        await watch.look()
    remove(file)
    for _ in range(3):
        await watch.look()
    assert built == [2, 1]


async def test_nothing_is_built_while_nothing_changes(file: Path) -> None:
    current, watch = watched(file)
    with capture_logs() as logs:
        for _ in range(3):
            await watch.look()
    assert (current.value, logs) == ("one", [])


async def test_a_change_after_the_files_were_stamped_and_before_they_were_watched_counts(file: Path) -> None:
    read_at = stamp([file])
    current = Current("one")
    write(file, "two, saved while one was compiled")
    watch = Watch("taxonomy", [file], file.read_text, current, read_at=read_at)
    for _ in range(2):
        await watch.look()
    assert current.value == "two, saved while one was compiled"


async def test_a_folder_that_goes_while_it_is_looked_at_is_looked_at_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, watch = watched(file, file.parent)
    deeper = file.parent / "deeper"
    deeper.mkdir()
    scan = os.scandir

    def gone(path: str) -> object:
        if path == str(deeper):
            raise FileNotFoundError(path)
        return scan(path)

    def unreachable(_: Path) -> bool:
        raise OSError("stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", gone)
        await watch.look()
        patch.setattr(Path, "is_dir", unreachable)
        with capture_logs() as logs:
            for _ in range(3):
                await watch.look()
    assert [entry["event"] for entry in logs] == ["the files cannot be looked at, trying again"]
    write(file, "two, saved meanwhile")
    for _ in range(2):
        await watch.look()
    assert current.value == "two, saved meanwhile"


async def test_a_read_that_hangs_is_told_and_given_up_once_the_files_change(file: Path) -> None:
    answers, hung = threading.Event(), threading.Event()
    current = Current("one")

    def build() -> str:
        text = file.read_text()
        if "hangs" in text:
            hung.set()
            answers.wait(10)
        return text

    watch = Watch("taxonomy", [file], build, current, read_at=stamp([file]))
    watch.patience = 0.05
    write(file, "hangs")
    with capture_logs() as logs:
        for _ in range(4):
            await watch.look()
    assert hung.is_set()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("reading the files takes too long, what was before stays in force until they can be read", "error")
    ]
    assert current.value == "one"
    write(file, "two, which can be read")
    for _ in range(2):
        await watch.look()
    answers.set()
    await asyncio.sleep(0.05)
    await watch.look()
    assert current.value == "two, which can be read"


async def test_what_was_read_late_is_in_force(file: Path) -> None:
    answers = threading.Event()
    current = Current("one")

    def build() -> str:
        answers.wait(10)
        return file.read_text()

    watch = Watch("taxonomy", [file], build, current, read_at=stamp([file]))
    watch.patience = 0.05
    write(file, "two, from a slow drive")
    for _ in range(3):
        await watch.look()
    assert current.value == "one"
    answers.set()
    await asyncio.sleep(0.05)
    await watch.look()
    assert current.value == "two, from a slow drive"


async def test_a_look_that_hangs_is_told_once_and_no_second_is_begun(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, watch = watched(file)
    answers = threading.Event()
    asked: list[Path] = []

    def slow(path: Path) -> bool:
        asked.append(path)
        answers.wait(10)
        return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir is what hangs here

    monkeypatch.setattr(Path, "is_dir", slow)
    with capture_logs() as logs:
        for _ in range(3):
            await watch.look()
    assert (len(asked), len(logs)) == (1, 1)
    write(file, "two, after all")
    answers.set()
    await asyncio.sleep(0.05)
    for _ in range(3):
        await watch.look()
    assert current.value == "two, after all"


async def test_what_hangs_does_not_keep_the_worker_from_ending(file: Path) -> None:
    answers = threading.Event()
    hung: asyncio.Future[threading.Thread] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def build() -> bool:
        loop.call_soon_threadsafe(hung.set_result, threading.current_thread())
        return answers.wait(10)

    watch = Watch("taxonomy", [file], build, Current(value=False), read_at=(), every=0.01)
    running = asyncio.create_task(watch.run())
    try:
        assert (await asyncio.wait_for(hung, 5)).daemon
    finally:
        running.cancel()
        answers.set()
