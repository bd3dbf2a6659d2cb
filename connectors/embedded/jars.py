"""The jar files of Apache Kafka: which ones, where they are kept, and how they get there.

``kafka.lock`` beside this module names every jar with its size and SHA-256; ``relock.py`` writes it. What is
fetched comes from Maven Central, or from the repositories in the user's ``jgo`` settings, and is used only if
it is what the lock file says. Nothing is resolved at run time, so no POM file is read.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.embedded.errors import EmbeddedError, not_installed, writing_below

LOCK_FILE = Path(__file__).with_name("kafka.lock")

#: Fetched at once; more gain nothing, and servers dislike it.
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar as it must be: ``coordinate`` is ``group:artifact:version``, ``size`` in bytes."""

    coordinate: str
    sha256: str
    size: int

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it, relative to the repository's root."""
        group, artifact, version = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"

    def is_at(self, root: Path) -> bool:
        """Whether the file below ``root`` is this very jar."""
        file = root / self.path
        if not file.is_file() or file.stat().st_size != self.size:
            return False
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Lock:
    """The contents of ``kafka.lock``.

    ``bootstrap_checkpoint`` is what ``kafka-storage format`` of this version writes beside
    ``meta.properties``: the feature levels of a new cluster, the same for every one. ``digest`` tells one
    lock from another.
    """

    version: str
    bootstrap_checkpoint: bytes
    jars: tuple[Jar, ...]
    digest: str

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(jar.size for jar in self.jars)


def read_lock(file: Path = LOCK_FILE) -> Lock:
    """Read the lock file that came with this release."""
    text = file.read_text("utf-8")
    data = tomllib.loads(text)
    return Lock(
        version=data["kafka"],
        bootstrap_checkpoint=base64.b64decode(data["bootstrap_checkpoint"]),
        jars=tuple(Jar(**jar) for jar in data["jar"]),
        digest=hashlib.sha256(text.encode()).hexdigest()[:12],
    )


def default_cache() -> Path:
    """``$WIREWATCH_CACHE_DIR``, or ``wirewatch`` below ``$XDG_CACHE_HOME`` or ``~/.cache``.

    As the XDG base directory specification asks, a relative ``XDG_CACHE_HOME`` is ignored.
    """
    if own := os.environ.get("WIREWATCH_CACHE_DIR"):
        return Path(own).expanduser().absolute()
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "wirewatch"


def kafka_home(lock: Lock, cache: Path, progress: Callable[[str], None]) -> Path:
    """The directory with every jar of ``lock``, fetched into ``cache`` if it is not there yet.

    The directory appears under its name only when it is complete. Two processes at once fetch it once, and
    what a killed one has fetched is used by the next.

    Raises:
        EmbeddedError: a jar cannot be fetched or is not what the lock says, or the cache cannot be written.
    """
    home = cache / f"kafka-{lock.version}-{lock.digest}"
    if _is_complete(home, lock):
        return home
    with writing_below(cache):
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "fetching.lock").open("w") as exclusive:
            _lock_patiently(exclusive.fileno(), progress)
            if not _is_complete(home, lock):
                if home.exists():  # somebody removed a file from it
                    home.rename(_unfinished(home))
                _fetch_all(lock, _unfinished(home), progress)
                _unfinished(home).rename(home)
    return home


def class_path(lock: Lock, home: Path) -> str:
    """The jars as Java's ``-cp`` takes them."""
    return os.pathsep.join(str(home / jar.path) for jar in lock.jars)


def _is_complete(home: Path, lock: Lock) -> bool:
    """By size alone: the sums were checked when the files were fetched, and starts are to be fast."""
    try:
        return all((home / jar.path).stat().st_size == jar.size for jar in lock.jars)
    except OSError:
        return False


def _unfinished(home: Path) -> Path:
    return home.with_name(home.name + ".unfinished")


def _lock_patiently(descriptor: int, progress: Callable[[str], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress("Waiting for another wirewatch that fetches Apache Kafka ...")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _fetch_all(lock: Lock, root: Path, progress: Callable[[str], None]) -> None:
    missing = [jar for jar in lock.jars if not jar.is_at(root)]
    megabytes = max(1, round(sum(jar.size for jar in missing) / 1e6))
    progress(f"Fetching Apache Kafka {lock.version} ({megabytes} MB, once) ...")
    context = maven(root)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        try:
            list(pool.map(lambda jar: _fetch(jar, root, context), missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def maven(root: Path) -> Any:
    """A ``jgo.maven.MavenContext`` that fetches into ``root``, from where the user's settings say."""
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415  (an extra)
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError:
        raise not_installed("jgo") from None
    repositories = GlobalSettings.load().repositories
    return MavenContext(
        repo_cache=root,
        remote_repos={
            **repositories,
            **({} if "central" in repositories else {"central": MAVEN_CENTRAL_URL}),
        },
    )


def _fetch(jar: Jar, root: Path, context: Any) -> None:
    from requests import RequestException  # noqa: PLC0415  (an extra)
    from requests.exceptions import SSLError  # noqa: PLC0415

    file = root / jar.path
    file.unlink(missing_ok=True)  # what a killed download left of it
    group, artifact, version = jar.coordinate.split(":")
    try:
        context.project(group, artifact).at_version(version).artifact().resolve()
    except RequestException as error:
        raise EmbeddedError(
            f"cannot fetch {jar.coordinate} of Apache Kafka: {_cause(error)}",
            "a proxy that looks into TLS has certificates of its own: name their file in REQUESTS_CA_BUNDLE. "
            "Or use a Kafka of your own"
            if isinstance(error, SSLError)
            else "the first start needs the network: try again. Behind a proxy, set HTTPS_PROXY; a mirror goes "
            "into the settings of jgo (~/.config/jgo.conf, [repositories]). Or use a Kafka of your own",
        ) from error
    except RuntimeError as error:
        raise EmbeddedError(
            f"no Maven repository gave {jar.coordinate} of Apache Kafka",
            "try again later; a mirror in ~/.config/jgo.conf must carry all of Maven Central",
        ) from error
    if not jar.is_at(root):
        got = hashlib.sha256(file.read_bytes()).hexdigest()
        file.unlink()
        raise EmbeddedError(
            f"{jar.coordinate} of Apache Kafka is not what it should be: SHA-256 {got}, not {jar.sha256}",
            "a broken line or a proxy that changes files can do that. It was removed: try again",
        )


def _cause(error: BaseException) -> str:
    """The innermost reason, which is what a person can act on, without addresses of objects."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
