"""What typer says of a value that is none, in words of ours."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from streams.cli import app


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "x", "--jobs", "0"], "'--jobs': it is 1 or more"),
        (["replay", "x", "--jobs", "two"], "'--jobs': it is a whole number"),
        (["deliveries", "list", "--outcome", "x"], "'--outcome': 'x' is not one of 'delivered', 'retry', 'dead',"),
        (["evaluate", "stories", "x", "--top", "-1"], "'--top': it is 0 or more"),
    ],
)
def test_a_value_that_is_none_is_refused_in_plain_words(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
