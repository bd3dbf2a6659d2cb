"""The messages of a replay, against those that the outbox composes of the same alerts at the same times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.outbox import MemoryOutbox
from streams.backtest.decided import Decided, Message
from streams.backtest.messages import with_messages
from streams.core.records import Alert, Classified, Delivery, FiredRule, Grouping, Headline

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUPS = [
    None,
    Grouping(key="iran", wait=30, interval=300),
    Grouping(key="rate", interval=20),
    Grouping(key="later", wait=60),
]


def alert(number: int, group: Grouping | None, channel: str = "desk", suppressed: str | None = None) -> Alert:
    headline = Headline(headline=f"Headline {number}", published=NOW, source="wire")
    return Alert(
        alert_id=f"al_{number}",
        channel=channel,
        rule=FiredRule(name="any", title="Any", severity="low", revision="1"),
        headline=Classified(id=f"h-{number}", seq=number, position="", received=NOW, headline=headline, story_id="s"),
        group=group,
        suppressed=suppressed,
    )


def messages(decisions: Iterator[Decided]) -> list[Message]:
    return [one for one in with_messages(decisions) if isinstance(one, Message)]


def test_alerts_go_alone_or_in_their_groups_and_what_is_held_back_does_not() -> None:
    iran, rate = GROUPS[1], GROUPS[2]
    came = [
        (0, alert(1, None)),
        (1, alert(2, iran)),
        (2, alert(3, rate)),
        (3, alert(4, rate)),
        (4, alert(5, iran)),
        (5, alert(6, iran, suppressed="silenced")),
        (40, alert(7, iran)),
        (41, alert(8, iran, channel="archive")),
    ]
    found = messages(Decided(at=NOW + timedelta(seconds=s), headline=None, alerts=(one,)) for s, one in came)
    assert [((one.at - NOW).total_seconds(), one.channel, one.alerts, one.key) for one in found] == [
        (0, "desk", ("al_1",), None),
        (2, "desk", ("al_3",), "rate"),
        (22, "desk", ("al_4",), "rate"),
        (31, "desk", ("al_2", "al_5"), "iran"),
        (71, "archive", ("al_8",), "iran"),
        (331, "desk", ("al_7",), "iran"),
    ]


async def delivered(came: list[tuple[int, Alert]]) -> set[tuple[datetime, tuple[str, ...]]]:
    """What an outbox hands out, which is asked every second."""
    outbox = MemoryOutbox()
    found = set()
    waiting = list(came)
    for second in range(2000):
        now = NOW + timedelta(seconds=second)
        while waiting and waiting[0][0] <= second:
            await outbox.schedule([waiting.pop(0)[1]], now)
        for leased in await outbox.lease("desk", now, timedelta(seconds=30), 99, 99):
            found.add((now, tuple(one.alert_id for one in leased.alerts)))
            ends = [
                Delivery(alert_id=one.alert_id, channel="desk", rule="any", outcome="delivered", attempt=1, at=now)
                for one in leased.alerts
            ]
            await outbox.finish(leased, ends)
    return found


@given(came=st.lists(st.tuples(st.integers(0, 900), st.sampled_from(GROUPS)), max_size=25))
async def test_replay_composes_the_messages_that_the_outbox_does(came: list[tuple[int, Grouping | None]]) -> None:
    alerts = [(at, alert(n, group)) for n, (at, group) in enumerate(sorted(came, key=lambda one: one[0]))]
    replayed = messages(Decided(at=NOW + timedelta(seconds=at), headline=None, alerts=(one,)) for at, one in alerts)
    assert {(one.at, one.alerts) for one in replayed} == await delivered(alerts)
