from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from alerts.channels import Channel, list_channels, load_channels, open_channels, read_channels
from alerts.notify.interface import ChannelSettings
from alerts.notify.registry import KINDS
from streams.core.document import RefusedError

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
ROOT = Path(__file__).parents[3]
STARTER = ROOT / "streams" / "starter" / "channels.yaml"
REFERENCE = (ROOT / "docs" / "reference" / "channels.md").read_text(encoding="utf-8")


def refused(text: str) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        read_channels(text, "channels.yaml")
    return [str(problem) for problem in caught.value.problems]


def channel(settings: str) -> Channel:
    return read_channels(f"channels:\n  it: {{{settings}}}\n", "channels.yaml")["it"]


def not_opened(settings: str, **environ: str) -> str:
    with pytest.raises(RefusedError) as caught:
        channel(settings).open(environ)
    (problem,) = caught.value.problems
    return str(problem)


async def test_the_starter_file_opens_without_any_secret(tmp_path: Path) -> None:
    channels = load_channels(Path(shutil.copy(STARTER, tmp_path)))
    assert {name: one.kind for name, one in channels.items()} == {"desk": "stdout", "archive": "file"}
    for notifier in open_channels(channels.values(), {}).values():
        await notifier.close()


def test_all_that_is_missing_when_channels_open_is_said_at_once() -> None:
    text = "channels:\n  desk: {type: slack, url: env:SLACK_WEBHOOK_URL}\n  archive: {type: webhook, url: env:ARCHIVE_URL}\n"
    channels = read_channels(text, "channels.yaml")
    with pytest.raises(RefusedError) as caught:
        open_channels([channels["desk"], channels["archive"]], {})
    first, second = map(str, caught.value.problems)
    assert first.startswith("channels.yaml:2:3: channel `desk`: `url`: the environment variable SLACK_WEBHOOK_URL")
    assert "channel `archive`: `url`: the environment variable ARCHIVE_URL is not set" in second


def test_every_mistake_is_reported_at_its_line() -> None:
    problems = refused(
        """\
chanels: {}
channels:
  desk: {type: slak, url: env:A}
  empty:
  typeless: {url: env:A}
  archive:
    type: webhook
    url: ftp://example.org
    timout: 15s
    timeout: 2h
    concurrency: 100
  "bad name": {type: stdout}
  12: {type: stdout}
  log: {type: file}
"""
    )
    hidden = "not the value given (not shown)"
    name_hint = "(use up to 64 letters, digits, `_`, `-` and `.`; put a figure or yes/no in quotes)"
    assert problems == [
        "channels.yaml:1:1: unknown key `chanels` (did you mean `channels`?)",
        "channels.yaml:3:16: unknown type `slak` (did you mean `slack`?)",
        "channels.yaml:4:3: channel `empty` is not a mapping (write for example `{type: stdout}`)",
        "channels.yaml:5:3: `type` is missing (known are `apprise`, `file`, `slack`, `stdout`, `webhook`)",
        f"channels.yaml:8:10: `url`: the URL begins with https:// or http:// and a host, {hidden}",
        "channels.yaml:9:5: unknown key `timout` (did you mean `timeout`?)",
        "channels.yaml:10:14: `timeout`: a time-out lies between 100ms and 60s, not '2h'",
        "channels.yaml:11:18: `concurrency` is 64 or less, not 100",
        f"channels.yaml:12:3: `bad name` cannot name a channel {name_hint}",
        f"channels.yaml:13:3: `12` cannot name a channel {name_hint}",
        "channels.yaml:14:8: `path` is missing (add `path:`)",
    ]


@pytest.mark.parametrize("text", ["", "[]", "channels:", "channels: []", "channels: {}", "desk: {type: stdout}"])
def test_a_file_without_channels_is_told_what_to_write(text: str) -> None:
    assert "there are no channels here (write `channels:`" in refused(text)[0]


