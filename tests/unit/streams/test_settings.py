from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

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


@pytest.mark.parametrize(
    "text",
    [
        "redis: {url: 'redis://:hunter2@h:6379/0'}",
        "redis: {url: 'rediss://user:hunter2@h:6379/0'}",
        "kafka: {sasl: {username: u, password: hunter2}}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (problem,) = refused(write(tmp_path, text))
    assert "hunter2" not in problem
    assert "env:NAME" in problem


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    (problem,) = refused(write(tmp_path, ""), WIREWATCH_KAFK__PARTITIONS="3")
    assert problem.startswith("the environment variable WIREWATCH_KAFK__PARTITIONS")
    assert "did you mean `kafka`" in problem
    (problem,) = refused(write(tmp_path, ""), WIREWATCH_KAFKA__PARTITIONS="many")
    assert problem.startswith("the environment")
    assert "many" in problem


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
    loaded = load(write(tmp_path, "redis: {url: 'env:REDIS_URL'}\n"), {})
    with pytest.raises(RefusedError, match="REDIS_URL is not set"):
        loaded.redis_url()
    assert load(write(tmp_path, "redis: {url: 'env:R'}\n"), {"R": "redis://:pw@h/0"}).redis_url() == "redis://:pw@h/0"


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "kafka: {tls: {ca_file: /nowhere/ca.pem}}\n"), {})
    with pytest.raises(RefusedError, match=r"kafka\.tls"):
        loaded.kafka_client("h:9093")


@pytest.mark.parametrize("text", ["[1, 2]", "just text", "a: [b\nc: d"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert len(refused(write(tmp_path, text))) == 1


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "nowhere.yaml")[0]
    (tmp_path / "latin.yaml").write_bytes(b"data_dir: caf\xe9\n")
    assert "not UTF-8" in refused(tmp_path / "latin.yaml")[0]
