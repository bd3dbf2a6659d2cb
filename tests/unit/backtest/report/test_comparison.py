from __future__ import annotations

import dataclasses
from pathlib import Path

from playwright.sync_api import Browser
from plotly.offline import get_plotlyjs

from streams.backtest.compare import Changes, Side, Twin
from streams.backtest.replay import replay
from streams.backtest.report.comparison import LONGEST_MARKDOWN, Versions, comparison, markdown
from streams.backtest.report.page import About
from streams.core.rule import Rule, RuleSet
from tests.unit.backtest.report.conftest import opened
from tests.unit.backtest.wire import REMEMBERED, START, engine, rule, stream

ABOUT = About(["wire.jsonl"], 2, "0123", "4567", START, "1.0", ["silences"])
VERSIONS = Versions("HEAD~1", ABOUT)
HOSTILE = "Tanker <script>window.pwned=1</script><img src=x onerror=window.pwned=1>"


def changes(before: list[Rule], after: list[Rule], *texts: str) -> Changes:
    found = Changes(RuleSet(before), RuleSet(after), REMEMBERED)
    twin = Twin(Side(engine(*before), RuleSet(before)), Side(engine(*after), RuleSet(after)), found)
    for _ in replay(stream(*enumerate(texts)), twin):
        pass
    found.finish()
    return found


def test_a_browser_shows_the_page_with_hostile_headlines_as_text(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    found = changes([rule("port", "port")], [rule("tanker", "tanker")], HOSTILE, "Port opens")
    file.write_text(comparison(found, VERSIONS, get_plotlyjs()), "utf-8")
    shown = opened(chromium, file)
    assert shown.page.locator("#plot-changes .main-svg").count() > 0
    assert shown.page.evaluate("window.pwned") is None
    assert any(HOSTILE in text for text in shown.page.locator("td").all_inner_texts())
    assert (shown.complaints, shown.requests) == ([], [])
    shown.page.close()


def test_a_page_without_changes_says_so_and_has_no_scripts() -> None:
    text = comparison(changes([], [], "Port opens"), VERSIONS, "plotly")
    assert "No alert differs" in text
    assert "<script" not in text


def test_a_page_shows_queries_before_and_after() -> None:
    was, is_now = (
        [rule("a", "tanker"), rule("b", "port")],
        [rule("a", 'tanker AND "ship"'), rule("b", "port", severity="low")],
    )
    text = comparison(changes(was, is_now, "Tanker lost"), VERSIONS, "plotly")
    assert "changed: when<" in text
    assert "changed: severity<" in text
    assert "<code>port</code>" not in text
    assert "<code>tanker</code>" in text
    assert "<code>tanker AND &#34;ship&#34;</code>" in text


def test_markdown_is_no_longer_than_a_comment_may_be_and_says_what_it_leaves_out() -> None:
    texts = [f"Tanker {number} {'very ' * 120}lost" for number in range(60)]
    rules = [rule(f"rule-{number}", "tanker", title="t") for number in range(90)]
    text = markdown(changes([], rules, *texts), VERSIONS)
    assert len(text) < LONGEST_MARKDOWN
    assert "and 60 more" in text
    assert "… and 5,385 more, which the page of `--report` or `--json` shows" in text


def test_markdown_leaves_room_for_every_kind_of_change() -> None:
    texts = [f"Tanker {number} {'very ' * 120}lost" for number in range(60)]
    text = markdown(changes([rule("old", "tanker")], [rule("new", "tanker")], *texts), VERSIONS)
    assert "<b>Added: 60</b>" in text
    assert "<b>Lost: 60</b>" in text
    assert text.count("</details>") == 2


def test_what_differs_beside_rules_is_told() -> None:
    versions = Versions("other.yaml", ABOUT, ["dedupe.window: 1h, now 3d"])
    assert "dedupe.window: 1h, now 3d" in comparison(changes([], [], "Port opens"), versions, "plotly")
    assert "Beside rules: `dedupe.window: 1h, now 3d`" in markdown(changes([], [], "Port opens"), versions)


def test_markdown_says_what_kept_it_from_being_of_all_headlines() -> None:
    about = dataclasses.replace(ABOUT, interrupted=True, unreadable=3)
    text = markdown(changes([], [], "Port opens"), Versions("HEAD~1", about))
    assert "Not of all headlines: the replay was interrupted before its end; 3 could not be read." in text
    assert "Not of all" not in markdown(changes([], [], "Port opens"), VERSIONS)


def test_markdown_without_changes_says_so() -> None:
    assert "No alert differs." in markdown(changes([], [], "Port opens"), VERSIONS)


def test_another_severity_is_told_on_the_page_and_in_markdown() -> None:
    found = changes([rule("a", "tanker")], [rule("a", "tanker", severity="critical")], "Tanker lost")
    page, text = comparison(found, VERSIONS, "plotly"), markdown(found, VERSIONS)
    assert "No alert differs" not in page + text
    assert "severity: high, now critical" in page
    assert "**0 added, 0 lost, 0 earlier, 0 later, 1 changed**, 0 the same" in text
    assert "<b>Changed: 1</b>" in text


def test_markdown_says_what_of_a_rule_differs_also_where_no_alert_does() -> None:
    was = [rule("a", "tanker"), rule("b", "port"), rule("c", "ship")]
    is_now = [rule("a", "tanker OR ship", severity="low"), rule("b", "port"), rule("d", "ship")]
    text = markdown(changes(was, is_now, "Ferry strike ends"), VERSIONS)
    assert "Changed rules: `a` (when, severity)" in text
    assert "New rules: `d`" in text
    assert "Rules that are gone: `c`" in text
    assert "No alert differs." in text
