from __future__ import annotations

import ssl
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest

from streams.core.document import RefusedError
from streams.settings import load


def write(folder: Path, text: str) -> Path:
    file = folder / "wirewatch.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path | None, **environ: str) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        load(file, environ)
    return [str(problem) for problem in caught.value.problems]


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(None, {})
    assert loaded.settings.kafka.bootstrap_servers is None
    assert loaded.settings.redis.url is None
    assert loaded.settings.dedupe.window == timedelta(hours=72)
    assert loaded.kafka_client("h:9092") == {"bootstrap_servers": "h:9092", "security_protocol": "PLAINTEXT"}


def test_paths_start_from_the_file(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "data_dir: data\n"), {})
    assert loaded.path(loaded.settings.data_dir) == tmp_path / "data"


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka: {bootstrap_servers: 'a:1,b:2', partitions: 8}\ndedupe: {window: 24h}\n")
    loaded = load(
        file,
        {
            "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": "c:3",
            "WIREWATCH_DEDUPE__WINDOW": "1h30m",
            "WIREWATCH_WEBHOOK_SECRET": "whsec_not_a_setting",
        },
    )
    assert loaded.settings.kafka.bootstrap_servers == "c:3"
    assert loaded.settings.kafka.partitions == 8
    assert loaded.settings.dedupe.window == timedelta(minutes=90)


def test_every_mistake_is_told_at_its_place(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "kafka:\n  bootstrap_servers: nohost\n  partitions: 0\n  replicas: 3\nredis: {url: 'http://h'}\nrulez: [x]\n",
    )
    problems = refused(file)
    places = [problem.removeprefix(f"{file}:").split(":")[0] for problem in problems]
    assert places == ["2", "3", "4", "5", "6"]
    assert "host:9092" in problems[0]
    assert "replication" in problems[2]
    assert "redis://" in problems[3]
    assert "did you mean `rules`" in problems[4]


def test_no_alert_is_tried_for_longer_than_its_end_is_remembered(tmp_path: Path) -> None:
    file = write(tmp_path, "delivery:\n  retry_after: [5d, 3d]\n  max_age: 8d\n")
    assert refused(file) == [
        f"{file}:2:16: `retry_after`: the waits take up to 8.8 days together, and an alert is tried for 7 days at most",
        f"{file}:3:12: `max_age`: the age lies between 1m and 7d, not '8d'",
    ]
    loaded = load(write(tmp_path, "delivery: {retry_after: [2d, 4d], max_age: 7d}\n"), {})
    assert loaded.settings.delivery.max_age == timedelta(days=7)


@pytest.mark.parametrize("servers", ["host", "host:0", "host:70000", ":9092", "kafka://host:9092", "host:x", ""])
def test_servers_are_hosts_with_ports(tmp_path: Path, servers: str) -> None:
    (problem,) = refused(write(tmp_path, f"kafka: {{bootstrap_servers: '{servers}'}}\n"))
    assert "is written like host:9092" in problem


