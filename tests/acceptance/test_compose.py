"""The container's image and the composition that runs it fit together."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

COMPOSE = Path(__file__).parents[2] / "compose"


def test_the_image_keeps_a_workers_data_out_of_the_desk_where_any_user_may_write() -> None:
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    worker: dict[str, Any] = YAML(typ="safe").load(COMPOSE / "compose.yaml")["services"]["worker"]
    data_dir = re.search(r"^ENV WIREWATCH_DATA_DIR=(\S+)$", dockerfile, re.MULTILINE)
    assert data_dir is not None
    made = re.search(rf"^RUN install -d -m (\d+) {data_dir[1]}$", dockerfile, re.MULTILINE)
    assert made is not None
    assert dockerfile.index(made[0]) < dockerfile.index("\nUSER nobody\n"), "root makes it"
    assert int(made[1], 8) & stat.S_IWOTH
    desks = {volume.split(":")[1] for volume in worker["volumes"]}
    assert re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)[-1] in desks
    assert not any(data_dir[1].startswith(desk) for desk in desks)
    assert "WIREWATCH_DATA_DIR" not in worker["environment"]
    assert worker["user"] == "${DESK_USER:-1000:1000}", "a channel of the type `file` writes into the desk"
