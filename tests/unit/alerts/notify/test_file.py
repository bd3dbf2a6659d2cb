from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.notify.file import FileNotifier, FileSettings
from alerts.notify.interface import Attempt, ChannelError, Retry, Sent
from streams.core.records import Alert

ATTEMPT = Attempt(1, datetime(2025, 3, 3, 12, tzinfo=UTC))


def opened(path: Path) -> FileNotifier:
    return FileSettings.model_validate({"type": "file", "path": str(path)}).open({}, Path())


def ids(path: Path) -> list[str]:
    return [json.loads(line)["data"]["alert_id"] for line in path.read_text().splitlines()]


async def test_each_alert_is_a_line_appended(tmp_path: Path, make_alert: Callable[..., Alert]) -> None:
    path = tmp_path / "alerts.jsonl"
    for name in ("a", "b"):
        notifier = opened(path)
        assert await notifier.send(make_alert("Line\nbreak", matched=(), alert_id=name), ATTEMPT) == Sent()
        await notifier.close()
    assert ids(path) == ["a", "b"]


async def test_a_line_left_unfinished_does_not_spoil_the_next(tmp_path: Path, make_alert: Callable[..., Alert]) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"type":"al')
    await opened(path).send(make_alert(), ATTEMPT)
    first, second = path.read_text().splitlines()
    assert first == '{"type":"al'
    assert json.loads(second)["data"]["alert_id"] == "al_1"


async def test_the_file_may_be_moved_away(tmp_path: Path, make_alert: Callable[..., Alert]) -> None:
    path = tmp_path / "alerts.jsonl"
    notifier = opened(path)
    await notifier.send(make_alert(alert_id="a"), ATTEMPT)
    path.rename(tmp_path / "alerts.1")
    await notifier.send(make_alert(alert_id="b"), ATTEMPT)
    assert ids(path) == ["b"]


async def test_a_file_that_became_unwritable_is_tried_again(tmp_path: Path, make_alert: Callable[..., Alert]) -> None:
    path = tmp_path / "alerts.jsonl"
    notifier = opened(path)
    path.unlink()
    path.mkdir()
    assert await notifier.send(make_alert(), ATTEMPT) == Retry(f"{path}: Is a directory")


def test_a_folder_that_does_not_exist_is_said_when_the_channel_opens(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="cannot be written: No such file"):
        opened(tmp_path / "nowhere" / "alerts.jsonl")