@pytest.mark.parametrize(
    "text",
    [
        "redis: {url: 'redis://:hunter2@h:6379/0'}",
        "redis: {url: 'rediss://user:hunter2@h:6379/0'}",
        "redis: {url: 'redis://hunter2@h:6379/0'}",
        "redis: {url: 'redis://h:6379/0?password=hunter2'}",
        "kafka: {sasl: {username: u, password: hunter2}}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (problem,) = refused(write(tmp_path, text))
    assert "hunter2" not in problem
    assert "env:NAME" in problem


@pytest.mark.parametrize(
    "text",
    [
        "redis: 'redis://:hunter2@h'",
        "redis_url: 'redis://:hunter2@h'",
        "redis: {password: hunter2}",
        "redis: {url: [hunter2]}",
        "kafka: hunter2",
        "kafka: {sasl: hunter2}",
        "kafka: {sasl: [hunter2]}",
        "kafka: {sasl: {username: u, pasword: hunter2}}",
        "kafka: {sasl: {username: u, password: !hunter2 x}}",
        "kafka: {sasl: {username: u, password: *hunter2}}",
        "kafka: {sasl: {username: u, password: 'hunter2}}",
        "kafka: {bootstrap_servers: 'desk:hunter2@h:9092'}",
        "kafka: {bootstrap_servers: ['a:1', 'desk:hunter2@h:9092']}",
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        load(write(tmp_path, text), {})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"WIREWATCH_KAFK__PARTITIONS": "3"},
            "WIREWATCH_KAFK__PARTITIONS: names no setting (did you mean `WIREWATCH_KAFKA__PARTITIONS`?)",
        ),
        (
            {"WIREWATCH_REDIS_URL": "redis://:hunter2@h"},
            "WIREWATCH_REDIS_URL: names no setting (did you mean `WIREWATCH_REDIS__URL`?)",
        ),
        (
            {"WIREWATCH_XXXXXXXX__YYYYYYYY": "x"},
            (
                "WIREWATCH_XXXXXXXX__YYYYYYYY: names no setting (known are `WIREWATCH_CHANNELS`, `WIREWATCH_DATA_DIR`,"
                " `WIREWATCH_DEDUPE`, `WIREWATCH_DELIVERY`, `WIREWATCH_KAFKA`, `WIREWATCH_REDIS`, `WIREWATCH_ROUTES`,"
                " `WIREWATCH_RULES`, `WIREWATCH_SUBSCRIPTIONS`, `WIREWATCH_TAXONOMY`)"
            ),
        ),
        (
            {"WIREWATCH_KAFKA__PARTITIONS": "many"},
            "WIREWATCH_KAFKA__PARTITIONS: `partitions` is not a whole number: 'many'",
        ),
        (
            {"WIREWATCH_KAFKA__PARTITIONS": "0"},
            "WIREWATCH_KAFKA__PARTITIONS: `partitions` is 1 or more, not '0'",
        ),
        (
            {"WIREWATCH_KAFKA": "3", "WIREWATCH_KAFKA__GROUP": "x"},
            "WIREWATCH_KAFKA: `kafka` has parts (set one of them, such as `WIREWATCH_KAFKA__BOOTSTRAP_SERVERS`)",
        ),
        (
            {"WIREWATCH_REDIS": "redis://:hunter2@h"},
            "WIREWATCH_REDIS: `redis` has parts (set one of them, such as `WIREWATCH_REDIS__URL`)",
        ),
        (
            {"WIREWATCH_REDIS__URL": "redis://:hunter2@h:port/0"},
            (
                "WIREWATCH_REDIS__URL: `redis.url`: what env:WIREWATCH_REDIS__URL holds is none: a Redis URL is written"
                " like redis://host:6379/0, rediss://… for TLS, or unix:///path"
            ),
        ),
        (
            {"WIREWATCH_REDIS__URL": "redis://:hunter2@h/0?no_such_option=1"},
            (
                "WIREWATCH_REDIS__URL: `redis.url`: what env:WIREWATCH_REDIS__URL holds is none: a Redis URL is written"
                " like redis://host:6379/0, rediss://… for TLS, or unix:///path"
            ),
        ),
        (
            {"WIREWATCH_DELIVERY__RETRY_AFTER": "5s, 1 minute"},
            (
                "WIREWATCH_DELIVERY__RETRY_AFTER: number 2 of `retry_after`: a span of time is written like 15s, 30m, 72h"
                " or 7d (did you mean 1m?), not '1 minute'"
            ),
        ),
        (
            {"WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": "kafka://desk:hunter2@h:9092"},
            (
                "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS: `bootstrap_servers`: a server has no user and no password here: they"
                " stand in `kafka.sasl`, not the value given (not shown)"
            ),
        ),
        (
            {"WIREWATCH_KAFKA__TLS": "{ca_file: x}"},
            ("WIREWATCH_KAFKA__TLS: `kafka.tls` has parts (set one of them, such as `WIREWATCH_KAFKA__TLS__CA_FILE`)"),
        ),
    ],
)
def test_a_variable_that_is_wrong_is_named(tmp_path: Path, environ: dict[str, str], problem: str) -> None:
    (told,) = refused(write(tmp_path, "data_dir: x\n"), **environ)
    assert told == f"the environment variable {problem}"
    assert "hunter2" not in told


