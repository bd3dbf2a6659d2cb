"""From settings to what a worker runs: rules, taxonomy and channels, read and checked together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from alerts.channels import Channel, Listing, list_channels, open_channels
from alerts.delivery import RetrySchedule
from alerts.notify.interface import Notifier
from alerts.route import ROOT, ChannelRouter, Routing
from alerts.routefile import Known, load_routes
from alerts.rulefile import load_rules, places_of_rules
from alerts.silence import Silence, Snapshot
from alerts.subscriptions import Written, load_subscriptions, twice
from alerts.userfile import files_below, read_text
from streams.cli.services import Addresses
from streams.core import document
from streams.core.classify import Classifier
from streams.core.dedupe import Deduper, ExactDeduper
from streams.core.document import Problem, RefusedError
from streams.core.match import Matcher
from streams.core.rule import RuleSet
from streams.core.story.deduper import StoryDeduper
from streams.core.taxonomy import Taxonomy, compile_taxonomy
from streams.settings import Loaded
from streams.worker.reload import Current, Stamp, Watch, stamp
from streams.worker.topics import Topics

if TYPE_CHECKING:
    from streams.worker.app import Plan

#: So many rules are named where many are concerned.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the user's files say, checked: which headlines matter, and where they go."""

    channels: Mapping[str, Channel]
    rules: RuleSet
    taxonomy: Taxonomy
    routing: Routing = field(default_factory=Routing)
    subscriptions: Sequence[Written] = ()

    @property
    def matched(self) -> RuleSet:
        """All rules that headlines are matched with: those of files, and those that stand for subscriptions."""
        return RuleSet([*self.rules.rules, *self.routing.rules()]) if self.routing.rules() else self.rules

    def used_channels(self) -> list[Channel]:
        """The channels that a rule, a route or a subscription names; the others need no secret yet."""
        names = {name for rule in self.rules.rules for name in rule.channels} | self.routing.channels().keys()
        return [channel for name, channel in self.channels.items() if name in names]

    def open_channels(self, environ: Mapping[str, str]) -> tuple[dict[str, Notifier], tuple[str, ...]]:
        """A notifier for every channel, and the names of those that nobody needs and that cannot be opened.

        A channel that nobody names any more may have alerts of before, which are still to be sent.

        Raises:
            RefusedError: a channel that a rule, a route or a subscription names cannot be opened.
        """
        notifiers = open_channels(self.used_channels(), environ)
        unopened = []
        for name, channel in self.channels.items():
            if name not in notifiers:
                try:
                    notifiers[name] = channel.open(environ)
                except RefusedError:
                    unopened.append(name)
        return notifiers, tuple(unopened)


def load_rulebook(loaded: Loaded, rule_files: Sequence[Path] = ()) -> Rulebook:
    """Read all files of the user's; where ``rule_files`` are named, their rules instead of those of the settings.

    Rules that are named so may be checked without a file of channels; there are none then.

    Raises:
        RefusedError: with the problems of all the files.
    """
    problems: list[Problem] = []
    rules: RuleSet | None = None
    taxonomy: Taxonomy | None = None
    channels_file = loaded.path(loaded.settings.channels)
    listing = Listing({}, None, ())
    if channels_file.exists() or not rule_files:
        listing = list_channels(channels_file)
        problems += listing.problems if listing.names is None else ()
    try:
        taxonomy = load_taxonomy([loaded.path(path) for path in loaded.settings.taxonomy])
    except RefusedError as error:
        problems += error.problems
    topics = {topic.name for topic in taxonomy.topics} if taxonomy else None
    try:
        paths = rule_files or [loaded.path(path) for path in loaded.settings.rules]
        rules = load_rules(paths, channels=listing.names, topics=topics)
    except RefusedError as error:
        problems += error.problems
    names = None if rules is None or rule_files else {rule.name for rule in rules.rules}
    known = Known(listing.names, topics, names)
    if listing.names is not None:  # read again for what its subscriptions speak of, which had to be read after it
        listing = list_channels(channels_file, known)
        problems += listing.problems
    routing, subscriptions = Routing(), list[Written]()
    try:
        routing, subscriptions = load_routing(loaded, listing, known)
    except RefusedError as error:
        problems += error.problems
    if problems or rules is None or taxonomy is None:
        raise RefusedError(problems)
    return Rulebook(listing.channels, rules, taxonomy, routing, subscriptions)


def load_routing(loaded: Loaded, listing: Listing, known: Known) -> tuple[Routing, list[Written]]:
    """Who is told beside the channels that rules name: the routing tree and all subscriptions, and where these stand.

    Raises:
        RefusedError: with the problems of both files.
    """
    problems: list[Problem] = []
    root, subscriptions = ROOT, [written for channel in listing.channels.values() for written in channel.subscriptions]
    try:
        subscriptions += load_subscriptions(loaded.path(loaded.settings.subscriptions), known)
    except RefusedError as error:
        problems += error.problems
    if loaded.settings.routes is not None:
        try:
            root = load_routes(loaded.path(loaded.settings.routes), known)
        except RefusedError as error:
            problems += error.problems
    problems += twice(subscriptions)
    if problems:
        raise RefusedError(problems)
    return Routing(root, tuple(written.subscription for written in subscriptions)), subscriptions


