"""The settings of embedded brokers, and what is read from their answers and files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.embedded.errors import EmbeddedError
from connectors.embedded.kafka import Kafka, Layout, _read_layout, _read_metadata, broker_settings

ONE = Layout("4L6g3nShT-eMCtK--X86sw", (9092,), (9093,))
THREE = Layout("4L6g3nShT-eMCtK--X86sw", (9092, 20001, 20002), (20003, 20004, 20005))


def test_one_broker_keeps_one_copy() -> None:
    settings = broker_settings(ONE, 0)
    assert settings["default.replication.factor"] == settings["offsets.topic.replication.factor"] == "1"
    assert settings["min.insync.replicas"] == "1"
    assert settings["auto.create.topics.enable"] == "false"


def test_three_brokers_keep_three_copies_and_need_two() -> None:
    settings = broker_settings(THREE, 2)
    assert settings["default.replication.factor"] == settings["offsets.topic.replication.factor"] == "3"
    assert settings["min.insync.replicas"] == settings["transaction.state.log.min.isr"] == "2"
    assert settings["controller.quorum.voters"] == "0@127.0.0.1:20003,1@127.0.0.1:20004,2@127.0.0.1:20005"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:20002,CONTROLLER://127.0.0.1:20005"
    assert THREE.bootstrap_servers == "127.0.0.1:9092,127.0.0.1:20001,127.0.0.1:20002"


def test_no_broker_listens_to_other_machines() -> None:
    for broker in range(3):
        settings = broker_settings(THREE, broker)
        for listener in f"{settings['listeners']},{settings['advertised.listeners']}".split(","):
            assert "//127.0.0.1:" in listener


@pytest.mark.parametrize("brokers", [0, 2, 4])
def test_a_cluster_has_one_broker_or_three(tmp_path: Path, brokers: int) -> None:
    with pytest.raises(ValueError, match=f"1 broker or 3, not {brokers}"):
        Kafka(tmp_path, brokers=brokers)


@pytest.mark.parametrize("text", ["", "{", '{"cluster_id": 1}', "[]"])
def test_a_spoilt_data_directory_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(EmbeddedError, match=r"cluster\.json cannot be read") as error:
        _read_layout(tmp_path / "cluster.json")
    assert "use another data directory" in error.value.hint


def test_a_new_data_directory_remembers_nothing(tmp_path: Path) -> None:
    assert _read_layout(tmp_path / "cluster.json") is None


@given(
    st.dictionaries(st.integers(0, 2**31 - 1), st.tuples(st.text(max_size=20), st.none() | st.text(max_size=9))),
    st.none() | st.text(max_size=22),
)
def test_cluster_and_brokers_of_a_metadata_answer_are_found(
    brokers: dict[int, tuple[str, str | None]], cluster: str | None
) -> None:
    answer = struct.pack(">ii", 0, len(brokers))
    for broker, (host, rack) in brokers.items():
        name, place = host.encode(), rack.encode() if rack is not None else b""
        answer += struct.pack(">ih", broker, len(name)) + name + struct.pack(">i", 9092)
        answer += struct.pack(">h", len(place) if rack is not None else -1) + place
    name = (cluster or "").encode()
    answer += struct.pack(">h", len(name) if cluster is not None else -1) + name
    assert _read_metadata(answer + b"what follows") == (name, set(brokers))
