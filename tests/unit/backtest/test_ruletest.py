from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from streams.backtest.ruletest import Report, junit, run_tests
from streams.backtest.testfile import read_tests
from streams.cli.plan import load_taxonomy
from streams.core.classify import Classifier
from streams.core.conditions import Absence, Burst, Throttle
from streams.core.document import RefusedError, parse
from streams.core.query import compile_query
from streams.core.rule import Rule, RuleSet, Stage, Story
from streams.core.story.deduper import StoryDeduper


def rule(name: str, when: str, *, story: Story = "every", stage: Stage = "live") -> Rule:
    return Rule(name, name, compile_query(when), "high", ("desk", "archive"), story=story, stage=stage)


RULES = RuleSet(
    [
        rule("tanker", "tanker* AND NOT toy"),
        rule("iran", "topic:iran"),
        rule("fresh", "tanker", story="first"),
        rule("watched", "hormuz", stage="staged"),
    ]
)


def run(text: str) -> Report:
    cases = read_tests([parse(text, "t_test.yaml")], RULES)
    classifier = Classifier(load_taxonomy([]))
    return run_tests(cases, RULES, classifier, lambda: StoryDeduper(timedelta(hours=72)))


def told(text: str) -> list[str]:
    return [str(failure.problem) for failure in run(text).failures]


def test_alerts_are_compared_with_those_that_the_live_engine_decides() -> None:
    report = run(
        """
tests:
  - headlines:
      - headline: Tanker seized near Hormuz, Iran says
        at: 2026-03-01T12:00:00Z
        alerts: [iran, {rule: tanker, matched: [Tanker]}, fresh, watched]
      - headline: Tanker seized near Hormuz, Iran says
        at: +5m
        decision: duplicate
        alerts: []
      - headline: Toy tanker wins prize
        at: 2026-03-03T12:00:00+01:00
        alerts: [fresh]
"""
    )
    assert report.failures == []
    assert report.without_positive == ()
    assert report.without_negative == ("fresh",)


def test_a_duplicate_does_not_show_that_a_rule_stays_silent() -> None:
    headline = "{headline: Tanker seized near Hormuz, alerts: [tanker, iran, fresh, watched]}"
    repeat = "{headline: Tanker seized near Hormuz, source: another, decision: duplicate, alerts: []}"
    report = run(f"tests: [{{headlines: [{headline}, {repeat}]}}]")
    assert report.failures == []
    assert report.without_negative == ("fresh", "iran", "tanker", "watched")
    other = "{headline: Cup final, alerts: []}"
    assert run(f"tests: [{{headlines: [{headline}, {repeat}, {other}]}}]").without_negative == ()


def test_what_comes_out_otherwise_is_told_with_its_place_and_reason() -> None:
    assert told(
        """
tests:
  - name: wrong
    rules: [tanker, iran]
    headlines:
      - headline: Toy tanker wins prize
        alerts: [tanker]
      - headline: Tankers collide
        decision: update
        alerts: [{rule: tanker, matched: [Tanker]}]
      - headline: Tanker ablaze off Malta
        alerts: []
      - headline: Tanker ablaze off Malta
        alerts: [tanker]
"""
    ) == [
        "t_test.yaml:7:18: `tanker` does not fire (`toy`: is there, by `Toy`, and must not be)",
        "t_test.yaml:9:19: it is decided to be `first`, not `update`",
        "t_test.yaml:10:18: `tanker` fires by `Tankers`, not by `Tanker`",
        "t_test.yaml:11:9: `tanker` fires by `Tanker`, and is not expected (narrow the rule, or add the alert to the test)",
        "t_test.yaml:14:18: `tanker` does not fire (the headline is dropped as a duplicate: equal after normalising)",
    ]


def test_a_rule_about_first_reports_says_so() -> None:
    (failure,) = told(
        """
tests:
  - rules: [fresh]
    headlines:
      - {headline: Tanker ablaze off Malta with 20 on board, at: 2026-03-01T12:00:00Z, source: a}
      - {headline: Tanker ablaze off Malta with 24 on board, at: +9m, source: a, decision: update, alerts: [fresh]}
"""
    )
    assert "its query holds, and the rule is about `story: first`, and the headline is" in failure


