from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from alerts.route import ChannelRouter
from alerts.silence import Silence, SilenceError, Snapshot, make_silence, quoted
from streams.core.decide import Firing
from streams.core.query import QueryError, compile_query
from tests.unit.alerts.routing import NOON, firing

HOUR = timedelta(hours=1)

#: What Python 3.11 does not take for printable: an emoji of Unicode 15, a flag of tags, a family of joined people, spaces of
#: other widths, marks of direction.
AWKWARD = [
    "pink heart \U0001fa77",
    "England \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f win",
    "family \U0001f468\u200d\U0001f469",
    "Tokyo\u3000\u65e5\u672c, 5\u00a0%",
    "\u200f\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
]


def silence(query: str, **given: Any) -> Silence:
    usual = {"starts": NOON, "ends": NOON + HOUR, "comment": "drill", "by": "ann", "now": NOON}
    return make_silence(query, **{**usual, **given})


def silenced(query: str, what: Firing, channel: str = "desk") -> bool:
    return Snapshot([silence(query)]).reason(what, channel) is not None


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("tanker", True),
        ("topic:iran AND source:reuters.com", True),
        ("topic:iran AND source:x", False),
        ("topic:iran -adrift", False),
        ("rule:iran-oil", True),
        ("rule:iran-*", True),
        ("rule:iran", False),
        ("severity:high", True),
        ("severity:>=high", True),
        ("severity:>high", False),
        ("severity:<high", False),
        ("severity:[low TO critical]", True),
        ("severity:{low TO high}", False),
        ("severity:[* TO medium]", False),
        ("channel:desk", True),
        ("channel:log", False),
        ('story:"headlines.raw:0:7"', True),
        ("story:s-2", False),
        ("channel:desk AND FIRST/2(tanker)", True),
        ("FIRST/1(adrift)", False),
        ("kind:first AND (rule:other OR topic:iran)", True),
    ],
)
def test_what_is_silenced_is_asked_for_in_the_language_of_rules(query: str, holds: bool) -> None:
    assert silenced(query, firing(story="headlines.raw:0:7")) is holds


def test_any_name_and_story_can_be_asked_for() -> None:
    for name in ('odd "name" \\ here', "subscription:desk:1f", "AND", "a*b?"):
        assert silenced(quoted("rule", name), firing(rule=name))
        assert not silenced(quoted("rule", name), firing(rule=name + "x"))


def test_the_time_is_that_of_the_headline_and_the_end_not_included() -> None:
    snapshot = Snapshot([silence("tanker")])
    seconds = timedelta(seconds=1)
    told = [snapshot.reason(firing(at=at), "desk") for at in (NOON - seconds, NOON, NOON + HOUR - seconds, NOON + HOUR)]
    reason = f"silenced by {silence('tanker').id} until 2025-03-03 13:00 UTC: drill"
    assert told == [None, reason, reason, None]


def test_of_several_the_one_that_ends_last_is_told() -> None:
    longer = silence("adrift", ends=NOON + 2 * HOUR, comment="longer")
    told = Snapshot([longer, silence("tanker"), silence("tanker", ends=NOON + HOUR / 2)]).reason(firing(), "desk")
    assert told is not None
    assert told.endswith("14:00 UTC: longer")


def test_one_that_cannot_be_read_silences_nothing() -> None:
    odd = msgspec.structs.replace(silence("tanker"), id="odd", query="colour:red")
    snapshot = Snapshot([odd])
    assert snapshot.unreadable == ("odd",)
    assert snapshot.reason(firing(), "desk") is None


def test_a_silence_for_one_channel_leaves_the_others() -> None:
    router = ChannelRouter(silences=Snapshot([silence("tanker AND channel:desk")]))
    told = {alert.channel: alert.suppressed for alert in router.alerts(firing(channels=("desk", "log")))}
    assert told["log"] is None
    assert str(told["desk"]).startswith("silenced by")


def test_made_twice_it_is_one() -> None:
    one, again = silence("tanker"), silence("tanker", now=NOON + timedelta(seconds=5))
    assert one.id == again.id
    assert re.fullmatch("[0-9a-f]{8}", one.id)
    assert len({one.id, silence("tankers").id, silence("tanker", by="bob").id, silence("tanker", comment="x").id}) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"query": "oil AND"}, "at character 8 of the query: the query ends too early"),
        ({"query": "NOT oil"}, "a lone negation"),
        ({"query": "colour:red"}, "unknown field `colour`"),
        ({"query": "severity:hihg"}, "`severity` is never `hihg`"),
        ({"query": "severity:>=hihg"}, "`severity` is never `hihg`"),
        ({"query": "severity:>critical"}, "is never so"),
        ({"ends": NOON}, "ends before it starts"),
        ({"starts": NOON - 2 * HOUR, "ends": NOON - HOUR}, "has ended before it is made"),
        ({"comment": "  "}, "the comment is not one line"),
        ({"comment": "a\nb"}, "the comment is not one line"),
        ({"comment": "x" * 501}, "the comment is not one line"),
        ({"comment": "a\u2028b"}, "the comment is not one line"),
        ({"comment": "a\x1b[2J"}, "the comment is not one line"),
        ({"comment": "a\x85b"}, "the comment is not one line"),
        ({"comment": "a\ud83e"}, "the comment is not one line"),
        ({"by": ""}, "the name is not one line"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SilenceError, match=re.escape(message)):
        silence(given.pop("query", "tanker"), **given)


@pytest.mark.parametrize("comment", AWKWARD)
def test_a_comment_may_have_any_character_that_stays_in_its_line(comment: str) -> None:
    assert silence("tanker", comment=comment, by=comment).comment == comment


def test_rules_have_none_of_its_fields() -> None:
    for query in ("rule:a", "severity:high", "story:s", "channel:desk"):
        with pytest.raises(QueryError, match="unknown field"):
            compile_query(query)


def test_the_state_by_the_clock() -> None:
    one = silence("tanker")
    assert [one.state(NOON + HOUR * hours) for hours in (-1, 0, 1)] == ["pending", "active", "ended"]
