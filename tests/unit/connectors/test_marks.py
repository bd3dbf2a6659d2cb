from __future__ import annotations

import pytest

from connectors.marks import best_chain, times


def marks(text: str) -> list[str]:
    return [str(mark) for mark in best_chain(text, times(text)).marks]


@pytest.mark.parametrize(
    "inside",
    [
        "Talks resume at 17:55 GMT in Oslo",
        "Flights halted until 23:00 Sunday",
        "Curfew starts 22:00 Tonight In The Capital",
        "Cup final ends 2:1 after extra time",
        "Norm 27:01 replaces 24:00 rule",
        "Record falls to 2:04:35 on flat course",
        "Shop hours 10:00-17:55 to stay",
        "Train 17:58 derails near the border",
        "Price of 17.55 a share agreed",
    ],
)
def test_times_inside_a_headline_are_no_marks(inside: str) -> None:
    assert marks(f"Breaking 18:50 First thing said 18:00 {inside} 17:50 Last thing said") == ["18:50", "18:00", "17:50"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("18:50 One 18:50 Two 18:50 Three", ["18:50", "18:50", "18:50"]),
        ("00:20 One 23:50 Two 22:10 Three", ["00:20", "23:50", "22:10"]),
        ("08:20 One 18:00 Two 17:30 Three", ["08:20", "18:00", "17:30"]),
        ("9:50 One | 9:20 Two | 8:10 Three |", ["09:50", "09:20", "08:10"]),
        ("[18:50] One [18:20] Two", ["18:50", "18:20"]),
        ("6:50 PM One 6:20 p.m. Two 12:10 PM Three", ["18:50", "18:20", "12:10"]),
        ("18:50: One 18:20 - Two", ["18:50", "18:20"]),
        ("18:50 one thing 18:20 two things 17:00 three", ["18:50", "18:20", "17:00"]),
        ("", []),
        ("No time in it", []),
    ],
)
def test_the_forms_of_marks(text: str, found: list[str]) -> None:
    assert marks(text) == found


def test_where_most_times_begin_a_line_the_others_are_none() -> None:
    assert marks("18:50 One\n18:20 Two 17:55 Odd one out\n17:30 Three") == ["18:50", "18:20", "17:30"]


def test_days_are_counted_back_from_the_newest() -> None:
    falling = "00:20 One 13:00 Two 01:00 Three 14:00 Four"
    assert best_chain(falling, times(falling)).days_back() == [0, 1, 1, 2]
    rising = "22:00 One\n23:50 Two\n00:20 Three"
    chain = best_chain(rising, times(rising))
    assert chain.rises
    assert chain.days_back() == [1, 1, 0]
