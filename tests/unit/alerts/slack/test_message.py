from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from alerts.slack.card import card_of
from alerts.slack.message import (
    BLOCKS_LIMIT,
    LISTED,
    SUMMARY_LIMIT,
    Click,
    alert_message,
    card_message,
    digest_message,
    reply_message,
)
from streams.core.records import Alert, Span, TopicMatch
from tests.standins.slack import refusal, shown_text

Make = Callable[..., Alert]
HOSTILE = "<!here> & <@U123> <https://evil.example|click> storm > calm"


def of(alert: Alert, **fields: Any) -> Alert:
    """An alert whose headline has other ``fields``."""
    return msgspec.structs.replace(alert, headline=msgspec.structs.replace(alert.headline, **fields))


def fired(alert: Alert, rule: str, severity: str = "high") -> Alert:
    """The same of another rule."""
    return msgspec.structs.replace(
        alert,
        alert_id=f"{alert.alert_id}-{rule}",
        rule=msgspec.structs.replace(alert.rule, name=rule, severity=severity),
    )


def listed(message: dict[str, Any]) -> list[str]:
    """The lines of a digest."""
    return [
        "".join(part.get("text", part.get("fallback", "")) for part in item["elements"])
        for item in message["blocks"][1]["elements"][0]["elements"]
    ]


def parts(message: dict[str, Any], line: int = 1) -> list[dict[str, Any]]:
    """What a line of the message's first block is made of."""
    found: list[dict[str, Any]] = message["blocks"][0]["elements"][line]["elements"]
    return found


def words(message: dict[str, Any], style: str, line: int = 1) -> list[str]:
    return [part["text"] for part in parts(message, line) if part.get("style", {}).get(style)]


def details(message: dict[str, Any]) -> str:
    return " | ".join(element["text"] for element in message["blocks"][1]["elements"])


def test_a_message_has_all_a_desk_needs(make_alert: Make) -> None:
    alert = make_alert()
    rule = msgspec.structs.replace(alert.rule, because="5 headlines of 3 sources in 10m")
    message = alert_message(of(msgspec.structs.replace(alert, rule=rule), story_sources=3))
    assert "".join(part["text"] for part in parts(message, 0)) == "🟠 HIGH  Ferries and weather"
    assert "".join(part["text"] for part in parts(message)) == "Ferries resume after storm warning lifted"
    assert {part["url"] for part in parts(message)} == {"https://harbour.example/n/1"}
    assert words(message, "bold") == ["Ferries", "storm"]
    said = details(message)
    assert "topic *shipping*" in said
    assert "rule `ferries`: 5 headlines of 3 sources in 10m" in said
    assert "source *harbour.example* · *3 sources* so far" in said
    assert "|2025-03-03 12:00:00 UTC>, received 2.0 s later" in said
    assert message["text"] == "HIGH: Ferries resume after storm warning lifted"


def test_slack_s_own_models_accept_every_message(make_alert: Make) -> None:
    alert = make_alert(matched=())
    for message in (
        card_message(card_of(alert), channel="desk"),
        digest_message([alert, of(make_alert(), seq=2)]),
        reply_message(alert),
    ):
        assert refusal(message) is None
        parsed = Block.parse_all(message["blocks"])
        assert [block.to_dict() for block in parsed] == message["blocks"]


@pytest.mark.parametrize(("status", "mark"), [("corrected", "CORRECTED"), ("canceled", "WITHDRAWN")])
def test_corrections_and_withdrawals_are_marked(make_alert: Make, status: str, mark: str) -> None:
    first = make_alert(alert_id="al_1")
    later = of(make_alert("Ferries do not resume", matched=(), alert_id="al_2", status=status), id="h-2", seq=2)
    message = card_message(card_of(first).with_alert(later))
    assert words(message, "bold", 0) == ["🟠 HIGH", f"  {mark}"]
    assert "".join(words(message, "strike", 2)) == "Ferries resume after storm warning lifted", "what held before"
    assert bool(words(message, "strike")) == (status == "canceled")
    assert message["text"] == f"HIGH: {mark}: Ferries do not resume"
    assert shown_text(reply_message(later)["blocks"]).startswith(f"{mark}  Ferries do not resume")