REMEMBERING = RuleSet(
    [
        Rule("calm", "c", compile_query("tanker"), "high", ("desk",), throttle=Throttle(1, timedelta(hours=1))),
        Rule("many", "m", compile_query("tanker"), "high", ("desk",), condition=Burst(timedelta(hours=1), 3)),
        Rule("quiet", "q", compile_query("tanker"), "high", ("desk",), condition=Absence(timedelta(hours=2))),
    ]
)


def remembered(headlines: str) -> list[str]:
    """What fails of a test of rules that remember."""
    cases = read_tests([parse(f"tests:\n  - headlines:\n{headlines}", "t_test.yaml")], REMEMBERING)
    classifier = Classifier(load_taxonomy([]))
    report = run_tests(cases, REMEMBERING, classifier, lambda: StoryDeduper(timedelta(hours=72)))
    return [str(failure.problem) for failure in report.failures]


def test_rules_that_remember_are_tested_in_simulated_time() -> None:
    [failure] = remembered("""
      - {headline: Tanker seized near Hormuz, alerts: [calm]}
      - {headline: Tanker released in the Baltic, at: +10m, alerts: [calm]}
      - {headline: "Tanker released in the Baltic", source: b, at: +10m, decision: duplicate, alerts: [many]}
      - {headline: Cup final, at: +3h, alerts: [quiet]}
      - {headline: Tanker explodes off Oman, at: +1m, alerts: [calm]}
""")
    assert "`calm` does not fire" in failure
    assert "it is held back: throttled: 1 in 1h, the next from 2026-01-01 13:00:00 UTC on" in failure


def test_what_is_held_back_and_what_a_rule_tells_can_be_expected() -> None:
    assert not remembered("""
      - {headline: Tanker seized near Hormuz, alerts: [calm], held_back: []}
      - headline: Tanker released in the Baltic
        at: +10m
        alerts: []
        held_back: [{rule: calm, reason: throttled}]
      - {headline: Tanker explodes off Oman, at: +1m, alerts: [{rule: many, because: 3 headlines}], held_back: [calm]}
      - {at: +3h, alerts: [{rule: quiet, because: nothing in 2h}]}
""")


@pytest.mark.parametrize(
    ("headlines", "problem"),
    [
        ("{headline: A tanker, held_back: [calm]}", ":3:42: `calm` is not held back (it goes out)"),
        ("{headline: A cup, held_back: [calm]}", "`calm` is not held back (it does not fire)"),
        ("{headline: Another tanker, held_back: [{rule: calm, reason: muted}]}", "because of “throttled: 1 in 1h"),
        ("{headline: Another tanker, held_back: []}", "`calm` is held back, which is not expected"),
        ("{headline: A tanker, alerts: [{rule: calm, because: three}]}", "because of nothing that came before, not of"),
        ("{at: +1h, alerts: [quiet]}", "`quiet` does not fire (no headline is missing for long enough)"),
    ],
)
def test_what_is_not_so_is_told(headlines: str, problem: str) -> None:
    before = "      - {headline: Tanker seized near Hormuz}\n" if "Another" in headlines else ""
    [failure] = remembered(f"{before}      - {headlines}\n")
    assert problem in failure


def test_tests_know_nothing_of_each_other() -> None:
    one = "{headlines: [{headline: Tanker ablaze off Malta, alerts: [tanker, fresh]}]}"
    assert told(f"tests: [{one}, {one}]") == []


def test_rules_without_tests_are_known() -> None:
    report = run(
        "tests: [{headlines: [{headline: Tankers collide, alerts: [tanker]}, {headline: Cup final, alerts: []}]}]"
    )
    assert report.failures == []
    assert report.without_positive == ("fresh", "iran", "watched")
    assert report.without_negative == ("fresh", "iran", "watched")


