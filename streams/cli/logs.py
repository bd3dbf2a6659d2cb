"""Logs on standard error: lines for people on a terminal, JSON for machines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from typing import Literal

import structlog

Format = Literal["auto", "text", "json"]

#: Libraries that tell of their own work at levels that only their authors need; of what goes wrong there, the agents
#: tell, which wait and try again.
_SILENT = ("aiokafka", "httpx", "httpcore", "asyncio")
#: Libraries whose errors are told nowhere else.
_ERRORS_ONLY = ("faust", "mode")


def configure(level: str, form: Format) -> None:
    """Send structlog's and the libraries' logs to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=_in_colours(),
            # The one that comes with rich prints the values of variables, secrets among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    finishing: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        *([structlog.processors.format_exc_info] if as_json else []),
        renderer,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=finishing))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    hush(logging.DEBUG if level.upper() == "DEBUG" else None)


def _in_colours() -> bool:
    """Whether lines are for a terminal: ours, or by CLICOLOR_FORCE that of whoever passes them on; by NO_COLOR never.

    Source: https://bixense.com/clicolors/.
    """
    return not os.environ.get("NO_COLOR") and (sys.stderr.isatty() or bool(os.environ.get("CLICOLOR_FORCE")))


def hush(level: int | None = None) -> None:
    """Keep the libraries from telling of every retry, or let them speak from ``level`` on."""
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL if level is None else level)
    for name in _ERRORS_ONLY:
        logging.getLogger(name).setLevel(logging.ERROR if level is None else level)
