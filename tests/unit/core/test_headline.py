from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.headline import (
    BODY_LIMIT,
    HEADLINE_LIMIT,
    UnreadableError,
    read_headline,
    read_time,
    tidy,
    tidy_body,
)
from streams.core.records import Headline

RECEIVED = datetime(2026, 2, 11, 20, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def read(**fields: Any) -> Headline:
    return read_headline(json.dumps(fields).encode(), received=RECEIVED)


def refused(value: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_headline(value, received=RECEIVED)
    return str(caught.value)


def test_our_own_fields_are_read_as_they_are() -> None:
    fields = {
        "headline": "Port reopens",
        "published": "2026-02-11T18:50:00Z",
        "source": "gazette.example",
        "url": "https://gazette.example/1?a=b&c=d",
        "id": "g1",
        "author": "A. Writer",
        "body": "One.\n\nTwo.",
        "language": "en",
        "status": "corrected",
    }
    published = datetime(2026, 2, 11, 18, 50, tzinfo=UTC)
    assert read(**fields) == Headline(**{**fields, "published": published})  # type: ignore[arg-type]


def test_the_names_of_feeds_and_apis_are_understood() -> None:
    headline = read(
        Title="Port reopens",
        publishedAt="2026-02-11T18:50:00Z",
        source={"id": None, "name": "Gazette"},
        link="https://gazette.example/1",
        guid=17,
        creator=["A. Writer", {"name": "B. Writer"}],
        description="<p>One.</p><p>Two &amp; three.</p>",
        lang="en",
        urgency=3,
    )
    assert headline == Headline(
        headline="Port reopens",
        published=datetime(2026, 2, 11, 18, 50, tzinfo=UTC),
        source="Gazette",
        url="https://gazette.example/1",
        id="17",
        author="A. Writer, B. Writer",
        body="One.\n\nTwo & three.",
        language="en",
    )


def test_an_alias_counts_also_beside_our_own_fields() -> None:
    headline = read(headline="Port reopens", published="2026-02-11T18:50:00Z", link="https://gazette.example/1")
    assert headline.url == "https://gazette.example/1"


def test_our_own_name_wins_over_an_alias() -> None:
    assert read(title="Section front", headline="Port reopens").headline == "Port reopens"
    assert read(headline=None, title="Port reopens").headline == "Port reopens"
    assert read(headline="", title="Port reopens").headline == "Port reopens"
    assert read(title="Port reopens", headline="").headline == "Port reopens"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Port  reopens\n", "Port reopens"),
        ("Port\u200b reopens\x00", "Port reopens"),
        ("Port\u00a0reopens", "Port reopens"),
        ("Oil &amp; gas", "Oil & gas"),
        ("Union&amp;#39;s vote", "Union's vote"),
        ("<b>Port</b> reopens", "Port reopens"),
        ("&lt;em&gt;Port&lt;/em&gt; reopens", "Port reopens"),
        ("AT&T beats S&P; 2 < 3", "AT&T beats S&P; 2 < 3"),
        ("Exxon <XOM.N> rises", "Exxon <XOM.N> rises"),
        ("Port \ud83d\ude00 reopens \ud800", "Port \U0001f600 reopens \ufffd"),
    ],
)
def test_headlines_are_cleaned(written: str, meant: str) -> None:
    assert read(headline=written, published="2026-02-11T18:50:00Z", source="gazette.example").headline == meant


def test_raw_control_characters_within_json_are_cleaned() -> None:
    value = b'{"headline": "Port\treopens\x00 today", "source": "gazette.example"}'
    assert read_headline(value, received=RECEIVED).headline == "Port reopens today"


def test_what_is_too_long_is_cut_at_a_word() -> None:
    cut = read(headline="storm " * 1000).headline
    assert len(cut) <= HEADLINE_LIMIT
    assert cut.endswith("storm …")
    assert len(read(headline="x" * 5000).headline) == HEADLINE_LIMIT
    assert len(read(headline="x", body="word " * 50_000).body or "") <= BODY_LIMIT


