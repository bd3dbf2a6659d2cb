"""A card, or a digest of several alerts, as a Slack message. Pure: no clock, the same again for the same alerts.

Headlines are ``rich_text``, which has no marks that a headline could use: nothing in it is read as a mention or a link. All
other texts are escaped. The limits: https://docs.slack.dev/reference/block-kit/blocks; that the blocks of a message
may have 13,200 characters together is known from https://github.com/slackapi/bolt-js/issues/2509 only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    RichTextBlock,
)

from alerts import render
from alerts.slack.card import Card, Line, Reason, card_of, line_of
from streams.core.records import Alert, Severity, Status, utc

#: The most characters of a header, of the text that notifications show, and of one detail.
HEADER_LIMIT = 150
SUMMARY_LIMIT = 600
DETAIL_LIMIT = 300
#: The most characters that a button carries.
VALUE_LIMIT = 2000
#: The most characters of all blocks of a message, as JSON.
BLOCKS_LIMIT = 12_000
#: The most headlines that a digest lists, one by one, and characters of the names of rules beside one.
LISTED = 20
NAMES_LIMIT = 80

#: The buttons below a message, by their action id.
USEFUL, NOISE, MUTE_STORY, MUTE_RULE = "useful", "noise", "mute_story", "mute_rule"
#: The type of the metadata by which a message is known again.
EVENT = "wirewatch_alert"

MARKS: Mapping[Severity, str] = {"info": "⚪", "low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}
_STANDINGS: Mapping[Status, str] = {"usable": "", "corrected": "CORRECTED", "canceled": "WITHDRAWN"}

#: Links to one address in one headline take no more characters than this; it is one link else, without bold words.
_LINKS_LIMIT = 4000
#: Headlines of a digest get shorter, in these steps, until the message is small enough.
_DIGEST_STEPS = ((240, True), (120, True), (120, False), (60, False))

_Dict = dict[str, Any]


class Click(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a button is about; its value, as JSON."""

    channel: str
    rule: str
    story: str
    headline: str
    text: str


def alert_message(alert: Alert) -> _Dict:
    """The message of one alert."""
    return card_message(card_of(alert))


def card_message(card: Card, *, channel: str | None = None) -> _Dict:
    """The message of a story; with buttons where its ``channel`` is given, the name of one in ``channels.yaml``."""
    standing = _standing(card.latest)
    summary = " ".join(filter(None, [f"{card.severity.upper()}:", standing and f"{standing}:", card.latest.text]))
    buttons = _buttons(card, channel) if channel is not None else [[]]
    message: _Dict = {}
    # What is least needed goes first where the blocks are too large: the text that buttons carry, bold words, the buttons.
    for bold, below in ((True, buttons[0]), (True, buttons[-1]), (False, buttons[-1]), (False, [])):
        message = _message(summary, [_body(card, bold=bold), _details(card), *below])
        if _size(message) <= BLOCKS_LIMIT:
            break
    return message


def reply_message(alert: Alert) -> _Dict:
    """What is said below a story's message when there is news of it."""
    card = card_of(alert)
    line = card.latest
    because = f"rule {card.reasons[0].name}" + (f": {because}" if (because := card.reasons[0].because) else "")
    details = _context([f"source *{_detail(line.source)}*", _times(line), _detail(because)])
    news = _standing(line) or "UPDATE"
    message: _Dict = {}
    for bold in (True, False):
        section = _section([_text(f"{news}  ", bold=True), *_headline(line, bold=bold)])
        message = _message(f"{news}: {line.text}", [_rich([section]), details])
        if _size(message) <= BLOCKS_LIMIT:
            break
    return message


