from __future__ import annotations

import pytest

from streams.core.wire import read_wire


@pytest.mark.parametrize(
    ("headline", "text", "marks"),
    [
        ("UPDATE 2-Grid operator under scrutiny", "Grid operator under scrutiny", {"update"}),
        ("RPT-UPDATE 1-Grid operator", "Grid operator", {"repeat", "update"}),
        ("CORRECTED-(OFFICIAL)-Ship held", "Ship held", {"correction"}),
        ("CORRECTION: Ship held in Malta", "Ship held in Malta", {"correction"}),
        ("WITHDRAWN-Bank to close", "Bank to close", {"withdrawal"}),
        ("BREAKING: Port closed", "Port closed", {"flash"}),
        ("BREAKING NEWS: Port closed", "Port closed", {"flash"}),
        ("Breaking: port closed", "port closed", {"flash"}),
        ("JUST IN | Port closed", "Port closed", {"flash"}),
        ("BRIEF-Maker to list unit", "Maker to list unit", {"brief"}),
        ("WRAPUP 3-Markets slide", "Markets slide", {"update"}),
        ("UPDATED: Port closed", "Port closed", {"update"}),
        ("REFILE-UPDATE 3-Markets slide", "Markets slide", {"repeat", "update"}),
        ("CORRECTED-UPDATE 1-Port closed", "Port closed", {"correction", "update"}),
        ("BRIEF-CORRECTED-Maker to list unit", "Maker to list unit", {"brief", "correction"}),
        ("KILL-Bank to close", "Bank to close", {"withdrawal"}),
        ("RETRACTED: Bank to close", "Bank to close", {"withdrawal"}),
        ("Correction: Port closed", "Port closed", {"correction"}),
        ("Corrected: Port closed", "Port closed", {"correction"}),
        ("Retraction: Bank to close", "Bank to close", {"withdrawal"}),
        ("Story withdrawn: Bank to close", "Bank to close", {"withdrawal"}),
        ("Port closed (corrected)", "Port closed", {"correction"}),
        ("Port closed (Corrects date)", "Port closed", {"correction"}),
        ("Port closed [CORRECTED] | Reuters", "Port closed", {"correction"}),
        ("Port closed - correction", "Port closed", {"correction"}),
        ("Bank to close (withdrawn)", "Bank to close", {"withdrawal"}),
        ("Bank to close \u2013 story retracted", "Bank to close", {"withdrawal"}),
    ],
)
def test_marks_are_taken_off(headline: str, text: str, marks: set[str]) -> None:
    wire = read_wire(headline)
    assert wire.text == text
    assert wire.marks == marks


@pytest.mark.parametrize(
    "headline",
    [
        "UPDATE on the storm",
        "LIVE updates from the summit",
        "ALERT residents flee flood",
        "Kill switch for AI models proposed",
        "BREAKING:",
        "Long-running dispute ends",
        "Markets brace for correction",
        "Stocks slide 10% - correction territory",
        "Prison chief - corrections department overhauled",
        "Bill (withdrawn) comes back",
        "Correction is overdue: analysts",
        "Withdrawn troops return",
        "(corrected)",
        "Retraction:",
    ],
)
def test_words_that_only_look_like_marks_stay(headline: str) -> None:
    wire = read_wire(headline)
    assert wire.text == headline
    assert wire.marks == frozenset()


@pytest.mark.parametrize(
    ("headline", "source", "text"),
    [
        ("Oil rises | Reuters", "", "Oil rises"),
        ("Oil rises - BBC News", "", "Oil rises"),
        ("Phone review \u2014 The Verge", "", "Phone review"),
        ("Port closed - Harbour Gazette", "harbourgazette.com", "Port closed"),
        ("Port closed - Harbour Gazette", "rss:www.harbourgazette.co", "Port closed"),
        ("Port closed | Harbour Gazette", "harbourgazette.com", "Port closed"),
        ("Port closed | The Harbour Gazette", "Harbour Gazette", "Port closed"),
        ("Port closed | Gazette", "news.gazette.co.uk", "Port closed"),
        ("Port closed - gazette.example", "gazette.example", "Port closed"),
        ("Oil rises | Guardian", "", "Oil rises"),
        ("Oil rises | Reuters.com", "", "Oil rises"),
        ("Ports | Oil rises | Reuters", "", "Ports | Oil rises"),
    ],
)
def test_the_name_of_the_outlet_goes(headline: str, source: str, text: str) -> None:
    assert read_wire(headline, source).text == text


@pytest.mark.parametrize(
    "headline",
    [
        "Minister to resign - sources",
        "War of words - and what it costs",
        "Oil rises | What it means for rates",
        "Storm nears coast | Port closed",
        "Gazette",
        "| Harbour Gazette",
    ],
)
def test_the_second_half_of_a_sentence_stays(headline: str) -> None:
    assert read_wire(headline, "harbourgazette.com").text == headline
