from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.backtest.compare import KEPT, KINDS, Change, Changes, Following, Kind, Leading, Side, Twin
from streams.backtest.replay import replay
from streams.backtest.unlike import Recent
from streams.core.conditions import Absence, Burst, Throttle
from streams.core.dedupe import Candidate, ExactDeduper
from streams.core.records import Grouping
from streams.core.rule import Rule, RuleSet
from tests.unit.backtest.wire import REMEMBERED, START, decided, engine, rule, stream

HOUR = timedelta(hours=1)
TANKER = rule("tanker", "tanker")
#: Rules of which two versions are drawn.
VARIANTS = [
    TANKER,
    rule("tanker", "tanker AND seized"),
    rule("tanker", "tanker", throttle=Throttle(1, HOUR)),
    rule("tanker", "tanker", channels=("desk", "archive")),
    rule("tanker", "tanker", story="first"),
    rule("lull", "port", condition=Absence(HOUR)),
    rule("burst", "tanker OR port", condition=Burst(HOUR, 2)),
    rule("tanker", "tanker", severity="critical"),
]
STREAMS = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from(["Tanker seized", "Tanker freed", "Port opens", "Port shut"])),
    max_size=25,
)


def compared(candidates: Sequence[Candidate], before: Sequence[Rule], after: Sequence[Rule]) -> Changes:
    changes = Changes(RuleSet(before), RuleSet(after), REMEMBERED)
    leading = Leading(ExactDeduper(REMEMBERED))
    old = Side(engine(*before, deduper=Following(leading)), RuleSet(before))
    new = Side(engine(*after, deduper=leading), RuleSet(after))
    given_ = list(replay(candidates, Twin(old, new, changes)))
    assert given_ == decided(candidates, *after)
    changes.finish()
    return changes


def only(changes: Changes, kind: Kind) -> Change:
    assert dict(changes.totals) == {kind: 1}
    [change] = changes.kept(kind)
    return change


@given(
    STREAMS,
    st.lists(st.sampled_from(VARIANTS), max_size=3, unique_by=lambda rule: rule.name),
    st.lists(st.sampled_from(VARIANTS), max_size=3, unique_by=lambda rule: rule.name),
)
@settings(deadline=None)
def test_every_alert_of_both_versions_is_counted_once(
    told: list[tuple[int, str]], before: list[Rule], after: list[Rule]
) -> None:
    candidates = stream(*sorted(told))
    changes = compared(candidates, before, after)
    sent = {
        "before": sum(not alert.suppressed for one in decided(candidates, *before) for alert in one.alerts),
        "after": sum(not alert.suppressed for one in decided(candidates, *after) for alert in one.alerts),
    }
    moved = changes.totals["earlier"] + changes.totals["later"]
    of_both = changes.same + changes.totals["changed"]
    assert of_both + moved + changes.totals["lost"] == sent["before"]
    assert of_both + moved + changes.totals["added"] == sent["after"]
    for counts in changes.rules.values():
        assert counts.before == counts.same + sum(
            counts.kinds[kind] for kind in ("lost", "earlier", "later", "changed")
        )
    if [one.revision for one in before] == [one.revision for one in after]:
        assert not changes.changed


def test_a_narrower_query_loses_alerts_and_says_what_it_lacks() -> None:
    lost = only(compared(stream((0, "Tanker freed"), (1, "Tanker seized")), [TANKER], [VARIANTS[1]]), "lost")
    assert (lost.headline.text, lost.rule, lost.channels) == ("Tanker freed", "tanker", ["desk"])
    assert lost.why == "`seized`: the headline has no `seized`"
    assert (list(lost.before), list(lost.after)) == (["tanker"], [])


def test_a_new_rule_adds_alerts_and_one_that_is_gone_loses_them() -> None:
    told = stream((0, "Tanker freed"))
    assert only(compared(told, [], [TANKER]), "added").why == "it has no such rule"
    assert only(compared(told, [TANKER], []), "lost").why == "it has no such rule"


def test_an_alert_that_is_held_back_is_lost_with_the_reason() -> None:
    told = stream((0, "Tanker freed"), (1, "Tanker lost"))
    lost = only(compared(told, [TANKER], [rule("tanker", "tanker", throttle=Throttle(1, HOUR))]), "lost")
    assert lost.why.startswith("held back: throttled: 1 in 1h")


def test_an_alert_of_another_severity_is_changed_and_says_what_it_was() -> None:
    changes = compared(stream((0, "Tanker freed")), [TANKER], [rule("tanker", "tanker", severity="critical")])
    changed = only(changes, "changed")
    assert (changed.severity, changed.why, changed.was) == ("critical", "severity: high, now critical", None)
    assert (list(changed.before), list(changed.after)) == (["tanker"], ["tanker"])
    assert (changes.same, changes.rules["tanker"].before, changes.rules["tanker"].after) == (0, 1, 1)


