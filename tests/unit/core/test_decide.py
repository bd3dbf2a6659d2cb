from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta

import msgspec

from streams.core.decide import RuleChannels, alert_id, fire
from streams.core.hours import parse_hours
from streams.core.match import Matcher
from streams.core.query import compile_query
from streams.core.records import Alert, Classified, FiredRule, Headline, Span
from streams.core.rule import Rule, RuleSet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OIL = Rule("oil", "Oil", compile_query("oil"), "high", ("desk", "archive"))
TANKER = Rule("tanker", "Tankers", compile_query("tanker*"), "critical", ("desk",))


def classified(text: str, position: str = "headlines.raw:0:7") -> Classified:
    headline = Headline(headline=text, published=NOON)
    return Classified(id="h-7", seq=7, position=position, received=NOON, headline=headline, story_id="h-1")


def decide(headline: Classified) -> list[Alert]:
    firings = fire(headline, Matcher(RuleSet([TANKER, OIL])).match(headline))
    return [alert for firing in firings for alert in RuleChannels().alerts(firing)]


def test_one_alert_for_each_rule_and_channel() -> None:
    headline = classified("Oil tanker adrift")
    alerts = decide(headline)
    assert [(alert.rule.name, alert.channel) for alert in alerts] == [
        ("oil", "desk"),
        ("oil", "archive"),
        ("tanker", "desk"),
    ]
    assert all(alert.headline == headline for alert in alerts)
    assert len({alert.alert_id for alert in alerts}) == 3


def test_a_staged_rule_fires_and_alerts_nobody() -> None:
    headline = classified("Oil")
    (firing,) = fire(headline, Matcher(RuleSet([dataclasses.replace(OIL, stage="staged")])).match(headline))
    assert firing.rule.name == "oil"
    assert all(alert.suppressed for alert in RuleChannels().alerts(firing))


def test_hours_and_expiry_go_by_event_time_which_is_never_after_the_receipt() -> None:
    headline = msgspec.structs.replace(
        classified("Oil"), received=NOON - timedelta(hours=16)
    )  # at 20:00 the day before
    in_hours = dataclasses.replace(OIL, active=(parse_hours("08:00-18:00"),))
    (firing,) = fire(headline, Matcher(RuleSet([in_hours])).match(headline))
    assert firing.suppressed is not None
    until_then = dataclasses.replace(OIL, expiry=headline.received.date())
    assert Matcher(RuleSet([until_then])).match(headline)


def test_an_alert_carries_the_rule_as_it_stood() -> None:
    alert = decide(classified("Tankers adrift"))[0]
    assert alert.rule == FiredRule(
        name="tanker",
        title="Tankers",
        severity="critical",
        revision=TANKER.revision,
        matched=(Span(0, 7, "Tankers"),),
    )


def test_no_match_is_no_alert() -> None:
    assert decide(classified("Grain ship adrift")) == []


def test_an_alert_that_is_decided_twice_is_the_same() -> None:
    first, again = decide(classified("Oil")), decide(classified("Oil", position="headlines.raw:3:99"))
    assert [alert.alert_id for alert in first] == [alert.alert_id for alert in again]


def test_the_id_depends_on_rule_headline_text_and_channel() -> None:
    ids = [alert_id(*key) for key in ("abcd", "bacd", "abdc", "acbd")]
    assert len({*ids, alert_id("ab", "", "c", "d"), alert_id("a", "b", "cd", "")}) == 6
    assert all(re.fullmatch(r"al_[a-z2-7]{26}", one) for one in ids)


def test_two_headlines_to_which_their_producer_gave_one_id_are_two_alerts() -> None:
    one, other = decide(classified("Oil rises"))[0], decide(classified("Oil falls"))[0]
    assert one.headline.id == other.headline.id
    assert one.alert_id != other.alert_id


def test_the_id_is_the_same_in_every_process() -> None:
    assert alert_id("iran-oil", "4f9c", "Oil rises", "desk") == "al_xzlcqbalfjinn3ovp56cst35hm"


def test_an_alert_survives_its_topic() -> None:
    alert = decide(classified("Oil"))[0]
    assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert) == alert
