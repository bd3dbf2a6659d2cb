from __future__ import annotations

from datetime import timedelta

from streams.backtest.report.stories import Stories
from tests.unit.backtest.wire import decided, rule, stream

HOUR = timedelta(hours=1)


def stories(*told: tuple[float, str], biggest: int = 2) -> Stories:
    found = Stories(HOUR, biggest)
    for one in decided(stream(*told), rule("tanker", "tanker")):
        found.take(one)
    return found


def test_stories_are_ranked_by_how_often_they_were_told_apart_by_whether_the_desk_was() -> None:
    found = stories((0, "Tanker seized"), (1, "Port opens"), (2, "Tanker seized"), (3, "Port opens"), (4, "Port opens"))
    [told] = found.biggest(alerted=True)
    [untold] = found.biggest(alerted=False)
    assert (told.headline, told.reports, told.kinds["duplicate"], dict(told.rules)) == (
        "Tanker seized",
        2,
        1,
        {"tanker": 1},
    )
    assert (untold.headline, untold.reports, untold.kinds["alert"]) == ("Port opens", 3, 0)


def test_a_story_that_is_over_is_kept_if_it_was_big_and_else_forgotten() -> None:
    big = [(minute, "Port opens") for minute in range(5)]
    small = [(300 + 90 * number + again, f"Quiet {number}") for number in range(6) for again in (0, 1)]
    found = stories(*big, *small)
    assert [story.headline for story in found.biggest(alerted=False)] == ["Port opens", "Quiet 0"]
    assert len(found._open) == 1


def test_one_report_makes_no_big_story() -> None:
    assert stories((0, "Port opens")).biggest(alerted=False) == []
