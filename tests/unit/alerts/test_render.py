from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import render
from streams.core.records import Alert, Evidence, Span, TopicMatch

Make = Callable[..., Alert]


def bold(text: str, *places: tuple[int, int]) -> str:
    spans = [Span(start, end, text[start:end]) for start, end in places]
    return "".join(f"[{piece}]" if matched else piece for piece, matched in render.segments(text, spans))


# --- spans


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], "one two three"),
        ([(4, 7)], "one [two] three"),
        ([(8, 13), (0, 3)], "[one] two [three]"),
        ([(0, 5), (4, 7)], "[one two] three"),
        ([(0, 3), (3, 7)], "[one two] three"),
        ([(4, 7), (4, 7)], "one [two] three"),
        ([(0, 13), (4, 7)], "[one two three]"),
        ([(8, 99)], "one two [three]"),
        ([(20, 30), (5, 5)], "one two three"),
    ],
)
def test_spans_in_any_arrangement(places: list[tuple[int, int]], expected: str) -> None:
    assert bold("one two three", *places) == expected


def test_spans_count_code_points() -> None:
    text = "🚢🇮🇷 Žluťoučký kůň 船 sails"
    start = text.index("船")
    assert bold(text, (start, start + 1)) == "🚢🇮🇷 Žluťoučký kůň [船] sails"


@given(st.text(), st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40))))
def test_segments_put_together_are_the_text(text: str, places: list[tuple[int, int]]) -> None:
    pieces = list(render.segments(text, [Span(start, end, "") for start, end in places]))
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece for piece, _ in pieces)
    kinds = [matched for _, matched in pieces]
    assert all(one != other for one, other in pairwise(kinds))
    inside = {at for start, end in places for at in range(max(start, 0), min(end, len(text)))}
    assert sum(len(piece) for piece, matched in pieces if matched) == len(inside)


# --- cutting


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one two three", 8, "one two…"),
        ("one two three", 7, "one…"),
        ("Donaudampfschifffahrt", 10, "Donaudamp…"),
        ("a Donaudampfschifffahrt", 10, "a Donauda…"),
        ("", 5, ""),
        ("one", 2, "o…"),
        ("one", 1, "…"),
        ("one two", 0, ""),
        ("one two", -3, ""),
    ],
)
def test_cut_at_a_word(text: str, limit: int, expected: str) -> None:
    assert render.cut(text, limit) == expected


@given(st.text(), st.integers(-2, 30))
def test_cut_never_exceeds_the_limit(text: str, limit: int) -> None:
    assert len(render.cut(text, limit)) <= max(limit, 0)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (4 * 86400, "4 d"),
    ],
)
def test_durations_as_a_reader_thinks_of_them(seconds: float, expected: str) -> None:
    assert render.duration(timedelta(seconds=seconds)) == expected


def test_a_headline_from_the_future_has_no_delay(make_alert: Make) -> None:
    assert render.delay(make_alert(published=datetime(2030, 1, 1, tzinfo=UTC))) == timedelta()


# --- webhook


def test_a_webhook_holds_the_whole_alert(make_alert: Make) -> None:
    alert = make_alert(body="The port said so.")
    body = json.loads(render.webhook_body(alert))
    assert body["type"] == "alert"
    assert body["timestamp"] == "2025-03-03T12:00:02Z"
    assert set(body) == {"type", "timestamp", "data"}
    assert msgspec.convert(body["data"], Alert) == alert


def many_topics(count: int) -> tuple[TopicMatch, ...]:
    evidence = tuple(Evidence(span=Span(0, 7, "Ferries"), entity="ferry", condition="c" * 80) for _ in range(20))
    return tuple(TopicMatch(topic=f"topic-{n}", confidence=0.5, evidence=evidence) for n in range(count))


@pytest.mark.parametrize(
    ("fields", "truncated"),
    [
        ({"body": "Long text. " * 10_000}, ["headline.headline.body"]),
        ({"body": "ü🚢 " * 10_000}, ["headline.headline.body"]),
        ({"topics": many_topics(30)}, ["headline.topics.evidence"]),
        (
            {"body": "x " * 900, "topics": many_topics(30)},
            ["headline.headline.body", "headline.topics.evidence"],
        ),
        ({"text": "Ferries storm " * 5000}, ["headline.headline.headline"]),
        ({"url": "https://e.example/" + "u" * 30_000}, ["headline.headline.url"]),
        ({"author": "a" * 30_000}, ["headline.headline.author"]),
    ],
)
def test_a_webhook_stays_small_and_says_what_it_left_out(
    make_alert: Make, fields: dict[str, Any], truncated: list[str]
) -> None:
    alert = make_alert(**fields)
    raw = render.webhook_body(alert)
    body = json.loads(raw)
    assert len(raw) <= render.BODY_LIMIT
    assert body["truncated"] == truncated
    data = msgspec.convert(body["data"], Alert)
    assert data.alert_id == alert.alert_id
    assert (data.headline.id, data.headline.story_id) == (alert.headline.id, alert.headline.story_id)
    for span in data.rule.matched:
        assert data.headline.headline.headline[span.start : span.end] == span.text