def test_an_update_shows_the_latest_and_keeps_the_first(make_alert: Make) -> None:
    card = card_of(make_alert(alert_id="al_1"))
    for n in range(2, 5):
        card = card.with_alert(
            of(make_alert(f"Ferries, part {n}", matched=(), alert_id=f"al_{n}"), id=f"h-{n}", seq=n, kind="update")
        )
    shown = shown_text(card_message(card)["blocks"]).splitlines()[0]
    assert shown == (
        "🟠 HIGH  Ferries and weather  UPDATEFerries, part 4"
        "first: Ferries resume after storm warning lifted  (and 2 between)"
    )


def test_nothing_in_an_alert_can_speak_slack_s_language(make_alert: Make) -> None:
    alert = make_alert(
        HOSTILE,
        matched=("storm", "<!here>"),
        title=HOSTILE,
        source=HOSTILE,
        url="https://e.example/?a=1&b=<!here>|x>",
        topics=(TopicMatch(topic=HOSTILE, confidence=1.0),),
    )
    for message in (card_message(card_of(alert)), digest_message([alert, of(alert, seq=2)]), reply_message(alert)):
        spoken = [message["text"]] + [
            element["text"]
            for block in message["blocks"]
            if block["type"] == "context"
            for element in block["elements"]
        ]
        for text in spoken:
            assert re.sub(r"<!date\^\d+\^\{[^|]*\|[^>]*>", "", text).count("<") == 0
        assert {element["type"] for element in leaves(message)} <= {"text", "link", "date"}
    assert "".join(part["text"] for part in parts(alert_message(alert))) == HOSTILE


def leaves(message: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting = [element for block in message["blocks"] if block["type"] == "rich_text" for element in block["elements"]]
    while waiting:
        one = waiting.pop()
        if "elements" in one:
            waiting += one["elements"]
        else:
            found.append(one)
    return found


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "https://", "http://[bad", "https://e/" + "x" * 2000])
def test_only_web_addresses_become_links(make_alert: Make, url: str | None) -> None:
    assert {part["type"] for part in parts(alert_message(make_alert(url=url)))} == {"text"}


def test_a_very_long_address_is_linked_once(make_alert: Make) -> None:
    url = "https://e.example/" + "x" * 900
    (link,) = parts(alert_message(make_alert("Ferries and storm and Ferries", matched=("storm", "Ferries"), url=url)))[
        :1
    ]
    assert link["url"] == url
    long = make_alert("a storm " * 9, matched=("storm",), url=url)
    spans = tuple(msgspec.structs.replace(long.rule.matched[0], start=n * 8 + 2, end=n * 8 + 7) for n in range(9))
    many = msgspec.structs.replace(long, rule=msgspec.structs.replace(long.rule, matched=spans))
    assert len(parts(alert_message(many))) == 1


def test_what_is_cut_is_counted(make_alert: Make) -> None:
    text = "Ferries storm " * 100
    shown = parts(alert_message(make_alert(text)))
    kept = "".join(part["text"] for part in shown[:-1])
    assert kept.endswith(("storm…", "Ferries…"))
    assert shown[-1]["text"] == f" (+{len(text) - len(kept) + 1} characters)"


