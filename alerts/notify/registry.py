"""The kinds of channels: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.notify.apprise import AppriseSettings
from alerts.notify.file import FileSettings
from alerts.notify.interface import ChannelSettings
from alerts.notify.slack import SlackSettings
from alerts.notify.stdout import StdoutSettings
from alerts.notify.webhook import WebhookSettings

KINDS: Mapping[str, type[ChannelSettings]] = {
    "apprise": AppriseSettings,
    "file": FileSettings,
    "slack": SlackSettings,
    "stdout": StdoutSettings,
    "webhook": WebhookSettings,
}
