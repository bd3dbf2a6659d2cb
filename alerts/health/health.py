"""What one worker knows of how its channels do. No I/O and no clock: the pools tell it, and whoever keeps it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from alerts.health.breaker import Breaker, Limits
from alerts.health.store import Disabled, Failing
from alerts.notify.interface import Dead, Result, Retry, Sent

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: A channel that has failed for so long, without one success in between, is disabled.
DISABLE_AFTER = timedelta(days=5)

_GONE = 410
#: What a receiver refuses whatever is sent to it: nobody may send there, or there is no such place (any more). Another final
#: refusal is about one alert.
_REFUSES_ALL = frozenset({401, 403, 404, _GONE})


@dataclass(slots=True)
class Seen:
    """What a worker saw of a channel since it last told: whether it worked, and how it has failed after that."""

    worked: bool = False
    failing: Failing | None = None
    gone: Disabled | None = None


class ChannelHealth:
    """How one channel does, as its pool of senders sees it."""

    def __init__(self, channel: str, limits: Limits) -> None:
        self._channel = channel
        self._breaker = Breaker(limits)
        self.disabled: Disabled | None = None
        self.seen = Seen()

    def room(self, now: datetime, sending: int, most: int) -> int:
        """How many more alerts may be leased. Those of a disabled channel are not sent, so its breaker is not asked."""
        return most - sending if self.disabled else self._breaker.room(now, sending, most)

    def note(self, result: Result, now: datetime) -> None:
        """Note what came of an attempt.

        A receiver that refuses an alert for good, or that throttles, does answer: neither opens the breaker. A success
        alone says that the channel works; that it fails, what would meet any alert, and not what is wrong with this one.
        """
        if isinstance(result, Sent):
            self.seen = Seen(worked=True)
        elif _fails(result):
            again = Failing(now, now)
            self.seen.failing = self.seen.failing.and_then(again) if self.seen.failing else again
        if isinstance(result, Retry) and not result.throttled:
            if self._breaker.failed(now):
                log.warning("channel fails, pausing it", channel=self._channel, reason=result.reason)
        elif self._breaker.answered():
            log.info("channel answers again", channel=self._channel)
        if isinstance(result, Dead) and result.status_code == _GONE and self.disabled is None:
            self.disabled = self.seen.gone = Disabled(channel=self._channel, since=now, reason=result.reason)

    def learn(self, disabled: Disabled | None) -> None:
        """Take over what all workers know of the channel."""
        if disabled is not None and self.disabled is None:
            self._breaker.answered()
        self.disabled = disabled


def _fails(result: Retry | Dead) -> bool:
    """Whether what came of an attempt says that the channel fails."""
    return not result.throttled if isinstance(result, Retry) else result.status_code in _REFUSES_ALL


class Health:
    """How the channels of a worker do."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._channels: dict[str, ChannelHealth] = {}
        self._told: frozenset[str] = frozenset()

    def of(self, channel: str) -> ChannelHealth:
        """How one channel does."""
        return self._channels.setdefault(channel, ChannelHealth(channel, self._limits))

    def take(self) -> dict[str, Seen]:
        """What was seen since this was last asked, by channel."""
        seen = {name: channel.seen for name, channel in self._channels.items() if channel.seen != Seen()}
        for name in seen:
            self._channels[name].seen = Seen()
        return seen

    def put_back(self, taken: Mapping[str, Seen]) -> None:
        """Keep what was taken and could not be told; what was seen since then comes after it."""
        for name, before in taken.items():
            channel, after = self.of(name), self.of(name).seen
            failing = after.failing
            if before.failing and not after.worked:
                failing = before.failing.and_then(failing) if failing else before.failing
            channel.seen = Seen(before.worked or after.worked, failing, before.gone or after.gone)

    def learn(self, disabled: Mapping[str, Disabled]) -> None:
        """Take over which channels are disabled, as all workers know it, and say what is new."""
        for name, channel in self._channels.items():
            channel.learn(disabled.get(name))
        known = frozenset(disabled) & frozenset(self._channels)
        for name in sorted(known - self._told):
            hint = f"`wirewatch channels enable {name}` brings it back"
            log.error("channel is disabled, its alerts are dead", channel=name, reason=disabled[name].reason, hint=hint)
        for name in sorted(self._told - known):
            log.info("channel is enabled again", channel=name)
        self._told = known
