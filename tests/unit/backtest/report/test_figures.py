from __future__ import annotations

from datetime import timedelta

from streams.backtest.report.figures import cut, figures_of, plain, stacked
from streams.backtest.report.sums import Sums
from streams.backtest.report.timeline import Timeline
from tests.unit.backtest.wire import REMEMBERED, START


def over(names: int) -> Timeline:
    """A rule a name, each with one alert more than the one before."""
    found = Timeline()
    for number in range(names):
        for minute in range(number + 1):
            found.add(START + timedelta(minutes=minute), "rule", f"rule-{number}")
    return found


def test_the_most_frequent_have_a_colour_and_the_others_one_together() -> None:
    traces = stacked(over(10), "rule")["data"]
    assert [trace["name"] for trace in traces] == [*[f"rule-{number}" for number in range(9, 2, -1)], "3 others"]
    assert sum(traces[-1]["y"]) == 1 + 2 + 3
    assert len({trace["marker"]["color"] for trace in traces}) == 8


def test_one_that_would_be_the_only_other_is_shown_by_its_name() -> None:
    traces = stacked(over(8), "rule")["data"]
    assert (len(traces), traces[-1]["name"]) == (8, "rule-0")


def test_a_low_plot_counts_by_ones_and_a_high_one_as_it_likes() -> None:
    assert stacked(over(2), "rule")["layout"]["yaxis"] == {"dtick": 1}
    assert "yaxis" not in stacked(over(10), "rule")["layout"]


def test_texts_are_shown_as_they_are_and_cut_where_they_are_long() -> None:
    assert plain("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"
    assert cut("a word or two", 8) == "a word…"


def test_nothing_is_drawn_of_nothing() -> None:
    assert figures_of(Sums([], REMEMBERED)) == {}
