from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.dedupe import Candidate, Entry, ExactDeduper, _said, fingerprint_of, read_saying
from streams.core.records import Headline

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(hours=72)


def headline(text: str, **fields: object) -> Headline:
    return Headline(headline=text, published=fields.pop("published", NOON), **fields)  # type: ignore[arg-type]


def fingerprint(one: Headline) -> str:
    return fingerprint_of(read_saying(one), one.status)


def candidate(number: int, text: str, after: timedelta = timedelta()) -> Candidate:
    published = NOON + after
    return Candidate(f"id{number}", f"headlines.raw:0:{number}", published, headline(text, published=published))


def run(deduper: ExactDeduper, candidates: list[Candidate]) -> list[Entry]:
    entries = []
    for one in candidates:
        entry = deduper.decide(one)
        deduper.remember(entry)
        deduper.settle()
        entries.append(entry)
    return entries


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tanker seized off Malta", "TANKER SEIZED OFF MALTA"),
        ("Tanker seized off Malta", "  Tanker  seized\u200b off Malta. "),
        ("Tanker seized off Malta", "UPDATE 2-Tanker seized off Malta | Reuters"),
        ("Captain \u2018knew of leak\u2019", "Captain 'knew of leak'"),
        ("Captain's log", "Captain\u2019s log"),
        ("Profit of 2,000 firms", "Profit of 2000 firms"),
        ("S\u00e3o Paulo floods", "Sao Paulo floods"),
        ("\ufb01rst \uff26\uff35\uff2c\uff2c width", "first FULL width"),
        ("BREAKING: Port closed", "Port closed"),
    ],
)
def test_what_says_the_same_has_one_fingerprint(one: str, other: str) -> None:
    assert fingerprint(headline(one)) == fingerprint(headline(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("At least 17 held", "At least 13 held"),
        ("Rate rises 2.5%", "Rate rises 25%"),
        ("Rate rises 2.5%", "Rate rises 2 5%"),
        ("Loss of $5m", "Loss of \u20ac5m"),
        ("Night of -4C", "Night of 4C"),
        ("Minister quits", "Minister quits?"),
        ("Ship held in Malta", "CORRECTED-Ship held in Malta"),
        ("Ship held in Malta", "WITHDRAWN-Ship held in Malta"),
    ],
)
def test_what_says_something_else_has_another(one: str, other: str) -> None:
    assert fingerprint(headline(one)) != fingerprint(headline(other))


def test_a_correction_by_status_is_no_repeat_of_what_it_corrects() -> None:
    assert fingerprint(headline("Ship held")) != fingerprint(headline("Ship held", status="corrected"))


def test_a_repeat_is_dropped_with_the_id_of_the_first() -> None:
    first, second, third = run(
        ExactDeduper(WINDOW),
        [
            candidate(1, "Ship held"),
            candidate(2, "SHIP HELD", timedelta(hours=1)),
            candidate(3, "Ship held", timedelta(hours=71)),
        ],
    )
    assert (first.verdict, first.story_id) == ("first", "id1")
    for repeat in (second, third):
        assert (repeat.verdict, repeat.related_to, repeat.story_id) == ("duplicate", "id1", "id1")
        assert repeat.reason == "equal after normalising"


def test_after_the_window_it_is_news_again() -> None:
    entries = run(
        ExactDeduper(WINDOW),
        [candidate(1, "Ship held"), candidate(2, "Ship held", WINDOW + timedelta(seconds=1))],
    )
    assert [entry.verdict for entry in entries] == ["first", "first"]


def test_a_late_headline_repeats_one_that_was_published_after_it() -> None:
    entries = run(ExactDeduper(WINDOW), [candidate(1, "Ship held", timedelta(hours=5)), candidate(2, "Ship held")])
    assert entries[1].verdict == "duplicate"


def test_a_headline_dated_into_the_future_does_not_empty_the_window() -> None:
    deduper = ExactDeduper(WINDOW)
    future = Candidate("f", "headlines.raw:0:9", NOON, headline("Odd", published=NOON + timedelta(days=900)))
    entries = run(deduper, [candidate(1, "Ship held"), future, candidate(2, "Ship held", timedelta(hours=1))])
    assert entries[2].related_to == "id1"


def test_an_archive_read_into_a_stream_of_today_is_deduplicated_in_itself() -> None:
    entries = run(
        ExactDeduper(WINDOW),
        [
            candidate(1, "Today's news", timedelta(days=300)),
            candidate(2, "Ship held"),
            candidate(3, "Port shut", timedelta(days=300)),
            candidate(4, "Ship held", timedelta(hours=1)),
        ],
    )
    assert [entry.verdict for entry in entries] == ["first", "first", "first", "duplicate"]


def test_memory_is_bounded_by_the_window() -> None:
    deduper = ExactDeduper(timedelta(hours=1), keep=10)
    run(deduper, [candidate(n, f"Story {n}", timedelta(minutes=n)) for n in range(1000)])
    assert len(deduper._firsts) <= 121


TEXTS = st.sampled_from(["Ship held", "Port shut", "Rate up", "Deal off"])
STREAM = st.lists(st.tuples(TEXTS, st.integers(min_value=-300, max_value=300)), max_size=30)


def stream(rows: list[tuple[str, int]]) -> list[Candidate]:
    return [candidate(n, text, timedelta(hours=hours)) for n, (text, hours) in enumerate(rows)]


@given(STREAM, st.data())
def test_what_was_rolled_back_leaves_no_trace(rows: list[tuple[str, int]], data: st.DataObject) -> None:
    """Deciding some headlines tentatively and taking that back changes no later decision."""
    candidates = stream(rows)
    cut = data.draw(st.integers(0, len(candidates)))
    disturbed, plain = ExactDeduper(WINDOW, keep=3), ExactDeduper(WINDOW, keep=3)
    run(disturbed, candidates[:cut])
    for one in candidates[cut:]:
        disturbed.remember(disturbed.decide(one))
    disturbed.rollback()
    run(plain, candidates[:cut])
    assert run(disturbed, candidates[cut:]) == run(plain, candidates[cut:])


@given(STREAM, st.data())
def test_a_worker_that_starts_late_decides_the_same(rows: list[tuple[str, int]], data: st.DataObject) -> None:
    """A deduper that only remembers what others decided goes on as if it had decided itself."""
    candidates = stream(rows)
    cut = data.draw(st.integers(0, len(candidates)))
    old, new = ExactDeduper(WINDOW, keep=3), ExactDeduper(WINDOW, keep=3)
    for entry in run(old, candidates[:cut]):
        new.remember(entry)
    new.settle()
    assert run(new, candidates[cut:]) == run(old, candidates[cut:])


@given(st.text(st.sampled_from("aZ9\u00e9 .,-'\"$%&_\u2019\u2018\u201c\u2013\u2014\u2026\u2212\t"), max_size=20))
def test_the_quick_way_for_plain_text_says_what_the_thorough_one_says(text: str) -> None:
    said = _said(text)
    if any(character.isalnum() for character in text):
        assert said == _said(f"{text} \u00ab"), "a sign that counts for nothing, but is not ASCII"
