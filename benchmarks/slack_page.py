"""Messages for Slack as a page to look at: ``python -m benchmarks.slack_page > page.html``.

It shows what ``alerts.slack.message`` makes of invented headlines, roughly as Slack does: a first alert, its update, a
withdrawal, and a digest.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.slack.card import card_of
from alerts.slack.message import alert_message, card_message, digest_message, reply_message
from streams.core.records import Alert, Classified, FiredRule, Headline, Span, TopicMatch

_NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
_STYLE = """
body{font:15px/1.46 Lato,"Noto Sans","DejaVu Sans",sans-serif;color:#1d1c1d;background:#fff;width:720px;margin:24px}
h2{font-size:13px;color:#616061;font-weight:400;border-bottom:1px solid #ddd;margin:28px 0 12px}
.m{display:flex;gap:10px;margin:8px 0}.p{width:36px;height:36px;border-radius:6px;background:#264d7e;color:#fff;
text-align:center;line-height:36px;font-weight:700;flex:none}.n{font-weight:900}.n i{font:12px sans-serif;color:#616061;
font-style:normal;margin-left:6px}a{color:#1264a3;text-decoration:none}.c{font-size:12.5px;color:#616061;margin:4px 0}
.c span{margin-right:12px}.c code{color:#c01343;background:#f6f6f6;border:1px solid #ddd;border-radius:3px;padding:0 3px}
.b{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:3px 10px;margin:6px 6px 0 0;font-weight:700;
font-size:13px}.h{font-size:18px;font-weight:900}ul{margin:4px 0;padding-left:22px}.t{margin-left:46px;border-left:3px
solid #ddd;padding-left:10px}
"""


def main() -> None:
    """Print the page."""
    first = _alert("First tanker seized near Kharg island, crew of 23 safe", 1, ("tanker", "Kharg"), 1)
    update = _alert("Tanker freed near Kharg island after nine hours; owner denies ransom", 2, ("Tanker", "Kharg"), 4)
    gone = _alert("Tanker owner: report of seizure was mistaken", 3, ("Tanker",), 6, status="canceled")
    many = [
        _alert(f"Oil {verb} as traders weigh Gulf {thing}", n, ("Oil", "Gulf"), 1, severity=severity)
        for n, (verb, thing, severity) in enumerate(
            [("rises 2%", "tension", "high"), ("pares gains", "talks", "low"), ("jumps", "outage", "critical")], 4
        )
    ]
    card = card_of(first)
    pages = [
        ("By an incoming webhook", alert_message(first), None),
        ("By a bot: first", card_message(card, channel="desk"), None),
        ("Updated", card_message(card.with_alert(update), channel="desk"), reply_message(update)),
        ("Withdrawn", card_message(card.with_alert(update).with_alert(gone), channel="desk"), reply_message(gone)),
        ("A digest", digest_message(many), None),
    ]
    shown = "".join(
        f"<h2>{title}</h2>{_message(message)}" + (f'<div class="t">{_message(reply)}</div>' if reply else "")
        for title, message, reply in pages
    )
    print(f"<!doctype html><meta charset=utf-8><title>Slack messages</title><style>{_STYLE}</style>{shown}")


def _alert(text: str, seq: int, matched: tuple[str, ...], sources: int, **fields: Any) -> Alert:
    published = _NOON + timedelta(minutes=seq * 7)
    spans = tuple(Span(text.index(word), text.index(word) + len(word), word) for word in matched)
    severity = fields.pop("severity", "high")
    headline = Headline(
        headline=text, published=published, source="wire.example", url=f"https://wire.example/{seq}", **fields
    )
    because = "3 headlines of 3 sources in 10m" if sources > 3 else None
    return Alert(
        alert_id=f"al_{seq}",
        channel="desk",
        rule=FiredRule(
            name="iran-oil", title="Iran and oil", severity=severity, revision="r", matched=spans, because=because
        ),
        headline=Classified(
            id=f"h-{seq}",
            seq=seq,
            position="t:0:1",
            received=published + timedelta(seconds=1.2),
            headline=headline,
            story_id="s",
            kind="first" if seq == 1 else "update",
            story_sources=sources,
            topics=(TopicMatch(topic="iran", confidence=0.9), TopicMatch(topic="oil", confidence=0.8)),
        ),
    )


def _message(message: dict[str, Any]) -> str:
    blocks = "".join(map(_block, message["blocks"]))
    return f'<div class="m"><div class="p">w</div><div><div class="n">wirewatch<i>12:07</i></div>{blocks}</div></div>'


def _block(block: dict[str, Any]) -> str:
    elements = block.get("elements", [])
    if block["type"] == "header":
        return f'<div class="h">{html.escape(block["text"]["text"])}</div>'
    if block["type"] == "context":
        spans = [f"<span>{_mrkdwn(one['text'])}</span>" for one in elements]
        return f'<div class="c">{"".join(spans)}</div>'
    if block["type"] == "actions":
        return "".join(f'<span class="b">{html.escape(one["text"]["text"])}</span>' for one in elements)
    return "".join(map(_rich, elements))


def _rich(element: dict[str, Any]) -> str:
    inside = element["elements"]
    if element["type"] == "rich_text_list":
        return f"<ul>{''.join(f'<li>{_rich(one)}</li>' for one in inside)}</ul>"
    return f"<div>{''.join(map(_part, inside))}</div>"


def _part(part: dict[str, Any]) -> str:
    text = html.escape(part.get("text") or part.get("fallback", "")).replace("  ", "&nbsp; ")
    for style, tag in (("bold", "b"), ("strike", "s")):
        if part.get("style", {}).get(style):
            text = f"<{tag}>{text}</{tag}>"
    return f'<a href="{html.escape(part["url"])}">{text}</a>' if part["type"] == "link" else text


def _mrkdwn(text: str) -> str:
    text = re.sub(r"<!date\^[^|]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*([^*]*)\*", r"<b>\1</b>", text)


if __name__ == "__main__":
    main()
