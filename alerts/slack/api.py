"""Slack's Web API: one method a call, over the same guarded way out as webhooks.

Source: https://docs.slack.dev/apis/web-api. An answer is 200 with ``ok`` and an ``error``; 429 with Retry-After where too
much was sent: about one message a second for a channel, and some dozens of other calls a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from alerts import egress
from alerts.notify.interface import Dead, Retry

#: Where the methods are.
API = "https://slack.com/api/"

#: Errors that are about the message: Slack will never take it. Any other one, such as ``not_in_channel`` or
#: ``token_revoked``, a person may mend.
_NEVER = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_metadata_format",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
    }
)


class SlackError(Exception):
    """A call was refused, or no answer came to it; ``code`` is Slack's word for it.

    ``refused`` tells that Slack did not do what was asked; else it is not known whether it did.
    """

    def __init__(self, code: str, *, refused: bool, status: int | None = None, after: float | None = None) -> None:
        self.code = code
        self.refused = refused
        self.status = status
        self.after = after
        super().__init__(code)

    def result(self) -> Retry | Dead:
        """What it means for the alert that was being sent."""
        if self.code in _NEVER:
            return Dead(f"Slack refuses it: {self.code}", self.status)
        reason = self.code if self.status is None else f"Slack answered {self.code}"
        return Retry(reason, self.after, self.status)


class SlackApi:
    """Calls methods with the token of an app. ``url`` is where they are; each call has ``timeout`` seconds."""

    def __init__(self, url: httpx.URL, token: str, transport: httpx.AsyncBaseTransport, timeout: float) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"}
        self._transport = transport
        self._timeout = timeout

    async def write(self, method: str, arguments: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Call a method that takes JSON, and give its answer.

        Raises:
            SlackError: it was refused, or no answer came.
        """
        headers = {"content-type": "application/json; charset=utf-8"}
        return await self._call(method, headers, msgspec.json.encode(arguments), now)

    async def read(self, method: str, arguments: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Call a method that takes a form, and give its answer.

        Raises:
            SlackError: as :meth:`write`.
        """
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self._call(method, headers, urlencode(arguments).encode(), now)

    async def _call(self, method: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        url = self._url.join(method)
        try:
            sent, within = {**self._headers, **headers}, self._timeout
            answer = await egress.post(self._transport, url, sent, body, within, body_within=within)
        except egress.UnreachableError as error:
            raise SlackError(str(error), refused=False) from None
        if not answer.ok:
            unsure = answer.status >= 500 or answer.status == 408
            after = egress.retry_after(answer.headers, now)
            raise SlackError(f"{answer.status}", refused=not unsure, status=answer.status, after=after)
        if not answer.complete:
            raise SlackError(f"{url.host}: the answer breaks off", refused=False)
        said = _read(answer.body)
        if said.get("ok") is True:
            return said
        code = said.get("error")
        if isinstance(code, str) and code.replace("_", "").isalnum() and code.isascii():
            status = 429 if code == "ratelimited" else answer.status
            raise SlackError(code[:80], refused=code not in _UNSURE, status=status)
        raise SlackError("something else than it should", refused=False, status=answer.status)

    async def close(self) -> None:
        await self._transport.aclose()


#: Errors after which what was asked may have been done all the same.
_UNSURE = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}
    return said if isinstance(said, dict) else {}
