"""An alert as a webhook's body, as a Slack message, and as a line of text.

Pure functions of the alert alone, without a clock: an alert that is sent again says the same again, byte for
byte.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from slack_sdk.models.blocks import (
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from streams.core.records import Alert, Headline, Severity, Span, utc

#: The most bytes of a webhook's body (Standard Webhooks recommends less than 20 kB).
BODY_LIMIT = 20_000

#: Slack's limits, in characters: https://docs.slack.dev/reference/block-kit/blocks
HEADER_LIMIT = 150
SECTION_LIMIT = 3000

#: The most characters of one part of a message's last line, and of a link's target.
_DETAIL_LIMIT = 300
_URL_LIMIT = 1000

_ELLIPSIS = "…"
_MARKS: dict[Severity, str] = {"info": "⚪", "low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}


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
    """``text`` in at most ``limit`` characters; what is longer ends after a whole word, in an ellipsis."""
    if len(text) <= limit:
        return text
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

    ``timestamp`` is when the headline was received. Where the body would exceed :data:`BODY_LIMIT` bytes, the
    least needed parts are shortened or left out, in the order of :data:`_CUTS`, and ``truncated`` names them.
    Ids stay whole.
    """
    truncated: list[str] = []
    body = _envelope(alert, truncated)
    for part, shorten in _CUTS:
        if len(body) <= BODY_LIMIT:
            break
        shorter = shorten(alert)
        if shorter != alert:
            alert = shorter
            truncated = [*dict.fromkeys([*truncated, part])]
            body = _envelope(alert, truncated)
    return body


def _envelope(alert: Alert, truncated: list[str]) -> bytes:
    envelope: dict[str, Any] = {"type": "alert", "timestamp": alert.headline.received, "data": alert}
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


def _shorter_headline(alert: Alert) -> Alert:
    text = cut(alert.headline.headline.headline, 1000)
    kept = len(text.removesuffix(_ELLIPSIS))
    matched = tuple(span for span in alert.rule.matched if span.end <= kept)
    return _with_headline(replace(alert, rule=replace(alert.rule, matched=matched)), headline=text)


#: What is cut from a body that is too long, the least needed first.
_CUTS: tuple[tuple[str, Callable[[Alert], Alert]], ...] = (
    ("headline.headline.body", _body_to(4000)),
    ("headline.headline.body", _body_to(1000)),
    ("headline.topics.evidence", _without_evidence),
    ("headline.headline.body", _body_to(0)),
    ("headline.topics", _fewer_topics),
    ("rule.matched", _fewer_words),
    ("headline.headline.author", lambda alert: _with_headline(alert, author=None)),
    ("headline.headline.headline", _shorter_headline),
    ("headline.headline.url", lambda alert: _with_headline(alert, url=None)),
)


# --- Slack


