from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.interface import Context, Reading, SourceError, Unreadable
from connectors.ticker import Ticker, read_ticker
from streams.core.records import Headline

SEED = Path(__file__).parents[4] / "shared" / "data" / "seed_ticker.txt"
NOW = datetime(2026, 2, 11, 20, 0, tzinfo=UTC)


def read(text: str | bytes, *, day: date | None = None, zone: str | None = None, now: datetime = NOW) -> list[Reading]:
    data = text.encode() if isinstance(text, str) else text
    context = Context("Test Wire", day, ZoneInfo(zone) if zone else None, now)
    return list(Ticker().read(BytesIO(data), context))


def shown(text: str) -> list[tuple[str, str]]:
    return [(f"{item.clock:%H:%M}", item.text) for item in read_ticker(text)]


@pytest.mark.skipif(not SEED.exists(), reason="the seed's ticker is not beside this checkout")
def test_the_seed_has_22_headlines_at_the_right_times() -> None:
    headlines = read(SEED.read_bytes())
    times = [f"{h.published:%d %H:%M}" for h in headlines if isinstance(h, Headline)]
    assert len(headlines) == 22
    assert times[:4] == ["11 18:50", "11 18:00", "11 17:50", "11 17:20"]
    assert times[-3:] == ["11 09:50", "11 08:20", "11 07:50"]
    assert times == sorted(times, reverse=True)
    texts = [h.headline for h in headlines if isinstance(h, Headline)]
    assert sum("Long March 10" in text for text in texts) == 1
    assert sum("$25 billion" in text for text in texts) == 1
    assert not any("Breaking" in text for text in texts)


def test_times_roll_over_midnight_into_the_day_before() -> None:
    headlines = read(
        "Breaking 01:20 Storm nears coast 00:05 Deal is off 23:50 Port shut 22:10 Talks end", day=date(2026, 3, 1)
    )
    assert [f"{h.published:%m-%d %H:%M}" for h in headlines if isinstance(h, Headline)] == [
        "03-01 01:20",
        "03-01 00:05",
        "02-28 23:50",
        "02-28 22:10",
    ]


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("Talks to resume at 10:30 GMT", "a preposition and a zone"),
        ("Final delayed until 19:45", "a preposition"),
        ("Courts open 9:00 am on Friday", "am"),
        ("Keeper saves late as derby ends 3:2", "no time"),
        ("Runner wins in 2:04:35", "a running time"),
        ("Train 19:15 derails near the border", "against the order, in the middle of a sentence"),
        ("Long March 10 lifts 25 satellites for $2.5 billion", "figures"),
        ("Shares split 20:1 after rally", "a ratio"),
    ],
)
def test_figures_inside_a_headline_stay_there(inside: str, why: str) -> None:
    found = shown(f"Breaking 18:50 First things first 18:00 {inside} 17:50 Last things last")
    assert found == [("18:50", "First things first"), ("18:00", inside), ("17:50", "Last things last")], why


def test_one_headline_a_line_and_wrapped_lines_are_read() -> None:
    expected = [("18:50", "First things first"), ("9:05", "Second thing, over two lines")]
    del expected
    assert shown(
        "LIVE\n18:50 First things first\n09:05 Second thing,\nover two lines\n\nAbout this page: 12 editors"
    ) == [
        ("18:50", "First things first"),
        ("09:05", "Second thing, over two lines"),
    ]


def test_a_ticker_that_ascends_is_read_as_one() -> None:
    assert [f"{h.published:%d %H:%M}" for h in read("23:30 One thing\n23:50 Another thing\n00:10 A third", day=date(2026, 3, 2))
            if isinstance(h, Headline)] == ["01 23:30", "01 23:50", "02 00:10"]  # fmt: skip


def test_the_text_of_the_page_below_is_left_alone() -> None:
    page = "Breaking 18:50 First things first 18:00 Second things second\n\nA title\n\nMonday 02 June 2025 - 11:34\nBy: A\n"
    assert [text for _, text in shown(page)] == ["First things first", "Second things second"]


def test_what_may_be_a_headline_beside_the_ticker_is_told() -> None:
    told: list[tuple[int, str]] = []
    page = "Home\n\n18:50 First things first 18:00 Second thing said\n\n* Ferry service resumes\nRead more about it\nShare\n"
    context = Context(None, None, None, NOW, left_out=lambda line, text: told.append((line, text)))
    assert len(list(Ticker().read(BytesIO(page.encode()), context))) == 2
    assert told == [(5, "Ferry service resumes")]