def test_a_headline_that_cannot_be_read_fails_its_test() -> None:
    (failure,) = told("tests: [{headlines: [{headline: '<b></b>', alerts: []}]}]")
    assert failure.startswith("t_test.yaml:1:22: the headline cannot be read")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: []", "t_test.yaml:1:1: this is no file of tests"),
        ("[]", "t_test.yaml:1:1: this is no file of tests"),
        ("tests: []", "t_test.yaml:1:1: `tests` is empty (write 1 or more)"),
        ("tests: [{headlines: []}]", "t_test.yaml:1:10: `headlines` is empty (write 1 or more)"),
        ("tests: [{headlines: [{headline: 5}]}]", "t_test.yaml:1:33: `headline` is not a text: 5 (put it in quotes)"),
        ("tests: [{headlines: [{headline: x, decision: 5}]}]", "is 'first', 'update' or 'duplicate', not 5"),
        ("tests: [{rules: [], headlines: [{headline: x, alerts: [iran]}]}]", "`iran` is none of the rules"),
        ("tests: [{headline: x}]", "unknown key `headline` (did you mean `headlines`?)"),
        ("tests: [{headlines: [{headline: x, alert: []}]}]", "unknown key `alert` (did you mean `alerts`?)"),
        ("tests: [{headlines: [{headline: x, alerts: [tankr]}]}]", "there is no rule `tankr` (did you mean `tanker`?)"),
        ("tests: [{rules: [irn], headlines: [{headline: x}]}]", "there is no rule `irn` (did you mean `iran`?)"),
        ("tests: [{rules: [iran], headlines: [{headline: x, alerts: [tanker]}]}]", "`tanker` is none of the rules"),
        *(
            (
                f"tests: [{{headlines: [{{headline: x, at: {at}}}]}}]",
                "`at` is neither a time nor a span",
            )
            for at in ("soon", "5", "0.5", "true", "-5m", "'1700000000'", "[5]")
        ),
        (
            "tests: [{headlines: [{at: +1h, source: x}]}]",
            "without `headline` there can be `at`, `alerts` and `held_back` only",
        ),
        (
            "tests: [{headlines: [{headline: x, held_back: [tankr]}]}]",
            "there is no rule `tankr` (did you mean `tanker`?)",
        ),
        ("tests: [{headlines: [{headline: x, decision: same}]}]", "'first', 'update' or 'duplicate'"),
    ],
)
def test_mistakes_in_a_file_are_refused(text: str, problem: str) -> None:
    with pytest.raises(RefusedError) as caught:
        run(text)
    assert problem in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(RefusedError) as caught:
        run("tests: [{headlines: [{headline: x, at: soon, alerts: [no]}]}, {rules: [nor], headlines: [{headline: y}]}]")
    assert len(caught.value.problems) == 3


def test_no_mistake_hides_another() -> None:
    with pytest.raises(RefusedError) as caught:
        run(
            """
tests:
  - headlines: []
  - {rules: [irn], headlines: [{headline: x, at: -5m, alerts: [tankr, [iran], {rule: 5}]}]}
  - {rules: iran, headlines: {headline: x}}
  - nothing
"""
        )
    found = [(problem.line, problem.message.split(",")[0]) for problem in caught.value.problems]
    assert [line for line, _ in found] == [3, 4, 4, 4, 4, 4, 5, 5, 6]
    told = "\n".join(message for _, message in found)
    assert "there is no rule `irn`" in told
    assert "there is no rule `tankr`" in told
    assert "`at` is neither a time nor a span" in told


@pytest.mark.parametrize(
    "at", ["2026-03-01", "2026-03-01T01:00:00+01:00", "'2026-03-01T00:00:00Z'", "'2026-03-01 00:00'"]
)
def test_a_time_is_written_as_one_likes(at: str) -> None:
    first = f"{{headline: Tanker seized, at: {at}, alerts: [tanker, fresh]}}"
    for later, decision in (
        ("2026-03-04T00:00:00Z", "duplicate"),
        ("2026-03-04T00:00:01Z", "first"),
        ("72h", "duplicate"),
    ):
        again = f"{{headline: Tanker seized, at: {later}, decision: {decision}}}"
        assert told(f"tests: [{{headlines: [{first}, {again}]}}]") == []


def test_junit_has_every_test_and_failure() -> None:
    report = run(
        "tests: [{name: a < b, headlines: [{headline: Cup final, alerts: [iran]}]}, {headlines: [{headline: x}]}]"
    )
    root = ET.fromstring(junit(report))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    cases = root.findall("./testsuite/testcase")
    assert [case.get("name") for case in cases] == ["a < b", "test 2"]
    assert "`iran` does not fire" in str(cases[0].find("failure").get("message"))  # type: ignore[union-attr]
    assert cases[1].find("failure") is None
