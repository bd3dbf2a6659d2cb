"""Any of the services that Apprise knows, from mail to Matrix: https://appriseit.com/services/.

Apprise opens its own connections, with requests, so what :mod:`alerts.egress` guards is not guarded here:
``docs/reference/channels.md`` says what. It tells no more than whether a service took a message; the HTTP status is
read from what it logs, and nothing else of that is kept, for it may quote addresses that are secrets.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import PlainValidator

from alerts import render
from alerts.notify.interface import Attempt, ChannelError, ChannelSettings, Dead, Result, Retry, Sent
from alerts.notify.thread import OneAtATime
from alerts.notify.webhook import Timeout, read_secret
from alerts.secret import Reference, reference
from streams.core.records import Alert, Severity, Status

#: Apprise has four types of message; many services show them by colour or icon.
TYPES: Mapping[Severity, str] = {
    "info": "info",
    "low": "info",
    "medium": "warning",
    "high": "warning",
    "critical": "failure",
}
_STANDINGS: Mapping[Status, str] = {"usable": "", "corrected": "CORRECTED ", "canceled": "WITHDRAWN "}

#: The most characters of a headline, of a title, and of the details below a headline.
_HEADLINE, _TITLE, _DETAILS = 600, 120, 600
#: And of a headline and its source in a digest.
_LINE, _SOURCE = 200, 60

#: What has a meaning in Markdown (CommonMark 0.31, 2.4), and the "@" by which services call people together.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&])")
_MENTION = re.compile(r"(@(?=\w)|<(?=[@!#]))")
_STATUS = re.compile(r"error=(\d{3})\b")


class AppriseSettings(ChannelSettings):
    """A service of Apprise's, by its URL, which holds tokens and passwords and is a secret."""

    sensitive: ClassVar[frozenset[str]] = frozenset({"url"})

    type: Literal["apprise"]
    url: Annotated[Reference, PlainValidator(reference)]
    timeout: Timeout = timedelta(seconds=30)

    def open(self, environ: Mapping[str, str], folder: Path) -> AppriseNotifier:
        url = read_secret(self.url, environ, folder, "url")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what Apprise's modules import
            service = _service(url)
        if service is None:
            raise ChannelError(
                f"`url`: {self.url} does not hold a URL that Apprise understands",
                "such as mailto://user:password@example.com; https://appriseit.com/services/ has all",
            )
        return AppriseNotifier(service, self.timeout.total_seconds())


def _service(url: str) -> Any:
    """Apprise's plugin for a URL; None where it understands none."""
    try:
        import apprise  # noqa: PLC0415 - it comes with an extra
    except ImportError:
        raise ChannelError(
            "`type: apprise` needs Apprise, which is not installed", "pip install 'wirewatch[apprise]'"
        ) from None
    _quieten()
    return apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(async_mode=False, secure_logging=True))


