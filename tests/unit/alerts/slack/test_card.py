from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.slack.card import TOLD_LIMIT, Card, card_of
from streams.core.records import Alert

Make = Callable[..., Alert]


def alert(make_alert: Make, seq: int, rule: str = "ferries", **fields: Any) -> Alert:
    """An alert of a rule on headline ``seq`` of one story, which ``seq`` sources have told by then."""
    severity = {"ferries": "high", "weather": "critical", "ports": "low"}[rule]
    one = make_alert(f"Storm, part {seq}", matched=("Storm",), severity=severity, alert_id=f"al_{rule}_{seq}", **fields)
    headline = msgspec.structs.replace(one.headline, id=f"h-{seq}", seq=seq, story_sources=seq)
    return msgspec.structs.replace(one, headline=headline, rule=msgspec.structs.replace(one.rule, name=rule))


def fold(alerts: list[Alert]) -> Card:
    card = card_of(alerts[0])
    for one in alerts[1:]:
        card = card.with_alert(one)
    return card


def unordered(card: Card) -> Card:
    return msgspec.structs.replace(card, told=tuple(sorted(card.told)), topics=tuple(sorted(card.topics)))


def test_a_late_first_takes_its_place(make_alert: Make) -> None:
    card = fold([alert(make_alert, 5), alert(make_alert, 2)])
    assert (card.first.headline_id, card.latest.headline_id) == ("h-2", "h-5")
    assert card.headlines == 2
    assert card.shows(alert(make_alert, 2, "weather"))
    assert not card.shows(alert(make_alert, 4))


def test_rules_on_one_headline_are_one_line(make_alert: Make) -> None:
    card = fold([alert(make_alert, 1), alert(make_alert, 1, "weather")])
    assert card.first is card.latest
    assert card.headlines == 1
    assert [reason.name for reason in card.reasons] == ["weather", "ferries"], "the worst first"
    assert card.severity == "critical"


@given(
    places=st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["ferries", "weather", "ports"])), min_size=1, max_size=6
    ),
    data=st.data(),
)
def test_the_order_in_which_alerts_come_does_not_matter(
    make_alert: Make, places: list[tuple[int, str]], data: st.DataObject
) -> None:
    alerts = [alert(make_alert, seq, rule) for seq, rule in places]
    other = data.draw(st.permutations(alerts + alerts[:2]))
    card, mixed = fold(alerts), fold(other)
    assert unordered(card) == unordered(mixed)
    seqs = [seq for seq, _ in places]
    assert (card.first.seq, card.latest.seq, card.sources) == (min(seqs), max(seqs), max(seqs))


def test_sources_never_become_fewer(make_alert: Make) -> None:
    assert fold([alert(make_alert, 3), alert(make_alert, 2)]).sources == 3


def test_a_card_stays_small(make_alert: Make) -> None:
    card = fold([alert(make_alert, seq) for seq in range(1, TOLD_LIMIT + 50)])
    assert len(card.told) == TOLD_LIMIT
    assert len(msgspec.json.encode(card)) < 10_000
