"""From settings to what a worker runs: rules, taxonomy and channels, read and checked together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path

from alerts.channels import Channel, load_channels, open_channels
from alerts.delivery import RetrySchedule
from alerts.rulefile import load_rules
from streams.cli.services import Addresses
from streams.core import document
from streams.core.classify import Classifier
from streams.core.document import Problem, RefusedError
from streams.core.match import Matcher
from streams.core.rule import RuleSet
from streams.core.taxonomy import Taxonomy, compile_taxonomy
from streams.settings import Loaded
from streams.worker.app import Plan
from streams.worker.topics import Topics


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the user's files say, checked: which headlines matter, and where they go."""

    channels: Mapping[str, Channel]
    rules: RuleSet
    taxonomy: Taxonomy

    def used_channels(self) -> list[Channel]:
        """The channels that a rule names; the others need no secret yet."""
        names = {name for rule in self.rules.rules for name in rule.channels}
        return [channel for name, channel in self.channels.items() if name in names]


def load_rulebook(loaded: Loaded) -> Rulebook:
    """Read channels, rules and taxonomy.

    Raises:
        RefusedError: with the problems of all the files.
    """
    problems: list[Problem] = []
    channels: Mapping[str, Channel] | None = None
    rules: RuleSet | None = None
    taxonomy: Taxonomy | None = None
    try:
        channels = load_channels(loaded.path(loaded.settings.channels))
    except RefusedError as error:
        problems += error.problems
    try:
        taxonomy = load_taxonomy([loaded.path(path) for path in loaded.settings.taxonomy])
    except RefusedError as error:
        problems += error.problems
    try:
        topics = {topic.name for topic in taxonomy.topics} if taxonomy else None
        paths = [loaded.path(path) for path in loaded.settings.rules]
        rules = load_rules(paths, channels=channels, topics=topics)
    except RefusedError as error:
        problems += error.problems
    if channels is None or rules is None or taxonomy is None:
        raise RefusedError(problems)
    return Rulebook(channels, rules, taxonomy)


def load_taxonomy(paths: list[Path]) -> Taxonomy:
    """The taxonomy of files and folders; the one that comes with wirewatch where none are given.

    Raises:
        RefusedError: with every problem in them.
    """
    if not paths:
        built_in = resources.files("streams") / "taxonomy"
        texts = {
            f"taxonomy/{f.name}": f.read_text(encoding="utf-8") for f in built_in.iterdir() if f.name.endswith(".yaml")
        }
        return compile_taxonomy([document.parse(texts[name], name) for name in sorted(texts)])
    problems: list[Problem] = []
    documents = []
    for path in paths:
        files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
        if not files:
            problems.append(Problem(str(path), 0, 0, "holds no taxonomy", "add a *.yaml file, one a topic"))
        for file in files:
            try:
                documents.append(document.parse(file.read_text(encoding="utf-8"), str(file)))
            except OSError as error:
                problems.append(Problem(str(file), 0, 0, f"cannot be read: {error.strerror}"))
            except UnicodeDecodeError:
                problems.append(Problem(str(file), 0, 0, "is not UTF-8 text", "save it as UTF-8"))
            except RefusedError as error:
                problems += error.problems
    try:
        taxonomy = compile_taxonomy(documents)
    except RefusedError as error:
        problems += error.problems
    if problems:
        raise RefusedError(problems)
    return taxonomy


def make_plan(loaded: Loaded, where: Addresses, clock: Callable[[], datetime]) -> Plan:
    """What a worker with these settings runs.

    Raises:
        RefusedError: a file of the user's is wrong, or a secret is missing.
    """
    book = load_rulebook(loaded)
    settings = loaded.settings
    return Plan(
        kafka=where.kafka,
        group=settings.kafka.group,
        topics=Topics(settings.kafka.topic_prefix),
        redis_url=where.redis_url,
        redis_prefix=settings.redis.prefix,
        redis_options=where.redis_options,
        window=settings.dedupe.window,
        classifier=Classifier(book.taxonomy),
        matcher=Matcher(book.rules),
        notifiers=open_channels(book.used_channels(), loaded.environ),
        clock=clock,
        data_dir=loaded.path(settings.data_dir),
        session_timeout=settings.kafka.session_timeout.total_seconds(),
        retries=RetrySchedule(settings.delivery.retry_after) if settings.delivery.retry_after else RetrySchedule(),
    )
