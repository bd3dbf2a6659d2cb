"""Decides whether a run kept the promises, from all that was sent, published and posted (after Kingsbury's Jepsen).

It looks at what went in and what came out and at nothing in between, so that it cannot share a mistake with the
pipeline: which headlines say the same, and what they must fire, is known from the :class:`~tests.faults.history.History`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from alerts.health import RULE
from tests.faults.history import History

#: What a record of ``headlines.raw`` may end in.
FATES = ("unique", "dropped", "invalid")


class Told(msgspec.Struct, kw_only=True, frozen=True):
    """As much of the record of any topic as the checker needs."""

    position: str = ""
    id: str = ""
    stage: str = ""
    duplicate_of: str = ""
    alert_id: str = ""
    outcome: str = ""
    reason: str | None = None

    @property
    def unsent(self) -> bool:
        """It ended because its channel is disabled, and no receiver saw it."""
        return (self.reason or "").startswith("its channel is disabled")


@dataclass(frozen=True, slots=True)
class Post:
    """An alert of a post that a receiver got. ``taken``: it was answered by 2xx, in time."""

    id: str
    body: bytes
    taken: bool


class Body(msgspec.Struct, frozen=True):
    """The body of a post: one alert, or those of a group."""

    type: Literal["alert", "alerts"]
    data: msgspec.Raw


class Alert(msgspec.Struct, frozen=True):
    """As much of an alert as tells it apart."""

    alert_id: str


def posts_of(body: bytes, *, taken: bool) -> list[Post]:
    """Each alert of a post, in whichever company it came."""
    told = msgspec.json.decode(body, type=Body)
    data = msgspec.json.decode(told.data, type=list[msgspec.Raw]) if told.type == "alerts" else [told.data]
    return [Post(msgspec.json.decode(one, type=Alert).alert_id, bytes(one), taken) for one in data]


@dataclass(slots=True)
class Observed:
    """What was seen of a run.

    ``confirmed`` are the ids that the broker confirmed to the sender, ``raw`` the ids found on ``headlines.raw`` by
    position, ``topics`` the values of every other topic by its name in :data:`~streams.worker.topics.NAMES`, ``messages`` the
    bodies of posts by their ``webhook-id``.
    ``redis_fell`` tells that Redis was killed or emptied: then a repeat may be told once more, as
    ``docs/adr/0002-ledger.md`` says.
    """

    confirmed: set[str] = field(default_factory=set)
    raw: dict[str, str] = field(default_factory=dict)
    topics: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    posts: list[Post] = field(default_factory=list)
    messages: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    redis_fell: bool = False


@dataclass(slots=True)
class Verdict:
    """What the checker found: how many of what, and every promise that was broken."""

    headlines: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    delivered: int = 0
    dead: int = 0
    lost: int = 0
    repeats: int = 0
    messages: int = 0
    two_ends: int = 0
    told_again: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """No promise was broken."""
        return not self.violations


def check(history: History, observed: Observed) -> Verdict:
    """Compare what came out with what went in."""
    verdict = Verdict(headlines=len(observed.raw))
    told = {
        topic: [msgspec.json.decode(value, type=Told) for value in values] for topic, values in observed.topics.items()
    }
    _sent(observed, verdict)
    _one_fate_each(history, observed, told, verdict)
    unique = {record.id for record in told.get("unique", ())}
    _one_unique_a_saying(history, observed, told, verdict)
    _all_classified(told, verdict)
    _alerts(history.expected(unique), observed, told, verdict)
    return verdict


def _sent(observed: Observed, verdict: Verdict) -> None:
    for name in observed.confirmed - set(observed.raw.values()):
        verdict.violations.append(f"Kafka lost the record {name}, which it had confirmed")


def _one_fate_each(history: History, observed: Observed, told: Mapping[str, Sequence[Told]], verdict: Verdict) -> None:
    fates: dict[str, set[str]] = defaultdict(set)
    words: dict[str, set[bytes]] = defaultdict(set)
    for topic in FATES:
        for record, value in zip(told.get(topic, ()), observed.topics.get(topic, ()), strict=True):
            if topic != "invalid" or record.stage == "deduplicate":
                fates[record.position].add(topic)
                words[record.position].add(_without_seq(value) if observed.redis_fell else value)
            else:
                verdict.violations.append(f"{record.position} was refused by {record.stage}")
    for position, name in observed.raw.items():
        ended = fates.pop(position, set())
        readable = name in history.saying_of
        if not ended:
            verdict.lost += 1
            verdict.violations.append(f"lost: {position} is neither unique nor dropped nor invalid")
            continue
        if len(ended) > 1:
            verdict.violations.append(f"{position} is {' and '.join(sorted(ended))}")
        elif len(words[position]) > 1:
            verdict.violations.append(f"{position} was published again, and says something else: {words[position]}")
        if readable == ("invalid" in ended):
            verdict.violations.append(f"{position} is {'' if readable else 'un'}readable, and is {sorted(ended)}")
        verdict.fates.update(ended)
    verdict.violations += [f"{position} came from nowhere" for position in fates]


def _without_seq(value: bytes) -> bytes:
    """A record without its place in the order of decisions.

    Where a worker slept between its decision and its publication, and Redis lost the decision meanwhile, the same is decided
    anew and has another place: what remains by ``docs/adr/0002-ledger.md``.
    """
    fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    fields.pop("seq", None)
    return msgspec.json.encode(fields)


def _one_unique_a_saying(
    history: History, observed: Observed, told: Mapping[str, Sequence[Told]], verdict: Verdict
) -> None:
    uniques: dict[str, set[str]] = defaultdict(set)
    for record in told.get("unique", ()):
        uniques[history.saying_of.get(record.id, "?")].add(record.id)
    arrived = {history.saying_of[name] for name in observed.raw.values() if name in history.saying_of}
    verdict.violations += [f"nothing of {saying!r} is unique" for saying in sorted(arrived - uniques.keys())]
    for saying, ids in uniques.items():
        verdict.told_again += len(ids) - 1
        if len(ids) > 1 and not observed.redis_fell:
            verdict.violations.append(f"{saying!r} is unique {len(ids)} times")
    for record in told.get("dropped", ()):
        saying = history.saying_of.get(record.id, "?")
        # After Redis fell, what one was dropped for may have been decided anew, and dropped itself.
        forgiven = observed.redis_fell and record.duplicate_of != record.id
        if record.duplicate_of not in uniques[saying] and not (
            forgiven and history.saying_of.get(record.duplicate_of) == saying
        ):
            verdict.violations.append(f"{record.position} was dropped for {record.duplicate_of}, which is not unique")


def _all_classified(told: Mapping[str, Sequence[Told]], verdict: Verdict) -> None:
    classified = {record.position for record in told.get("classified", ())}
    for record in told.get("unique", ()):
        if record.position not in classified:
            verdict.lost += 1
            verdict.violations.append(f"lost: {record.position} was never classified")


def _alerts(expected: set[str], observed: Observed, told: Mapping[str, Sequence[Told]], verdict: Verdict) -> None:
    bodies: dict[str, set[bytes]] = defaultdict(set)
    notices = {post.id for post in observed.posts if RULE.encode() in post.body}
    unsent = {record.alert_id for record in told.get("deliveries", ()) if record.unsent}
    for post in observed.posts:
        bodies[post.id].add(post.body)
    taken = Counter(post.id for post in observed.posts if post.taken and post.id not in notices)
    dead = {record.alert_id for record in told.get("dead", ())}
    ended = {record.alert_id for record in told.get("deliveries", ()) if record.outcome != "retry"}
    verdict.alerts, verdict.delivered, verdict.dead = len(expected), len(taken), len(dead)
    delivered = {record.alert_id for record in told.get("deliveries", ()) if record.outcome == "delivered"}
    verdict.two_ends = len(delivered & dead)
    verdict.repeats = taken.total() - len(taken)
    verdict.messages = len(observed.messages)
    verdict.lost += len(expected - taken.keys() - dead)
    verdict.violations += [
        *_each("lost: the alert {} was neither delivered nor given up", expected - taken.keys() - dead),
        *_each("the alert {} was posted, and nothing fired it", bodies.keys() - expected - notices),
        *(f"the alert {name} was posted with two bodies: {said}" for name, said in bodies.items() if len(said) > 1),
        *(f"the message {name} has two bodies: {said}" for name, said in observed.messages.items() if len(said) > 1),
        *_each("the end of the alert {} is not on deliveries", expected - ended),
        *_each("the alert {} is on deliveries as ended, and was not posted", ended - bodies.keys() - unsent),
    ]


def _each(text: str, names: Iterable[str]) -> list[str]:
    return [text.format(name) for name in sorted(names)]