def test_a_line_of_the_ticker_that_has_no_time_is_unreadable() -> None:
    first, stray, second = read("18:50 First things first\nStorm closes a port\n18:00 Second thing said\n")
    assert isinstance(first, Headline)
    assert stray == Unreadable(2, "no time stands before it", b"Storm closes a port")
    assert isinstance(second, Headline)


def test_times_are_those_of_the_zone() -> None:
    (first, *_) = read("18:50 First things first 18:00 Second", day=date(2026, 7, 1), zone="Europe/Paris")
    assert isinstance(first, Headline)
    assert first.published == datetime(2026, 7, 1, 16, 50, tzinfo=UTC)


def test_a_time_that_the_zone_has_twice_or_not_at_all_is_read_by_its_first_meaning() -> None:
    twice, missing = (
        read("02:30 Clocks change tonight 01:10 Trains wait", day=day, zone="Europe/Paris")[0]
        for day in (date(2026, 10, 25), date(2026, 3, 29))
    )
    assert isinstance(twice, Headline)
    assert isinstance(missing, Headline)
    assert twice.published == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert missing.published == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_without_a_date_the_newest_headline_is_not_in_the_future() -> None:
    now = datetime(2026, 2, 11, 8, 0, tzinfo=UTC)
    (first, second) = read("18:50 First things first 07:10 Second things second", now=now)
    assert isinstance(first, Headline)
    assert isinstance(second, Headline)
    assert f"{first.published:%d %H:%M}" == "10 18:50"
    assert f"{second.published:%d %H:%M}" == "10 07:10"


def test_the_date_and_zone_are_taken_from_what_stands_before_the_ticker() -> None:
    page = "Harbour Gazette, Wednesday 11 March 2026, times in GMT+1\n\nBreaking 18:50 First things first 18:00 Second thing"
    (first, _) = read(page)
    assert isinstance(first, Headline)
    assert first.published == datetime(2026, 3, 11, 17, 50, tzinfo=UTC)
    (told, _) = read(page, zone="UTC")
    assert isinstance(told, Headline)
    assert told.published == datetime(2026, 3, 11, 18, 50, tzinfo=UTC), "what the user says of the zone goes first"


def test_bytes_of_other_encodings_and_line_ends_are_read() -> None:
    (first, second) = read("\ufeffBreaking 18:50 Caf\u00e9 \u2018shut\u2019\u00a0today 18:00 Two\r\n".encode())
    assert isinstance(first, Headline)
    assert first.headline == "Caf\u00e9 \u2018shut\u2019 today"
    assert isinstance(second, Headline)
    (old, _) = read("18:50 Caf\u00e9 \u201cshut\u201d 18:00 Two things".encode("cp1252"))
    assert isinstance(old, Headline)
    assert old.headline == "Caf\u00e9 \u201cshut\u201d"


def test_a_page_without_a_ticker_is_refused_with_the_way_out() -> None:
    with pytest.raises(SourceError, match="no ticker stands here") as caught:
        read("Nothing of the sort.\nAnd at 10:30 nothing either.")
    assert "18:50 headline 18:00 headline" in caught.value.hint


WORDS = st.lists(
    st.sampled_from(["Tanker", "held", "off", "Malta", "March", "10", "$25", "billion", "2.5%", "U.S."]),
    min_size=3,
    max_size=8,
)
TEXTS = WORDS.map(lambda words: "Port " + " ".join(words) + " says")


@given(
    st.lists(st.tuples(st.integers(1, 200), TEXTS), min_size=2, max_size=25), st.integers(0, 24 * 60 - 1), st.booleans()
)
def test_what_is_written_as_a_ticker_reads_back(rows: list[tuple[int, str]], first: int, one_a_line: bool) -> None:
    """Times that fall by up to 200 minutes a step and roll over midnight, and headlines without a time in them."""
    moment = datetime(2026, 3, 1, first // 60, first % 60, tzinfo=UTC)
    written = []
    for step, text in rows:
        written.append((moment, text))
        moment -= timedelta(minutes=step)
    lines = [f"{at:%H:%M} {text}" for at, text in written]
    page = "Breaking " + ("\n" if one_a_line else " ").join(lines)
    back = [(h.published, h.headline) for h in read(page, day=date(2026, 3, 1)) if isinstance(h, Headline)]
    assert back == written