def test_names_are_cut_and_addresses_that_are_too_long_refuse_the_record() -> None:
    long = "x" * 9_000
    cut = read(headline="Port reopens", source=long, author=long, language=long)
    assert [len(text or "") for text in (cut.source, cut.author, cut.language)] == [200, 200, 100]
    assert read(headline="Port reopens", url="x" * 8_000, id="y" * 1_000).id == "y" * 1_000
    for field, limit in ("link", "8,000"), ("guid", "1,000"):
        reason = refused(json.dumps({"headline": "Port reopens", "source": "g", field: long}).encode())
        assert reason == f'`{field}` is longer than {limit} characters: "{long[:78]}\u2026'


def test_the_time_of_receipt_stands_in_for_a_time_that_is_missing_or_far_ahead() -> None:
    soon, late = RECEIVED + timedelta(hours=23), RECEIVED + timedelta(hours=25)
    assert read(headline="Port reopens").published == RECEIVED
    assert read(headline="Port reopens", published="").published == RECEIVED
    assert read(headline="Port reopens", source="g", published=soon.isoformat()).published == soon
    assert read(headline="Port reopens", source="g", published=late.isoformat()).published == RECEIVED
    assert read(headline="Port reopens", source="g", published="9999-12-31T23:59:59Z").published == RECEIVED


def test_times_without_a_zone_are_of_the_given_one() -> None:
    value = b'{"headline": "Port reopens", "source": "g", "published": "2026-02-11T18:50:00"}'
    assert read_headline(value, received=RECEIVED, zone=PARIS).published.hour == 17
    assert read_headline(value, received=RECEIVED).published.hour == 18


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-11T18:50:00Z",
        "2026-02-11 18:50",
        "2026-02-11T21:50:00+03:00",
        "2026-02-11 21:50:00 +0300",
        "2026-02-11 18:50:00 UTC",
        "2026-02-11T18:50:00.000000000Z",
        "Wed, 11 Feb 2026 18:50:00 GMT",
        "Wed, 11 Feb 2026 18:50:00 -0000",
        "11 Feb 2026 13:50 EST",
        "1770835800",
        1770835800,
        1770835800.0,
        1770835800000,
    ],
)
def test_times_are_read_in_the_forms_of_feeds(written: str | float) -> None:
    assert read_time(written, UTC) == datetime(2026, 2, 11, 18, 50, tzinfo=UTC)


def test_a_time_that_the_zone_has_twice_or_not_at_all_is_read_by_its_first_meaning() -> None:
    assert read_time("2026-10-25T02:30", PARIS) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert read_time("2026-03-29T02:30", PARIS) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("yesterday", '`date` is not a time: "yesterday" (write ISO 8601'),
        ("Wed, 11 Feb 2026 18:50:00 BST", "names the zone BST, which is not known for sure"),
        ("0001-01-01T00:00:00Z", "lies before 1900"),
        ("0001-01-01T00:00:00+14:00", "is not a date of our calendar in UTC"),
        (0, "`date` is not a time: 0"),
        (True, "`date` is not a time: true"),
        ({"day": 1}, "`date` is not a time: an object"),
        ("x" * 500, "xxx…"),
    ],
)
def test_a_time_that_cannot_be_read_is_told_with_its_value(written: Any, complaint: str) -> None:
    reason = refused(json.dumps({"headline": "Port reopens", "date": written}).encode())
    assert complaint in reason
    assert len(reason) < 300


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the record is empty"),
        (b" \n", "the record is empty"),
        (b"[1]", "not a JSON object but an array"),
        (b'"text"', 'not a JSON object but "text"'),
        (b'{"headline": ', "not JSON: Expecting value at character 14"),
        (b'{"headline": "caf\xe9"}', "not UTF-8: byte 0xe9 at 18"),
        (b"[" * 100_000, "not JSON that can be read: nested too deeply"),
        (b'{"url": "https://gazette.example"}', "there is no headline (nor title, text)"),
        (b'{"headline": " \\u200b "}', "the headline is empty"),
        (b'{"headline": ""}', "the headline is empty"),
        (b'{"title": ""}', "the headline is empty"),
        (b'{"headline": null}', "there is no headline (nor title, text)"),
        (b'{"headline": 12}', "`headline` is not a text: 12"),
        (b'{"headline": "Port", "link": ["a"]}', "`link` is not a text: an array"),
        (b'{"headline": "Port", "id": true}', "`id` is not a text: true"),
        (b'{"headline": "Port", "status": "withheld"}', "its status is withheld: its source has not released it"),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes, reason: str) -> None:
    assert refused(value) == reason


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("usable", "usable"),
        ("published", "usable"),
        ("Correction", "corrected"),
        ("withdrawn", "canceled"),
        ("KILLED", "canceled"),
    ],
)
def test_the_status_is_read_by_the_words_that_desks_use(written: str, meant: str) -> None:
    assert read(headline="Port reopens", status=written).status == meant


