"""``wirewatch demo``: the main job, end to end, on this machine, with a ticker that comes along."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
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
from streams.cli.common import (
    FLAG,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    ending_on_sigterm,
    err,
    out,
    print_json,
    settings,
    told_plainly,
    typed,
)
from streams.cli.init import write_starter
from streams.cli.sending import send
from streams.cli.services import Addresses, addresses, make_topics, members, serve
from streams.cli.up import worker_process
from streams.core.records import Alert, Dropped
from streams.settings import Loaded
from streams.worker.history import read_tail
from streams.worker.tally import Tally, count
from streams.worker.topics import Topics

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
#: The other ends of the channels above.
_ENDS = {"desk": "at the desk's webhook", "archive": "in the archive, a file"}
_STYLES = {
    "info": "dim",
    "low": "cyan",
    "medium": "yellow",
    "high": "bright_red",
    "critical": "bold bright_red",
}


@dataclass(slots=True)
class Desk:
    """The receiving end: prints what arrives, and remembers it while it ``counts``."""

    quiet: bool
    counts: bool = True
    alerts: list[Alert] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    unverified: int = 0

    def take(self, post: Received) -> None:
        """A webhook arrived."""
        alert = msgspec.convert(post.json()["data"], Alert)
        if self.counts:
            self.alerts.append(alert)
            self.delays.append((post.at - alert.headline.received).total_seconds() * 1000)
            self.unverified += post.verified is not True
        if not self.quiet:
            out.print(_shown(alert))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The alerts of one channel by their ids: those that the topic ``alerts`` has, and those at the other end."""

    decided: frozenset[str]
    arrived: Counter[str]

    @property
    def repeated(self) -> int:
        """Arrivals beyond the first of each alert: after a failure an alert may come twice, with the same id."""
        return self.arrived.total() - len(self.arrived)

    def faults(self) -> Iterator[str]:
        """What is not as it should be."""
        for alert in sorted(self.decided - self.arrived.keys()):
            yield f"{alert} never arrived"
        for alert in sorted(self.arrived.keys() - self.decided):
            yield f"{alert} arrived, and no rule decided it"


