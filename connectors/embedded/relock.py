"""Write ``kafka.lock`` anew: ``python -m connectors.embedded.relock 4.1.1``, for who moves wirewatch to
another Kafka.

It resolves the server's dependencies, fetches them, and has Kafka itself format a new cluster.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from connectors.embedded.jars import LOCK_FILE, maven
from connectors.embedded.java import environment, find_java
from connectors.embedded.kafka import Layout, broker_settings, properties

#: The binding for the slf4j 1.7 that Kafka 4.1 uses: 15 kB that write to standard error, instead of log4j's 2
#: MB.
_ALSO = "org.slf4j:slf4j-simple:1.7.36"


def relock(version: str) -> str:
    """The text of a lock file for ``version`` of Apache Kafka."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        context = maven(root / "jars")
        wanted = [f"org.apache.kafka:kafka_2.13:{version}", _ALSO]
        inputs, others = context.resolver.resolve([context.create_dependency(name) for name in wanted])
        artifacts = [dependency.artifact for dependency in (*inputs, *others)]
        jars = {f"{a.groupId}:{a.artifactId}:{a.version}": Path(a.resolve()) for a in artifacts}
        checkpoint = base64.b64encode(format_cluster(root, os.pathsep.join(map(str, jars.values())))).decode()
        blocks = [f'kafka = "{version}"\nbootstrap_checkpoint = "{checkpoint}"\n']
        for name, jar in jars.items():
            content = jar.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            blocks.append(f'[[jar]]\ncoordinate = "{name}"\nsha256 = "{digest}"\nsize = {len(content)}\n')
    return "\n".join(blocks)


def format_cluster(directory: Path, class_path: str) -> bytes:
    """Have ``kafka-storage format`` make a cluster in ``directory``; give the bootstrap checkpoint of it."""
    settings = broker_settings(Layout("4L6g3nShT-eMCtK--X86sw", ports=(9092,), controller_ports=(9093,)), 0)
    (directory / "server.properties").write_text(properties(settings))
    command = ["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", "server.properties"]
    java = find_java().executable
    subprocess.run(
        [java, "-cp", class_path, *command], cwd=directory, env=environment(), check=True, capture_output=True
    )
    return (directory / "data" / "bootstrap.checkpoint").read_bytes()


if __name__ == "__main__":
    LOCK_FILE.write_text(relock(sys.argv[1]), "utf-8")