def digest_message(alerts: Sequence[Alert]) -> _Dict:
    """Several alerts in one message: each headline with its source and time, and with its rules where there are several, in
    the order of publication. Of one headline that several rules fire on, it is the message of a story.
    """
    ordered = sorted(alerts, key=lambda alert: (alert.headline.headline.published, alert.headline.seq, alert.alert_id))
    headlines = _by_headline(ordered)
    if len(headlines) == 1:
        return card_message(_card(headlines[0]))
    worst = _worst(ordered).rule.severity
    titles = Counter(alert.rule.title for alert in ordered)
    title = f"{MARKS[worst]} {len(ordered)} alerts · {', '.join(title for title, _ in titles.most_common())}"
    header = HeaderBlock(text=PlainTextObject(text=render.cut(render.one_line(title), HEADER_LIMIT), emoji=True))
    first, last = ordered[0].headline.headline.published, ordered[-1].headline.headline.published
    rules = Counter(alert.rule.name for alert in ordered)
    counted = ", ".join(f"{name} ({count})" for name, count in rules.most_common())
    span = _clock(first) if first == last else f"{_clock(first)} to {_clock(last)}"
    details = _context([f"published {span}", f"rules {_detail(counted)}"])
    message: _Dict = {}
    for limit, linked in _DIGEST_STEPS:
        message = _message(title, [header, _listed(headlines, limit, linked=linked, named=len(rules) > 1), details])
        if _size(message) <= BLOCKS_LIMIT:
            break
    return message


def escape(text: str) -> str:
    """``text`` on one line, with Slack's three control characters disarmed, and so ``<!here>``, too."""
    return render.one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- the parts of a message


def _body(card: Card, *, bold: bool = True) -> Block:
    standing = _standing(card.latest)
    worst = card.reasons[0]
    title = [
        _text(f"{MARKS[card.severity]} {card.severity.upper()}", bold=True),
        _text(f"  {render.cut(render.one_line(worst.title), HEADER_LIMIT)}"),
    ]
    if standing or card.latest.kind == "update":
        title.append(_text(f"  {standing or 'UPDATE'}", bold=True))
    withdrawn = card.latest.status == "canceled"
    sections = [_section(title), _section(_headline(card.latest, strike=withdrawn, bold=bold))]
    if card.first is not card.latest:
        between = card.headlines - 2
        more = f"  (and {between:,} between)" if between > 0 else ""
        earlier = [_text("first: "), *_headline(card.first, strike=bool(standing), bold=False), _text(more or " ")]
        sections.append(_section(earlier))
    return _rich(sections)


def _details(card: Card) -> Block:
    line = card.latest
    details = [_rule(reason) for reason in card.reasons[:3]]
    if len(card.reasons) > 3:
        details[-1] += f" and {len(card.reasons) - 3} more rules"
    if card.topics:
        details.insert(0, f"topic *{_detail(', '.join(card.topics))}*")
    sources = f" · *{card.sources:,} sources* so far" if card.sources > 1 else ""
    details += [f"source *{_detail(line.source)}*{sources}", _times(line)]
    began = card.began
    if began is not None and began < card.first.published:
        details.append(f"story began {_clock(began)}")
    return _context(details)


def _rule(reason: Reason) -> str:
    because = f": {_detail(reason.because)}" if reason.because else ""
    return f"rule `{_detail(reason.name)}`{because}"


def _buttons(card: Card, channel: str) -> list[list[Block]]:
    """The buttons, those that carry the text of the headline first; none where the ids alone are longer than they may be."""
    line = card.latest
    about = {"channel": channel, "rule": card.reasons[0].name, "story": card.story_id, "headline": line.headline_id}
    texts = (render.cut(line.text, 300), "")
    values = (msgspec.json.encode(Click(**about, text=text)).decode() for text in texts)
    return [[_actions(value)] for value in values if len(value) <= VALUE_LIMIT] or [[]]


def _actions(value: str) -> Block:
    labels = {
        USEFUL: "👍 Useful",
        NOISE: "👎 Noise",
        MUTE_STORY: "Mute story for 2 h",
        MUTE_RULE: "Mute rule until tomorrow",
    }
    buttons = [
        ButtonElement(text=PlainTextObject(text=label, emoji=True), action_id=name, value=value)
        for name, label in labels.items()
    ]
    return ActionsBlock(elements=buttons)


def _by_headline(alerts: Iterable[Alert]) -> list[list[Alert]]:
    """The alerts of each headline, in the order in which they come."""
    found: dict[tuple[str, int, str], list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.headline.story_id, alert.headline.seq, alert.headline.id), []).append(alert)
    return list(found.values())


def _card(alerts: Sequence[Alert]) -> Card:
    card = card_of(alerts[0])
    for alert in alerts[1:]:
        card = card.with_alert(alert)
    return card


def _worst(alerts: Iterable[Alert]) -> Alert:
    return max(alerts, key=lambda alert: list(MARKS).index(alert.rule.severity))


