"""``wirewatch replay --jobs``, ``--slices`` and ``--cluster``: who decides, this process alone or with others to help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import typer

from alerts.route import ChannelRouter
from streams.backtest.decided import Decided
from streams.backtest.order import Order
from streams.backtest.replay import Decider
from streams.backtest.replay import replay as decisions_of
from streams.backtest.slices.cluster import Cluster
from streams.backtest.slices.finding import Remembering, Side, Work
from streams.backtest.slices.handed import Hand, HandedClassifier, HandedDeduper, HandedMatcher
from streams.backtest.slices.hands import Hands, HandsError
from streams.backtest.slices.processes import Processes
from streams.backtest.slices.sliced import Cut, Sliced
from streams.cli.common import UnreachableError
from streams.cli.plan import Rulebook, deduper_of
from streams.cli.reading import Readable
from streams.cli.replay_report import extra
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate, Deduper
from streams.core.match import Matcher
from streams.core.pipeline import Engine
from streams.settings import Dedupe, Loaded

JobsOption = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=64, help="Processes, up to 64, that look at the stream, in slices of it."),
]
SlicesOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Slices that the stream is cut into.", show_default="by its length"),
]
ClusterOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, whose workers look at the slices.")
]


class Deciding(Protocol):
    """Makes the engines of a replay, and the decisions of them."""

    def deduper(self, loaded: Loaded) -> Deduper:
        """A deduper with these settings."""

    def engine(self, loaded: Loaded, book: Rulebook, deduper: Deduper, router: ChannelRouter) -> Engine:
        """An engine; ``deduper`` is what :meth:`deduper` gave for these settings, or something around it."""

    def decisions(self, candidates: Iterable[Candidate], decider: Decider, order: Order | None) -> Iterator[Decided]:
        """What a decider of these engines decides, in an order of its own for rules that remember, where there is one."""


class Alone:
    """This process decides, and does all that takes."""

    def deduper(self, loaded: Loaded) -> Deduper:
        return deduper_of(loaded)()

    def engine(self, _loaded: Loaded, book: Rulebook, deduper: Deduper, router: ChannelRouter) -> Engine:
        return Engine(Matcher(book.matched), Classifier(book.taxonomy), deduper, router)

    def decisions(self, candidates: Iterable[Candidate], decider: Decider, order: Order | None) -> Iterator[Decided]:
        return decisions_of(candidates, decider, order)


@dataclass
class Helped:
    """This process decides, and is handed what others found; ``open_hands`` calls them, and ``stack`` lets go of them."""

    stack: ExitStack
    open_hands: Callable[[Work], Hands]
    cut: Cut
    source: Readable
    hand: Hand = field(default_factory=Hand)
    settings: list[Dedupe] = field(default_factory=list)
    dedupers: list[HandedDeduper] = field(default_factory=list)
    rememberings: list[Remembering] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)

    def deduper(self, loaded: Loaded) -> Deduper:
        dedupe, place = loaded.settings.dedupe, len(self.settings)
        self.settings.append(dedupe)
        remembering = Remembering(deduper_of(loaded), dedupe.longest, dedupe.stories)
        self.rememberings.append(remembering)
        self.dedupers.append(HandedDeduper(remembering, self.hand, place))
        return self.dedupers[-1]

    def engine(self, loaded: Loaded, book: Rulebook, deduper: Deduper, router: ChannelRouter) -> Engine:
        place = len(self.sides)
        side = Side(self.settings.index(loaded.settings.dedupe), book.taxonomy, book.matched)
        self.sides.append(side)
        matcher = HandedMatcher(side.rules, self.hand, place)
        return Engine(matcher, HandedClassifier(side.taxonomy, self.hand, place), deduper, router)

    def decisions(self, candidates: Iterable[Candidate], decider: Decider, order: Order | None) -> Iterator[Decided]:
        try:
            hands = self.open_hands(Work(self.rememberings, self.sides))
            self.stack.callback(hands.close)
            sliced = Sliced(self.hand, self.dedupers, hands, self.cut)
            self.source.tell(sliced.hear)
            yield from decisions_of(sliced.of(candidates), decider, order)
        except HandsError as error:
            raise UnreachableError(error.message, error.hint) from None


@dataclass(frozen=True, slots=True)
class Help:
    """What of it was asked for on the command line."""

    jobs: int
    slices: int | None
    cluster: str | None

    def deciding(self, stack: ExitStack, sources: Sequence[str], source: Readable) -> Deciding:
        """Who decides on what ``source`` reads, which is that of ``sources``.

        Raises:
            typer.BadParameter: what was asked for does not go together.
            UnreachableError: the extra is not installed.
        """
        if self.cluster is not None and self.jobs > 1:
            raise typer.BadParameter("--jobs are processes of this machine: leave it out with --cluster")
        if self.cluster is None and self.jobs == 1:
            if self.slices is not None:
                raise typer.BadParameter(
                    "--slices are for several to look at: say who, by --jobs N or --cluster ADDRESS"
                )
            return Alone()
        if self.slices is not None and "-" in sources:
            raise typer.BadParameter("how long standard input is, nobody knows: leave out --slices, or name a file")
        return Helped(stack, self._opener(), Cut(source.expected, self.slices), source)

    def _opener(self) -> Callable[[Work], Hands]:
        address = self.cluster
        if address is None:
            return lambda work: Processes(self.jobs, work)
        distributed = extra("distributed", "cluster", "--cluster")
        return lambda work: Cluster(distributed, address, work)

    def refuse_with(self, option: str) -> None:
        """Refuse an option that slices do not go together with.

        Raises:
            typer.BadParameter: this was asked for.
        """
        if self.jobs > 1 or self.slices is not None or self.cluster is not None:
            raise typer.BadParameter(f"{option} goes headline by headline: leave out --jobs, --slices and --cluster")
