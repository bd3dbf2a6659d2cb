"""What a notifier is: how an alert is sent, what may come of it, and how its channel is configured.

A new kind of channel is one module with a :class:`ChannelSettings` and a :class:`Notifier`, one line in
:mod:`alerts.notify.registry`, its test, and its section in ``docs/reference/channels.md``.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict

from streams.core.records import Alert


class ChannelError(Exception):
    """A channel cannot be opened as configured. ``hint`` says what to do; neither text holds a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} ({hint})" if hint else message)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a text that a setting of a channel holds, or with the file that it names.

    ``line`` is that of the text, counted from 1; 0 means all of it. ``file`` is None where the text stands in the setting.
    """

    setting: str
    message: str
    line: int = 0
    file: Path | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending an alert: the ``number``, counted from 1, and when it began, in UTC."""

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver took the alert."""

    status_code: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The receiver did not take the alert and may do so later.

    ``after`` is how many seconds the receiver asked to be left alone, where it did.
    """

    reason: str
    after: float | None = None
    status_code: int | None = None

    @property
    def throttled(self) -> bool:
        """The receiver has nothing against this alert: too much is being sent to it (429, RFC 6585)."""
        return self.status_code == 429


@dataclass(frozen=True, slots=True)
class Dead:
    """The receiver will never take the alert."""

    reason: str
    status_code: int | None = None


Result = Sent | Retry | Dead


class Notifier(Protocol):
    """Sends alerts to one channel.

    ``concurrency`` is how many alerts a worker may have on their way at once, ``timeout`` the seconds within
    which ``send`` answers.
    """

    @property
    def concurrency(self) -> int: ...

    @property
    def timeout(self) -> float: ...

    async def send(self, alert: Alert, attempt: Attempt) -> Result:
        """Send one alert once. What fails outside (network, receiver, disk) is a result, not an exception."""
        ...

    async def probe(self) -> str:
        """Look whether the channel can be reached, without sending an alert; what was found, for a person.

        Raises:
            ChannelError: it cannot.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...


@runtime_checkable
class BatchNotifier(Notifier, Protocol):
    """A notifier that can tell several alerts in one message. For any other, the alerts of a group go one by one.

    ``batch`` is the most alerts that one message takes.
    """

    @property
    def batch(self) -> int: ...

    async def send_all(self, alerts: Sequence[Alert], attempt: Attempt) -> Result:
        """Send one message of 1 to ``batch`` alerts once; the result holds for each of them.

        A retried message has the same alerts in the same order, and :func:`message_id` is the same.
        """
        ...


def message_id(alerts: Sequence[Alert]) -> str:
    """The id by which a receiver knows a message again: that of its alert, or one that follows from those of its alerts."""
    if len(alerts) == 1:
        return alerts[0].alert_id
    digest = hashlib.sha256("\n".join(alert.alert_id for alert in alerts).encode())
    return f"ms_{digest.hexdigest()[:32]}"


def _pause(value: Any) -> timedelta:
    """``value`` such as ``1/s`` or ``20/m``: how long after a message the next one may go."""
    if isinstance(value, timedelta):
        return value
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise ValueError("a rate is written like 1/s, 20/m or 100/h")
    return timedelta(seconds={"s": 1, "m": 60, "h": 3600}[found[2]]) / int(found[1])


_RATE = re.compile(r"([0-9]{1,4}) */ *([smh])")

#: The pause between two messages, written as a rate.
Rate = Annotated[timedelta, BeforeValidator(_pause)]


class ChannelSettings(BaseModel, ABC):
    """The settings of one channel in ``channels.yaml``; each kind has its own, told apart by ``type``.

    ``sensitive`` names the settings that may hold a secret by a user's mistake, so that no error quotes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sensitive: ClassVar[frozenset[str]] = frozenset()

    type: str
    subscribe: Any = None  # read by alerts.subscriptions; here, so that it is a key that a channel may have
    rate: Rate | None = None  # how often a message goes at the most; what comes faster is one digest
    notify_on_failure: str | None = None  # the channel that is told should this one be disabled

    def faults(self, folder: Path) -> Iterator[Fault]:
        """What is wrong with it that its values alone do not tell. Relative paths start from ``folder``."""
        return iter(())

    @abstractmethod
    def open(self, environ: Mapping[str, str], folder: Path) -> Notifier:
        """A notifier for this channel, its secrets read; it connects to nothing yet.

        Relative paths start from ``folder``, that of the file which names the channel.

        Raises:
            ChannelError: a secret is missing or is not what it should be.
        """
