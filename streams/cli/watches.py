"""What a worker reads again when the user's files change: the taxonomy, and the rules with who is told of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.rulefile import places_of_rules
from streams.cli.plan import Rulebook, load_rulebook, load_taxonomy
from streams.core.classify import Classifier
from streams.core.document import Problem, RefusedError
from streams.settings import Loaded
from streams.worker.reload import Current, Stamp, Watch, stamp
from streams.worker.rules import InForce

#: So many rules are named where many are concerned.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Stamps:
    """The stamps of the files that are watched."""

    taxonomy: Stamp
    rules: Stamp

    @classmethod
    def of(cls, loaded: Loaded) -> Stamps:
        """Take them now."""
        return cls(stamp(_taxonomy(loaded)), stamp(_rules(loaded)))


def _taxonomy(loaded: Loaded) -> list[Path]:
    return [loaded.path(path) for path in loaded.settings.taxonomy]


def _rules(loaded: Loaded) -> list[Path]:
    """The files that say which headlines matter and who is told, and how channels are named."""
    settings = loaded.settings
    return [
        *(loaded.path(path) for path in settings.rules),
        loaded.path(settings.channels),
        loaded.path(settings.subscriptions),
        *([loaded.path(settings.routes)] if settings.routes is not None else []),
    ]


def watch_taxonomy(
    loaded: Loaded, classifier: Current[Classifier], rules: Current[InForce], read_at: Stamp
) -> Watch[Classifier]:
    """A watch that puts a changed taxonomy in force, unless one of ``rules`` asks for a topic that it lacks.

    ``read_at`` is the stamp of the files from before ``classifier`` was made of them.
    """
    paths = _taxonomy(loaded)

    def build() -> Classifier:
        taxonomy = load_taxonomy(paths)
        known = {topic.name.casefold() for topic in taxonomy.topics}
        asking: dict[str, list[str]] = {}
        for rule in rules.value.matcher.ruleset.rules:
            for topic in sorted(rule.query.values("topic") - known):
                asking.setdefault(topic, []).append(rule.name)
        if asking:
            raise RefusedError(_gone(topic, asking[topic], loaded) for topic in sorted(asking))
        return Classifier(taxonomy)

    return Watch("taxonomy", paths, build, classifier, read_at=read_at, revision=lambda built: built.taxonomy.revision)


def watch_rules(loaded: Loaded, rules: Current[InForce], channels: Collection[str], read_at: Stamp) -> Watch[InForce]:
    """A watch that puts changed rules, routes and subscriptions in force, for the ``channels`` that are open.

    ``read_at`` is the stamp of the files from before ``rules`` was made of them.
    """

    def build() -> InForce:
        book = load_rulebook(loaded)
        if strange := [channel.name for channel in book.used_channels() if channel.name not in channels]:
            raise RefusedError(_not_open(name, book, loaded) for name in strange)
        return book.in_force()

    return Watch("rules", _rules(loaded), build, rules, read_at=read_at, revision=lambda built: built.revision)


def _gone(topic: str, asking: Sequence[str], loaded: Loaded) -> Problem:
    """That rules ask for a topic which the files of the taxonomy had and have no more, and where these rules stand."""
    return Problem(
        str(loaded.path(loaded.settings.taxonomy[0])),
        0,
        0,
        f"the topic `{topic}` is gone, which {_ask(len(asking))} for: {_told(asking, loaded)}",
        "keep the topic, or change the rules before",
    )


def _not_open(channel: str, book: Rulebook, loaded: Loaded) -> Problem:
    """That something names a channel which the worker has not opened."""
    naming = [rule.name for rule in book.rules.rules if channel in rule.channels]
    by = f", which {_name(len(naming))}: {_told(naming, loaded)}" if naming else ""
    return Problem(
        str(loaded.path(loaded.settings.channels)),
        0,
        0,
        f"the channel `{channel}` is not open in this worker{by}",
        "channels and their secrets are read when a worker starts: start the workers anew",
    )


def _told(names: Sequence[str], loaded: Loaded) -> str:
    """Rules by name, and where they stand."""
    places = places_of_rules(loaded.path(path) for path in loaded.settings.rules)
    told = [f"`{name}` ({at.file}:{at.line})" if (at := places.get(name)) else f"`{name}`" for name in names[:_NAMED]]
    return ", ".join(told) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _ask(count: int) -> str:
    return "a rule asks" if count == 1 else f"{count} rules ask"


def _name(count: int) -> str:
    return "a rule names" if count == 1 else f"{count} rules name"