def test_an_alert_that_says_something_else_of_its_rule_is_changed() -> None:
    now = rule("tanker", "tanker OR ship", title="Ships", labels={"team": "oil"}, owner="Ann")
    changed = only(compared(stream((0, "Tanker freed")), [TANKER], [now]), "changed")
    assert changed.why == "title: tanker, now Ships; owner: none, now Ann; labels: none, now team=oil"
    assert not compared(stream((0, "Tanker freed")), [TANKER], [rule("tanker", "tanker OR ship")]).changed


def test_an_alert_that_is_collected_otherwise_is_changed() -> None:
    changes = Changes(RuleSet([TANKER]), RuleSet([TANKER]), REMEMBERED)
    [was] = decided(stream((0, "Tanker freed")), TANKER)
    grouped = replace(was.alerts[0], group=Grouping(key="desk: story", interval=300))
    changes.take(was, replace(was, alerts=(grouped,)))
    assert only(changes, "changed").why == "collected: none, now desk: story, wait 0 s, interval 300 s"


def test_one_that_goes_to_another_channel_says_to_which() -> None:
    changes = compared(stream((0, "Tanker freed")), [TANKER], [rule("tanker", "tanker", channels=("archive",))])
    assert changes.totals == {"lost": 1, "added": 1}
    assert changes.kept("lost")[0].why == "the rule fires, and tells not this channel but archive"


def test_a_story_that_is_told_of_sooner_is_earlier_and_not_lost_and_added() -> None:
    told = stream((0, "Tanker seized"), (1, "Tanker seized"), (40, "Tanker seized"))
    late, soon = rule("tanker", "tanker", condition=Burst(HOUR, 3)), rule("tanker", "tanker", condition=Burst(HOUR, 2))
    earlier = only(compared(told, [late], [soon]), "earlier")
    assert (earlier.at, earlier.was) == (START + timedelta(minutes=1), START + timedelta(minutes=40))
    later = only(compared(told, [soon], [late]), "later")
    assert (later.at, later.was) == (earlier.was, earlier.at)
    assert later.why == "its query holds, and its `burst` is not met"


def test_a_repeat_is_told_with_the_headline_that_it_repeats() -> None:
    told = stream((0, "Tanker seized"), (200, "Tanker seized"))
    changes = Changes(RuleSet([TANKER]), RuleSet([TANKER]), REMEMBERED)
    forgets, remembers = ExactDeduper(HOUR), ExactDeduper(REMEMBERED)
    old, new = (Side(engine(TANKER, deduper=deduper), RuleSet([TANKER])) for deduper in (forgets, remembers))
    for _ in replay(told, Twin(old, new, changes)):
        pass
    changes.finish()
    assert only(changes, "lost").why == "dropped as a repeat of “Tanker seized”: equal after normalising"


def test_a_headline_of_another_kind_than_the_rule_is_about_says_so() -> None:
    changes = compared(stream((0, "Tanker seized")), [TANKER], [rule("tanker", "tanker", story="updates")])
    assert only(changes, "lost").why == "the headline is the first of its story, and the rule is about `story: updates`"


def test_texts_are_remembered_as_long_as_a_deduper_knows_them() -> None:
    recent = Recent(HOUR)
    for one in decided(stream((0, "Tanker seized"), (50, "Port opens"), (61, "Port shut"))):
        recent.add(one)
    assert [recent.of(id_) for id_ in ("0", "1", None)] == [
        "an earlier headline",
        "“Port opens”",
        "an earlier headline",
    ]


def test_two_channels_of_one_alert_are_shown_as_one_change_and_counted_as_two() -> None:
    changes = compared(stream((0, "Tanker freed")), [], [rule("tanker", "tanker", channels=("desk", "archive"))])
    [change] = changes.kept("added")
    assert (changes.totals["added"], change.channels) == (2, ["desk", "archive"])
    assert changes.left_out("added", [change]) == 0


def test_so_many_are_kept_of_each_rule_and_a_few_are_of_all_of_them() -> None:
    told = stream(*[(number, f"Tanker {number}") for number in range(KEPT + 20)], (900, "Port opens"))
    changes = compared(told, [], [TANKER, rule("port", "port")])
    kept = changes.kept("added")
    assert changes.totals["added"] == KEPT + 21
    assert changes.left_out("added", kept) == 20
    assert [change.rule for change in changes.kept("added", 2)] == ["tanker", "port"]


def test_the_same_rules_change_nothing() -> None:
    changes = compared(stream((0, "Tanker seized"), (5, "Port opens"), (90, "Port shut")), VARIANTS[4:6], VARIANTS[4:6])
    assert (changes.changed, changes.same, changes.rewritten()) == (False, 2, [])
    assert all(changes.kept(kind) == [] for kind in KINDS)


def test_rules_that_differ_are_told_whether_or_not_an_alert_does() -> None:
    changes = compared([], [TANKER, rule("gone", "port")], [rule("tanker", "tanker OR ship"), rule("new", "port")])
    assert [(one and one.name, other and other.name) for one, other in changes.rewritten()] == [
        ("gone", None),
        (None, "new"),
        ("tanker", "tanker"),
    ]