def test_the_given_outlet_stands_in_for_one_that_is_missing() -> None:
    value = b'{"headline": "Port reopens", "source": " "}'
    assert read_headline(value, received=RECEIVED, source="Gazette").source == "Gazette"
    assert read_headline(value, received=RECEIVED).source == "unknown"


def test_paragraphs_of_a_body_stay_apart() -> None:
    assert tidy_body("One.<br>Two.\r\n\r\n\r\n  Three.\t") == "One.\n\nTwo.\n\nThree."
    assert tidy_body("<script>track()</script><p>One.") == "One."


@given(st.text())
def test_what_is_tidy_stays_as_it_is(text: str) -> None:
    once = tidy(text)
    assert once == " ".join(once.split())
    assert len(once) <= HEADLINE_LIMIT
    assert once.isprintable() or not once.isascii()


@given(
    st.binary() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_no_bytes_do_anything_but_read_or_be_refused(value: bytes) -> None:
    try:
        outcome = read_headline(value, received=RECEIVED).headline
    except UnreadableError as error:
        outcome = str(error)
    assert outcome


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([10**4_000, "\ud800", "x" * 9_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("name"), inner, max_size=3),
)
NAMES = [
    "headline", "title", "published", "date", "source", "publisher", "link", "id", "author", "body", "lang", "status",
]  # fmt: skip


def read_or_refused(value: bytes) -> None:
    headline: Headline | None = None
    reason = ""
    try:
        headline = read_headline(value, received=RECEIVED)
    except UnreadableError as error:
        reason = str(error)
    if headline is None:
        assert 0 < len(reason.encode()) < 1_000
    else:
        assert msgspec.json.decode(msgspec.json.encode(headline), type=Headline) == headline
        assert headline.headline
        assert headline.published.tzinfo is UTC
        assert headline.published <= RECEIVED + timedelta(days=1)


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), JSON), JSON)
def test_no_record_does_anything_but_read_or_be_refused(record: dict[str, Any], other: Any) -> None:
    read_or_refused(json.dumps({"headline": "Port reopens", **record}).encode())
    read_or_refused(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    read_or_refused(json.dumps(other).encode())


@pytest.mark.parametrize(
    "piece", ["x", "x ", "<", "<a ", "<a b=", "&amp;", "&#", "<!--", "<p>", "\u0301", "\U0001f600", "1"]
)
@pytest.mark.parametrize("field", ["headline", "body", "published", "source", "id"])
def test_a_record_of_a_megabyte_reads_or_is_refused(field: str, piece: str) -> None:
    read_or_refused(json.dumps({"headline": "Port reopens", field: piece * (1_000_000 // len(piece))}).encode())


@pytest.mark.parametrize(
    "value", [b'{"id": ' + b"9" * 50_000 + b"}", b'{"headline": ' + b'{"a":' * 100_000, b"\xff\xfe"]
)
def test_what_decoders_choke_on_is_refused(value: bytes) -> None:
    assert refused(value)


@given(st.text(), st.sampled_from(["Gazette", "unknown", " a  b ", "x" * 300]))
def test_the_fast_way_and_the_lenient_one_read_the_same(text: str, source: str) -> None:
    fields = {"headline": text, "published": "2026-02-11T18:50:00Z", "source": source}

    def outcome(**more: str) -> object:
        try:
            return read(**fields, **more)
        except UnreadableError as error:
            return str(error)

    assert outcome() == outcome(unknown_field="sends it the lenient way")
