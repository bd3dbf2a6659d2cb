"""One message a story, against the stand-in for Slack, which refuses what Slack refuses, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alerts.channels import read_channels
from alerts.notify.interface import Attempt, ChannelError, Dead, Result, Retry, Sent
from alerts.notify.slack import SlackSettings
from alerts.notify.slackbot import SlackBotNotifier
from alerts.slack.message import SUMMARY_LIMIT
from alerts.slack.stories import MemoryStories, Stories, StoriesError
from streams.core.document import RefusedError
from streams.core.records import Alert
from tests.standins.slack import DESK, TOKEN, Slack, shown_text

Make = Callable[..., Alert]
NOW = datetime.now(UTC)


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as workspace:
        yield workspace


def alert(make_alert: Make, seq: int, text: str = "Storm, part {}", *, rule: str = "ferries", **fields: Any) -> Alert:
    """An alert of a rule on the headline ``seq`` of one story."""
    one = make_alert(text.format(seq), matched=(), alert_id=f"al_{rule}_{seq}", **fields)
    headline = replace(one.headline, id=f"h-{seq}", seq=seq, kind="first" if seq == 1 else "update")
    return replace(one, headline=headline, rule=replace(one.rule, name=rule))


@asynccontextmanager
async def bot(
    slack: Slack, stories: Stories | None = None, *, channel: str = "#desk", pace: float = 0.0, **settings: Any
) -> AsyncIterator[SlackBotNotifier]:
    """A bot of a worker; two with the same ``stories`` are of two workers, or one after its restart."""
    given = {"type": "slack", "token": "env:T", "channel": channel, "api": slack.url + "/api", "allow_private": True}
    opened = SlackSettings.model_validate(given | settings).open({"T": TOKEN}, Path())
    assert isinstance(opened, SlackBotNotifier)
    opened._pace = pace
    opened.remember_in(stories or MemoryStories())
    try:
        yield opened
    finally:
        await opened.close()


async def send(notifier: SlackBotNotifier, one: Alert, attempt: int = 1) -> Result:
    return await notifier.send(one, Attempt(attempt, NOW))


def shown(slack: Slack) -> tuple[list[str], list[str]]:
    """What the heads say, and what the replies below them do."""
    heads = [shown_text(head.blocks) for head in slack.heads]
    return heads, [shown_text(reply.blocks) for head in slack.heads for reply in slack.thread(head)]


async def test_a_story_has_one_message_which_news_change_and_are_told_below(slack: Slack, make_alert: Make) -> None:
    async with bot(slack) as notifier:
        assert await send(notifier, alert(make_alert, 1)) == Sent(200)
        assert await send(notifier, alert(make_alert, 2)) == Sent(200)
        assert await send(notifier, alert(make_alert, 3)) == Sent(200)
    (head,), replies = shown(slack)
    assert "Storm, part 3" in head
    assert "first: Storm, part 1  (and 1 between)" in head
    assert [text.split("\n")[0] for text in replies] == ["UPDATE  Storm, part 2", "UPDATE  Storm, part 3"]
    assert slack.heads[0].edits == 2
    assert slack.heads[0].text == "HIGH: Storm, part 3"


async def test_other_stories_have_messages_of_their_own(slack: Slack, make_alert: Make) -> None:
    other = alert(make_alert, 2)
    other = replace(other, headline=replace(other.headline, story_id="st-2"))
    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        await send(notifier, other)
    assert [len(part) for part in shown(slack)] == [2, 0]


def of_story(one: Alert, story: str) -> Alert:
    return replace(one, alert_id=f"{one.alert_id}_{story}", headline=replace(one.headline, story_id=story))


async def test_new_stories_that_come_together_are_one_digest_and_news_goes_to_its_story(
    slack: Slack, make_alert: Make
) -> None:
    digest = [of_story(alert(make_alert, 1), f"st-{n}") for n in range(2, 5)]
    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        together = [digest[0], alert(make_alert, 2), *digest[1:]]
        assert await notifier.send_all(together, Attempt(1, NOW)) == Sent(200)
        assert await notifier.send_all(together, Attempt(2, NOW)) == Sent(200), "told again, as after a crash"
    heads, replies = shown(slack)
    assert len(heads) == 2
    assert "3 alerts" in heads[1]
    assert [text.split("\n")[0] for text in replies] == ["UPDATE  Storm, part 2"]
    assert slack.heads[0].edits == 1


async def test_alerts_of_one_new_story_that_come_together_are_its_message(slack: Slack, make_alert: Make) -> None:
    async with bot(slack) as notifier:
        together = [alert(make_alert, 1), alert(make_alert, 2)]
        assert await notifier.send_all(together, Attempt(1, NOW)) == Sent(200)
    (head,), replies = shown(slack)
    assert "Storm, part 2" in head
    assert len(replies) == 1


async def test_another_rule_on_the_same_headline_only_changes_the_message(slack: Slack, make_alert: Make) -> None:
    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        await send(notifier, alert(make_alert, 1, rule="weather", severity="critical"))
    (head,), replies = shown(slack)
    assert "CRITICAL" in head
    assert "`weather`" in head
    assert "`ferries`" in head
    assert replies == []


@pytest.mark.parametrize(("status", "mark"), [("corrected", "CORRECTED"), ("canceled", "WITHDRAWN")])
async def test_what_is_corrected_or_withdrawn_is_marked(slack: Slack, make_alert: Make, status: str, mark: str) -> None:
    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        await send(notifier, alert(make_alert, 2, status=status))
    (head,), (reply,) = shown(slack)
    assert mark in head
    assert reply.startswith(mark)
    assert slack.heads[0].text.startswith(f"HIGH: {mark}: ")


async def test_a_late_alert_takes_its_place_and_is_told_too(slack: Slack, make_alert: Make) -> None:
    async with bot(slack) as notifier:
        for seq in (1, 3, 2):
            await send(notifier, alert(make_alert, seq))
    (head,), replies = shown(slack)
    assert "Storm, part 3" in head
    assert "Storm, part 2" in replies[1]


async def test_after_a_restart_and_from_another_worker_the_message_is_found(slack: Slack, make_alert: Make) -> None:
    stories = MemoryStories()
    for seq in (1, 2):
        async with bot(slack, stories) as notifier:
            await send(notifier, alert(make_alert, seq))
    assert [len(part) for part in shown(slack)] == [1, 1]


async def test_two_workers_that_tell_of_one_story_at_the_same_time_make_one_message(
    slack: Slack, make_alert: Make
) -> None:
    stories = MemoryStories()
    async with bot(slack, stories) as one, bot(slack, stories) as other:
        results = await asyncio.gather(send(one, alert(make_alert, 1)), send(other, alert(make_alert, 2)))
    assert set(results) == {Sent(200)}
    assert [len(part) for part in shown(slack)] == [1, 1]


async def test_an_alert_that_is_delivered_again_says_nothing_again(slack: Slack, make_alert: Make) -> None:
    stories = MemoryStories()
    for _ in range(2):
        async with bot(slack, stories) as notifier:
            for seq in (1, 2):
                assert await send(notifier, alert(make_alert, seq)) == Sent(200)
    assert [len(part) for part in shown(slack)] == [1, 1]
    assert len([call for call in slack.calls if call.method.startswith("chat.")]) == 3


@pytest.mark.parametrize("channel", ["#desk", DESK])
async def test_a_post_to_which_no_answer_came_is_found_and_not_repeated(
    slack: Slack, make_alert: Make, channel: str
) -> None:
    stories = MemoryStories()
    other = alert(make_alert, 1, rule="other")
    other = replace(other, headline=replace(other.headline, story_id="st-0"))
    async with bot(slack, stories, channel=channel) as notifier:
        await send(notifier, other)  # by which the id of the channel is known
        slack.mishaps.append("unheard")
        assert isinstance(await send(notifier, alert(make_alert, 1)), Retry)
        slack.mishaps.append(500)
        assert isinstance(await send(notifier, alert(make_alert, 1), 2), Retry)
        assert await send(notifier, alert(make_alert, 1), 3) == Sent(200)
        await _unheard_reply(slack, notifier, alert(make_alert, 2))
        assert await send(notifier, alert(make_alert, 2), 2) == Sent(200)
    assert [len(part) for part in shown(slack)] == [2, 1]


async def _unheard_reply(slack: Slack, notifier: SlackBotNotifier, one: Alert) -> None:
    """Send an alert of which the change of the message is answered, and the reply is not."""
    answer = slack.answer

    def unheard(path: str, arguments: dict[str, Any], headers: Any) -> Any:
        said = answer(path, arguments, headers)
        return None if "thread_ts" in arguments else said

    slack.answer = unheard  # type: ignore[method-assign]
    assert isinstance(await send(notifier, one), Retry)
    slack.answer = answer  # type: ignore[method-assign]


async def test_news_that_come_while_it_is_not_known_whether_the_message_is_there(
    slack: Slack, make_alert: Make
) -> None:
    for mishap, replies in (("unheard", 1), ("lost", 0)):
        slack.messages.clear()
        async with bot(slack, channel=DESK) as notifier:
            slack.mishaps.append(mishap)  # type: ignore[arg-type]
            assert isinstance(await send(notifier, alert(make_alert, 1)), Retry)
            assert await send(notifier, alert(make_alert, 2)) == Sent(200)
            assert await send(notifier, alert(make_alert, 1), 2) == Sent(200)
        (head,), below = shown(slack)
        assert "Storm, part 2" in head
        assert "first: Storm, part 1" in head
        assert len(below) == replies


async def test_without_the_right_to_look_a_lost_answer_may_mean_a_second_message(
    slack: Slack, make_alert: Make
) -> None:
    slack.scopes = {"chat:write"}
    async with bot(slack, channel=DESK) as notifier:
        slack.mishaps.append("unheard")
        await send(notifier, alert(make_alert, 1))
        assert await send(notifier, alert(make_alert, 1), 2) == Sent(200)
        assert await send(notifier, alert(make_alert, 2)) == Sent(200)
    assert [len(part) for part in shown(slack)] == [2, 1]


async def test_a_message_that_somebody_deleted_is_posted_anew(slack: Slack, make_alert: Make) -> None:
    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        slack.messages.clear()
        assert await send(notifier, alert(make_alert, 2)) == Sent(200)
    (head,), replies = shown(slack)
    assert "first: Storm, part 1" in head
    assert replies == []


async def test_where_slack_takes_no_change_any_more_the_reply_is_posted_all_the_same(
    slack: Slack, make_alert: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.standins import slack as standin

    async with bot(slack) as notifier:
        await send(notifier, alert(make_alert, 1))
        monkeypatch.setattr(slack, "_update", lambda _: standin._says(error="edit_window_closed"))
        assert await send(notifier, alert(make_alert, 2)) == Sent(200)
    assert [len(part) for part in shown(slack)] == [1, 1]


async def test_slack_is_not_asked_faster_than_it_takes(make_alert: Make) -> None:
    ticks = iter(range(10_000))
    with Slack(pace=2, clock=lambda: float(next(ticks))) as slack:  # takes every second post
        async with bot(slack) as notifier:
            assert await send(notifier, alert(make_alert, 1)) == Sent(200)
            limited = await send(notifier, alert(make_alert, 2))
            assert limited == Retry("Slack answered 429", 1.0, 429)
            assert await send(notifier, alert(make_alert, 2), 2) == Sent(200)
        assert [len(part) for part in shown(slack)] == [1, 1]
        async with bot(slack, pace=0.05) as notifier:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for seq in (1, 2, 3):
                await send(notifier, alert(make_alert, seq))
            assert loop.time() - began >= 0.1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("not_in_channel", Retry("Slack answered not_in_channel", None, 200)),
        ("token_revoked", Retry("Slack answered token_revoked", None, 200)),
        ("internal_error", Retry("Slack answered internal_error", None, 200)),
        ("ratelimited", Retry("Slack answered ratelimited", None, 429)),
        ("msg_too_long", Dead("Slack refuses it: msg_too_long", 200)),
        ("<html>", Retry("Slack answered something else than it should", None, 200)),
    ],
)
async def test_what_comes_of_an_error(
    slack: Slack, make_alert: Make, monkeypatch: pytest.MonkeyPatch, error: str, expected: Result
) -> None:
    from tests.standins import slack as standin

    async with bot(slack) as notifier:
        with monkeypatch.context() as patch:
            patch.setattr(slack, "_post", lambda _: standin._says(error=error))
            assert await send(notifier, alert(make_alert, 1)) == expected
        assert await send(notifier, alert(make_alert, 2)) == Sent(200)
    (head,), _ = shown(slack)
    assert ("first:" in head) == (error in {"internal_error", "<html>"}), "what was refused is not on the card"


@pytest.mark.parametrize(("status", "after"), [(429, 30.0), (500, None), (404, None)])
async def test_what_comes_of_a_status(slack: Slack, make_alert: Make, status: int, after: float | None) -> None:
    async with bot(slack) as notifier:
        slack.mishaps.append(status)
        result = await send(notifier, alert(make_alert, 1))
    assert isinstance(result, Retry)
    assert (result.reason, result.status_code, result.after) == (f"Slack answered {status}", status, after)


async def test_a_store_that_is_away_and_a_story_that_is_held_are_waited_for(slack: Slack, make_alert: Make) -> None:
    class Away(MemoryStories):
        async def load(self, channel: str, story: str) -> None:
            raise StoriesError("Redis: away")

    async with bot(slack, Away()) as notifier:
        assert await send(notifier, alert(make_alert, 1)) == Retry("Redis does not tell which message the story has")
    stories = MemoryStories()
    await stories.hold("desk", "st-1", 30)
    async with bot(slack, stories, timeout="200ms") as notifier:
        assert await send(notifier, alert(make_alert, 1)) == Retry("not through within 0.2 s")
    assert slack.calls == []


async def test_a_hostile_and_endless_headline_is_taken_and_calls_nobody(slack: Slack, make_alert: Make) -> None:
    text = "<!channel> <@U1> *bold* `code` & <https://a.example|b> " * 40
    async with bot(slack) as notifier:
        for seq in (1, 2):
            one = alert(make_alert, seq, text, title="<!here>" * 30, url="https://a.example/" + "x" * 900)
            assert await send(notifier, one) == Sent(200)
    for message in slack.messages:
        assert "<!" not in message.text
        assert len(message.text) <= SUMMARY_LIMIT


async def test_a_probe_says_who_the_token_is_and_posts_nothing(slack: Slack) -> None:
    async with bot(slack) as notifier:
        assert await notifier.probe() == "Slack knows the token as wirewatch of Desk"
        slack.token = "another"
        with pytest.raises(ChannelError, match="Slack: invalid_auth"):
            await notifier.probe()
    assert slack.messages == []


async def test_no_log_line_and_no_repr_has_the_token(
    slack: Slack, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with bot(slack) as notifier:
        slack.mishaps += [500, "lost"]
        said = [repr(await send(notifier, alert(make_alert, 1))) for _ in range(3)] + [repr(notifier), caplog.text]
    assert caplog.records
    assert [text for text in said if "hunter2" in text] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("url: env:U, token: env:T, channel: '#desk'", "one of them"),
        ("timeout: 5s", "one of them"),
        ("token: env:T", "a `token` needs its `channel`"),
        ("url: env:U, channel: '#desk'", "a `token` needs its `channel`"),
        ("token: env:T, channel: desk", 'is written like "#desk"'),
        ("token: xoxb-hunter2, channel: '#desk'", "does not stand in this file"),
    ],
)
def test_a_mistake_in_the_settings_is_told(settings: str, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_channels(f"channels: {{it: {{type: slack, {settings}}}}}", "channels.yaml")
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_token_does_not_leave_unencrypted() -> None:
    given = {"type": "slack", "token": "env:T", "channel": "#desk", "api": "http://slack.example/api/"}
    with pytest.raises(ChannelError, match="in plain sight"):
        SlackSettings.model_validate(given).open({"T": TOKEN}, Path())


def test_a_user_and_password_beside_the_token_are_refused_and_not_dropped() -> None:
    given = {"type": "slack", "token": "env:T", "channel": "#desk", "api": "https://ann:hunter2@slack.example/api/"}
    with pytest.raises(ChannelError, match="`api`: a user and password") as caught:
        SlackSettings.model_validate(given).open({"T": TOKEN}, Path())
    assert "hunter2" not in str(caught.value)
