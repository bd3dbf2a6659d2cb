"""What two live workers decide on real Kafka and Redis, and what a replay of what they recorded decides, side by side.

The stream goes through ``headlines.raw`` and two `wirewatch worker` processes. Then `wirewatch replay` reads the decided
topics, and each of its decisions is held against the recorded one, field by field, and each of its alerts.

Rules that remember are decided live in the order in which the workers' headlines came to a log that all share, which is
nearly that of the decisions, and not quite. The workers record it, and the replay goes by it. How many alerts would come out
otherwise by the order of the decisions alone is told apart, so that it shows whether there was anything to prove.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from alerts.route import ChannelRouter
from benchmarks.pipeline import PARTITIONS, PATIENCE, Bed, Project, Watch, fill, make_rules, running, watching
from connectors.embedded.process import Process
from connectors.recorded import Recording
from streams.cli.common import settings
from streams.cli.plan import Rulebook, load_rulebook
from streams.core.classify import Classifier
from streams.core.correlate import Correlator, event_of
from streams.core.dedupe import milliseconds
from streams.core.match import Matcher
from streams.core.pipeline import classified
from streams.core.records import Classified, Dropped, Headline
from streams.worker.survey import Group, read_group
from streams.worker.topics import Topics

#: Rules of every kind that there is.
RULES: Sequence[Mapping[str, Any]] = (
    {"name": "iran", "when": "topic:iran", "severity": "high", "labels": {"region": "gulf"}},
    {"name": "energy", "when": "topic:russia_energy AND (gas OR oil OR lng)", "severity": "critical"},
    {"name": "deals-new", "when": "topic:tech_deals OR acquires", "story": "first", "severity": "low"},
    {"name": "sums", "when": "money:>=100000000", "severity": "info", "active": "mon-fri 07:00-19:00 Europe/London"},
    {"name": "trial", "when": "talks OR deal", "stage": "staged"},
    {"name": "many", "when": "iran OR oil OR gas", "burst": {"count": 4, "sources": 2, "within": "2h", "by": "topic"}},
    {"name": "more", "when": "oil OR gas", "spike": {"factor": 3, "within": "2h", "reference": "1d", "at_least": 6}},
    {"name": "after-talks", "when": "sanctions", "sequence": {"after": "talks", "within": "12h"}, "repeat": "4h"},
    {"name": "told-by-three", "when": "story.sources:>=3", "severity": "high"},
    {"name": "hush", "when": "russia OR ukraine", "absence": "90m"},
    {"name": "few", "when": "billion", "throttle": {"count": 2, "per": "4h"}},
)  # fmt: skip
ROUTES = {
    "hours": {"nights": "22:00-06:00 Europe/Paris"},
    "route": {
        "routes": [
            {"match": {"severity": "critical"}, "channels": ["pager"], "continue": True},
            {"match": {"topic": "iran"}, "channels": ["gulf"]},
            {"match": {"severity": "<=low"}, "mute": ["nights"]},
        ]
    },
}
SUBSCRIPTIONS = [
    {"topic": "iran", "severity": ">=high"},
    {"rule": "rule-*", "except": {"source": "*.co.uk"}},
    {"query": 'nuclear AND NOT "power plant"', "name": "nuclear"},
]
#: Workers look so often whether an absence is due, seconds.
ABSENCES_EVERY = 1.0
#: So many differences are printed; all are counted.
SHOWN = 20


@dataclass
class Check:
    """One comparison: how much was compared, and what differs."""

    what: str
    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, name: str, live: Any, replayed: Any) -> None:
        """Count one, and note if the two differ, and in what."""
        self.compared += 1
        if live != replayed:
            self.differences.append(f"{name}: {_differing(live, replayed)}")

    def compare_all(self, live: Mapping[str, Any], replayed: Mapping[str, Any]) -> None:
        """Compare what has the same name, and what only one of the two has."""
        for name in [*live, *(name for name in replayed if name not in live)]:
            self.compare(name, live.get(name), replayed.get(name))


@dataclass
class Outcome:
    """What came of a run. ``by_seq`` are alerts of rules that remember which the order of ``seq`` alone does not give."""

    checks: list[Check]
    counts: Mapping[str, int]
    by_seq: Check

    @property
    def differences(self) -> list[str]:
        """All of them, with what was compared."""
        return [f"{check.what}: {difference}" for check in self.checks for difference in check.differences]

    def table(self) -> str:
        """For a person."""
        rows = [f"{count:>9,}  {what}" for what, count in self.counts.items()]
        rows += ["", " compared   differ"]
        rows += [f"{check.compared:>9,} {len(check.differences):>8,}  {check.what}" for check in self.checks]
        differ = len(self.by_seq.differences)
        rows += ["", f"{differ:,} of {self.by_seq.compared:,} {self.by_seq.what}"]
        return "\n".join(rows)


def make_project(bed: Bed, title: str, stream: Sequence[Headline]) -> Project:
    """A project with rules, routes and subscriptions of every kind, whose alerts go into a file."""
    folder = bed.folder / title
    folder.mkdir()
    prefix = f"{title}."
    kafka = {"bootstrap_servers": bed.servers, "topic_prefix": prefix, "group": title, "partitions": PARTITIONS}
    rules = [{"channels": ["desk"], **rule} for rule in (*RULES, *make_rules(stream))]
    channel = {"type": "file", "path": "alerts.jsonl"}
    files = {
        "wirewatch.yaml": {
            "kafka": kafka,
            "redis": {"url": bed.services.redis_url, "prefix": title},
            "data_dir": "data",
            "routes": "routes.yaml",
        },
        "channels.yaml": {
            "channels": {"desk": {**channel, "subscribe": SUBSCRIPTIONS}, "gulf": channel, "pager": channel}
        },
        "routes.yaml": ROUTES,
        "rules/rules.yaml": {"rules": rules},
    }
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return Project(folder / "wirewatch.yaml", Topics(prefix), title)


def run(bed: Bed, title: str, stream: Sequence[Headline], rate: int | None = None) -> Outcome:
    """Send a stream through two workers, ``rate`` headlines a second or all at once, replay what they recorded, and compare."""
    project = make_project(bed, title, stream)
    asyncio.run(_live(bed, project, stream, rate))
    replayed = _replay(project)
    recorded = _recorded(bed, project)
    book = load_rulebook(settings(project.file))
    return _compared(recorded, replayed, book)


async def _live(bed: Bed, project: Project, stream: Sequence[Headline], rate: int | None) -> None:
    await fill(bed, project, ())  # makes the topics
    with running(project, 2) as processes:
        async with watching(bed, project) as watch:
            if rate:  # few at once are to be shared by two, not a backlog read by the one who is first
                await _working(bed, project, processes)
            await _feed(bed, project, stream, rate)
            await watch.until(lambda: watch.decided() >= len(stream), processes)
            await watch.until(lambda: _through(watch, project.topics), processes)
            await asyncio.sleep(2 * ABSENCES_EVERY)  # what is due is told, rather than cut in the middle


async def _working(bed: Bed, project: Project, processes: Sequence[Process]) -> None:
    """Return when both workers have their part of the topics."""
    client = {"bootstrap_servers": bed.servers}
    deadline = time.monotonic() + PATIENCE
    while await read_group(client, project.group) != Group("Stable", len(processes)):
        if time.monotonic() > deadline:
            raise RuntimeError("the workers did not share the topics out")
        await asyncio.sleep(0.25)


def _through(watch: Watch, topics: Topics) -> bool:
    """Whether all is decided and alerted. What is delivered does not matter, and a record may be there twice."""
    worked_on = (topics.raw, topics.unique, topics.dropped, topics.classified)
    ends = {tp: end for tp, end in watch._ends.items() if tp.topic in worked_on}
    return all(watch._committed.get(tp, 0) == end for tp, end in ends.items())


async def _feed(bed: Bed, project: Project, stream: Sequence[Headline], rate: int | None) -> None:
    """Send headline after headline, each to the next partition, so that both workers have their part of every story."""
    async with AIOKafkaProducer(bootstrap_servers=bed.servers, acks="all", linger_ms=0 if rate else 5) as producer:
        began = time.monotonic()
        for number, headline in enumerate(stream):
            if rate and (wait := began + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            value, name = msgspec.json.encode(headline), f"h{number}"
            headers = [("id", name.encode())]
            await producer.send(project.topics.raw, value, partition=number % PARTITIONS, headers=headers)


def _replay(project: Project) -> list[dict[str, Any]]:
    """Every decision of the command, as it writes them."""
    out = project.file.with_name("decisions.jsonl")
    topics = ("kafka:headlines.unique", "kafka:headlines.dropped")
    command = [sys.executable, "-m", "streams", "replay", *topics, "--decisions", str(out), "--json"]
    done = subprocess.run([*command, "-c", str(project.file)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"replay ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def _recorded(bed: Bed, project: Project) -> dict[str, list[dict[str, Any]]]:
    """The records of the topics, by topic without the prefix. What is there twice is there once."""
    topics = project.topics
    found: dict[str, dict[str, dict[str, Any]]] = {}
    wanted = [topics.classified, topics.dropped, topics.correlated, topics.alerts, topics.invalid]
    for record in Recording({"bootstrap_servers": bed.servers}, wanted).records():
        value = json.loads(record.value)
        name = value.get("alert_id") or value.get("id") or value.get("position") or record.value.decode()
        found.setdefault(record.topic.removeprefix(topics.prefix), {})[name] = value
    return {topic: list(values.values()) for topic, values in found.items()}


def _compared(
    recorded: Mapping[str, Sequence[dict[str, Any]]],
    replayed: Sequence[dict[str, Any]],
    book: Rulebook,
) -> Outcome:
    live = sorted([*recorded["headlines.classified"], *recorded["headlines.dropped"]], key=lambda one: one["seq"])
    decisions = [one["headline"] for one in replayed if one["headline"]]
    order, decided = Check("places in the order of the decisions"), Check("decisions, field by field")
    for place, (one, other) in enumerate(zip(live, decisions, strict=False)):
        order.compare(f"place {place}", one["id"], other["id"])
    decided.compare_all(_by_id(live), _by_id(decisions))
    remembering = {rule.name for rule in book.matched.rules if rule.remembers}
    others = {rule.name for rule in book.matched.rules} - remembering
    told, mine = _alerts(recorded["alerts"]), _alerts(alert for one in replayed for alert in one["alerts"])
    plain = Check("alerts of rules without a memory, those held back included")
    plain.compare_all(_of(told, others), _of(mine, others))
    by_log = Check("alerts of rules that remember, those held back included")
    by_log.compare_all(_of(told, remembering), _of(mine, remembering))
    by_seq = Check("alerts of these rules would differ by the order of the decisions alone")
    by_seq.compare_all(_of(told, remembering), _of(_alerts(_by_seq(decisions, book)), remembering))
    return Outcome([order, decided, plain, by_log], _counts(live, recorded), by_seq)


def _by_seq(decisions: Sequence[dict[str, Any]], book: Rulebook) -> Iterator[dict[str, Any]]:
    """The alerts of rules that remember as they come where these see the decisions in their order."""
    matcher, classifier = Matcher(book.matched), Classifier(book.taxonomy)
    correlator, router = Correlator(book.matched), ChannelRouter(book.routing)
    now = 0
    for one in decisions:
        repeat = "duplicate_of" in one
        if repeat:
            dropped = msgspec.convert(one, Dropped)
            record = classified(dropped, classifier.classify(dropped.headline.headline))
        else:
            record = msgspec.convert(one, Classified)
        event = event_of(record, matcher.match(record), repeat=repeat)
        now = max(now, milliseconds(min(record.headline.published, record.received)))
        firings = correlator.advance(now) + (correlator.consider(event) if event is not None else [])
        for firing in firings:
            for alert in router.alerts(firing):
                yield json.loads(msgspec.json.encode(alert))


def _counts(live: Sequence[dict[str, Any]], recorded: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, int]:
    dropped, alerts = len(recorded["headlines.dropped"]), recorded["alerts"]
    places = [place for told in recorded["headlines.correlated"] for place in told["places"]]
    updates = sum(one.get("kind") == "update" for one in live)
    return {
        "headlines decided live by two workers": len(live),
        "first of their story": len(live) - dropped - updates,
        "updates": updates,
        "dropped": dropped,
        "invalid": len(recorded.get("headlines.invalid", ())),
        "places in the log of what rules remember": len({place["number"] for place in places}),
        "of them moments when nothing had come": len({place["number"] for place in places if "at" in place}),
        "records that tell of them": len(recorded["headlines.correlated"]),
        "alerts": sum("suppressed" not in alert for alert in alerts),
        "alerts held back": sum("suppressed" in alert for alert in alerts),
        "rules that fired": len({alert["rule"]["name"] for alert in alerts}),
    }


def _by_id(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Records without their place: replay counts from 0, live from where it is."""
    return {record["id"]: {key: value for key, value in record.items() if key != "seq"} for record in records}


def _alerts(alerts: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for alert in alerts:
        headline = {key: value for key, value in alert["headline"].items() if key != "seq"}
        found[alert["alert_id"]] = {**alert, "headline": headline}
    return found


def _of(alerts: Mapping[str, dict[str, Any]], names: set[str]) -> dict[str, dict[str, Any]]:
    return {key: alert for key, alert in alerts.items() if alert["rule"]["name"] in names}


def _differing(live: Any, replayed: Any) -> str:
    if not isinstance(live, dict) or not isinstance(replayed, dict):
        return f"live {_short(live)}, replayed {_short(replayed)}"
    keys = [key for key in {**live, **replayed} if live.get(key) != replayed.get(key)]
    return "; ".join(f"{key}: live {_short(live.get(key))}, replayed {_short(replayed.get(key))}" for key in keys)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "alert_id" in value:
        value = {"rule": value["rule"]["name"], "suppressed": value.get("suppressed"), "channel": value["channel"]}
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


def printed(outcome: Outcome) -> str:
    """The table, and the first differences."""
    lines = [outcome.table()]
    if found := outcome.differences:
        lines += ["", *found[:SHOWN], *([f"and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else [])]
    return "\n".join(lines)