def load_taxonomy(paths: list[Path]) -> Taxonomy:
    """The taxonomy of files, and of all ``*.yaml`` and ``*.yml`` in folders and the folders in them.

    What begins with a dot is left alone there. Where no paths are given, it is the taxonomy that comes with wirewatch.

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
        files = files_below(path) if path.is_dir() else [path]
        if not files:
            problems.append(Problem(str(path), 0, 0, "holds no taxonomy", "add a *.yaml file, one a topic"))
        for file in files:
            try:
                documents.append(document.parse(read_text(file), str(file)))
            except RefusedError as error:
                problems += error.problems
    try:
        taxonomy = compile_taxonomy(documents)
    except RefusedError as error:
        problems += error.problems
    if problems:
        raise RefusedError(problems)
    return taxonomy


def read_silences(file: Path) -> Snapshot:
    """The silences of a file, as ``silence list --json`` prints them.

    Raises:
        RefusedError: it cannot be read, or holds something else.
    """
    form = "write what `wirewatch silence list --all --json` prints"
    try:
        listed = msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
        silences = [msgspec.convert({"made": one.get("starts")} | one, Silence) for one in listed]
    except OSError as error:
        raise RefusedError([Problem(str(file), 0, 0, f"cannot be read: {error.strerror or error}")]) from None
    except ValueError as error:  # msgspec's errors, and those of bad UTF-8, are ValueErrors
        raise RefusedError([Problem(str(file), 0, 0, f"is no list of silences: {error}", form)]) from None
    snapshot = Snapshot(silences)
    if snapshot.unreadable:
        told = f"the query of silence {snapshot.unreadable[0]} cannot be read"
        raise RefusedError([Problem(str(file), 0, 0, told, form)])
    return snapshot


def deduper_of(loaded: Loaded) -> Callable[[], Deduper]:
    """What makes a deduper with these settings, with nothing in memory."""
    dedupe = loaded.settings.dedupe
    if not dedupe.stories:
        return lambda: ExactDeduper(dedupe.longest)
    return lambda: StoryDeduper(dedupe.window, windows=dedupe.sources)


def make_plan(loaded: Loaded, where: Addresses, clock: Callable[[], datetime]) -> Plan:
    """What a worker with these settings runs.

    Raises:
        RefusedError: a file of the user's is wrong, or a secret is missing.
    """
    from streams.worker.app import Plan  # noqa: PLC0415 - Faust takes half a second, which only a worker needs to wait for

    settings = loaded.settings
    # Before the taxonomy is read, so that what is saved while it is compiled is a change.
    read_at = stamp([loaded.path(path) for path in settings.taxonomy])
    book = load_rulebook(loaded)
    notifiers, unopened = book.open_channels(loaded.environ)
    classifier = Current(Classifier(book.taxonomy))
    return Plan(
        kafka=where.kafka,
        group=where.group,
        topics=Topics(settings.kafka.topic_prefix),
        redis_url=where.redis_url,
        redis_prefix=settings.redis.prefix,
        redis_options=where.redis_options,
        window=settings.dedupe.longest,
        deduper=deduper_of(loaded),
        classifier=classifier,
        matcher=Matcher(book.matched),
        router=ChannelRouter(book.routing),
        notifiers=notifiers,
        unopened=unopened,
        clock=clock,
        data_dir=loaded.path(settings.data_dir),
        session_timeout=settings.kafka.session_timeout.total_seconds(),
        retries=RetrySchedule(
            waits=settings.delivery.retry_after or RetrySchedule().waits, max_age=settings.delivery.max_age
        ),
        watches=[watch_taxonomy(loaded, classifier, book.matched, read_at)] if settings.taxonomy else (),
    )


def watch_taxonomy(
    loaded: Loaded, classifier: Current[Classifier], rules: RuleSet, read_at: Stamp
) -> Watch[Classifier]:
    """A watch that puts a changed taxonomy in force, unless one of ``rules`` asks for a topic that it lacks.

    ``read_at`` is the stamp of the files from before ``classifier`` was made of them.
    """
    paths = [loaded.path(path) for path in loaded.settings.taxonomy]

    def build() -> Classifier:
        taxonomy = load_taxonomy(paths)
        known = {topic.name.casefold() for topic in taxonomy.topics}
        asked = {topic for rule in rules.rules for topic in rule.query.values("topic")}
        if gone := sorted(asked - known):
            raise RefusedError(_gone(topic, loaded, rules) for topic in gone)
        return Classifier(taxonomy)

    return Watch("taxonomy", paths, build, classifier, read_at=read_at, revision=lambda built: built.taxonomy.revision)


def _gone(topic: str, loaded: Loaded, rules: RuleSet) -> Problem:
    """That rules ask for a topic which the files of the taxonomy had and have no more, and where these rules stand."""
    places = places_of_rules(loaded.path(path) for path in loaded.settings.rules)
    asking = [rule.name for rule in rules.rules if topic in rule.query.values("topic")]
    told = [f"`{name}` ({at.file}:{at.line})" if (at := places.get(name)) else f"`{name}`" for name in asking[:_NAMED]]
    more = f" and {len(asking) - _NAMED} more" if len(asking) > _NAMED else ""
    return Problem(
        str(loaded.path(loaded.settings.taxonomy[0])),
        0,
        0,
        f"the topic `{topic}` is gone, which {_rules(len(asking))} for: {', '.join(told)}{more}",
        "keep the topic, or change the rules and start the workers anew",
    )


def _rules(count: int) -> str:
    return "a rule asks" if count == 1 else f"{count} rules ask"
