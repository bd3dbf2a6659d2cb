"""What must be told and what may be dropped, decided from end to end on invented headlines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import pipeline
from streams.core.dedupe import EQUAL, Candidate, Entry
from streams.core.records import Headline, Status
from streams.core.story.deduper import StoryDeduper
from streams.core.story.vocabulary import listed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(hours=72)


def candidate(number: int, text: str, hours: float = 0, **fields: Any) -> Candidate:
    published = NOON + timedelta(hours=hours)
    headline = Headline(headline=text, published=published, **{"source": f"{number}.example", **fields})
    return Candidate(f"id{number}", f"headlines.raw:0:{number}", published, headline)


def run(deduper: StoryDeduper, candidates: list[Candidate]) -> list[Entry]:
    entries = []
    for one in candidates:
        entry = deduper.decide(one)
        deduper.remember(entry)
        deduper.settle()
        entries.append(entry)
    return entries


def decide(one: str, other: str, hours: float = 1, **fields: Any) -> Entry:
    """The decision on the second headline, ``hours`` after the first."""
    return run(StoryDeduper(WINDOW), [candidate(1, one), candidate(2, other, hours, **fields)])[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Figures: what agrees in other units, other currency words or rounded.
        ("Chipmaker Veltor to cut 13% of its workforce", "Veltor to lay off 11,000 staff, 13% of workforce"),
        ("Marrow Bank raises Rs 6,160 cr in share sale", "Marrow Bank raises 61.6 bn rupees in share sale"),
        ("Tolland shivers through coldest night at -4F", "Tolland shivers through coldest night at -20C"),
        ("Velo buys drugmaker Torrin for $1.5bn", "Velo buys drugmaker Torrin for 1.5 billion dollars"),
        ("Velo to buy drugmaker Torrin in $1.5bn deal", "Velo to buy drugmaker Torrin in $1.48 billion deal"),
        ("Harbour city of Lissom counts 1.46 million people", "Harbour city of Lissom counts 1.5m people"),
        ("Thirty-two killed in Orvana ferry sinking", "32 killed as ferry sinks in Orvana"),
        (
            "Tesk central bank raises rates by 25 basis points",
            "Tesk central bank raises rates by 0.25 percentage points",
        ),
        # Other words, another order.
        ("Tesk bombards Orvana port, killing three dockers", "Three dockers killed as Tesk shells Orvana port"),
        ("7.1-magnitude quake strikes eastern Tesk", "Magnitude 7.1 earthquake hits eastern Tesk"),
        ("Actor Beryl Hale dies aged 71", "Beryl Hale, actor, has died at 71"),
        # Flashes, then the full line; briefs; what a wire repeats.
        ("NORDA CHIEF VANCE RESIGNS -STATEMENT", "Norda chief Vance resigns, company says in statement"),
        ("NORDA TO CLOSE LISSOM PLANT IN 2027", "Norda says it will close its Lissom plant in 2027"),
        ("BREAKING: Norda chief Vance resigns", "Norda CEO Vance resigns"),
        ("Norda to close Lissom plant", "BRIEF-Norda to close its plant in Lissom"),
        ("Grid firm Norda under review by Tesk regulator", "RPT-Grid firm Norda under review of Tesk regulator"),
    ],
)
def test_what_tells_the_same_in_other_words_is_dropped(one: str, other: str) -> None:
    entry = decide(one, other)
    assert (entry.verdict, entry.related_to, entry.story_id) == ("duplicate", "id1", "id1")
    assert entry.reason


@pytest.mark.parametrize(
    "other",
    [
        "UPDATE 2-Grid firm Norda under review by Tesk regulator",
        "RPT-UPDATE 1-Grid firm Norda under review by Tesk regulator",
        "WRAPUP 3-Grid firm Norda under review by Tesk regulator",
        "GRID FIRM NORDA UNDER REVIEW BY TESK REGULATOR",
        "*Grid firm Norda under review by Tesk regulator",
        "Grid firm Norda under review by Tesk regulator | Reuters",
    ],
)
def test_what_a_wire_sets_around_a_headline_makes_it_no_news(other: str) -> None:
    assert decide("Grid firm Norda under review by Tesk regulator", other).reason == EQUAL


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("17 killed as bus falls into ravine in Orvana", "13 killed as bus falls into ravine in Orvana"),
        ("At least 24 killed in Orvana mine blast", "Orvana mine blast kills at least 46"),
        ("Velo to buy drugmaker Torrin in $1.5bn deal", "Velo raises Torrin bid to $1.9bn"),
        ("Quake of magnitude 6.8 strikes Tesk", "Quake of magnitude 7.1 strikes Tesk"),
        ("Tesk central bank raises rates by 25 basis points", "Tesk central bank raises rates by 50 basis points"),
        ("Thirty-two killed in Orvana ferry sinking", "Thirty-five killed in Orvana ferry sinking"),
        ("Cup final: Tarn Rovers beat Selby 3-1", "Cup final: Tarn Rovers beat Selby 3-2"),
    ],
)
def test_a_changed_figure_is_an_update(one: str, other: str) -> None:
    entry = decide(one, other)
    assert (entry.verdict, entry.story_id) == ("update", "id1")
    assert entry.reason.startswith("the figures differ: ")


@pytest.mark.parametrize(
    ("one", "other", "hours"),
    [
        # A name in the place of another.
        ("Prince Alder sues tabloid over phone hacking", "Prince Rowan sues tabloid over phone hacking", 1),
        ("Flood closes port of Tarn", "Flood closes port of Selby", 1),
        ("Senator Quill backs the harbour bill", "Senator Marsh backs the harbour bill", 1),
        # The story has moved on: a stage, what came true, an opposite.
        ("Hurricane Odile nears Lissom coast", "Hurricane Odile hits Lissom coast", 12),
        ("Hurricane Odile nears Lissom", "Hurricane Odile makes landfall in Lissom", 12),
        ("Man held over Tarn library fire", "Man charged over Tarn library fire", 24),
        ("Mayor of Tarn held in graft inquiry", "Mayor of Tarn freed in graft inquiry", 24),
        ("Quill found guilty of fraud", "Quill sentenced to nine years for fraud", 24),
        ("Climber missing on Mount Ossel", "Climber found dead on Mount Ossel", 24),
        ("President of Tesk to meet envoy in Lissom", "President of Tesk meets envoy in Lissom", 24),
        ("Tarn council approves harbour bridge", "Tarn council rejects harbour bridge", 24),
        ("Torrin confirms merger talks with Velo", "Torrin denies merger talks with Velo", 2),
        ("Tesk shares rise in early trade", "Tesk shares fall in early trade", 2),
        # A figure that cannot be right twice.
        ("Velo buys Torrin for \u00a370m", "Velo buys Torrin for \u20ac70m", 1),
        ("Man, 34, charged over Tarn fire", "Man, 43, charged over Tarn fire", 1),
        ("Hundreds flee Lissom fire", "Thousands flee Lissom fire", 6),
        # Templates that recur.
        ("Tesk weekly jobless claims rise to 210,000", "Tesk weekly jobless claims rise to 214,000", 72),
        ("Q2 profit at Norda falls", "Q3 profit at Norda falls", 48),
        ("Rig count in Tesk rises by 5 to 310", "Rig count in Tesk rises by 7 to 317", 24),
        ("War in Orvana: what we know on day 558", "War in Orvana: what we know on day 559", 24),
        ("Lexo answers and hints for 5 August", "Lexo answers and hints for 12 August", 71),
        ("Lexo answers and hints for August 5, 2026", "Lexo answers and hints for August 6, 2026", 24),
        ("Lexo 412 answer and hints for 5 August", "Lexo 413 answer and hints for 6 August", 24),
        ("Daily crossword No 4,112", "Daily crossword No 4,113", 24),
        ("Episode 4 of The Lighthouse reviewed", "Episode 5 of The Lighthouse reviewed", 48),
    ],
)
def test_what_tells_something_else_is_never_dropped(one: str, other: str, hours: float) -> None:
    assert decide(one, other, hours).verdict != "duplicate"


@pytest.mark.parametrize(
    "other",
    [
        "Tesk farmers block motorway over milk price",
        "Cup final: Tarn Rovers beat Selby 3-1",
        "Norda opens museum of cable in Lissom",
    ],
)
def test_what_has_nothing_to_do_with_it_is_a_story_of_its_own(other: str) -> None:
    entry = decide("Oster's cabinet falls over ferry contract", other)
    assert (entry.verdict, entry.related_to, entry.story_id) == ("first", "", "id2")


CORRECTED = "Torrin profit rises on cable demand"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (CORRECTED, "corrected"),
        (CORRECTED, "canceled"),
        ("Torrin profit rises on cable orders", "corrected"),
        ("CORRECTED-Torrin profit rises on cable demand", "usable"),
        ("CORRECTED-(OFFICIAL)-Torrin profit rises on cable demand", "usable"),
        ("CORRECTED-UPDATE 1-Torrin profit rises on cable demand", "usable"),
        ("Correction: Torrin profit rises on cable demand", "usable"),
        ("Torrin profit rises on cable demand (corrected)", "usable"),
        ("Torrin profit rises on cable demand - correction", "usable"),
        ("Torrin profit rises on cable demand (corrects figure) | Reuters", "usable"),
        ("WITHDRAWN-Torrin profit rises on cable demand", "usable"),
        ("Story withdrawn: Torrin profit rises on cable demand", "usable"),
        ("Torrin profit rises on cable demand [retracted]", "usable"),
    ],
)
def test_a_correction_or_withdrawal_is_passed_on_as_an_update(text: str, status: Status) -> None:
    entry = decide(CORRECTED, text, status=status)
    assert (entry.verdict, entry.related_to) == ("update", "id1")


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Minister Oster will resign over leak", "Minister Oster will not resign over leak", "denies"),
        ("Norda has plan to close mines", "Norda has no plan to close mines", "denies"),
        ("Quill to be sentenced for fraud", "Quill sentenced for fraud", "come true"),
        ("Norda and Torrin to sign truce", "Norda and Torrin sign truce", "come true"),
        ("Norda could face charges over spill", "Norda charged over spill", "come true"),
        ("Norda sues Torrin over patents", "Torrin sues Norda over patents", "reversed"),
        ("Tarn beat Selby in semi-final", "Selby beat Tarn in semi-final", "reversed"),
        ("Norda shares jump on merger hopes", "Norda shares slump on merger hopes", "says fall, not rise"),
    ],
)
def test_where_one_word_or_its_place_is_the_news_it_is_told(one: str, other: str, why: str) -> None:
    entry = decide(one, other)
    assert (entry.verdict, entry.related_to) == ("update", "id1")
    assert why in entry.reason


def test_who_did_it_may_be_told_in_the_passive() -> None:
    assert decide("Torrin sued by Norda over patents", "Norda sues Torrin over patents").verdict == "duplicate"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("CORRECTED-Norda to cut 1,000 jobs", "corrected"),
        ("Norda to cut 1,000 jobs (corrected)", "corrected"),
        ("WITHDRAWN-Norda to cut 1,000 jobs", "canceled"),
        ("Norda corrects its course", "usable"),
    ],
)
def test_a_status_that_the_text_tells_is_passed_on(text: str, status: Status) -> None:
    raw = msgspec.json.encode({"headline": text, "published": "2026-03-01T12:00:00Z", "source": "a.example"})
    assert pipeline.read(raw, id="id1", position="headlines.raw:0:1", received=NOON).headline.status == status


def test_a_correction_of_what_nobody_told_is_the_first_of_its_story() -> None:
    [entry] = run(StoryDeduper(WINDOW), [candidate(1, "CORRECTED-Torrin profit rises")])
    assert entry.verdict == "first"


def test_a_withdrawal_is_no_repeat_of_the_correction_before_it() -> None:
    rows = [CORRECTED, f"CORRECTED-{CORRECTED}", f"WITHDRAWN-{CORRECTED}"]
    entries = run(StoryDeduper(WINDOW), [candidate(number, text, number) for number, text in enumerate(rows)])
    assert [entry.verdict for entry in entries] == ["first", "update", "update"]


def test_the_same_correction_twice_is_one() -> None:
    entry = decide(f"CORRECTED-{CORRECTED}", f"CORRECTED-{CORRECTED}")
    assert entry.reason == EQUAL


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://wire.example/2026/norda-plant", "https://wire.example/2026/norda-plant"),
        ("https://wire.example/2026/norda-plant", "http://www.wire.example/2026/norda-plant/?utm_source=feed#top"),
        ("https://wire.example/story?id=9", "https://wire.example/story?id=9&ref=home"),
    ],
)
def test_the_same_address_with_another_title_is_an_update(url: str, other: str) -> None:
    rows = [
        candidate(1, "Norda to close its Lissom plant", url=url),
        candidate(2, "Norda is to close its plant in Lissom", 1, url=other),
    ]
    entry = run(StoryDeduper(WINDOW), rows)[1]
    assert (entry.verdict, entry.related_to) == ("update", "id1")
    assert entry.reason == "the title at its address changed"


def test_the_same_address_with_the_same_title_is_a_duplicate() -> None:
    url = "https://wire.example/2026/norda-plant"
    rows = [candidate(n, "Norda to close its Lissom plant", n, url=url) for n in (1, 2)]
    assert run(StoryDeduper(WINDOW), rows)[1].reason == EQUAL


def test_headlines_at_the_address_of_a_front_page_have_nothing_in_common() -> None:
    rows = [
        candidate(1, "Norda to close its Lissom plant", url="https://wire.example/"),
        candidate(2, "Tesk farmers block motorway over milk price", 1, url="https://wire.example/"),
    ]
    assert run(StoryDeduper(WINDOW), rows)[1].verdict == "first"


def test_a_story_keeps_its_id_through_updates_and_repeats() -> None:
    rows = [
        "At least 24 killed in Orvana mine blast",
        "Orvana mine blast kills at least 46",
        "46 killed in Orvana mine blast",
        "ORVANA MINE BLAST KILLS AT LEAST 46",
    ]
    entries = run(StoryDeduper(WINDOW), [candidate(number, text, number) for number, text in enumerate(rows)])
    assert [entry.verdict for entry in entries] == ["first", "update", "duplicate", "duplicate"]
    assert {entry.story_id for entry in entries} == {"id0"}
    assert [entry.related_to for entry in entries] == ["", "id0", "id1", "id1"]


def test_a_window_has_an_end_and_a_source_may_have_its_own() -> None:
    one, other = "Norda to close Lissom plant in 2027", "Norda says it will close its Lissom plant in 2027"
    day = timedelta(hours=24)
    for windows, source, hours, verdict in [
        ({}, "b.example", 23, "duplicate"),
        ({}, "b.example", 25, "first"),
        ({"b.example": timedelta(hours=48)}, "b.example", 25, "duplicate"),
        ({"b.example": timedelta(hours=48)}, "c.example", 25, "first"),
        ({"b.example": timedelta(hours=12)}, "b.example", 23, "first"),
    ]:
        rows = [candidate(1, one), candidate(2, other, hours, source=source)]
        assert run(StoryDeduper(day, windows=windows), rows)[1].verdict == verdict, (windows, source, hours)


def test_deciding_changes_nothing() -> None:
    deduper = StoryDeduper(WINDOW)
    assert deduper.decide(candidate(1, "Norda to close Lissom plant")).verdict == "first"
    assert deduper.decide(candidate(2, "Norda to close Lissom plant")).verdict == "first"


def test_what_is_rolled_back_was_never_told() -> None:
    deduper = StoryDeduper(WINDOW)
    run(deduper, [candidate(1, "Norda to close Lissom plant", url="https://wire.example/norda")])
    for number, text in enumerate(["Tesk farmers block motorway over milk price", "Norda keeps Lissom plant"], start=2):
        deduper.remember(deduper.decide(candidate(number, text, url="https://wire.example/norda")))
    deduper.rollback()
    again = deduper.decide(candidate(4, "Tesk farmers block motorway over price of milk"))
    assert again.verdict == "first"
    renamed = deduper.decide(candidate(5, "Norda keeps Lissom plant open", url="https://wire.example/norda"))
    assert renamed.related_to == "id1"


WORDS = listed(
    "ferry held charged off Lissom Tarn Quill to not meets storm nears hits 17 13 dead $5m Tesk fire CORRECTED-"
)
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)
ROWS = st.lists(st.tuples(TEXTS, st.integers(0, 200), st.sampled_from(["", "/1", "/2"])), max_size=25)


def stream(rows: list[tuple[str, int, str]]) -> list[Candidate]:
    return [
        candidate(number, text, hours, url=f"https://wire.example{path}" if path else None)
        for number, (text, hours, path) in enumerate(rows)
    ]


@given(st.text(min_size=1, max_size=80).filter(str.strip), st.sampled_from(["usable", "corrected", "canceled"]))
def test_a_headline_is_always_a_duplicate_of_itself(text: str, status: Status) -> None:
    rows = [candidate(n, text, n, status=status) for n in (1, 2)]
    entry = run(StoryDeduper(WINDOW), rows)[1]
    assert (entry.verdict, entry.related_to) == ("duplicate", "id1")


@given(ROWS)
def test_every_decision_is_sound(rows: list[tuple[str, int, str]]) -> None:
    told: dict[str, Entry] = {}
    for entry in run(StoryDeduper(WINDOW, keep=5), stream(rows)):
        if entry.verdict == "first":
            assert (entry.story_id, entry.related_to) == (entry.id, "")
        else:
            other = told[entry.related_to]
            assert other.verdict != "duplicate", "what was dropped is nothing to refer to"
            assert entry.story_id == other.story_id
            assert entry.reason
            assert abs(entry.published - other.published) <= WINDOW.total_seconds() * 1000
        told[entry.id] = entry


@given(ROWS, st.data())
def test_who_only_remembers_what_others_decided_goes_on_as_they_would(
    rows: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    candidates = stream(rows)
    cut = data.draw(st.integers(0, len(candidates)))
    old, new = StoryDeduper(WINDOW, keep=3), StoryDeduper(WINDOW, keep=3)
    for entry in run(old, candidates[:cut]):
        new.remember(entry)
    new.settle()
    assert run(new, candidates[cut:]) == run(old, candidates[cut:])


@given(ROWS, ROWS)
def test_a_rollback_leaves_no_trace(rows: list[tuple[str, int, str]], passing: list[tuple[str, int, str]]) -> None:
    touched, untouched = StoryDeduper(WINDOW, keep=3), StoryDeduper(WINDOW, keep=3)
    candidates = stream([(text, hours, "") for text, hours, _ in rows])
    half = len(candidates) // 2
    for deduper in (touched, untouched):
        run(deduper, candidates[:half])
    for one in stream([(text, hours, "") for text, hours, _ in passing]):
        touched.remember(touched.decide(one))
    touched.rollback()
    assert run(touched, candidates[half:]) == run(untouched, candidates[half:])
