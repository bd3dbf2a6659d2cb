"""The user's files: rules, taxonomy, routes and channels, read and checked together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from alerts.channels import Channel, Listing, list_channels, open_channels
from alerts.notify.interface import Notifier
from alerts.route import ROOT, Routing
from alerts.routefile import Known, load_routes
from alerts.rulefile import load_rules
from alerts.silence import Silence, Snapshot
from alerts.subscriptions import Written, load_subscriptions, twice
from alerts.userfile import files_below, read_text
from streams.core import document
from streams.core.dedupe import Deduper, ExactDeduper
from streams.core.document import Problem, RefusedError
from streams.core.match import Matcher
from streams.core.rule import RuleSet
from streams.core.story.deduper import StoryDeduper
from streams.core.taxonomy import Taxonomy, compile_taxonomy
from streams.settings import Loaded
from streams.worker.rules import InForce


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

    def in_force(self) -> InForce:
        """What a worker goes by, made of it."""
        return InForce(Matcher(self.matched), self.routing)

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
    pauses = {name: pause for name, channel in listing.channels.items() if (pause := channel.settings.rate)}
    return Routing(root, tuple(written.subscription for written in subscriptions), pauses), subscriptions


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
        return partial(ExactDeduper, dedupe.longest)
    return partial(StoryDeduper, dedupe.window, windows=dedupe.sources)
