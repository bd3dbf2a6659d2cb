"""A Slack app that posts with its token: one message a story, which later alerts edit and reply to.

Slack knows no keys by which it would recognise a message that is posted again. So what is about to be posted is remembered
first, and where no answer came to a post, the channel is looked through for it by its metadata before it is posted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from msgspec.structs import replace

from alerts.notify.interface import Attempt, ChannelError, Result, Retry, Sent, message_id
from alerts.slack.api import SlackApi, SlackError
from alerts.slack.card import Card, card_of
from alerts.slack.message import EVENT, card_message, digest_message, reply_message
from alerts.slack.stories import MemoryStories, Stories, StoriesError, Told
from streams.core.records import Alert

#: Slack takes about one message a second for a channel.
PACE = 1.0
#: How often a story that another worker tells of is asked for, seconds.
_ASK_AGAIN = 0.1
#: How much earlier than its attempt a message may seem to be posted, for no two clocks agree.
_SKEW = timedelta(minutes=10)
#: So many replies are remembered of which it is not known whether they were posted.
_REPLYING = 20
_NO_STORIES = "Redis does not tell which message the story has"
#: The message is there, and Slack lets nobody change it (any more).
_UNCHANGEABLE = frozenset({"edit_window_closed", "cant_update_message"})


@runtime_checkable
class TellsStories(Protocol):
    """A notifier that remembers which message a story has; until it is told where, in this process alone."""

    def remember_in(self, stories: Stories) -> None: ...


class SlackBotNotifier:
    """Posts alerts to one channel of Slack, by its name or id, one message a story.

    ``timeout`` are the seconds for all calls of an alert, ``pace`` those between two posts. With ``buttons``, whoever reads a
    message can say what they think of it, and mute it.
    """

    concurrency = 1
    #: News of as many stories, a second apart, are told within a lease.
    batch = 10

    def __init__(self, api: SlackApi, place: str, *, timeout: float, pace: float = PACE, buttons: bool = False) -> None:
        self.timeout = timeout
        self._buttons = buttons
        self._api = api
        self._place = place
        #: Looking at a channel and changing a message take its id, which Slack tells with the first post to a name.
        self._id: str | None = None if place.startswith("#") else place
        self._pace = pace
        self._next_post = 0.0
        self._stories: Stories = MemoryStories()

    def remember_in(self, stories: Stories) -> None:
        """Remember in ``stories``, from now on, which message a story has."""
        self._stories = stories

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Post the story of the alert, or change its message and reply to it. Sent again, it says nothing twice."""
        return await self._tried(self._tell(alert, attempt))

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        """News of stories that have a message goes there, and what is new, of several stories, is one digest."""
        new: list[Alert] = []
        for alert in alerts:
            try:
                has_message = await self.load(alert) is not None
            except StoriesError:
                return Retry(_NO_STORIES)
            if not has_message:
                new.append(alert)
            elif not isinstance(result := await self.send(alert, attempt), Sent):
                return result
        if len({alert.headline.story_id for alert in new}) > 1:
            return await self._tried(self._digest(new, attempt))
        for alert in new:
            if not isinstance(result := await self.send(alert, attempt), Sent):
                return result
        return Sent(200)

    async def _tell(self, alert: Alert, attempt: Attempt) -> None:
        async with self._held(alert) as word:
            await _Telling(self, alert, word, attempt.at).tell()

    async def _digest(self, alerts: Sequence[Alert], attempt: Attempt) -> None:
        payload = {"digest": message_id(alerts), "channel": alerts[0].channel}
        since = min(alert.headline.received for alert in alerts)
        if attempt.number > 1 and await self.find(payload, since, attempt.at):
            return
        metadata = {"event_type": EVENT, "event_payload": payload}
        await self.post({**digest_message(alerts), "metadata": metadata}, attempt.at)

    async def _tried(self, telling: Coroutine[Any, Any, None]) -> Result:
        """What comes of telling Slack something."""
        try:
            async with asyncio.timeout(self.timeout):
                await telling
        except SlackError as error:
            return error.result()
        except StoriesError:
            return Retry(_NO_STORIES)
        except TimeoutError:
            return Retry(f"not through within {self.timeout:g} s")
        return Sent(200)

    @asynccontextmanager
    async def _held(self, alert: Alert) -> AsyncIterator[str]:
        """Hold the story of an alert, as soon as no other worker does."""
        story = alert.headline.story_id
        while not (word := await self._stories.hold(alert.channel, story, self.timeout + 5.0)):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_ASK_AGAIN)
        try:
            yield word
        finally:
            with suppress(StoriesError):  # it lets go by itself
                await self._stories.release(alert.channel, story, word)

    async def post(self, message: Mapping[str, Any], now: datetime) -> str:
        """Post a message, not too soon after the last; its ``ts``.

        Raises:
            SlackError: Slack did not take it, or did not say.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._next_post - loop.time(), 0.0))
        self._next_post = loop.time() + self._pace
        said = await self._api.write("chat.postMessage", {"channel": self._id or self._place, **message}, now)
        self._id = str(said["channel"])
        return str(said["ts"])

    async def change(self, told: Told, message: Mapping[str, Any], now: datetime) -> None:
        """Change the message of a story.

        Raises:
            SlackError: Slack did not, or did not say.
        """
        await self._api.write("chat.update", {"channel": told.place, "ts": told.ts, **message}, now)

    async def find(
        self, payload: Mapping[str, str], since: datetime, now: datetime, head: str | None = None
    ) -> str | None:
        """The ``ts`` of a message that has such metadata and was posted since a time, below ``head`` where there is one.

        None also where nobody may look, because the app lacks the scope or the id of the channel is not known.

        Raises:
            SlackError: Slack did not say.
        """
        if self._id is None:
            return None
        arguments = {
            "channel": self._id,
            "oldest": f"{(since - _SKEW).timestamp():.6f}",
            "include_all_metadata": "true",
            "limit": "200",
        }
        method = "conversations.history" if head is None else "conversations.replies"
        try:
            said = await self._api.read(method, arguments | ({"ts": head} if head else {}), now)
        except SlackError as error:
            if error.code in {"missing_scope", "not_in_channel", "thread_not_found"}:
                return None
            raise
        for one in said.get("messages", ()):
            metadata = one.get("metadata", {})
            if metadata.get("event_type") == EVENT and metadata.get("event_payload") == dict(payload):
                return str(one["ts"])
        return None

    def show(self, card: Card, alert: Alert) -> dict[str, Any]:
        """The message of a story."""
        return card_message(card, channel=alert.channel if self._buttons else None)

    def where(self) -> str | None:
        """The id of the channel, once it is known."""
        return self._id

    async def load(self, alert: Alert) -> Told | None:
        """What is remembered of the story of an alert."""
        told = await self._stories.load(alert.channel, alert.headline.story_id)
        if told is not None and told.place is not None:
            self._id = self._id or told.place
        return told

    async def save(self, alert: Alert, told: Told | None, word: str) -> None:
        """Remember it. Where the story has passed on to another worker meanwhile, that one knows better."""
        await self._stories.save(alert.channel, alert.headline.story_id, told, word)

    async def probe(self) -> str:
        """Ask Slack whose token it is, which posts nothing."""
        no_matter = datetime.min.replace(tzinfo=UTC)  # only a date in Retry-After is compared with it, and nobody waits
        try:
            said = await self._api.read("auth.test", {}, no_matter)
        except SlackError as error:
            hint = "is the token right, and may this machine reach Slack?"
            raise ChannelError(f"Slack: {error.code}", hint) from None
        return f"Slack knows the token as {said.get('user')} of {said.get('team')}"

    async def close(self) -> None:
        await self._api.close()


@dataclass(frozen=True, slots=True)
class _Telling:
    """One alert that is being told, whose story is held by ``word``."""

    bot: SlackBotNotifier
    alert: Alert
    word: str
    now: datetime

    async def tell(self) -> None:
        """Say what of the alert is not said yet.

        Raises:
            SlackError, StoriesError: it could not be done, or it is not known whether it was.
        """
        told = await self.bot.load(self.alert)
        if told is not None and told.ts is None:
            found = await self.bot.find(self._story, told.at, self.now)
            told = replace(told, ts=found, place=self.bot.where())
        if told is None:
            await self._begin(card_of(self.alert))
        elif told.ts is None:
            await self._begin(told.card.with_alert(self.alert))
        else:
            await self._go_on(told)

    @property
    def _story(self) -> dict[str, str]:
        return {"story": self.alert.headline.story_id, "channel": self.alert.channel}

    async def _begin(self, card: Card) -> None:
        """Post a message for the story."""
        before = await self.bot.load(self.alert)
        await self._save(Told(card=card, at=self.now))
        message = {**self.bot.show(card, self.alert), "metadata": {"event_type": EVENT, "event_payload": self._story}}
        try:
            ts = await self.bot.post(message, self.now)
        except SlackError as error:
            if error.refused:  # nothing was posted: what is next must neither look for it nor show what is refused
                await self._save(before)
            raise
        await self._save(Told(card=card, at=self.now, ts=ts, place=self.bot.where()))

    async def _go_on(self, told: Told) -> None:
        """Change the message of the story, and reply to it where the alert is news."""
        card = told.card.with_alert(self.alert)
        if card is told.card:
            await self._save(told)  # found again, perhaps
            return
        try:
            await self.bot.change(told, self.bot.show(card, self.alert), self.now)
        except SlackError as error:
            if error.code == "message_not_found":  # somebody deleted it
                await self._begin(card)
                return
            if error.code not in _UNCHANGEABLE:
                raise
        if not told.card.shows(self.alert):
            await self._reply(told)
        others = tuple(name for name in told.replying if name != self.alert.alert_id)
        await self._save(replace(told, card=card, at=self.now, replying=others))

    async def _reply(self, told: Told) -> None:
        """Say below the message what is new, unless that was said before."""
        payload = {"alert": self.alert.alert_id, "channel": self.alert.channel}
        if self.alert.alert_id in told.replying:
            if await self.bot.find(payload, told.at, self.now, told.ts):
                return
        else:
            await self._save(replace(told, replying=(*told.replying, self.alert.alert_id)[-_REPLYING:]))
        message = reply_message(self.alert)
        metadata = {"event_type": EVENT, "event_payload": payload}
        await self.bot.post({**message, "thread_ts": told.ts, "metadata": metadata}, self.now)

    async def _save(self, told: Told | None) -> None:
        await self.bot.save(self.alert, told, self.word)
