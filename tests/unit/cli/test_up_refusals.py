"""What ``wirewatch up`` refuses, it refuses before anything is started."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from streams.cli import app


def test_a_channel_without_its_secret_is_refused_before_kafka_and_redis_start(tmp_path: Path) -> None:
    (tmp_path / "wirewatch.yaml").write_text("rules: [rules.yaml]\ntaxonomy: []\nkafka: {topic_prefix: 'x.'}\n")
    (tmp_path / "rules.yaml").write_text("rules: [{name: oil, when: oil, channels: [desk]}]\n")
    (tmp_path / "channels.yaml").write_text("channels: {desk: {type: slack, url: 'env:SLACK_WEBHOOK_URL'}}\n")
    told = CliRunner(env={"SLACK_WEBHOOK_URL": None}).invoke(app, ["up", "--config", str(tmp_path / "wirewatch.yaml")])
    assert told.exit_code == 3, told.output
    assert "SLACK_WEBHOOK_URL" in told.stderr
    assert "Starting" not in told.stderr
    assert not (tmp_path / ".wirewatch" / "kafka").exists()
