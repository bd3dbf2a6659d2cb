from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from plotly.offline import get_plotlyjs

from streams.backtest.report.page import About, report
from streams.backtest.report.sums import Sums
from streams.core.conditions import Throttle
from tests.unit.backtest.report.conftest import Opened, opened
from tests.unit.backtest.wire import REMEMBERED, START, decided, rule, stream

HOSTILE = (
    "Tanker </script><script>window.pwned = 1</script><img src=//evil.example/x onerror=window.pwned=1> {{7*7}} &amp;"
)
PLOTS = {"by_rule", "by_topic", "by_severity", "by_channel", "days", "week", "decisions", "delays", "stories", "untold"}


def about(**settings: int | bool) -> About:
    return About(["wire.jsonl"], 3, "0123", "4567", START, "1.0", ["silences", "groups"], **settings)  # type: ignore[arg-type]


def page(plotly: str, **settings: int | bool) -> str:
    told = [
        (0, HOSTILE),
        (3, HOSTILE),
        (4, "Port opens"),
        (9, "Port opens"),
        (11, "var(--ink)"),
        (12, "var(--ink)"),
        (2_000, "Tanker freed"),
        (2_001, "Tanker lost"),
    ]
    rules = [
        rule("tanker", "tanker", title=HOSTILE, throttle=Throttle(1, timedelta(hours=1))),
        rule("lost", "lost", severity="critical"),
        rule("volcano", "volcano"),
    ]
    sums = Sums(rules, REMEMBERED)
    for one in decided(stream(*told), *rules):
        sums.take(one)
    sums.finish()
    return report(sums, about(**settings), plotly)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "report.html"
    made.write_text(page(get_plotlyjs()), "utf-8")
    return made


@pytest.fixture(scope="module")
def by_day(chromium: Browser, file: Path) -> Iterator[Opened]:
    found = opened(chromium, file)
    yield found
    found.page.close()


@pytest.fixture(scope="module")
def by_night(chromium: Browser, file: Path) -> Iterator[Opened]:
    found = opened(chromium, file, "dark")
    yield found
    found.page.close()


def test_a_browser_shows_all_plots_and_neither_complains_nor_asks_the_network(by_day: Opened) -> None:
    drawn = "all => all.filter(p => p.querySelector('.main-svg')).map(p => p.id)"
    assert set(by_day.page.eval_on_selector_all(".plot", drawn)) == {f"plot-{name}" for name in PLOTS}
    assert by_day.page.locator("#plot-by_rule .bars path").count() >= 2
    assert (by_day.complaints, by_day.requests) == ([], [])


def test_hostile_headlines_are_text_on_the_page_and_in_its_plots(by_day: Opened) -> None:
    assert by_day.page.evaluate("window.pwned") is None
    assert by_day.page.locator("img").count() == 0
    assert HOSTILE in by_day.page.locator("ol.stories li").first.inner_text()
    label = by_day.page.locator("#plot-stories .ytick").first.text_content() or ""
    assert label.startswith("Tanker </script><script>window.p")
    assert (by_day.page.locator("#plot-untold .ytick").last.text_content() or "").startswith("var(--ink)")
    by_day.page.locator("#plot-stories .points path").last.hover(force=True)
    assert (by_day.complaints, by_day.requests) == ([], [])


def test_the_page_is_dark_by_night_and_its_plots_on_paper_are_as_by_day_and_as_wide_as_it(by_night: Opened) -> None:
    page = by_night.page
    ink = "document.querySelector('#plot-days .xtick text').style.fill"
    light = page.evaluate(ink)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(ink) == "rgb(27, 35, 48)" != light
    assert page.evaluate("document.querySelector('#plot-decisions .main-svg').getBoundingClientRect().width") == 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(ink) == light
    assert (by_night.complaints, by_night.requests) == ([], [])


def test_a_script_that_is_not_the_pages_own_does_not_run(chromium: Browser, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    own = "window.Plotly = {react: () => { window.drawn = true; }}"
    broken.write_text(page(own).replace("</main>", "<script>window.pwned = 1</script></main>"), "utf-8")
    found = opened(chromium, broken)
    assert found.page.evaluate("[window.drawn, window.pwned]") == [True, None]
    found.page.close()


def test_the_page_says_what_was_held_back_what_never_fired_and_what_it_does_not_tell() -> None:
    text = page("plotly")
    assert "throttled: 1 in 1h" in text
    assert "<b>volcano</b>" in text
    assert "Left out of the replay: silences, groups" in text
    assert "Interrupted" not in text


def test_the_page_says_what_kept_it_from_being_of_all_headlines() -> None:
    text = page("plotly", interrupted=True, unreadable=1_234, late=2)
    for told in ("Interrupted", "1,234 could not be read", "2 headlines came too late"):
        assert told in text


def test_an_empty_stream_makes_a_page_without_plots_or_scripts() -> None:
    sums = Sums([rule("tanker", "tanker")], REMEMBERED)
    sums.finish()
    text = report(sums, about(), "plotly")
    assert "<script" not in text
    assert "<b>tanker</b>" in text