@given(
    text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=50).map(lambda t: "&<storm> " * 600 + t),
    title=st.text(st.sampled_from("&<> ab"), min_size=1, max_size=400),
    url=st.sampled_from([None, "https://e.example/?" + "&" * 900, "https://e.example/1"]),
    count=st.integers(1, 60),
)
def test_slack_s_limits_hold(make_alert: Make, text: str, title: str, url: str | None, count: int) -> None:
    alert = make_alert(text, title=title, matched=("storm",), url=url)
    alerts = [
        fired(of(msgspec.structs.replace(alert, alert_id=f"al_{n}"), seq=1 + n // 2), f"{n % 2}" + "r" * 99)
        for n in range(count)
    ]
    for message in (card_message(card_of(alert), channel="desk"), digest_message(alerts), reply_message(alert)):
        assert refusal(message) is None
        assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= BLOCKS_LIMIT * 1.1
        assert len(message["text"]) <= SUMMARY_LIMIT
        assert not re.search(r"&(?!amp;|lt;|gt;)", message["text"]), "no escape is cut in two"


@pytest.mark.parametrize("words", [1, 20, 300])
@pytest.mark.parametrize("length", [10, 400, 900])
def test_a_card_with_many_words_long_ids_and_buttons_is_taken(make_alert: Make, words: int, length: int) -> None:
    text = "\\" * 2 + " a" * 299
    matched = tuple(Span(at, at + 1, "a") for at in range(3, 3 + 2 * words, 2))
    alert = make_alert(text, matched=(), url="https://e.example/" + "x" * (length + 70))
    alert = msgspec.structs.replace(
        alert,
        rule=msgspec.structs.replace(alert.rule, matched=matched, name="r" * 100, because='"' * 400),
        headline=msgspec.structs.replace(alert.headline, id="h" * length, story_id="s" * length),
    )
    card = card_of(alert)
    for seq in range(2, 5):
        headline = msgspec.structs.replace(alert.headline, seq=seq)
        card = card.with_alert(msgspec.structs.replace(alert, alert_id=f"al_{seq}", headline=headline))
    message = card_message(card, channel="desk")
    assert refusal(message) is None
    assert (message["blocks"][-1]["type"] == "actions") == (length < 900)
    for other in (reply_message(alert), alert_message(alert)):
        assert refusal(other) is None


def test_a_digest_lists_its_alerts_in_order(make_alert: Make) -> None:
    noon = make_alert().headline.headline.published
    alerts = [
        of(
            make_alert(
                f"Headline {n}", matched=(), alert_id=f"al_{n}", severity="low", published=noon + timedelta(minutes=n)
            ),
            seq=1 + n,
        )
        for n in (3, 1, 2)
    ]
    alerts.append(make_alert("Worst", matched=(), severity="critical", status="canceled", title="Other"))
    message = digest_message(alerts)
    assert message["blocks"][0]["text"]["text"] == "🔴 4 alerts · Ferries and weather, Other"
    assert listed(message) == [
        "🔴 WITHDRAWN Worst  harbour.example, 12:00 UTC",
        "🔵 Headline 1  harbour.example, 12:01 UTC",
        "🔵 Headline 2  harbour.example, 12:02 UTC",
        "🔵 Headline 3  harbour.example, 12:03 UTC",
    ]
    assert "rules ferries (4)" in shown_text(message["blocks"])


def test_a_digest_counts_what_it_does_not_list(make_alert: Make) -> None:
    message = digest_message([of(make_alert(alert_id=f"al_{n}"), seq=n) for n in range(LISTED + 5)])
    assert "and 5 more" in shown_text(message["blocks"])
    assert message["blocks"][0]["text"]["text"].startswith("🟠 25 alerts")


def test_buttons_say_what_they_are_about(make_alert: Make) -> None:
    actions = card_message(card_of(make_alert()), channel="desk")["blocks"][-1]
    assert [one["action_id"] for one in actions["elements"]] == ["useful", "noise", "mute_story", "mute_rule"]
    click = msgspec.json.decode(actions["elements"][0]["value"], type=Click)
    assert click == Click(
        channel="desk", rule="ferries", story="st-1", headline="h-1", text="Ferries resume after storm warning lifted"
    )


def test_a_headline_of_two_rules_is_one_line_of_a_digest_and_says_which(make_alert: Make) -> None:
    one, other = make_alert("Ferries", matched=()), of(make_alert("Trains", matched=(), alert_id="al_2"), seq=2)
    message = digest_message([fired(one, "ferries", "low"), other, fired(one, "weather", "critical")])
    assert message["blocks"][0]["text"]["text"].startswith("🔴 3 alerts")
    assert listed(message) == [
        "🔴 Ferries  harbour.example, 12:00 UTC  weather, ferries",
        "🟠 Trains  harbour.example, 12:00 UTC  ferries",
    ]
    assert shown_text(message["blocks"]).count("2025-03-03 12:00:00 UTC") == 1, "one time, where both are one"


def test_one_headline_of_two_rules_is_no_digest(make_alert: Make) -> None:
    alert = make_alert()
    message = digest_message([fired(alert, "ferries", "low"), fired(alert, "weather", "critical")])
    assert "".join(part["text"] for part in parts(message)) == "Ferries resume after storm warning lifted"
    assert "rule `weather` | rule `ferries`" in details(message)