def test_a_webhook_of_several_alerts_has_them_all_and_stays_small(make_alert: Make) -> None:
    alerts = [make_alert(alert_id=f"al_{n}", body="word " * 2000) for n in range(10)]
    body = render.webhook_bodies(alerts)
    assert len(body) <= render.BODY_LIMIT
    told = msgspec.json.decode(body)
    assert (told["type"], told["truncated"]) == ("alerts", ["headline.headline.body"])
    assert [one["alert_id"] for one in told["data"]] == [one.alert_id for one in alerts]
    whole = msgspec.json.decode(render.webhook_bodies([make_alert(), make_alert(alert_id="al_2")]))
    assert "truncated" not in whole


LONG_URL = "https://www.harbour.example/2026/11/27/" + "ferries-and-storms-" * 5


@pytest.mark.parametrize("count", [2, 10, 20, 30, 50])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"body": "word " * 2000},
        {"text": "Ferries 🚢 storm " * 500, "topics": many_topics(30), "author": "a" * 5000},
    ],
)
def test_of_several_alerts_every_one_keeps_its_url_and_the_webhook_its_size(
    make_alert: Make, count: int, fields: dict[str, Any]
) -> None:
    alerts = [make_alert(alert_id=f"al_{n:028}", url=LONG_URL, **fields) for n in range(count)]
    body = render.webhook_bodies(alerts)
    assert len(body) <= max(render.BODY_LIMIT, 2_000 * count)
    told = msgspec.convert(msgspec.json.decode(body)["data"], list[Alert])
    assert {one.headline.headline.url for one in told} == {LONG_URL}
    assert [one.alert_id for one in told] == [one.alert_id for one in alerts]
    if not fields:
        assert told == alerts, "nothing is cut that need not be"
    for one in told:
        for span in one.rule.matched:
            assert one.headline.headline.headline[span.start : span.end] == span.text


def test_of_several_alerts_the_longest_are_cut_and_no_more_than_must_be(make_alert: Make) -> None:
    short = [make_alert(alert_id=f"al_{n}", body="A few words. " * 20) for n in range(9)]
    longest = make_alert(alert_id="al_long", body="word " * 4000)
    told = msgspec.convert(
        msgspec.json.decode(render.webhook_bodies([*short[:4], longest, *short[4:]]))["data"], list[Alert]
    )
    assert [one for one in told if one.alert_id != "al_long"] == short
    assert 3000 < len(told[4].headline.headline.body or "") <= 4000


def test_of_several_alerts_only_a_url_that_no_link_may_have_is_left_out(make_alert: Make) -> None:
    endless = [make_alert(alert_id=f"al_{n}", url="https://e.example/" + "u" * 7_000) for n in range(9)]
    body = render.webhook_bodies([*endless, make_alert(url=LONG_URL)])
    told = msgspec.json.decode(body)
    assert len(body) <= render.BODY_LIMIT
    assert told["truncated"] == ["headline.headline.url"]
    urls = [one["headline"]["headline"].get("url") for one in told["data"]]
    assert urls[-1] == LONG_URL
    assert 1 <= len([url for url in urls if url]) <= 3, "those that there is room for"


def test_a_webhook_says_the_same_every_time(make_alert: Make) -> None:
    for alert in (make_alert(), make_alert(body="word " * 9000, topics=many_topics(40))):
        assert len({render.webhook_body(alert) for _ in range(3)}) == 1


# --- text


def test_a_line_has_all_in_one_line(make_alert: Make) -> None:
    line = render.line(make_alert("Ferries\nresume \x1b[31mafter storm", matched=()))
    assert line == (
        "2025-03-03 12:00:00 UTC  HIGH      Ferries and weather: Ferries resume  [31mafter storm"
        "  · rule ferries · topic shipping · harbour.example · https://harbour.example/n/1"
    )


def test_a_line_tells_day_zone_rule_and_words(make_alert: Make) -> None:
    alert = make_alert(published=datetime(2025, 3, 3, 23, 30, tzinfo=timezone(timedelta(hours=-3))), status="corrected")
    assert render.line(alert) == (
        "2025-03-04 02:30:00 UTC  HIGH      Ferries and weather: Ferries resume after storm warning lifted (corrected)"
        "  · rule ferries · fired by Ferries, storm · topic shipping · harbour.example · https://harbour.example/n/1"
    )


def test_a_rule_without_a_title_is_named_once(make_alert: Make) -> None:
    line = render.line(make_alert("Port shut", matched=(), title="ferries", topics=(), url=None))
    assert line == "2025-03-03 12:00:00 UTC  HIGH      Port shut  · rule ferries · harbour.example"
