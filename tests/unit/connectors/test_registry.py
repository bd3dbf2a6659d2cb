from __future__ import annotations

import gzip
import io
import os
from datetime import UTC, datetime
from io import BytesIO

import pytest

from connectors.interface import Context, Reading, SourceError
from connectors.registry import SOURCES, guess
from streams.core.records import Headline

CONTEXT = Context(None, None, None, datetime(2026, 2, 11, 20, tzinfo=UTC))
TICKER = "Breaking 18:50 Ferry service resumes 18:00 Central bank holds rates\n"
ARTICLE = "Mayor Opens The Second Lock\n\nMonday 02 June 2025 - 11:34\nBy: A. Writer\n\nThe mayor opened the lock on Monday.\n"
PARAGRAPH = "The mayor opened the lock on Monday, ten years after the first stone was laid on the quay."

WRAPPED = """\
The mayor opened the lock on Monday, ten years after the first stone
was laid. Ships of up to 12,000 tonnes can pass from Tuesday on, the
port said.
"""


def read(text: str) -> tuple[str, list[Reading]]:
    source, whole = guess("input", BytesIO(text.encode()))
    return source.name, list(source.read(whole, CONTEXT))


def headlines(text: str) -> tuple[str, list[str]]:
    name, readings = read(text)
    return name, [reading.headline for reading in readings if isinstance(reading, Headline)]


def refused(data: str | bytes, *, lasts: bool = False) -> str:
    with pytest.raises(SourceError) as caught:
        guess("-" if lasts else "a file.txt", BytesIO(data.encode() if isinstance(data, str) else data), lasts=lasts)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('\n {"headline": "Port reopens"}\n', "jsonl"),
        (TICKER, "ticker"),
        ("18:50 Oil rises 18:20 Gold falls", "ticker"),
        (TICKER + "\nMayor opens the second lock\nStorm closes ports on the coast\n", "ticker"),
        ("<body><ul><li>18:50 Ferry service resumes<li>18:00 Central bank holds rates</ul>", "ticker"),
        (ARTICLE, "article"),
        (TICKER + "\n" + ARTICLE, "article"),
        (f"Mayor opens lock\n2 June 2025\n{PARAGRAPH}\n{PARAGRAPH}\n" + "Storm closes a port\n" * 9, "article"),
        ("# Mayor opens lock\n\n*June 2, 2025*\n\nThe mayor opened the lock on Monday.\n", "article"),
        ('<html><meta property="og:type" content="article"><h1>Mayor opens lock</h1>', "article"),
        (f"<article><h1>Mayor opens lock</h1><p>2 June 2025<p>{PARAGRAPH}</article>", "article"),
        ("Port reopens\nMayor opens lock, 2:1\n", "lines"),
        ("headline,published\nTanker held, off Malta,2026-02-11\n", "csv"),
        ("\nid;Title\n1;Tanker held\n", "csv"),
        ("headline\nTanker held\n", "csv"),
        ("Headline, text and deed: a review\nPort reopens\n", "lines"),
        ("\u592e\u884c\u7ef4\u6301\u5229\u7387\u4e0d\u53d8\n", "lines"),
    ],
)
def test_what_an_input_is_is_guessed_by_how_it_begins(text: str, name: str) -> None:
    source, whole = guess("input", BytesIO(text.encode()))
    assert source.name == name
    assert whole.read() == text.encode()


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.example])
def test_the_example_of_every_source_is_recognised_and_read(name: str) -> None:
    found, readings = read(SOURCES[name].example)
    assert found == name
    assert all(isinstance(reading, Headline) for reading in readings)


@pytest.mark.parametrize(
    "listed",
    [
        # times and dates inside, full stops, small letters, another script
        [
            "Bank to decide at 14:00 Friday",
            "Market opens 09:30 Monday, closes 16:00 Friday",
            "Train 17:58 derails here",
        ],
        ["Minutes of June 2, 2025 released", "Tanker held off Malta", "Talks of 3 March 2026 collapse", "Port reopens"],
        ["Tanker held off Malta after a chase.", "Bank holds rates for the third time.", "Port reopens to all ships."],
        [
            "tanker held off malta after a long chase through the night",
            "bank holds rates for a third time running",
            "x",
        ],
        [
            "18:50 Ferry resumes",
            "Tanker held off Malta",
            "18:20 Bank holds rates",
            "Port reopens now",
            "Storm shuts a port",
        ],
    ],
)
def test_a_list_of_headlines_is_lines_whatever_stands_in_them(listed: list[str]) -> None:
    assert headlines("\n".join(listed)) == ("lines", listed)


def test_the_date_above_a_list_makes_it_no_article() -> None:
    listed = ["Tanker held off Malta after a chase.", "Bank holds rates for the third time.", "Port reopens to ships."]
    name, readings = read("Morning list of the Gazette\nWednesday 11 February 2026\n\n" + "\n".join(listed))
    assert name == "lines"
    assert [reading.headline for reading in readings if isinstance(reading, Headline)][1:] == listed
    assert [reading.reason for reading in readings if not isinstance(reading, Headline)] == [
        "the line is a date, and no headline"
    ]


