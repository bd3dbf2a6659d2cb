from __future__ import annotations

import signal

import pytest

from streams.cli.up import stopping_on_ctrl_c


def test_ctrl_c_ends_it_even_where_the_shell_has_it_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `wirewatch up &` in a script gets it
    went_on = False
    try:
        with stopping_on_ctrl_c():
            signal.raise_signal(signal.SIGINT)
            went_on = True
        assert not went_on
        assert "stopped" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
