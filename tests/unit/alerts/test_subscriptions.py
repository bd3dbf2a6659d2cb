from __future__ import annotations

import pytest

from alerts.channels import read_channels
from alerts.routefile import NOTHING_KNOWN, Known
from alerts.subscriptions import Written, read_subscriptions, twice, with_subscription, without_subscription
from streams.core.document import RefusedError

KNOWN = Known(channels={"desk", "pager"}, topics={"iran", "tech_deals"}, rules={"iran-oil", "tech"})


def read(text: str, known: Known = KNOWN) -> list[Written]:
    return read_subscriptions(text, "s.yaml", known)


def problems(text: str) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


TEXT = """# who asks for what
subscriptions:
  desk:
    - {topic: iran, severity: ">=high", except: {source: spam.example}}   # for the night
    - query: topic:iran AND "crude oil"
      severity: low
      name: crude
  pager:
    - rule: iran-*
"""


def test_subscriptions_are_read() -> None:
    desk, query, pager = [written.subscription for written in read(TEXT)]
    assert (desk.channel, str(desk)) == ("desk", "severity=>=high topic=iran except source=spam.example")
    assert (pager.channel, str(pager)) == ("pager", "rule=iran-*")
    assert query.rule is not None
    assert (query.rule.name, query.rule.severity, query.rule.channels) == ("subscription:desk:crude", "low", ("desk",))
    assert query.rule.title == str(query.rule.query) == 'topic:iran AND "crude oil"'


def test_a_query_without_a_name_is_named_by_what_it_asks() -> None:
    one, other = (
        read(f"subscriptions: {{desk: [{{query: {query}}}]}}")[0].subscription.rule for query in ("oil", "gas")
    )
    again = read("subscriptions: {desk: [{query: '(oil)', severity: high}]}")[0].subscription.rule
    assert one
    assert other
    assert again
    assert one.name == again.name != other.name
    assert one.name.startswith("subscription:desk:")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "subscriptions:\n", "subscriptions: {}"])
def test_there_may_be_none(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "s.yaml:1:1: there are no subscriptions here"),
        ("subscription: {}", "s.yaml:1:1: unknown key `subscription` (did you mean `subscriptions`?)"),
        ("subscriptions: []", "s.yaml:1:16: this is not a mapping of channels"),
        ("subscriptions: {dsk: [{topic: iran}]}", "s.yaml:1:17: there is no channel `dsk` (did you mean `desk`?)"),
        ("subscriptions: {desk: iran}", "s.yaml:1:17: there are no subscriptions here (write `[{topic: iran"),
        ("subscriptions: {desk: []}", "s.yaml:1:17: there are no subscriptions here"),
        ("subscriptions: {desk: [iran]}", "s.yaml:1:24: this is no subscription"),
        ("subscriptions: {desk: [{}]}", "s.yaml:1:24: this asks for nothing (write such as `{topic: iran}`; for all"),
        ("subscriptions: {desk: [{except: {topic: iran}}]}", "s.yaml:1:24: this asks for nothing"),
        ("subscriptions: {desk: [{rule: '*', except: {}}]}", "s.yaml:1:36: `except` asks for nothing"),
        ("subscriptions: {desk: [{topic: irn}]}", "s.yaml:1:32: there is no topic `irn` (did you mean `iran`?)"),
        ("subscriptions: {desk: [{topics: iran}]}", "s.yaml:1:25: unknown key `topics` (did you mean `topic`?)"),
        ("subscriptions: {desk: [{rule: tec}]}", "s.yaml:1:31: there is no rule `tec` (did you mean `tech`?)"),
        ("subscriptions: {desk: [{severity: hi}]}", "s.yaml:1:35: `severity`: this is no severity"),
        ("subscriptions: {desk: [{query: topic:irn}]}", "s.yaml:1:32: there is no topic `irn` (did you mean `iran`?)"),
        ("subscriptions: {desk: [{query: oil, topic: iran}]}", "s.yaml:1:37: unknown key `topic`"),
        ("subscriptions:\n  desk:\n    - query: oil AND\n", "s.yaml:3:21: the query ends too early"),
        ("subscriptions:\n  desk:\n    - query: oil or gas\n", "s.yaml:3:18: is `or` the operator or a word?"),
        ("subscriptions: {desk: [{query: oil, severity: '>=high'}]}", "s.yaml:1:47: `severity` is"),
    ],
)
def test_every_mistake_is_told_at_its_place(text: str, told: str) -> None:
    assert any(told in problem for problem in problems(text)), problems(text)


def test_what_stands_twice_is_told() -> None:
    text = "subscriptions:\n  desk:\n    - topic: iran\n    - {topic: [iran]}\n    - {topic: iran, severity: high}\n"
    assert [str(problem) for problem in twice(read(text))] == [
        "s.yaml:4:7: this stands twice, first at s.yaml:3:7 (keep one of them)"
    ]
    same = "subscriptions: {desk: [{query: oil, name: a}, {query: gas, name: a}]}"
    assert len(twice(read(same))) == 1


def test_one_is_added_and_taken_away_and_comments_stay() -> None:
    added = with_subscription(TEXT, "pager", {"topic": "tech_deals", "severity": ">=high"})
    assert added.startswith(TEXT)
    assert [str(written.subscription) for written in read(added)][-1] == "severity=>=high topic=tech_deals"
    assert without_subscription(added, "pager", [1]) == TEXT
    assert "pager" not in without_subscription(TEXT, "pager", [0])
    assert "# for the night" not in without_subscription(TEXT, "desk", [0])
    assert with_subscription("", "desk", {"topic": "iran"}) == "subscriptions:\n  desk:\n    - topic: iran\n"
    for nothing in ("# mine\n", "subscriptions:\n", "# mine\nsubscriptions: {}\n"):
        assert len(read(with_subscription(nothing, "desk", {"topic": "iran"}))) == 1
        assert with_subscription(nothing, "desk", {"topic": "iran"}).startswith(nothing[:6].rstrip("\n"))


def test_a_channel_may_have_them_in_its_own_file() -> None:
    text = "channels:\n  desk:\n    type: stdout\n    subscribe:\n      - topic: iran\n      - query: oil\n"
    channel = read_channels(text, "c.yaml")["desk"]
    assert [written.subscription.channel for written in channel.subscriptions] == ["desk", "desk"]
    assert (channel.subscriptions[1].place.line, channel.subscriptions[1].place.column) == (6, 9)


def test_mistakes_of_those_are_told_too() -> None:
    with pytest.raises(RefusedError) as caught:
        read_channels("channels:\n  desk: {type: stdout, subscribe: [{query: oil AND}], subscrib: 1}", "c.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "c.yaml:2:51: the query ends too early (something to search for must follow)",
        "c.yaml:2:55: unknown key `subscrib` (did you mean `subscribe`?)",
    ]
    assert read("subscriptions: {anything: [{topic: x}]}", NOTHING_KNOWN)
