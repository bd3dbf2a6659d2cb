"""What the log says, and what it keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAIL = """
import logging, sys
import structlog
from streams.cli import logs

logs.configure("info", sys.argv[1])
logging.getLogger("faust.agents").warning("a rebalance")
logging.getLogger("mode.services").error("an agent died")
logging.getLogger("aiokafka").error("a broker is away")
log = structlog.get_logger()
token = "".join(["whsec_", "c2VjcmV0"])
try:
    raise ValueError("a fault of ours")
except ValueError as error:
    log.critical("failed", exc_info=error)
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_fault_is_told_with_its_traceback_and_without_the_values_of_variables(form: str) -> None:
    said = subprocess.run([sys.executable, "-c", FAIL, form], capture_output=True, text=True, check=True).stderr
    assert "Traceback" in said
    assert "a fault of ours" in said
    assert "whsec_c2VjcmV0" not in said


def test_faust_tells_of_errors_only_and_its_client_of_nothing() -> None:
    said = subprocess.run([sys.executable, "-c", FAIL, "json"], capture_output=True, text=True, check=True).stderr
    assert "an agent died" in said
    assert "a rebalance" not in said
    assert "a broker is away" not in said


def said(form: str, **environ: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CLICOLOR_FORCE")}
    command = [sys.executable, "-c", FAIL, form]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**clean, **environ}).stderr


def test_text_has_colours_for_terminals_only() -> None:
    assert "\x1b" not in said("text"), "what goes to a file or a pipe"
    assert "\x1b" in said("text", CLICOLOR_FORCE="1"), "what `up` passes on to its terminal"
    assert "\x1b" not in said("text", CLICOLOR_FORCE="1", NO_COLOR="1")
