"""``wirewatch channels test``: one marked alert through a channel, as a worker would send it."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated, Any

import typer
from rich.markup import escape

from alerts.channels import Channel, load_channels
from alerts.notify.interface import Attempt, Dead, Result, Retry, Sent
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    clock,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
)
from streams.core.decide import alert_id
from streams.core.document import did_you_mean
from streams.core.records import Alert, Classified, FiredRule, Headline
from streams.settings import Loaded

#: The rule that stands on a test.
RULE = "wirewatch-test"

#: How much longer than its notifier's time-out a test is waited for, seconds.
_MARGIN = 5.0


def try_out(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel, as `channels list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test alert, marked as one, to a channel, and tell what came back and how long it took.

    It goes the way of any alert from the notifier on, with the same limits on addresses, but not through Kafka and the
    outbox, which need not run. It is tried once. Exits with 1 if the channel does not take it.

    Examples:

        wirewatch channels test desk

        wirewatch channels test archive --json
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        known = load_channels(loaded.path(loaded.settings.channels))
        if channel not in known:
            tell_error(f"there is no channel `{channel}`", did_you_mean(channel, known))
            raise typer.Exit(Exit.USAGE)
        result, seconds = asyncio.run(_send(known[channel], loaded))
    if as_json:
        print_json(_told(channel, result, seconds))
    else:
        out.print(f"{escape(channel)}: {escape(_line(result))} after {seconds * 1000:,.0f} ms")
    if not isinstance(result, Sent):
        raise typer.Exit(Exit.FOUND)


def sample(channel: str) -> Alert:
    """An alert that nobody can take for news; every one is another, so that no receiver takes it for a repeat."""
    now, name = clock(), f"test-{uuid.uuid4()}"
    text = f"TEST: wirewatch tries the channel {channel}, this is no news"
    return Alert(
        alert_id=alert_id(RULE, name, text, channel),
        channel=channel,
        rule=FiredRule(name=RULE, title="Test, no news", severity="info", revision=""),
        headline=Classified(
            id=name,
            seq=0,
            position="",
            received=now,
            headline=Headline(
                headline=text,
                published=now,
                source="wirewatch",
            ),
            story_id=name,
        ),
    )


async def _send(channel: Channel, loaded: Loaded) -> tuple[Result, float]:
    notifier = channel.open(loaded.environ)
    began = time.monotonic()
    try:
        async with asyncio.timeout(notifier.timeout + _MARGIN):
            result = await notifier.send(sample(channel.name), Attempt(1, clock()))
    except TimeoutError:
        result = Retry(f"not sent within {notifier.timeout + _MARGIN:g} s")
    finally:
        await notifier.close()
    return result, time.monotonic() - began


def _line(result: Result) -> str:
    code = f" ({result.status_code})" if result.status_code else ""
    if isinstance(result, Sent):
        return f"taken{code}"
    kind = "refused for good" if isinstance(result, Dead) else "not taken, a worker would try again"
    return f"{kind}: {result.reason}"


def _told(channel: str, result: Result, seconds: float) -> dict[str, Any]:
    return {
        "channel": channel,
        "ok": isinstance(result, Sent),
        "result": type(result).__name__.lower(),
        "status_code": result.status_code,
        "reason": None if isinstance(result, Sent) else result.reason,
        "seconds": round(seconds, 3),
    }
