"""What comes of clicks: a mute is a silence, an opinion a record, and whoever clicked is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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


class Clicks:
    """Takes what Slack tells of clicks.

    ``secrets`` are the signing secrets by channel. ``publish`` puts feedback on its topic, and raises an OSError, a
    TimeoutError or one of ``failures`` where it cannot. ``transport`` is the way on which answers go, to addresses that
    ``allow_private`` allows.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        silences: SilenceStore,
        publish: Callable[[Feedback], Awaitable[None]],
        *,
        clock: Callable[[], datetime],
        transport: httpx.AsyncBaseTransport,
        allow_private: egress.Allowed = False,
        failures: tuple[type[Exception], ...] = (),
    ) -> None:
        self._secrets = secrets
        self._silences = silences
        self._publish = publish
        self._clock = clock
        self._transport = transport
        self._allow_private = allow_private
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
        task = asyncio.create_task(self._answer(clicked.response_url, answer(clicked, made)))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, url: str, text: str) -> None:
        """Tell whoever clicked, and nobody else. What was asked for is done, whatever comes of this."""
        body = msgspec.json.encode({"response_type": "ephemeral", "replace_original": False, "text": text})
        try:
            to = egress.check_url(url, allow_private=self._allow_private)
            await egress.post(self._transport, to, {"content-type": "application/json"}, body, _ANSWER_WITHIN)
        except (ValueError, egress.UnreachableError) as error:
            log.info("whoever clicked is not told", error=str(error))

    async def close(self) -> None:
        """Wait for the answers that are on their way."""
        await asyncio.gather(*self._answers)
        await self._transport.aclose()


def answer(clicked: Clicked, made: Silence | None) -> str:
    """What whoever clicked is told."""
    if made is None:
        return "Noted, thank you."
    what = "This story" if clicked.button == MUTE_STORY else f"The rule {escape(clicked.about.rule)}"
    back = f"`wirewatch silence expire {made.id}` takes it back."
    return f"{what} is muted in this channel until {made.ends:%Y-%m-%d %H:%M} UTC. {back}"
