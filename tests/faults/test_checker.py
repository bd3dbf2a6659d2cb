"""What the checker says of histories made by hand: nothing of a good one, and of a bad one what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import msgspec
import pytest

from streams.core.decide import alert_id
from tests.faults.checker import Observed, Post, Verdict, check, posts_of
from tests.faults.history import History

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Two records say the same about a tanker, and a third cannot be read.
FIRST, REPEAT, BROKEN = "first", "repeat", "broken"
ALERT = alert_id("tankers", FIRST, "Tanker 1 waits", "desk")


@pytest.fixture
def history() -> History:
    history = History(seed=0)
    history.fires = {"Tanker 1 waits": ("tankers",)}
    history.saying_of = {FIRST: "Tanker 1 waits", REPEAT: "Tanker 1 waits"}
    history.unreadable = {BROKEN}
    return history


@pytest.fixture
def observed() -> Observed:
    """A run in which all went well."""
    return Observed(
        confirmed={FIRST, REPEAT, BROKEN},
        raw={"raw:0:0": FIRST, "raw:1:0": REPEAT, "raw:0:1": BROKEN},
        topics=defaultdict(
            list,
            unique=[record(position="raw:0:0", id=FIRST, seq=1)],
            dropped=[record(position="raw:1:0", id=REPEAT, seq=2, duplicate_of=FIRST)],
            invalid=[record(position="raw:0:1", stage="deduplicate")],
            classified=[record(position="raw:0:0", id=FIRST)],
            alerts=[record(alert_id=ALERT)],
            deliveries=[record(alert_id=ALERT, outcome="retry"), record(alert_id=ALERT, outcome="delivered")],
        ),
        posts=[Post(ALERT, b"body", taken=False), Post(ALERT, b"body", taken=True)],
    )


def record(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def the_only_violation(verdict: Verdict) -> str:
    assert len(verdict.violations) == 1, verdict.violations
    return verdict.violations[0]


def test_a_good_run(history: History, observed: Observed) -> None:
    verdict = check(history, observed)
    assert verdict.kept
    assert (verdict.headlines, verdict.alerts, verdict.delivered, verdict.lost, verdict.repeats) == (3, 1, 1, 0, 0)
    assert verdict.fates == {"unique": 1, "dropped": 1, "invalid": 1}


def test_what_was_published_twice_alike_is_no_violation(history: History, observed: Observed) -> None:
    for values in observed.topics.values():
        values.extend(list(values))
    assert check(history, observed).kept


def test_a_lost_headline(history: History, observed: Observed) -> None:
    observed.topics["dropped"].clear()
    verdict = check(history, observed)
    assert verdict.lost == 1
    assert the_only_violation(verdict) == "lost: raw:1:0 is neither unique nor dropped nor invalid"


def test_a_record_that_kafka_lost(history: History, observed: Observed) -> None:
    observed.confirmed.add("gone")
    assert "lost the record gone" in the_only_violation(check(history, observed))


def test_two_fates(history: History, observed: Observed) -> None:
    observed.topics["dropped"].append(record(position="raw:0:0", id=FIRST, seq=3, duplicate_of=FIRST))
    assert the_only_violation(check(history, observed)) == "raw:0:0 is dropped and unique"


def test_one_fate_in_two_versions(history: History, observed: Observed) -> None:
    observed.topics["unique"].append(record(position="raw:0:0", id=FIRST, seq=9))
    assert "says something else" in the_only_violation(check(history, observed))


def test_a_readable_record_that_was_refused(history: History, observed: Observed) -> None:
    observed.topics["dropped"].clear()
    observed.topics["invalid"].append(record(position="raw:1:0", stage="deduplicate"))
    assert the_only_violation(check(history, observed)) == "raw:1:0 is readable, and is ['invalid']"


def test_a_record_that_a_later_agent_refused(history: History, observed: Observed) -> None:
    observed.topics["invalid"].append(record(position="unique:0:0", stage="classify"))
    assert the_only_violation(check(history, observed)) == "unique:0:0 was refused by classify"


def test_a_record_from_nowhere(history: History, observed: Observed) -> None:
    observed.topics["dropped"].append(record(position="raw:7:7", id=REPEAT, duplicate_of=FIRST))
    assert the_only_violation(check(history, observed)) == "raw:7:7 came from nowhere"


def test_a_headline_told_twice_is_forgiven_only_where_redis_fell(history: History, observed: Observed) -> None:
    again = alert_id("tankers", REPEAT, "Tanker 1 waits", "desk")
    observed.topics["dropped"].clear()
    for topic in ("unique", "classified"):
        observed.topics[topic].append(record(position="raw:1:0", id=REPEAT, seq=2))
    observed.topics["deliveries"].append(record(alert_id=again, outcome="delivered"))
    observed.posts.append(Post(again, b"other", taken=True))
    assert the_only_violation(check(history, observed)) == "'Tanker 1 waits' is unique 2 times"
    observed.redis_fell = True
    verdict = check(history, observed)
    assert verdict.kept
    assert verdict.told_again == 1


def test_a_headline_dropped_for_one_that_is_not_unique(history: History, observed: Observed) -> None:
    observed.topics["dropped"][0] = record(position="raw:1:0", id=REPEAT, seq=2, duplicate_of=REPEAT)
    assert "dropped for repeat, which is not unique" in the_only_violation(check(history, observed))
    observed.redis_fell = True
    assert "dropped for repeat, which is not unique" in the_only_violation(check(history, observed))


def test_a_headline_that_was_never_classified(history: History, observed: Observed) -> None:
    observed.topics["classified"].clear()
    assert the_only_violation(check(history, observed)) == "lost: raw:0:0 was never classified"


def test_an_alert_that_never_arrived(history: History, observed: Observed) -> None:
    observed.posts.pop()
    assert "neither delivered nor given up" in the_only_violation(check(history, observed))
    observed.topics["dead"].append(record(alert_id=ALERT, outcome="dead"))
    assert check(history, observed).kept


def test_an_alert_whose_end_kafka_does_not_know(history: History, observed: Observed) -> None:
    observed.topics["deliveries"].pop()
    assert "is not on deliveries" in the_only_violation(check(history, observed))


def test_an_alert_that_nothing_fired(history: History, observed: Observed) -> None:
    observed.posts.append(Post("al_other", b"body", taken=True))
    assert "al_other was posted, and nothing fired it" in the_only_violation(check(history, observed))


def test_an_alert_with_two_bodies(history: History, observed: Observed) -> None:
    observed.posts.append(Post(ALERT, b"another", taken=False))
    assert "with two bodies" in the_only_violation(check(history, observed))


def test_an_alert_that_ended_and_was_not_posted(history: History, observed: Observed) -> None:
    observed.topics["deliveries"].append(record(alert_id="al_other", outcome="dead"))
    assert "al_other is on deliveries as ended" in the_only_violation(check(history, observed))


def test_an_alert_that_was_posted_again_and_then_given_up_has_two_ends(history: History, observed: Observed) -> None:
    for topic in ("deliveries", "dead"):
        observed.topics[topic].append(record(alert_id=ALERT, outcome="dead"))
    verdict = check(history, observed)
    assert verdict.kept
    assert verdict.two_ends == 1


def test_repeats_are_counted(history: History, observed: Observed) -> None:
    observed.posts += [Post(ALERT, b"body", taken=True)] * 2
    verdict = check(history, observed)
    assert verdict.kept
    assert verdict.repeats == 2


def test_the_alerts_of_a_message_count_each_by_itself() -> None:
    one, other = b'{"alert_id":"al_1","x":1}', b'{"alert_id":"al_2"}'
    alone = posts_of(b'{"type":"alert","timestamp":"2026","data":' + one + b"}", taken=False)
    together = posts_of(b'{"type":"alerts","timestamp":"2026","data":[' + one + b"," + other + b"]}", taken=True)
    assert alone == [Post("al_1", one, taken=False)]
    assert together == [Post("al_1", one, taken=True), Post("al_2", other, taken=True)]


def test_a_message_says_the_same_each_time(history: History, observed: Observed) -> None:
    observed.messages["ms_1"] |= {b"one", b"other"}
    assert "the message ms_1 has two bodies" in the_only_violation(check(history, observed))


def test_the_same_decision_may_have_two_places_where_redis_fell(history: History, observed: Observed) -> None:
    observed.topics["unique"].append(record(position="raw:0:0", id=FIRST, seq=9))
    assert "says something else" in the_only_violation(check(history, observed))
    observed.redis_fell = True
    assert check(history, observed).kept
    observed.topics["unique"].append(record(position="raw:0:0", id=FIRST, seq=9, story_id="another"))
    assert "says something else" in the_only_violation(check(history, observed))
