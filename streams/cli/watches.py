"""What a worker reads again when the user's files change: rules with who is told of them, and the taxonomy they ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.rulefile import places_of_rules
from streams.cli.plan import Rulebook, load_rulebook
from streams.core.classify import Classifier
from streams.core.document import Problem, RefusedError
from streams.settings import Loaded
from streams.worker.reload import Current, Stamp, Watch, stamp
from streams.worker.rules import InForce

#: So many rules are named where many are concerned.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Read:
    """What the files say, checked together."""

    rules: InForce
    classifier: Classifier

    @property
    def revision(self) -> str:
        """Those of both, for the log."""
        return f"{self.rules.revision}, taxonomy {self.classifier.taxonomy.revision}"


class Both:
    """The rules and the taxonomy in force, replaced together: a topic may get another name in both at once."""

    def __init__(self, rules: Current[InForce], classifier: Current[Classifier]) -> None:
        self._rules = rules
        self._classifier = classifier

    @property
    def value(self) -> Read:
        """What is in force now."""
        return Read(self._rules.value, self._classifier.value)

    @value.setter
    def value(self, read: Read) -> None:
        before = self._rules.value
        if (read.rules.revision, read.rules.routing) != (before.revision, before.routing):
            self._rules.value = read.rules
        self._classifier.value = read.classifier


def stamp_of(loaded: Loaded) -> Stamp:
    """The stamp of the files that are watched, now."""
    return stamp(_watched(loaded))


def _watched(loaded: Loaded) -> list[Path]:
    """The files that say which headlines matter and who is told, and how channels are named."""
    settings = loaded.settings
    return [
        *(loaded.path(path) for path in settings.taxonomy),
        *(loaded.path(path) for path in settings.rules),
        loaded.path(settings.channels),
        loaded.path(settings.subscriptions),
        *([loaded.path(settings.routes)] if settings.routes is not None else []),
    ]


def watch_files(loaded: Loaded, in_force: Both, channels: Collection[str], read_at: Stamp) -> Watch[Read]:
    """A watch that puts changed files in force, all of them or none, for the ``channels`` that are open.

    ``read_at`` is the stamp of the files from before what is ``in_force`` was made of them.
    """

    def build() -> Read:
        book = load_rulebook(loaded)
        if strange := [channel.name for channel in book.used_channels() if channel.name not in channels]:
            raise RefusedError(_not_open(name, book, loaded) for name in strange)
        classifier = in_force.value.classifier
        if classifier.taxonomy.revision != book.taxonomy.revision:
            classifier = Classifier(book.taxonomy)
        return Read(book.in_force(), classifier)

    return Watch("rules", _watched(loaded), build, in_force, read_at=read_at, revision=lambda read: read.revision)


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


def _name(count: int) -> str:
    return "a rule names" if count == 1 else f"{count} rules name"