def test_a_list_in_markdown_is_read_without_its_bullets() -> None:
    text = "- Tanker held off Malta\n* Bank holds rates\n\n\u2022 Port reopens\n"
    assert headlines(text) == ("lines", ["Tanker held off Malta", "Bank holds rates", "Port reopens"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_lines_and_json_lines_are_read_in_the_encodings_of_windows(encoding: str) -> None:
    for text in (
        "Caf\u00e9 shuts after 80 years\r\nPort reopens\r\n",
        '{"headline": "Caf\u00e9 shuts after 80 years"}\r\n',
    ):
        if encoding == "cp1252" and text.startswith("{"):
            continue  # JSON is in Unicode
        source, whole = guess("input", BytesIO(text.encode(encoding)))
        first = next(iter(source.read(whole, CONTEXT)))
        assert isinstance(first, Headline)
        assert first.headline == "Caf\u00e9 shuts after 80 years"


@pytest.mark.parametrize(
    ("data", "told", "way_out"),
    [
        ("", "it is empty", ""),
        (" \n", "it is empty", ""),
        (b"\x89PNG\0\0", "it is not text", "give the text of it"),
        ("Tanker held off Malta".encode("utf-16-le"), "it is not text", "iconv -f UTF-16LE -t UTF-8 'a file.txt'"),
        ("%PDF-1.7\n1 0 obj", "it is a PDF", "pdftotext 'a file.txt' -"),
        (
            "From: Desk <desk@gazette.example>\nSubject: Lock\nDate: Mon, 2 Jun 2025 11:34:00 +0000\n\n" + PARAGRAPH,
            "it is an e-mail",
            "save the text",
        ),
        ("url,published\nhttps://a.example,2026-02-11\n", "parted by commas", "headline,published,source"),
        (
            '1,"Tanker held, off Malta"\n2,Bank holds rates\n3,Port opens\n',
            "parted by commas",
            "ingest lines 'a file.txt'",
        ),
        ("a\tTanker held\nb\tBank holds rates\n", "parted by tabs", "headline\tpublished"),
        ('<?xml version="1.0"?>\n<rss><item><title>Port</title><p>x</p></item></rss>', "RSS or Atom feed", "xq -c"),
        ('<?xml version="1.0"?>\n<news><item>Port</item></news>', "it is XML", '{"headline": "..."'),
        (
            "2026-02-11 18:50:00,123 INFO started\n2026-02-11 18:50:01 WARN lag 3\n",
            "begins with a date",
            "ingest lines",
        ),
        (
            "Feb 11 18:50:00 host ferry[12]: started\nFeb 11 18:50:01 host ferry[12]: lag\n",
            "begins with a date",
            "ingest lines",
        ),
        ("2026-02-11T18:50:00Z Tanker held off Malta\n", "begins with a date", '"published"'),
        (
            f"{PARAGRAPH}\n\n{PARAGRAPH}\n\nThe work cost 300 million.\n",
            "running text without a dateline",
            "ingest lines",
        ),
        (
            WRAPPED,
            "running text without a dateline",
            "02 June 2025 - 11:34",
        ),
        (
            "<html><ul><li>Tanker held off Malta<li>Bank holds rates</ul>",
            "an HTML page, and neither",
            "ingest article 'a file.txt'",
        ),
        ("<html><h1>Mayor opens lock</h1>", "an HTML page, and neither", "ingest ticker 'a file.txt'"),
    ],
)
def test_what_no_source_reads_is_refused_with_the_way_out(data: str | bytes, told: str, way_out: str) -> None:
    reason = refused(data)
    assert told in reason
    assert way_out in reason


def test_what_ends_is_not_waited_for_on_an_input_that_lasts() -> None:
    assert "`wirewatch ingest article -` or `wirewatch ingest lines -`" in refused(ARTICLE, lasts=True)
    assert guess("-", BytesIO(TICKER.encode()), lasts=True)[0].name == "ticker"
    assert guess("-", BytesIO(b"Port reopens\n"), lasts=True)[0].name == "lines"


def test_blank_lines_that_come_first_do_not_end_an_input_that_lasts() -> None:
    reading, writing = os.pipe()
    with io.FileIO(reading) as data, io.FileIO(writing, "w") as feed:
        feed.write(b"\n")
        buffered = io.BufferedReader(data)
        buffered.peek()
        feed.write(b"Port reopens\n")
        source, whole = guess("-", buffered, lasts=True)
        feed.close()
        assert [r.headline for r in source.read(whole, CONTEXT) if isinstance(r, Headline)] == ["Port reopens"]


def test_a_guess_looks_beyond_a_long_page_head() -> None:
    page = "<html><head>" + "<script>x</script>" * 6000 + "</head><article><h1>Lock</h1><p>2 June 2025<p>" + PARAGRAPH
    assert guess("input", BytesIO(page.encode()))[0].name == "article"


def test_compressed_input_is_told_by_what_it_holds_and_damage_is_told() -> None:
    assert guess("input", BytesIO(gzip.compress(TICKER.encode())))[0].name == "ticker"
    assert "damaged" in refused(gzip.compress(TICKER.encode())[:-12])
