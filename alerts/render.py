"""An alert as a webhook's body and as a line of text, and what other messages are made of.

Pure functions of the alert alone, without a clock: an alert that is sent again says the same again, byte for
byte.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from streams.core.records import Alert, Headline, Span, utc

#: The most bytes of a webhook's body (Standard Webhooks recommends less than 20 kB).
BODY_LIMIT = 20_000

#: Bytes that a webhook of several alerts may have for each, however many: room for all but what is long.
_SHARE = 2_000

#: The most characters of a link's target.
_URL_LIMIT = 1000

_ELLIPSIS = "…"


def segments(text: str, spans: Iterable[Span]) -> Iterator[tuple[str, bool]]:
    """``text`` in pieces, each with whether it was matched.

    Spans may come in any order, overlap, touch, or reach past the end; matched pieces that overlap or touch
    are one.
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted((max(span.start, 0), min(span.end, len(text))) for span in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    at = 0
    for start, end in merged:
        if at < start:
            yield text[at:start], False
        yield text[start:end], True
        at = end
    if at < len(text):
        yield text[at:], False


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters; what is longer ends after a whole word, in an ellipsis.

    Nothing is left of it where ``limit`` is 0 or less.
    """
    if len(text) <= limit:
        return text
    if limit <= 0:
        return ""
    kept = text[: limit - 1]
    if not text[limit - 1].isspace():
        whole = kept.rpartition(" ")[0]
        # One word longer than half of the room is cut within, or almost nothing would be left.
        kept = whole if len(whole) >= limit // 2 else kept
    return kept.rstrip() + _ELLIPSIS


def web_link(url: str | None) -> str | None:
    """``url`` where it leads to the web; None where it is missing, something else, or absurdly long."""
    if url is None or len(url) > _URL_LIMIT:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc else None


def delay(alert: Alert) -> timedelta:
    """How long after its publication the headline reached the pipeline; zero where clocks disagree."""
    return max(alert.headline.received - alert.headline.headline.published, timedelta())


def duration(span: timedelta) -> str:
    """A span of time as a reader thinks of it: ``0.4 s``, ``12 s``, ``3 min``, ``2 h 5 min``, ``4 d``."""
    seconds = span.total_seconds()
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{minutes // (24 * 60)} d"


# --- webhook


def webhook_body(alert: Alert) -> bytes:
    """The body of a webhook: ``{"type": "alert", "timestamp": ..., "data": {the alert}}``, as JSON.

    ``timestamp`` is when the headline was received. Where the body would exceed :data:`BODY_LIMIT` bytes, it is of the
    alert as :func:`fitted`, and ``truncated`` names what was cut. Ids stay whole.
    """
    body = _envelope(alert, ())
    return body if len(body) <= BODY_LIMIT else _envelope(*fitted(alert))


def webhook_bodies(alerts: Sequence[Alert]) -> bytes:
    """The body of a webhook of several alerts: ``{"type": "alerts", "timestamp": ..., "data": [the alerts]}``, as JSON.

    ``timestamp`` is when the latest headline was received. Where the body would exceed :data:`BODY_LIMIT` bytes, or
    :data:`_SHARE` for each alert where these are more, the least needed parts are cut, from the longest alert first, until it
    does not; ``truncated`` names what was cut from any. Ids stay whole, and so does every URL that a link may have: what
    these take by themselves may be more.
    """
    latest = max(alert.headline.received for alert in alerts)
    limit = max(BODY_LIMIT, _SHARE * len(alerts))
    shorter, truncated = list(alerts), list[str]()
    body = _message("alerts", latest, shorter, truncated)
    for part, shorten in _CUTS_OF_SEVERAL:
        if len(body) <= limit:
            break
        if _shorten_some(shorter, shorten, len(body) - limit):
            truncated = [*dict.fromkeys([*truncated, part])]
            body = _message("alerts", latest, shorter, truncated)
    return body


def _shorten_some(alerts: list[Alert], shorten: Callable[[Alert], Alert], excess: int) -> bool:
    """Shorten alerts in their places, the longest first, until so many bytes are saved; whether there was anything to cut."""
    lengths = [len(msgspec.json.encode(alert)) for alert in alerts]
    any_cut = False
    for place in sorted(range(len(alerts)), key=lambda place: lengths[place], reverse=True):
        if excess <= 0:
            break
        shorter = shorten(alerts[place])
        if shorter != alerts[place]:
            excess -= lengths[place] - len(msgspec.json.encode(shorter))
            alerts[place] = shorter
            any_cut = True
    return any_cut


def fitted(alert: Alert) -> tuple[Alert, Sequence[str]]:
    """An alert whose webhook's body has at most :data:`BODY_LIMIT` bytes, and what of it was cut.

    The least needed parts are shortened or left out, in the order of :data:`_CUTS`.
    """
    truncated: list[str] = []
    for part, shorten in _CUTS:
        if len(_envelope(alert, truncated)) <= BODY_LIMIT:
            break
        shorter = shorten(alert)
        if shorter != alert:
            alert = shorter
            truncated = [*dict.fromkeys([*truncated, part])]
    return alert, truncated


def _envelope(alert: Alert, truncated: Sequence[str]) -> bytes:
    return _message("alert", alert.headline.received, alert, truncated)


def _message(kind: str, timestamp: datetime, data: Any, truncated: Sequence[str]) -> bytes:
    envelope: dict[str, Any] = {"type": kind, "timestamp": timestamp, "data": data}
    if truncated:
        envelope["truncated"] = truncated
    return msgspec.json.encode(envelope)


def _with_headline(alert: Alert, **changes: Any) -> Alert:
    headline: Headline = replace(alert.headline.headline, **changes)
    return replace(alert, headline=replace(alert.headline, headline=headline))


def _body_to(limit: int) -> Callable[[Alert], Alert]:
    return lambda alert: _with_headline(alert, body=cut(alert.headline.headline.body or "", limit) or None)


def _without_evidence(alert: Alert) -> Alert:
    topics = tuple(replace(topic, evidence=()) for topic in alert.headline.topics)
    return replace(alert, headline=replace(alert.headline, topics=topics))


def _fewer_topics(alert: Alert) -> Alert:
    return replace(alert, headline=replace(alert.headline, topics=alert.headline.topics[:20]))


def _fewer_words(alert: Alert) -> Alert:
    return replace(alert, rule=replace(alert.rule, matched=alert.rule.matched[:20]))


def _headline_to(limit: int) -> Callable[[Alert], Alert]:
    def shorten(alert: Alert) -> Alert:
        whole = alert.headline.headline.headline
        if len(whole) <= limit:
            return alert
        text = cut(whole, limit)
        kept = len(text.removesuffix(_ELLIPSIS))
        matched = tuple(span for span in alert.rule.matched if span.end <= kept)
        return _with_headline(replace(alert, rule=replace(alert.rule, matched=matched)), headline=text)

    return shorten


def _without_endless_url(alert: Alert) -> Alert:
    return _with_headline(alert, url=None) if len(alert.headline.headline.url or "") > _URL_LIMIT else alert


#: What is cut from any body that is too long, the least needed first.
_CUTS_OF_ALL: tuple[tuple[str, Callable[[Alert], Alert]], ...] = (
    ("headline.headline.body", _body_to(4000)),
    ("headline.headline.body", _body_to(1000)),
    ("headline.topics.evidence", _without_evidence),
    ("headline.headline.body", _body_to(0)),
    ("headline.topics", _fewer_topics),
    ("rule.matched", _fewer_words),
    ("headline.headline.author", lambda alert: _with_headline(alert, author=None)),
    ("headline.headline.headline", _headline_to(1000)),
)
#: One alert keeps its words, and the limit, whatever its URL; of several each keeps its URL, for it leads to the words.
_CUTS = (*_CUTS_OF_ALL, ("headline.headline.url", lambda alert: _with_headline(alert, url=None)))
_CUTS_OF_SEVERAL = (
    *_CUTS_OF_ALL,
    ("headline.headline.url", _without_endless_url),
    ("headline.headline.headline", _headline_to(300)),
)


# --- text


def _standing(alert: Alert) -> str:
    """What a reader must know of the headline beyond its words, or nothing."""
    status = alert.headline.headline.status
    if status != "usable":
        return status
    return "update" if alert.headline.kind == "update" else ""


def line_parts(alert: Alert) -> tuple[tuple[str, str, str], str]:
    """What stands before the headline in a line of text (time, severity, rule), and what after it."""
    classified, headline, rule = alert.headline, alert.headline.headline, alert.rule
    when = f"{utc(headline.published):%Y-%m-%d %H:%M:%S} UTC  "
    standing = f" ({_standing(alert)})" if _standing(alert) else ""
    words = ", ".join(dict.fromkeys(span.text for span in rule.matched))
    topics = ", ".join(match.topic for match in classified.topics)
    details = [
        f"rule {rule.name}",
        f"fired by {words}" if words else "",
        f"topic {topics}" if topics else "",
        headline.source,
        headline.url or "",
    ]
    title = f"{rule.title}: " if rule.title != rule.name else ""
    after = f"{standing}  · " + " · ".join(filter(None, details))
    return (when, f"{rule.severity.upper():<8}", f"  {one_line(title)}"), one_line(after)


def line(alert: Alert) -> str:
    """The alert in one line of plain text."""
    before, after = line_parts(alert)
    return "".join(before) + one_line(alert.headline.headline.headline) + after


def one_line(text: str) -> str:
    """``text`` with a space for each line break and each control character, such as a terminal's escape."""
    return "".join(" " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one for one in text)