class AppriseNotifier:
    """Sends alerts through one service, in a thread, one at a time."""

    concurrency = 1

    def __init__(self, service: Any, timeout: float) -> None:
        import apprise  # noqa: PLC0415 - it comes with an extra

        self.timeout = timeout
        self._service = service
        self._apprise = apprise.Apprise(asset=service.asset)
        self._apprise.add(service)
        self._markdown = service.notify_format == apprise.NotifyFormat.MARKDOWN
        self._room = max(int(service.body_maxlen) - 50, 100)
        self._thread = OneAtATime("apprise")
        #: As many alerts as a message has room for, a line each.
        self.batch = min(max(self._room // (_LINE + _SOURCE), 1), 20)

    def __repr__(self) -> str:
        return f"AppriseNotifier({self._name})"

    @property
    def _name(self) -> str:
        return str(self._service.service_name)

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Send the alert. A thread cannot be stopped: what is not through in time may arrive all the same."""
        title, body = message(alert, self._room, markdown=self._markdown)
        return await self._tell(title, body, TYPES[alert.rule.severity])

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        """Send one digest, of the type of its worst alert."""
        title, body = digest(alerts, self._room, markdown=self._markdown)
        return await self._tell(title, body, TYPES[_worst(alerts)])

    async def _tell(self, title: str, body: str, kind: str) -> Result:
        if self._thread.busy:
            return Retry(f"{self._name}: an attempt of before has not ended yet")
        try:
            async with asyncio.timeout(self.timeout):
                taken, status = await self._thread.do(lambda: self._notify(title, body, kind))
        except TimeoutError:
            return Retry(f"no answer from {self._name} within {self.timeout:g} s")
        if taken:
            return Sent(status)
        reason = f"{self._name} " + (f"answered {status}" if status else "did not take it")
        return Dead(reason, status) if status == 410 else Retry(reason, None, status)

    def _notify(self, title: str, body: str, kind: str) -> tuple[bool, int | None]:
        body_format = "markdown" if self._markdown else "text"
        taken = bool(self._apprise.notify(body=body, title=title, notify_type=kind, body_format=body_format))
        status = _statuses.take()
        return taken, None if taken else status

    async def probe(self) -> str:
        """Apprise can look at no service without sending."""
        return f"{self._name} is configured; `wirewatch channels test` tries it"

    async def close(self) -> None:
        """Each message has a connection of its own."""


def message(alert: Alert, room: int, *, markdown: bool) -> tuple[str, str]:
    """Title and body of an alert, of which the body has at most ``room`` characters.

    In neither is anything of the alert read as Markdown, or calls anybody. What a service takes as HTML, Apprise escapes.
    """
    show: Callable[[str], str] = _escaped if markdown else _unmentioning
    headline, rule = alert.headline.headline, alert.rule
    standing = _STANDINGS[headline.status] or ("UPDATE " if alert.headline.kind == "update" else "")
    title = show(render.cut(render.one_line(f"{rule.severity.upper()} {standing}{rule.title}"), _TITLE))
    details = render.line_parts(alert)[1].strip(" ·")
    for headline_limit, details_limit in ((_HEADLINE, _DETAILS), (300, 200), (200, 0), (60, 0), (30, 0)):
        text = show(render.cut(render.one_line(headline.headline), headline_limit)) or "(no words)"
        more = show(render.cut(details, details_limit))
        body = f"{text}\n\n{more}" if more else text
        if len(title) + len(body) <= room:
            break
    return title, body


def digest(alerts: Sequence[Alert], room: int, *, markdown: bool) -> tuple[str, str]:
    """Title and body of several alerts, a line each; of the body at most ``room`` characters, with how many are left out."""
    show: Callable[[str], str] = _escaped if markdown else _unmentioning
    rules = ", ".join(dict.fromkeys(alert.rule.title for alert in alerts))
    title = show(render.cut(render.one_line(f"{_worst(alerts).upper()} {len(alerts)} alerts: {rules}"), _TITLE))
    left = room - len(title) - len("\nand 100 more")
    lines: list[str] = []
    for alert in alerts:
        text = render.cut(render.one_line(alert.headline.headline.headline), _LINE) or "(no words)"
        line = show(f"{text} ({render.cut(alert.headline.headline.source, _SOURCE)})")
        if len(line) + 1 > left:
            break
        left -= len(line) + 1
        lines.append(line)
    more = len(alerts) - len(lines)
    return title, "\n".join([*lines, *([f"and {more} more"] if more else [])])


def _worst(alerts: Sequence[Alert]) -> Severity:
    return max((alert.rule.severity for alert in alerts), key=list(TYPES).index)


def _unmentioning(text: str) -> str:
    """With nothing in it that calls people: a space of no width comes between the sign and the name."""
    return _MENTION.sub("\\1\u200b", text)


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _unmentioning(text))


class _Statuses(logging.Filter):
    """Takes note of the HTTP statuses that Apprise logs, by thread, and lets nothing of it into the log.

    What Apprise says may quote URLs, and in them tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        found = _STATUS.search(record.getMessage())
        if found:
            self._last[threading.get_ident()] = int(found[1])
        return False

    def take(self) -> int | None:
        """The last status of this thread, once."""
        return self._last.pop(threading.get_ident(), None)


_statuses = _Statuses()


def _quieten() -> None:
    """Keep out of the log what Apprise and its HTTP client say."""
    logging.getLogger("apprise").addFilter(_statuses)  # is there once, however often it is added
    logging.getLogger("urllib3").setLevel(logging.ERROR)