@pytest.mark.parametrize(
    "settings",
    [
        "type: slack, url: 'https://hooks.slack.com/services/T0/B0/hunter2'",
        "type: webhook, url: 'https://a.example', secret: whsec_hunter2",
        "type: webhook, url: 'https://user:hunter2@a.example'",
        "type: webhook, url: 'hunter2'",
        "type: webhook, url: 'https://a.example', headers: {authorization: Bearer hunter2}",
        "type: webhook, url: 'https://a.example', headers: {X-Api-Key: 'hunter2'}",
        "type: webhook, url: 'https://a.example', headers: {x-note: [hunter2]}",
        "type: webhook, url: 'https://a.example', headers: hunter2",
        "type: webhook, url: 'https://a.example', secret: {hunter2: hunter2}",
        "type: webhook, url: [hunter2]",
        "type: slack, url: 7654321",
        "type: webhook, url: 'https://a.example/in?access_token=hunter2'",
        "type: webhook, url: 'https://hooks.slack.com/services/T0/B0/hunter2'",
        "type: webhook, url: 'https://discord.com/api/webhooks/1/hunter2'",
        "type: webhook, url: 'https://desk.webhook.office.com/hunter2'",
        "type: webhook, url: 'https://a.example', headers: {'x-note: hunter2': x}",
        "type: webhook, url: 'https://a.example', headers: {x-auth: hunter2}",
        "type: 'https://hooks.slack.com/services/T0/B0/hunter2'",
        "type: webhook, url: !hunter2 x",
        "type: webhook, url: *hunter2",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(settings: str) -> None:
    (problem,) = refused(f"channels:\n  it: {{{settings}}}\n")
    assert problem.startswith("channels.yaml:2:")
    assert "hunter2" not in problem
    assert "7654321" not in problem


@pytest.mark.parametrize(
    "text",
    [
        "channels:\n  desk: https://hooks.slack.com/services/hunter2\n",
        "channels: https://hooks.slack.com/services/hunter2\n",
        "channels:\n  https://hooks.slack.com/services/hunter2: {type: slack}\n",
        "https://hooks.slack.com/services/hunter2: {type: slack}\n",
        "channels:\n  desk: {type: slack, url: 'https://hooks.slack.com/services/hunter2}\n",
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(text: str) -> None:
    assert "hunter2" not in "\n".join(refused(text))


def test_an_author_is_no_authorization() -> None:
    settings = "type: webhook, url: 'https://a.example/?author=x', headers: {x-author: energy desk}"
    assert channel(settings).kind == "webhook"


def test_paths_start_from_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, elsewhere = tmp_path / "desk", tmp_path / "elsewhere"
    for folder in (desk, elsewhere):
        folder.mkdir()
    (desk / "url").write_text("https://a.example/in\n")
    text = "channels:\n  log: {type: file, path: alerts.jsonl}\n  web: {type: webhook, url: 'file:url'}\n"
    (desk / "channels.yaml").write_text(text)
    monkeypatch.chdir(elsewhere)
    open_channels(load_channels(desk / "channels.yaml").values(), {})
    assert (desk / "alerts.jsonl").exists()
    (desk / "url").unlink()
    with pytest.raises(RefusedError, match=f"`url`: {desk}/url cannot be read"):
        open_channels(load_channels(desk / "channels.yaml").values(), {})


def test_a_file_that_is_wrong_lists_its_channels_still(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("channels:\n  desk: {type: slak}\n  log: {type: stdout}\n  log: {type: file}\n")
    listing = list_channels(file)
    assert listing.names == frozenset({"desk", "log"})
    assert list(listing.channels) == ["log"]
    assert [str(problem).removeprefix(f"{file}:") for problem in listing.problems] == [
        "4:3: `log` stands twice, first on line 3 (keep one of them)",
        "2:16: unknown type `slak` (did you mean `slack`?)",
    ]
    assert list_channels(tmp_path / "nowhere.yaml").names is None


def test_the_way_out_is_shown() -> None:
    (problem,) = refused("channels:\n  it: {type: slack, url: 'https://hooks.slack.com/services/x'}\n")
    assert problem == (
        "channels.yaml:2:26: `url`: a secret does not stand in this file: write `env:NAME` for an environment"
        " variable or `file:/path` for a file that holds it, not the value given (not shown)"
    )


@pytest.mark.parametrize("name", ["content-type", "Webhook-Id", "Host"])
def test_headers_that_wirewatch_sets_are_refused(name: str) -> None:
    (problem,) = refused(f"channels:\n  it: {{type: webhook, url: 'https://a.example', headers: {{{name}: x}}}}\n")
    assert "is set by wirewatch: leave it out" in problem


@pytest.mark.parametrize(
    ("settings", "environ", "message"),
    [
        ("type: slack, url: env:U", {}, "`url`: the environment variable U is not set"),
        ("type: slack, url: env:U", {"U": "hunter2"}, "`url`: the URL begins with https://"),
        ("type: slack, url: env:U", {"U": "http://10.0.0.8/hunter2"}, "10.0.0.8 is a private address"),
        ("type: slack, url: 'file:/nowhere/x'", {}, "`url`: /nowhere/x cannot be read: No such file"),
        ("type: webhook, url: 'http://localhost:8/'", {}, "localhost is a private address"),
        (
            "type: webhook, url: 'https://a.example', secret: env:S",
            {"S": "hunter2"},
            "`secret`: env:S does not fit: a webhook secret begins with whsec_",
        ),
        (
            "type: webhook, url: 'https://a.example', headers: {authorization: env:H}",
            {"H": "hunter2\nx: y"},
            "`headers.authorization`: env:H is not one line of ASCII text",
        ),
        ("type: file, path: /nowhere/alerts.jsonl", {}, "`path`: /nowhere/alerts.jsonl cannot be written"),
    ],
)
def test_what_keeps_a_channel_from_opening(settings: str, environ: dict[str, str], message: str) -> None:
    problem = not_opened(settings, **environ)
    assert problem.startswith("channels.yaml:2:3: channel `it`: ")
    assert message in problem
    assert "hunter2" not in problem


def test_durations() -> None:
    for text, expected in (("15s", 15), ("500ms", 0.5), ("1m", 60), ("2.5s", 2.5), ("20", None), ("s", None)):
        settings = f"type: webhook, url: 'https://a.example', timeout: '{text}'"
        if expected is None:
            assert "a span of time is written like 15s" in refused(f"channels:\n  it: {{{settings}}}\n")[0]
        else:
            assert channel(settings).open({}).timeout == expected


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"channels: \xe9")
    for name, message in (("absent.yaml", "cannot be read: No such file"), ("latin.yaml", "not UTF-8")):
        with pytest.raises(RefusedError, match=f"{name}.*{message}"):
            load_channels(tmp_path / name)


def test_the_example_in_the_reference_is_accepted() -> None:
    example = REFERENCE.partition("```yaml\n")[2].partition("```")[0]
    assert {one.kind for one in read_channels(example, "channels.md").values()} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_setting_is_in_the_reference(kind: str) -> None:
    section = REFERENCE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    own = {name: info for name, info in KINDS[kind].model_fields.items() if name not in ChannelSettings.model_fields}
    names = [info.alias or name for name, info in own.items()]
    assert [name for name in names if f"`{name}`" not in section and f"`{name}: " not in section] == []


def test_a_channel_tells_another_one_that_there_is_of_its_end() -> None:
    text = """\
channels:
  desk: {type: stdout, notify_on_failure: opps}
  log: {type: stdout, notify_on_failure: log}
  ops: {type: stdout, notify_on_failure: desk}
"""
    assert refused(text) == [
        "channels.yaml:2:43: there is no channel `opps` (did you mean `ops`?)",
        "channels.yaml:3:42: a channel that is disabled cannot tell of it itself (name another channel, or leave it out)",
    ]


def test_a_template_is_tried_when_it_is_read_and_its_mistakes_are_told_at_their_lines(tmp_path: Path) -> None:
    (tmp_path / "body.j2").write_text("{\n{{ alert.rule.nam }}\n}", "utf-8")
    (tmp_path / "channels.yaml").write_text(
        """\
channels:
  one:
    type: webhook
    url: https://a.example
    template: |
      {"text":
       {{ alert.headline.headlin | tojson }}}
  two: {type: webhook, url: "https://a.example", template: "{{ line }}"}
  three: {type: webhook, url: "https://a.example", template: "file:body.j2"}
  four: {type: webhook, url: "https://a.example", template: "file:boddy.j2"}
  five: {type: webhook, url: "https://a.example", content_type: text/plain}
  six: {type: webhook, url: "https://a.example", template: "{{ line }}", content_type: text}
  fine: {type: webhook, url: "https://a.example", template: "{{ line }}", content_type: text/plain}
""",
        "utf-8",
    )
    with pytest.raises(RefusedError) as caught:
        load_channels(tmp_path / "channels.yaml")
    told = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert told == [
        "body.j2:2:1: the template: 'dict object' has no attribute 'nam'",
        "channels.yaml:7:1: the template: 'dict object' has no attribute 'headlin'",
        "channels.yaml:8:60: the template: what it makes is no JSON: write values as `{{ … | tojson }}`, without quotes",
        "channels.yaml:10:61: `template`: boddy.j2 cannot be read: No such file or directory (did you mean `body.j2`?)",
        "channels.yaml:11:65: without a template the body is JSON (leave it out, or write a `template`)",
        "channels.yaml:12:88: `content_type`: a content type is written like application/json or text/plain, not 'text'",
    ]
