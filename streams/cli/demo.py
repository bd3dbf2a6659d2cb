"""``wirewatch demo``: the main job, end to end, on this machine, with a ticker that comes along."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from aiokafka.errors import KafkaError
from rich.markup import escape
from rich.text import Text

from alerts import render
from alerts.receiver import Received, Receiver
from connectors.embedded.process import Process
from connectors.interface import Context
from connectors.registry import SOURCES
from streams.cli.common import Exit, JsonOption, clock, err, out, print_json, settings, told_plainly
from streams.cli.ingest import Sent, send
from streams.cli.init import write_starter
from streams.cli.services import Addresses, addresses, members, serve
from streams.cli.up import stopping_on_sigterm, watch, worker_process
from streams.core.records import Alert, Dropped
from streams.settings import Loaded
from streams.worker.history import read_tail
from streams.worker.tally import Tally, count
from streams.worker.topics import Topics, create_topics

#: How long the demo waits for the last alert, seconds.
PATIENCE = 60.0
_DAY_MS = 86_400_000

# Names of its own keep the demo apart from whatever else on this machine speaks to a Kafka at the usual port.
_SETTINGS = """\
data_dir: data
rules: [rules]
channels: channels.yaml
taxonomy: [taxonomy]
kafka: {{topic_prefix: {name}., group: {name}}}
redis: {{prefix: {name}}}
"""
_CHANNELS = """\
channels:
  desk: {{type: webhook, url: "{url}", secret: env:WIREWATCH_DEMO_SECRET, allow_private: true}}
  archive: {{type: file, path: "{path}"}}
"""
_STYLES = {
    "info": "dim",
    "low": "cyan",
    "medium": "yellow",
    "high": "bright_red",
    "critical": "bold bright_red",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the topics say in the end."""

    tally: Tally
    dropped: Sequence[Dropped]


@dataclass(slots=True)
class Desk:
    """The receiving end: prints what arrives, and remembers it."""

    quiet: bool
    alerts: list[Alert] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    unverified: int = 0

    def take(self, post: Received) -> None:
        """A webhook arrived."""
        alert = msgspec.convert(post.json()["data"], Alert)
        self.alerts.append(alert)
        self.delays.append((post.at - alert.headline.received).total_seconds() * 1000)
        self.unverified += post.verified is not True
        if not self.quiet:
            out.print(_shown(alert))


def _shown(alert: Alert) -> Text:
    rule, headline = alert.rule, alert.headline.headline
    text = Text(f"{headline.published.astimezone(UTC):%H:%M}  ")
    text.append(f"{rule.severity.upper():<9}", style=_STYLES[rule.severity])
    for piece, matched in render.segments(headline.headline, rule.matched):
        text.append(render.one_line(piece), style="bold" if matched else "")
    topics = ", ".join(match.topic for match in alert.headline.topics) or "none"
    words = ", ".join(dict.fromkeys(span.text for span in rule.matched)) or "no word, its topic"
    return text.append(f"\n{'':16}topic {topics} · rule {rule.name} · fired by {words}", style="dim")


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the main job once: Kafka and Redis start on this machine, a ticker goes in, alerts come out.

    Nothing is left behind. Exits with 0 if every headline and every alert is accounted for.

    Example: wirewatch demo --stay
    """
    with (
        told_plainly(as_json=as_json),
        stopping_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="wirewatch-") as folder,
    ):
        begun = time.monotonic()
        desk = Desk(quiet=as_json)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        with Receiver(secret=secret, on_post=desk.take) as receiver:
            loaded = _project(Path(folder), receiver.url)
            with serve(loaded):
                where = addresses(loaded)
                log = Path(folder) / "worker.log"
                with worker_process(loaded.file, environ={"WIREWATCH_DEMO_SECRET": secret}, log=log) as process:
                    sent, result = asyncio.run(_run(loaded, where, process, quiet=as_json))
                    _summarise(sent, result, desk, time.monotonic() - begun, as_json=as_json)
                    if not _sound(sent, result.tally, desk):
                        err.print(f"[red]not everything came out[/red]; the worker's last words:\n{process.log_tail()}")
                        raise typer.Exit(Exit.FOUND)
                    if stay:
                        _stay(loaded, process)


def _project(folder: Path, url: str) -> Loaded:
    write_starter(folder)
    (folder / "wirewatch.yaml").write_text(_SETTINGS.format(name=f"demo-{secrets.token_hex(4)}"), encoding="utf-8")
    channels = _CHANNELS.format(url=url, path=folder / "alerts.jsonl")
    (folder / "channels.yaml").write_text(channels, encoding="utf-8")
    return settings(folder / "wirewatch.yaml")


async def _run(loaded: Loaded, where: Addresses, process: Process, *, quiet: bool) -> tuple[Sent, Result]:
    kafka = loaded.settings.kafka
    topics = Topics(kafka.topic_prefix)
    await create_topics(where.kafka, topics, partitions=kafka.partitions, replication=kafka.replication)
    await _working(where, kafka.group, process)
    ticker = (resources.files("connectors") / "samples" / "ticker.txt").read_bytes()
    readings = SOURCES["ticker"].read(BytesIO(ticker), Context("Demo Wire", None, ZoneInfo("UTC"), clock()))
    sent = await send(where, topics, (("ticker.txt", reading) for reading in readings))
    if not quiet:
        out.print(f"{sent.headlines} headlines of a ticker went in; the alerts as they arrive at the desk's webhook:\n")
    tally = await _come_out(where, topics, kafka.group, sent, process)
    decode = msgspec.json.Decoder(Dropped).decode
    return sent, Result(tally, [decode(value) async for _, value in read_tail(where.kafka, [topics.dropped], _DAY_MS)])


async def _working(where: Addresses, group: str, process: Process) -> None:
    """Return when the worker is at work, so that the times of the alerts are those of a pipeline that runs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.alive:
        with contextlib.suppress(KafkaError):
            if await members(where, group):
                return
        await asyncio.sleep(0.1)