@dataclass(slots=True)
class Account:
    """What went in and what came out, as far as the demo has come."""

    headlines: int = 0
    tally: Tally = field(default_factory=Tally)
    dropped: list[Dropped] = field(default_factory=list)
    channels: dict[str, Arrivals] = field(default_factory=dict)

    def faults(self) -> Iterator[str]:
        """Why in ≠ out; nothing where in = out."""
        tally = self.tally
        decided = tally.unique + tally.dropped + tally.invalid
        if decided != self.headlines:
            yield f"{self.headlines} headlines went in and {decided} came out"
        yield from (f"headline {place} came out nowhere" for place in tally.missing)
        if not tally.finished:
            yield "not all is done yet"
        if tally.outcomes["dead"]:
            yield f"{tally.outcomes['dead']} alerts could not be delivered"
        for name, arrivals in self.channels.items():
            yield from (f"channel {name}: {fault}" for fault in arrivals.faults())


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
    stay: Annotated[bool, typer.Option("--stay", metavar=FLAG, help="Keep everything up until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the main job once: Kafka and Redis start on this machine, a ticker goes in, alerts come out.

    Nothing is left behind. Exits with 0 if every headline and every alert is accounted for: the alerts that the rules
    decided are compared, one by one, with the webhooks that arrived and the lines of the archive.

    Example: wirewatch demo --stay
    """
    with (
        told_plainly(as_json=as_json),
        ending_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="wirewatch-") as folder,
    ):
        begun = time.monotonic()
        desk, account = Desk(quiet=as_json), Account()
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        with Receiver(secret=secret, on_post=desk.take, keep=0) as receiver:
            loaded = _project(Path(folder), receiver.url)
            try:
                with serve(loaded) as check, _worker(loaded, secret) as process:
                    asyncio.run(_run(account, loaded, addresses(loaded), process, desk))
                    _summarise(account, desk, time.monotonic() - begun, as_json=as_json)
                    if _faults(account, desk):
                        err.print(f"the worker's last words:\n{process.log_tail()}", markup=False)
                        raise typer.Exit(Exit.FOUND)
                    if stay:
                        desk.counts = False  # nobody asks for the account of what comes now
                        _stay(loaded, process, check)
            except KeyboardInterrupt:
                _summarise(account, desk, time.monotonic() - begun, as_json=as_json, interrupted=True)
                raise


@contextlib.contextmanager
def _worker(loaded: Loaded, secret: str) -> Iterator[Process]:
    log = loaded.path(Path("worker.log"))
    with worker_process(loaded.file, environ={"WIREWATCH_DEMO_SECRET": secret}, log=log) as process:
        yield process


def _project(folder: Path, url: str) -> Loaded:
    write_starter(folder)
    (folder / "wirewatch.yaml").write_text(_SETTINGS.format(name=f"demo-{secrets.token_hex(4)}"), encoding="utf-8")
    channels = _CHANNELS.format(url=url, path=folder / "alerts.jsonl")
    (folder / "channels.yaml").write_text(channels, encoding="utf-8")
    return settings(folder / "wirewatch.yaml")


async def _run(account: Account, loaded: Loaded, where: Addresses, process: Process, desk: Desk) -> None:
    group = loaded.settings.kafka.group
    topics = await make_topics(loaded, where)
    await _working(where, group, process)
    ticker = (resources.files("connectors") / "samples" / "ticker.txt").read_bytes()
    readings = SOURCES["ticker"].read(BytesIO(ticker), Context("Demo Wire", None, ZoneInfo("UTC"), clock()))
    sent = await send(where.kafka, topics, (("ticker.txt", reading) for reading in readings))
    account.headlines = sent.headlines
    if not desk.quiet:
        out.print(f"{sent.headlines} headlines of a ticker went in; the alerts as they arrive at the desk's webhook,")
        out.print("each with the time of its headline:\n")
    await _come_out(account, where, topics, group, process)
    await _compare(account, where, topics, desk, loaded.path(Path("alerts.jsonl")))


async def _compare(account: Account, where: Addresses, topics: Topics, desk: Desk, archive: Path) -> None:
    """Count what the topics have against what is at the other end of each channel."""
    decided: dict[str, set[str]] = {"desk": set(), "archive": set()}
    async for topic, value in read_tail(where.kafka, [topics.dropped, topics.alerts], _DAY_MS):
        if topic == topics.dropped:
            account.dropped.append(msgspec.json.decode(value, type=Dropped))
        else:
            alert = msgspec.json.decode(value, type=Alert)
            decided[alert.channel].add(alert.alert_id)
    arrived = {
        "desk": Counter(alert.alert_id for alert in desk.alerts),
        "archive": Counter(_ids(archive)),
    }
    account.channels = {name: Arrivals(frozenset(decided[name]), arrived[name]) for name in decided}


def _ids(archive: Path) -> list[str]:
    return [msgspec.json.decode(line)["data"]["alert_id"] for line in archive.read_bytes().splitlines()]


async def _working(where: Addresses, group: str, process: Process) -> None:
    """Return when the worker is at work, so that the times of the alerts are those of a pipeline that runs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.alive:
        with contextlib.suppress(KafkaError):
            if await members(where, group):
                return
        await asyncio.sleep(0.1)


async def _come_out(account: Account, where: Addresses, topics: Topics, group: str, process: Process) -> None:
    """Keep the tally until everything came out, or until patience or the worker ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.alive:
        with contextlib.suppress(KafkaError):
            account.tally = await count(where.kafka, topics, group, now=clock())
            if account.tally.read >= account.headlines and account.tally.finished:
                return
        await asyncio.sleep(0.2)


def _faults(account: Account, desk: Desk) -> list[str]:
    unsigned = [f"{desk.unverified} webhooks came without a good signature"] if desk.unverified else []
    return [*account.faults(), *unsigned]


def _summarise(account: Account, desk: Desk, seconds: float, *, as_json: bool, interrupted: bool = False) -> None:
    faults = _faults(account, desk)
    if as_json:
        print_json(_report(account, desk, faults, seconds, interrupted=interrupted))
        return
    if interrupted:
        out.print(f"\ninterrupted after {seconds:.1f} s, with {account.headlines} headlines sent", end="")
        out.print(f" and {len(desk.alerts)} alerts at the desk's webhook")
        return
    for line in _lines(account, desk, faults):
        out.print(line)
    out.print(f"\n[dim]{seconds:.1f} s in all. Next: [/dim]{typed()} init desk && cd desk && {typed(Path('desk'))} up")


def _report(
    account: Account, desk: Desk, faults: Collection[str], seconds: float, *, interrupted: bool
) -> Mapping[str, Any]:
    tally = account.tally
    return {
        "ok": not faults and not interrupted,
        "interrupted": interrupted,
        "faults": list(faults),
        "headlines": {
            "in": account.headlines,
            "unique": tally.unique,
            "dropped": tally.dropped,
            "invalid": tally.invalid,
        },
        "alerts": {"decided": tally.alerts, **tally.outcomes},
        "channels": {
            name: {
                "decided": sorted(arrivals.decided),
                "arrived": sorted(arrivals.arrived),
                "repeated": arrivals.repeated,
            }
            for name, arrivals in account.channels.items()
        },
        "webhooks": [msgspec.to_builtins(alert) for alert in desk.alerts],
        "seconds": round(seconds, 1),
    }


def _lines(account: Account, desk: Desk, faults: Sequence[str]) -> Iterator[str]:
    tally, outcomes = account.tally, account.tally.outcomes
    yield "\n[red]in ≠ out[/red]" if faults else "\n[green]in = out[/green]"
    yield from (f"  [red]{escape(fault)}[/red]" for fault in faults)
    yield (
        f"  headlines  {account.headlines} in = {tally.unique} unique + {tally.dropped} dropped as repeats "
        f"+ {tally.invalid} invalid"
    )
    for dropped in account.dropped:
        yield f"             [dim]repeat: {escape(dropped.headline.headline)}[/dim]"
    yield (
        f"  alerts     {tally.alerts} = {outcomes['delivered']} delivered + {outcomes['suppressed']} suppressed "
        f"+ {outcomes['dead']} dead + {tally.pending} waiting"
    )
    if not desk.delays:
        return
    parts = [
        f"{len(arrivals.arrived)} of {len(arrivals.decided)} {_ENDS[name]}"
        + (f" ({arrivals.repeated} of them twice)" if arrivals.repeated else "")
        for name, arrivals in account.channels.items()
    ]
    yield f"  channels   {', '.join(parts)}, compared by their ids"
    yield (
        f"  webhooks   {len(desk.alerts) - desk.unverified} with a good signature; from Kafka to the desk "
        f"{_median(desk.delays)} ms in the median, the worker's first headlines included"
    )


def _median(delays: Sequence[float]) -> str:
    return f"{statistics.median(delays):.0f}"


def _stay(loaded: Loaded, process: Process, check: Callable[[], None]) -> None:
    """Wait for Ctrl-C or SIGTERM, which are here the way to end.

    Raises:
        EmbeddedError: Kafka or Redis ended by itself.
        UnreachableError: the worker did.
    """
    file = escape(str(loaded.file))
    out.print(f"\nEverything stays up until Ctrl-C. From another terminal:\n  wirewatch ingest --config {file} FILE")
    out.print(f"  wirewatch doctor --config {file}\n")
    with contextlib.suppress(KeyboardInterrupt):
        while process.alive:
            check()
            time.sleep(0.2)
        raise UnreachableError(f"the worker ended with exit code {process.exit_code}", process.log_tail())
