from __future__ import annotations

import io
import os
import threading
import time

import pytest

from connectors.standard_input import LetGoError, StandardInput


def test_bytes_are_there_as_they_come_until_the_end() -> None:
    reading, writing = os.pipe()
    data = io.BufferedReader(StandardInput(reading))
    os.write(writing, b"Port reopens\nMayor")
    assert data.readline() == b"Port reopens\n"
    os.close(writing)
    assert data.readline() == b"Mayor"
    assert data.readline() == b""
    os.close(reading)


def test_who_waits_is_woken_and_what_had_come_can_still_be_read() -> None:
    reading, writing = os.pipe()
    raw = StandardInput(reading)
    data = io.BufferedReader(raw)
    os.write(writing, b"Port reopens\nMayor opens lock\nhalf a li")
    assert data.readline() == b"Port reopens\n"
    threading.Timer(0.1, raw.let_go).start()
    assert data.readline() == b"Mayor opens lock\n"
    begun = time.monotonic()
    with pytest.raises(LetGoError):
        data.readline()
    assert time.monotonic() - begun < 5
    os.close(reading)
    os.close(writing)
