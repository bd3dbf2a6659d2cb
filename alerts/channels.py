"""``channels.yaml``: where alerts can go.

Every mistake in the file is reported at once, at its line. What may be a secret is neither accepted in the
file nor repeated in an error.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alerts.notify.interface import ChannelError, ChannelSettings, Notifier
from alerts.notify.registry import KINDS
from alerts.routefile import NOTHING_KNOWN, Known
from alerts.secret import cover, named
from alerts.subscriptions import Written, read_below
from alerts.userfile import read_text
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse

#: Names also stand in rule files and in Redis keys.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: Where a channel says what it asks for; the rest of its settings are its kind's.
SUBSCRIBE = "subscribe"

_ON_FAILURE = "notify_on_failure"

_NO_FILE = "`wirewatch init` writes one, or say in the settings where it is: `channels: …`"
_EXAMPLE = "write `channels:` and below it, indented, `console: {type: stdout}`"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel as configured, and where it stands in its file."""

    name: str
    settings: ChannelSettings
    place: Problem
    subscriptions: tuple[Written, ...] = ()

    @property
    def kind(self) -> str:
        """``webhook``, ``slack``, ``apprise``, ``stdout`` or ``file``."""
        return self.settings.type

    def open(self, environ: Mapping[str, str]) -> Notifier:
        """A notifier for this channel. Relative paths start from the folder of the file that names it.

        Raises:
            RefusedError: a secret is missing, or is not what it should be.
        """
        try:
            return self.settings.open(environ, Path(self.place.file).parent)
        except ChannelError as error:
            raise RefusedError([self.problem(error)]) from None

    def problem(self, error: ChannelError) -> Problem:
        """What is wrong with the channel, at its place."""
        return dataclasses.replace(self.place, message=f"channel `{self.name}`: {error.message}", hint=error.hint)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a file of channels says, as far as it can be read.

    ``channels`` are those in order, by name; ``names`` all that are listed, or None where that cannot be told, so that
    rules can be checked along with a file that is wrong; ``problems`` all that is wrong with it.
    """

    channels: Mapping[str, Channel]
    names: frozenset[str] | None
    problems: tuple[Problem, ...]


def load_channels(path: Path) -> dict[str, Channel]:
    """The channels of a file, by name.

    Raises:
        RefusedError: the file cannot be read, or is wrong; with every problem in it.
    """
    return _accepted(list_channels(path))


def read_channels(text: str, file: str) -> dict[str, Channel]:
    """The channels of the YAML in ``text``, by name; ``file`` is what errors call it.

    Raises:
        RefusedError: with every problem in it.
    """
    return _accepted(_list(text, file))


def list_channels(path: Path, known: Known = NOTHING_KNOWN) -> Listing:
    """What a file of channels says, its problems included; their subscriptions speak of what is ``known``."""
    try:
        return _list(read_text(path, _NO_FILE), str(path), known)
    except RefusedError as error:
        return Listing({}, None, error.problems)


def _accepted(listing: Listing) -> dict[str, Channel]:
    if listing.problems:
        raise RefusedError(listing.problems)
    return dict(listing.channels)


def _list(text: str, file: str, known: Known = NOTHING_KNOWN) -> Listing:
    document = parse(text, file)
    root = document.data
    if root is not None and not isinstance(root, dict):
        raise RefusedError([document.problem((), "there are no channels here", _EXAMPLE)])
    problems = list(document.problems)
    problems += [
        document.problem((str(key),), f"unknown key {named(str(key))}", did_you_mean(str(key), ["channels"]), key=True)
        for key in root or ()
        if key != "channels"
    ]
    listed = (root or {}).get("channels")
    if not isinstance(listed, dict) or not listed:
        problems.append(document.problem(("channels",), "there are no channels here", _EXAMPLE))
        return Listing({}, None, tuple(problems))
    channels: dict[str, Channel] = {}
    for name in listed:
        channel, found = _read_channel(document, name)
        problems += found
        problems += _faults(document, text, channel) if channel else ()
        problems += _told_elsewhere(document, name, listed)
        subscriptions, found = _subscriptions(document, text, name, known)
        problems += found
        if channel:
            channels[channel.name] = dataclasses.replace(channel, subscriptions=tuple(subscriptions))
    return Listing(channels, frozenset(map(str, listed)), tuple(problems))


def _read_channel(document: Document, name: Any) -> tuple[Channel | None, list[Problem]]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        hint = "use up to 64 letters, digits, `_`, `-` and `.`; put a figure or yes/no in quotes"
        return None, [
            document.problem(("channels", str(name)), f"{named(str(name))} cannot name a channel", hint, key=True)
        ]
    path = ("channels", name)
    given = document.data["channels"][name]
    if not isinstance(given, dict):
        message = f"channel `{name}` is not a mapping"
        return None, [document.problem(path, message, "write for example `{type: stdout}`", key=True)]
    if "type" not in given:
        return None, [document.problem(path, "`type` is missing", did_you_mean("", KINDS), key=True)]
    model = KINDS.get(str(given["type"]))
    if model is None:
        kind = str(given["type"])
        return None, [document.problem((*path, "type"), f"unknown type {named(kind)}", did_you_mean(kind, KINDS))]
    covered = {key: cover(value) if key in model.sensitive else value for key, value in given.items()}
    data = {"channels": document.data["channels"] | {name: covered}}
    settings, problems = check(dataclasses.replace(document, data=data), model, path)
    if settings is None:
        return None, problems
    return Channel(name, settings, document.problem(path, "", key=True)), []


def _faults(document: Document, text: str, channel: Channel) -> Iterator[Problem]:
    """What is wrong with texts that settings hold, each at its line."""
    for fault in channel.settings.faults(Path(document.file).parent):
        place = document.problem(("channels", channel.name, fault.setting), fault.message, fault.hint)
        if fault.file is not None:
            yield Problem(str(fault.file), fault.line, 1 if fault.line else 0, fault.message, fault.hint)
        elif fault.line and text.splitlines()[place.line - 1][place.column - 1] == "|":  # its lines are those below
            yield dataclasses.replace(place, line=place.line + fault.line, column=1)
        else:
            yield place


def _told_elsewhere(document: Document, name: Any, listed: Mapping[Any, Any]) -> Iterator[Problem]:
    """What is wrong with the channel that is to be told should this one be disabled."""
    given = listed[name]
    other = given.get(_ON_FAILURE) if isinstance(given, dict) else None
    if not isinstance(other, str):
        return  # its kind's settings refuse what is no text
    if other not in listed:
        message = f"there is no channel {named(other)}"
        yield document.problem(("channels", name, _ON_FAILURE), message, did_you_mean(other, map(str, listed)))
    elif other == name:
        message = "a channel that is disabled cannot tell of it itself"
        yield document.problem(("channels", name, _ON_FAILURE), message, "name another channel, or leave it out")


def _subscriptions(document: Document, text: str, name: Any, known: Known) -> tuple[list[Written], list[Problem]]:
    given = document.data["channels"][name]
    if not isinstance(given, dict) or SUBSCRIBE not in given:
        return [], []
    return read_below(document, text, ("channels", name, SUBSCRIBE), str(name), known)


def open_channels(channels: Iterable[Channel], environ: Mapping[str, str]) -> dict[str, Notifier]:
    """A notifier for each channel, by name.

    Raises:
        RefusedError: with the problems of all channels that cannot be opened.
    """
    notifiers: dict[str, Notifier] = {}
    problems: list[Problem] = []
    for channel in channels:
        try:
            notifiers[channel.name] = channel.open(environ)
        except RefusedError as error:
            problems += error.problems
    if problems:
        raise RefusedError(problems)
    return notifiers