def test_what_is_missing_beside_a_variable_is_told_as_a_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    problems = refused(None, WIREWATCH_KAFKA__SASL__PASSWORD="hunter2")
    assert problems == ["the environment: `username` is missing (set `WIREWATCH_KAFKA__SASL__USERNAME`)"]
    (problem,) = refused(None, WIREWATCH_KAFKA__TLS__KEY_FILE="k")
    assert problem == "the environment: `tls`: a `key_file` needs its `cert_file`"


def test_a_mistake_beside_a_variable_is_told_at_its_place_in_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka: {partitions: 0}\n")
    (problem,) = refused(file, WIREWATCH_KAFKA__GROUP="desk")
    assert problem == f"{file}:1:21: `partitions` is 1 or more, not 0"


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/desk")
    loaded = load(write(tmp_path, "data_dir: ~/data\nchannels: ~nobody-of-this-name/c.yaml\n"), {})
    assert loaded.path(loaded.settings.data_dir) == Path("/home/desk/data")
    assert loaded.path(loaded.settings.channels) == tmp_path / "~nobody-of-this-name" / "c.yaml"


def test_mistakes_of_the_file_and_of_variables_come_together(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka: {partitions: 0, partitions: 3}\nredis: {url: 7}\n")
    problems = refused(file, WIREWATCH_KAFKA__PARTITIONS="3", WIREWATCH_DEDUPE__WINDOW="1s", WIREWATCH_RULEZ__X="1")
    assert [problem.removeprefix(f"{tmp_path}/").split(" (")[0] for problem in problems] == [
        "wirewatch.yaml:1:21: `partitions` is 1 or more, not 0",
        "wirewatch.yaml:1:24: `partitions` stands twice, first on line 1",
        (
            "wirewatch.yaml:2:14: `url`: a Redis URL is written like redis://host:6379/0, rediss://… for TLS, or unix:///path,"
            " not the value given"
        ),
        "the environment variable WIREWATCH_DEDUPE__WINDOW: `window`: a window lies between 1m and 30d, not '1s'",
        "the environment variable WIREWATCH_RULEZ__X: names no setting",
    ]


#: A value for every setting, as a variable has it.
EVERY_VARIABLE = {
    "WIREWATCH_DATA_DIR": "data",
    "WIREWATCH_RULES": "rules, more/iran.yaml",
    "WIREWATCH_TAXONOMY": "[topics]",
    "WIREWATCH_CHANNELS": "my.yaml",
    "WIREWATCH_SUBSCRIPTIONS": "mine.yaml",
    "WIREWATCH_ROUTES": "routes.yaml",
    "WIREWATCH_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2",
    "WIREWATCH_KAFKA__TOPIC_PREFIX": "test.",
    "WIREWATCH_KAFKA__GROUP": "desk",
    "WIREWATCH_KAFKA__PARTITIONS": "8",
    "WIREWATCH_KAFKA__REPLICATION": "3",
    "WIREWATCH_KAFKA__SESSION_TIMEOUT": "1m",
    "WIREWATCH_KAFKA__TLS": "{}",
    "WIREWATCH_KAFKA__TLS__CA_FILE": "ca.pem",
    "WIREWATCH_KAFKA__TLS__CERT_FILE": "cert.pem",
    "WIREWATCH_KAFKA__TLS__KEY_FILE": "key.pem",
    "WIREWATCH_KAFKA__SASL__MECHANISM": "PLAIN",
    "WIREWATCH_KAFKA__SASL__USERNAME": "desk",
    "WIREWATCH_KAFKA__SASL__PASSWORD": "hunter2",
    "WIREWATCH_REDIS__URL": "rediss://:hunter2@h/0",
    "WIREWATCH_REDIS__PREFIX": "w",
    "WIREWATCH_REDIS__TLS__CA_FILE": "ca.pem",
    "WIREWATCH_REDIS__TLS__CERT_FILE": "cert.pem",
    "WIREWATCH_REDIS__TLS__KEY_FILE": "key.pem",
    "WIREWATCH_DEDUPE__WINDOW": "24h",
    "WIREWATCH_DEDUPE__STORIES": "false",
    "WIREWATCH_DEDUPE__SOURCES": "wire.example=24h, page.example = 12h",
    "WIREWATCH_DELIVERY__RETRY_AFTER": "5s,1h30m",
    "WIREWATCH_DELIVERY__MAX_AGE": "5d",
}


def test_every_setting_can_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(None, EVERY_VARIABLE)
    got, default = loaded.settings.model_dump(), load(None, {}).settings.model_dump()

    def unchanged(one: dict[str, Any], other: Any) -> list[str]:
        return [
            name
            for name, value in one.items()
            if (
                unchanged(value, (other or {}).get(name))
                if isinstance(value, dict)
                else value == (other or {}).get(name)
            )
        ]

    assert unchanged(got, default) == []
    assert loaded.settings.rules == (tmp_path / "rules", tmp_path / "more" / "iran.yaml")
    assert loaded.settings.taxonomy == (tmp_path / "topics",)
    assert loaded.settings.delivery.retry_after == (timedelta(seconds=5), timedelta(minutes=90))
    assert loaded.settings.dedupe.sources == {"wire.example": timedelta(hours=24), "page.example": timedelta(hours=12)}
    assert loaded.redis_url() == "rediss://:hunter2@h/0"
    assert "hunter2" not in repr(loaded)


def test_a_mapping_in_a_variable_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        load(write(tmp_path, ""), {"WIREWATCH_DEDUPE__SOURCES": "wire.example:24h"})
    assert "WIREWATCH_DEDUPE__SOURCES" in str(refused.value)


def test_an_empty_variable_counts_as_none_and_others_are_left_alone(tmp_path: Path) -> None:
    file = write(tmp_path, "redis: {url: 'env:WIREWATCH_REDIS_URL'}\n")
    environ = {"WIREWATCH_KAFKA__GROUP": "", "WIREWATCH_TOKEN": "x", "WIREWATCH_REDIS_URL": "redis://h"}
    loaded = load(file, environ)
    assert loaded.settings.kafka.group == "wirewatch"
    assert loaded.redis_url() == "redis://h"


def test_users_and_tls_reach_the_client(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    text = f"kafka:\n  tls: {{}}\n  sasl: {{username: desk, password: 'file:{tmp_path}/password'}}\n"
    client = load(write(tmp_path, text), {}).kafka_client("h:9093")
    assert client["security_protocol"] == "SASL_SSL"
    assert client["sasl_mechanism"] == "SCRAM-SHA-512"
    assert client["sasl_plain_password"] == "hunter2"
    assert client["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert "hunter2" not in repr(load(write(tmp_path, text), {}).settings)


def test_a_secret_that_is_not_there_says_where_it_should_be(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka: {}\nredis: {url: 'env:REDIS_URL'}\n")
    with pytest.raises(RefusedError) as caught:
        load(file, {}).redis_url()
    assert str(caught.value) == f"{file}:2:14: `redis.url`: the environment variable REDIS_URL is not set"
    assert load(file, {"REDIS_URL": "redis://:pw@h/0"}).redis_url() == "redis://:pw@h/0"


@pytest.mark.parametrize("url", ["hunter2", "http://:hunter2@h", "redis://:hunter2@h:x", "redis://h?db=hunter2"])
def test_a_redis_url_that_is_none_is_not_repeated(tmp_path: Path, url: str) -> None:
    file = write(tmp_path, "redis: {url: 'env:REDIS_URL'}\n")
    with pytest.raises(RefusedError) as caught:
        load(file, {"REDIS_URL": url}).redis_url()
    assert str(caught.value).startswith(f"{file}:1:14: `redis.url`: what env:REDIS_URL holds is none: a Redis URL is")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_relative_paths_start_from_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, elsewhere = tmp_path / "desk", tmp_path / "elsewhere"
    for folder in (desk, elsewhere):
        folder.mkdir()
    (desk / "password").write_text("hunter2")
    (elsewhere / "url").write_text("rediss://other")
    file = write(
        desk,
        """\
kafka: {tls: {ca_file: ca.pem}, sasl: {username: u, password: 'file:password'}}
redis: {url: 'rediss://h', tls: {cert_file: cert.pem}}
""",
    )
    monkeypatch.chdir(elsewhere)
    with pytest.raises(RefusedError) as caught:
        load(file, {}).kafka_client("h:9093")
    assert str(caught.value) == (
        f"{file}:1:24: `kafka.tls.ca_file`: {desk}/ca.pem cannot be read: No such file or directory"
    )
    (desk / "ca.pem").write_text("no certificate")
    with pytest.raises(RefusedError) as caught:
        load(file, {}).kafka_client("h:9093")
    assert str(caught.value).startswith(f"{file}:1:14: `kafka.tls`: a certificate or key does not fit")
    assert str(caught.value).endswith("(they are PEM files, the key without a password)")
    with pytest.raises(RefusedError, match=rf"{desk}/cert\.pem cannot be read"):
        load(file, {}).redis_options("rediss://h")
    loaded = load(file, {"WIREWATCH_REDIS__URL": "file:url", "WIREWATCH_KAFKA__TLS__CA_FILE": "here.pem"})
    assert loaded.redis_url() == "rediss://other", "a variable's path starts from the current folder"
    with pytest.raises(RefusedError) as caught:
        loaded.kafka_client("h:9093")
    assert str(caught.value) == (
        "the environment variable WIREWATCH_KAFKA__TLS__CA_FILE: `kafka.tls.ca_file`: "
        f"{elsewhere}/here.pem cannot be read: No such file or directory"
    )


def test_the_options_of_redis_are_those_of_tls(tmp_path: Path) -> None:
    ca_file = Path(ssl.get_default_verify_paths().cafile or certifi.where())
    file = write(tmp_path, f"redis: {{url: 'rediss://h', tls: {{ca_file: {ca_file}}}}}\n")
    assert load(file, {}).redis_options("rediss://h") == {"ssl_ca_certs": str(ca_file)}
    assert load(write(tmp_path, ""), {}).redis_options("redis://h") == {}


def test_tls_settings_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "redis: {url: 'redis://h', tls: {}}\n")
    with pytest.raises(RefusedError, match=r"wirewatch\.yaml:1:32: `redis\.tls`: TLS needs a `redis\.url` that begins"):
        load(file, {}).redis_options("redis://h")
    (problem,) = refused(write(tmp_path, "kafka: {tls: {key_file: k}}\n"))
    assert problem.endswith("wirewatch.yaml:1:14: `tls`: a `key_file` needs its `cert_file`")


@pytest.mark.parametrize("text", ["[1, 2]", "just text", "a: [b\nc: d"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert len(refused(write(tmp_path, text))) == 1


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "nowhere.yaml")[0]
    (tmp_path / "latin.yaml").write_bytes(b"data_dir: caf\xe9\n")
    assert "not UTF-8" in refused(tmp_path / "latin.yaml")[0]


def test_only_settings_are_proposed_where_settings_are_missing(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text("channels:\n  archive: {type: file, path: alerts.jsonl}\n")
    with pytest.raises(RefusedError, match="write one by `wirewatch init`"):
        load(tmp_path / "nope.yaml", {})
    (tmp_path / "wirewatch.yaml").write_text("data_dir: data\n")
    with pytest.raises(RefusedError, match=r"did you mean `wirewatch\.yaml`"):
        load(tmp_path / "wirewatch.yml", {})
