"""What comes of clicks: a mute is a silence, an opinion a record, and whoever clicked is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import httpx
import msgspec
import structlog
from redis.exceptions import RedisError

from alerts import egress
from alerts.silence import Silence, SilenceError, SilenceStore
from alerts.slack.click import Clicked, ClickError, feedback, read_click, sender, silence
from alerts.slack.message import MUTE_STORY, escape
from streams.core.records import Feedback

log = structlog.get_logger(__name__)

#: Slack takes a click for failed after three seconds, seconds.
PATIENCE = 2.5
_ANSWER_WITHIN = 10.0
#: Connections on which the answers of one channel go.
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Buttons:
    """The buttons below the messages of a channel, and how whoever clicks is answered.

    ``secret`` is Slack's signing secret. Answers go to addresses that ``allow_private`` allows, by ``tls`` or, without it,
    by the authorities that browsers trust: as the channel's messages do, and no other's.
    """

    secret: str = field(repr=False)
    allow_private: egress.Allowed = False
    tls: ssl.SSLContext | None = None


class Clicks:
    """Takes what Slack tells of clicks in some channels, whose ``buttons`` have their names.

    ``publish`` puts feedback on its topic, and raises an OSError, a TimeoutError or one of ``failures`` where it cannot.
    """

    def __init__(
        self,
        buttons: Mapping[str, Buttons],
        silences: SilenceStore,
        publish: Callable[[Feedback], Awaitable[None]],
        *,
        clock: Callable[[], datetime],
        failures: tuple[type[Exception], ...] = (),
    ) -> None:
        self._buttons = buttons
        self._secrets = {name: of.secret for name, of in buttons.items()}
        self._silences = silences
        self._publish = publish
        self._clock = clock
        self._transports: dict[str, httpx.AsyncBaseTransport] = {}
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError, *failures)
        self._answers: set[asyncio.Task[None]] = set()

    async def take(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """The answer to a request: what it asks for is done, or Slack shows whoever clicked that it is not.

        Names of ``headers`` are in lower case.
        """
        now = self._clock()
        try:
            channels = sender(self._secrets, headers, body, now)
        except ClickError as error:
            log.warning("a click is refused", reason=str(error))
            return HTTPStatus.UNAUTHORIZED
        try:
            clicked = read_click(body, channels)
            made, said = silence(clicked, now), feedback(clicked)
        except (ClickError, SilenceError) as error:
            log.warning("a click is refused", reason=str(error))
            return HTTPStatus.BAD_REQUEST
        try:
            async with asyncio.timeout(PATIENCE):
                if made is not None:
                    await self._silences.add(made)
                if said is not None:
                    await self._publish(said)
        except self._failures as error:
            log.error("a click cannot be noted", button=clicked.button, error=type(error).__name__)  # noqa: TRY400
            return HTTPStatus.SERVICE_UNAVAILABLE
        log.info("click", button=clicked.button, channel=clicked.about.channel, rule=clicked.about.rule, by=clicked.by)
        self._answer_later(clicked, made)
        return HTTPStatus.OK

    def _answer_later(self, clicked: Clicked, made: Silence | None) -> None:
        task = asyncio.create_task(self._answer(clicked.about.channel, clicked.response_url, answer(clicked, made)))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, channel: str, url: str, text: str) -> None:
        """Tell whoever clicked in ``channel``, and nobody else. What was asked for is done, whatever comes of this."""
        body = msgspec.json.encode({"response_type": "ephemeral", "replace_original": False, "text": text})
        try:
            to = egress.check_url(url, allow_private=self._buttons[channel].allow_private)
            await egress.post(self._transport(channel), to, {"content-type": "application/json"}, body, _ANSWER_WITHIN)
        except (ValueError, egress.UnreachableError) as error:
            log.info("whoever clicked is not told", error=str(error))

    def _transport(self, channel: str) -> httpx.AsyncBaseTransport:
        """The way out of a channel, which is opened when it is first needed."""
        if channel not in self._transports:
            of = self._buttons[channel]
            self._transports[channel] = egress.open_transport(
                allow_private=of.allow_private, connections=_CONNECTIONS, tls=of.tls
            )
        return self._transports[channel]

    async def close(self) -> None:
        """Wait for the answers that are on their way."""
        await asyncio.gather(*self._answers)
        for transport in self._transports.values():
            await transport.aclose()


def answer(clicked: Clicked, made: Silence | None) -> str:
    """What whoever clicked is told."""
    if made is None:
        return "Noted, thank you."
    what = "This story" if clicked.button == MUTE_STORY else f"The rule {escape(clicked.about.rule)}"
    back = f"`wirewatch silence expire {made.id}` takes it back."
    return f"{what} is muted in this channel until {made.ends:%Y-%m-%d %H:%M} UTC. {back}"