def slack_message(alert: Alert) -> dict[str, Any]:
    """A message for Slack's incoming webhook: severity and rule, the linked headline, a line of details."""
    headline = alert.headline.headline
    blocks = [
        HeaderBlock(text=PlainTextObject(text=_fitting(_slack_title(alert), HEADER_LIMIT, slack_escape), emoji=True)),
        SectionBlock(text=MarkdownTextObject(text=_slack_headline(alert))),
        ContextBlock(elements=[MarkdownTextObject(text=detail) for detail in _slack_details(alert)]),
    ]
    summary = f"{alert.rule.severity.upper()}: {headline.headline}"
    return {
        "text": _fitting(summary, SECTION_LIMIT, slack_escape),
        "blocks": [block.to_dict() for block in blocks],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def slack_escape(text: str) -> str:
    """``text`` on one line, with Slack's three control characters disarmed, and so ``<!here>``, too."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_title(alert: Alert) -> str:
    severity = alert.rule.severity
    return f"{_MARKS[severity]} {severity.upper()} · {alert.rule.title}"


def _slack_headline(alert: Alert) -> str:
    headline = alert.headline.headline
    url = web_link(headline.url)
    opening, closing = (f"<{_slack_url(url)}|", ">") if url else ("", "")
    if len(opening) > SECTION_LIMIT // 2:
        # Escapes made it long, and the words matter more.
        opening = closing = ""
    text = _fitting(
        headline.headline,
        SECTION_LIMIT - len(opening) - len(closing),
        lambda kept: _slack_bold(kept, alert.rule.matched),
    )
    return opening + text + closing


def _slack_bold(text: str, spans: Iterable[Span]) -> str:
    """Matched words between asterisks.

    Slack reads an asterisk as a mark only at the edge of a word and never next to a space on its inner side,
    so spaces are kept outside, and a zero-width space parts the asterisk from a letter that touches it.
    """
    parts: list[str] = []
    pieces = list(segments(text, spans))
    for index, (piece, matched) in enumerate(pieces):
        word = piece.strip()
        if not matched or not word:
            parts.append(slack_escape(piece))
            continue
        lead, _, trail = piece.partition(word)
        before = pieces[index - 1][0][-1:] if index and not lead else ""
        after = pieces[index + 1][0][:1] if index + 1 < len(pieces) and not trail else ""
        left = "\u200b" if before.isalnum() else ""
        right = "\u200b" if after.isalnum() else ""
        parts.append(f"{lead}{left}*{slack_escape(word)}*{right}{trail}")
    return "".join(parts)


def _slack_details(alert: Alert) -> list[str]:
    classified, headline = alert.headline, alert.headline.headline
    published = headline.published
    shown = f"{{date_short_pretty}} {{time_secs}}|{utc(published):%Y-%m-%d %H:%M:%S} UTC"
    clock = f"<!date^{int(published.timestamp())}^{shown}>"
    details = [
        f"source *{_detail(headline.source)}*",
        f"published {clock}, received {duration(delay(alert))} later",
        f"rule `{_detail(alert.rule.name)}`",
    ]
    if classified.topics:
        topics = ", ".join(match.topic for match in classified.topics)
        details.insert(0, f"topic *{_detail(topics)}*")
    if standing := _standing(alert):
        details.insert(0, f"*{standing}*")
    return details


def _standing(alert: Alert) -> str:
    """What a reader must know of the headline beyond its words, or nothing."""
    status = alert.headline.headline.status
    if status != "usable":
        return status
    return "update" if alert.headline.kind == "update" else ""


def _detail(text: str) -> str:
    return _fitting(text.replace("`", "'"), _DETAIL_LIMIT, slack_escape)


def _slack_url(url: str) -> str:
    escapes = {"&": "&amp;", "<": "%3C", ">": "%3E", "|": "%7C", " ": "%20"}
    return "".join(escapes.get(one, one) for one in one_line(url))


def _fitting(text: str, limit: int, show: Callable[[str], str]) -> str:
    """``show(text)``, of a text cut at a word so that what is shown has at most ``limit`` characters."""
    room = limit
    shown = show(cut(text, room))
    while len(shown) > limit:
        room -= max((len(shown) - limit) // 6, 1)  # an escape has five characters at most, and marks add some
        shown = show(cut(text, room))
    return shown


# --- text


def line_parts(alert: Alert) -> tuple[str, str]:
    """What stands before and after the headline in a line of text."""
    classified, headline = alert.headline, alert.headline.headline
    before = f"{utc(headline.published):%H:%M:%S}  {alert.rule.severity.upper():<8}  {alert.rule.title}: "
    standing = f" ({_standing(alert)})" if _standing(alert) else ""
    details = [", ".join(match.topic for match in classified.topics), headline.source, headline.url or ""]
    return before, standing + "  · " + " · ".join(filter(None, details))


def line(alert: Alert) -> str:
    """The alert in one line of plain text."""
    before, after = line_parts(alert)
    return one_line(before + alert.headline.headline.headline + after)


def one_line(text: str) -> str:
    """``text`` with a space for each line break and each control character, such as a terminal's escape."""
    return "".join(" " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one for one in text)