async def _come_out(where: Addresses, topics: Topics, group: str, sent: Sent, process: Process) -> Tally:
    """The tally once everything came out, or once patience or the worker ended."""
    deadline = time.monotonic() + PATIENCE
    tally = Tally()
    while time.monotonic() < deadline and process.alive:
        with contextlib.suppress(KafkaError):
            tally = await count(where.kafka, topics, group, reach_ms=_DAY_MS)
            if tally.read >= sent.headlines and tally.finished:
                break
        await asyncio.sleep(0.2)
    return tally


def _sound(sent: Sent, tally: Tally, desk: Desk) -> bool:
    decided = tally.unique + tally.dropped + tally.invalid
    return tally.finished and decided == sent.headlines and not tally.outcomes["dead"] and not desk.unverified


def _summarise(sent: Sent, result: Result, desk: Desk, seconds: float, *, as_json: bool) -> None:
    tally = result.tally
    if as_json:
        print_json(
            {
                "ok": _sound(sent, tally, desk),
                "headlines": {
                    "in": sent.headlines,
                    "unique": tally.unique,
                    "dropped": tally.dropped,
                    "invalid": tally.invalid,
                },
                "alerts": {"decided": tally.alerts, **tally.outcomes},
                "webhooks": [msgspec.to_builtins(alert) for alert in desk.alerts],
                "seconds": round(seconds, 1),
            }
        )
        return
    for line in _lines(sent, result, desk):
        out.print(line)
    out.print(f"\n[dim]{seconds:.1f} s in all. Next: [/dim]wirewatch init desk && cd desk && wirewatch up")


def _lines(sent: Sent, result: Result, desk: Desk) -> Iterator[str]:
    tally, outcomes = result.tally, result.tally.outcomes
    yield "\n[green]in = out[/green]" if _sound(sent, tally, desk) else "\n[red]in ≠ out[/red]"
    yield (
        f"  headlines  {sent.headlines} in = {tally.unique} unique + {tally.dropped} dropped as repeats "
        f"+ {tally.invalid} invalid"
    )
    for dropped in result.dropped:
        yield f"             [dim]repeat: {escape(dropped.headline.headline)}[/dim]"
    yield (
        f"  alerts     {tally.alerts} = {outcomes['delivered']} delivered + {outcomes['suppressed']} suppressed "
        f"+ {outcomes['dead']} dead + {tally.pending} waiting"
    )
    if desk.delays:
        elsewhere = tally.alerts - len(desk.alerts)
        yield f"  channels   {len(desk.alerts)} to the desk's webhook, {elsewhere} to the archive, a file"
        yield (
            f"  webhooks   {len(desk.alerts) - desk.unverified} with a good signature; from Kafka to the desk "
            f"{_median(desk.delays)} ms in the median, the worker's first headlines included"
        )


def _median(delays: Sequence[float]) -> str:
    return f"{statistics.median(delays):.0f}"


def _stay(loaded: Loaded, process: Process) -> None:
    out.print(
        f"\nEverything stays up until Ctrl-C. From another terminal:\n  wirewatch ingest --config {loaded.file} FILE"
    )
    out.print(f"  wirewatch doctor --config {loaded.file}\n")
    watch([process])
