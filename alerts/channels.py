"""``channels.yaml``: where alerts can go.

Every mistake in the file is reported at once, at its line. What may be a secret is neither accepted in the
file nor repeated in an error.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alerts.notify.interface import ChannelError, ChannelSettings, Notifier
from alerts.notify.registry import KINDS
from alerts.secret import cover
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse

#: Names also stand in rule files and in Redis keys.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_EXAMPLE = "write `channels:` and below it, indented, `console: {type: stdout}`"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel as configured, and where it stands in its file."""

    name: str
    settings: ChannelSettings
    place: Problem

    @property
    def kind(self) -> str:
        """``webhook``, ``slack``, ``stdout`` or ``file``."""
        return self.settings.type

    def open(self, environ: Mapping[str, str]) -> Notifier:
        """A notifier for this channel.

        Raises:
            RefusedError: a secret is missing, or is not what it should be.
        """
        try:
            return self.settings.open(environ)
        except ChannelError as error:
            message = f"channel `{self.name}`: {error.message}"
            raise RefusedError([dataclasses.replace(self.place, message=message, hint=error.hint)]) from None


def load_channels(path: Path) -> dict[str, Channel]:
    """The channels of a file, by name.

    Raises:
        RefusedError: the file cannot be read, or is wrong; with every problem in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise RefusedError([Problem(str(path), 0, 0, "is not UTF-8 text", "save it as UTF-8")]) from None
    return read_channels(text, str(path))


def read_channels(text: str, file: str) -> dict[str, Channel]:
    """The channels of the YAML in ``text``, by name; ``file`` is what errors call it.

    Raises:
        RefusedError: with every problem in it.
    """
    document = parse(text, file)
    root = document.data
    if not isinstance(root, dict) or not isinstance(root.get("channels"), dict) or not root["channels"]:
        raise RefusedError([document.problem(("channels",), "there are no channels here", _EXAMPLE)])
    problems = [
        document.problem((str(key),), f"unknown key `{key}`", did_you_mean(str(key), ["channels"]), key=True)
        for key in root
        if key != "channels"
    ]
    channels: dict[str, Channel] = {}
    for name in root["channels"]:
        channel, found = _read_channel(document, name)
        problems += found
        if channel:
            channels[channel.name] = channel
    if problems:
        raise RefusedError(problems)
    return channels


def _read_channel(document: Document, name: Any) -> tuple[Channel | None, list[Problem]]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        hint = "use up to 64 letters, digits, `_`, `-` and `.`; put a figure or yes/no in quotes"
        return None, [document.problem(("channels", str(name)), f"`{name}` cannot name a channel", hint, key=True)]
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
        return None, [document.problem((*path, "type"), f"unknown type `{kind}`", did_you_mean(kind, KINDS))]
    covered = {key: cover(value) if key in model.sensitive else value for key, value in given.items()}
    data = {"channels": document.data["channels"] | {name: covered}}
    settings, problems = check(dataclasses.replace(document, data=data), model, path)
    if settings is None:
        return None, problems
    return Channel(name, settings, document.problem(path, "", key=True)), []


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
