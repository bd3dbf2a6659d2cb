"""What a channel is told of a story so far: one card a story, that alerts are added to. Pure.

However alerts arrive, late, twice or in the wrong order, the same ones make the same card: headlines are placed by their
``seq``, the order in which deduplication decided on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from alerts import render
from streams.core.records import Alert, Kind, Severity, Span, Status

#: The most characters of a headline on a card, and of alerts that a card remembers to have been told.
HEADLINE_LIMIT = 600
TOLD_LIMIT = 200

#: Least first.
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")


class Line(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A headline on a card. ``cut`` is how many characters it had more than ``text``."""

    headline_id: str
    seq: int
    text: str
    published: datetime
    received: datetime
    source: str
    url: str | None = None
    matched: tuple[Span, ...] = ()
    kind: Kind = "first"
    status: Status = "usable"
    cut: int = 0


class Reason(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A rule that fired, the ``seq`` of the headline that it fired on last, and what of several headlines it took."""

    name: str
    title: str
    severity: Severity
    seq: int
    because: str | None = None


class Card(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A story in a channel. ``lines`` are its first headline and its latest, which may be one; ``seqs`` are those of all.

    ``reasons`` are its rules, the worst first. ``told`` are the ids of its alerts.
    """

    story_id: str
    lines: tuple[Line, ...]
    reasons: tuple[Reason, ...]
    told: tuple[str, ...]
    topics: tuple[str, ...] = ()
    sources: int = 1
    seqs: tuple[int, ...] = ()
    began: datetime | None = None

    @property
    def first(self) -> Line:
        return self.lines[0]

    @property
    def latest(self) -> Line:
        return self.lines[-1]

    @property
    def headlines(self) -> int:
        """How many headlines of the story the channel was told of."""
        return len(self.seqs)

    @property
    def severity(self) -> Severity:
        return self.reasons[0].severity

    def with_alert(self, alert: Alert) -> Card:
        """The card with one alert more; the same card where it was told."""
        if alert.alert_id in self.told:
            return self
        other = card_of(alert)
        return replace(
            self,
            lines=_ends([*self.lines, *other.lines]),
            reasons=_worst_first([*self.reasons, *other.reasons]),
            told=(*self.told, alert.alert_id)[-TOLD_LIMIT:],
            topics=tuple(dict.fromkeys([*self.topics, *other.topics])),
            sources=max(self.sources, other.sources),
            seqs=tuple(sorted({*self.seqs, *other.seqs}))[-TOLD_LIMIT:],
            began=min(filter(None, (self.began, other.began)), default=None),
        )

    def shows(self, alert: Alert) -> bool:
        """Whether the headline of an alert is on the card already, for another rule perhaps."""
        return alert.headline.seq in self.seqs


def card_of(alert: Alert) -> Card:
    """The card of one alert alone."""
    headline, rule = alert.headline, alert.rule
    return Card(
        story_id=headline.story_id,
        lines=(line_of(alert),),
        reasons=(
            Reason(name=rule.name, title=rule.title, severity=rule.severity, seq=headline.seq, because=rule.because),
        ),
        told=(alert.alert_id,),
        topics=tuple(match.topic for match in headline.topics),
        sources=headline.story_sources,
        seqs=(headline.seq,),
        began=headline.story_began,
    )


def line_of(alert: Alert, limit: int = HEADLINE_LIMIT) -> Line:
    """The headline of an alert, in at most ``limit`` characters."""
    classified, headline = alert.headline, alert.headline.headline
    text = render.cut(headline.headline, limit)
    kept = len(text) if text == headline.headline else len(text) - 1  # less the ellipsis
    return Line(
        headline_id=classified.id,
        seq=classified.seq,
        text=text,
        cut=len(headline.headline) - kept,
        matched=tuple(span for span in alert.rule.matched if span.end <= kept),
        published=headline.published,
        received=classified.received,
        source=render.cut(headline.source, 100),
        url=render.web_link(headline.url),
        kind=classified.kind,
        status=headline.status,
    )


def _ends(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The first line and the last; of lines of one headline, one with all the words that matched."""
    by_headline: dict[tuple[int, str], Line] = {}
    for line in lines:
        key = line.seq, line.headline_id
        known = by_headline.get(key)
        matched = tuple(sorted({*known.matched, *line.matched})) if known else line.matched
        by_headline[key] = replace(line, matched=matched)
    ordered = [by_headline[key] for key in sorted(by_headline)]
    return (ordered[0], ordered[-1]) if len(ordered) > 1 else tuple(ordered)


def _worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    latest: dict[str, Reason] = {}
    for reason in reasons:
        known = latest.get(reason.name)
        if known is None or (reason.seq, reason.because or "") >= (known.seq, known.because or ""):
            latest[reason.name] = reason
    return tuple(sorted(latest.values(), key=lambda one: (-SEVERITIES.index(one.severity), one.name)))