def _listed(headlines: Sequence[Sequence[Alert]], limit: int, *, linked: bool, named: bool) -> Block:
    items = [_item(alerts, limit, linked=linked, named=named) for alerts in headlines[:LISTED]]
    elements: list[_Dict] = [{"type": "rich_text_list", "style": "bullet", "elements": items}]
    if len(headlines) > LISTED:
        elements.append(_section([_text(f"and {len(headlines) - LISTED:,} more")]))
    return RichTextBlock(elements=elements)


def _item(alerts: Sequence[Alert], limit: int, *, linked: bool, named: bool) -> _Dict:
    """One headline of a digest, by the worst of its alerts; with the names of its rules where it is to be ``named``."""
    worst = _worst(alerts)
    line = line_of(worst, limit)
    mark = _standing(line) or ("UPDATE" if line.kind == "update" else "")
    names = ", ".join(reason.name for reason in _card(alerts).reasons)
    return _section(
        [
            _text(f"{MARKS[worst.rule.severity]} "),
            *([_text(f"{mark} ", bold=True)] if mark else []),
            *_headline(line, linked=linked, strike=line.status == "canceled"),
            _text(f"  {render.cut(render.one_line(line.source), 40)}, "),
            _date(line.published),
            *([_text(f"  {render.cut(render.one_line(names), NAMES_LIMIT)}")] if named else []),
        ]
    )


def _standing(line: Line) -> str:
    return _STANDINGS[line.status]


def _headline(line: Line, *, strike: bool = False, bold: bool = True, linked: bool = True) -> list[_Dict]:
    """A headline, linked to its source, its matched words in bold, and how much of it was cut."""
    url = line.url if linked else None
    pieces = list(render.segments(line.text, line.matched if bold else ()))
    if url is not None and len(url) * len(pieces) > _LINKS_LIMIT:
        pieces = [(line.text, False)]
    shown = [_text(render.one_line(piece), url, bold=matched, strike=strike) for piece, matched in pieces]
    if not shown:
        shown = [_text("(no words)", url)]
    if line.cut:
        shown.append(_text(f" (+{line.cut:,} characters)"))
    return shown


def _times(line: Line) -> str:
    late = render.duration(max(line.received - line.published, line.published - line.published))
    return f"published {_clock(line.published)}, received {late} later"


def _clock(moment: datetime) -> str:
    """A time that Slack shows in the reader's zone."""
    fallback = f"{utc(moment):%Y-%m-%d %H:%M:%S} UTC"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"


def _detail(text: str) -> str:
    return _fitting(text.replace("`", "'"), DETAIL_LIMIT, escape)


def _fitting(text: str, limit: int, show: Callable[[str], str]) -> str:
    """``show(text)``, of a text cut at a word so that what is shown has at most ``limit`` characters."""
    room = limit
    shown = show(render.cut(text, room))
    while len(shown) > limit:
        room -= max((len(shown) - limit) // 6, 1)  # an escape has five characters at most
        shown = show(render.cut(text, room))
    return shown


# --- Block Kit


def _message(summary: str, blocks: Iterable[Block]) -> _Dict:
    return {
        "text": _fitting(summary, SUMMARY_LIMIT, escape),
        "blocks": [block.to_dict() for block in blocks],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _size(message: _Dict) -> int:
    return len(msgspec.json.encode(message["blocks"]).decode())


def _rich(sections: list[_Dict]) -> Block:
    return RichTextBlock(elements=sections)


def _context(details: Iterable[str]) -> Block:
    # Verbatim: "harbour.example" is a source, and no link.
    return ContextBlock(elements=[MarkdownTextObject(text=detail, verbatim=True) for detail in details])


def _section(elements: list[_Dict]) -> _Dict:
    return {"type": "rich_text_section", "elements": elements}


def _text(text: str, url: str | None = None, *, bold: bool = False, strike: bool = False) -> _Dict:
    part: _Dict = {"type": "link", "url": url, "text": text} if url else {"type": "text", "text": text}
    style = {name: True for name, wanted in (("bold", bold), ("strike", strike)) if wanted}
    return part | ({"style": style} if style else {})


def _date(moment: datetime) -> _Dict:
    return {
        "type": "date",
        "timestamp": int(moment.timestamp()),
        "format": "{time}",
        "fallback": f"{utc(moment):%H:%M} UTC",
    }
