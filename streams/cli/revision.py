"""Rules as they were at a revision of git, read by git itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from streams.core.document import Problem, RefusedError

_WAY_OUT = "name a file or folder of rules, or a commit, branch or tag of the repository that the rules are in"
_SHALLOW = "name a commit, branch or tag; a shallow clone has not all of them: git fetch --unshallow"
_SUFFIXES = (".yaml", ".yml")
_LINK = b"120000"


def rules_at(revision: str, paths: Sequence[Path], into: Path) -> list[Path]:
    """What stood at ``paths``, files or folders of rules, at ``revision``, written below the folder ``into``.

    Raises:
        RefusedError: they are in no repository, or there is no such revision, or they were not there then.
    """
    found = []
    for number, path in enumerate(paths):
        root = _root(path, revision)
        commit = _commit(root, revision)
        inside = PurePosixPath(path.resolve().relative_to(root).as_posix())
        files = list(_files(root, commit, inside))
        if not files:
            what = f"there were no rules at `{revision}`"
            raise RefusedError([Problem(str(path), 0, 0, what, "name a revision at which there were")])
        there = into / str(number)
        for name, content in files:
            file = there / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        found.append(there / inside)
    return found


def told_as(problems: Sequence[Problem], revision: str, folder: Path) -> list[Problem]:
    """Problems in files that were written below ``folder``, told of the files as git names them."""
    return [_told_as(problem, revision, folder) for problem in problems]


def _told_as(problem: Problem, revision: str, folder: Path) -> Problem:
    file = Path(problem.file)
    if not file.is_relative_to(folder):
        return problem
    inside = PurePosixPath(*file.relative_to(folder).parts[1:])
    return Problem(f"{revision}:{inside}", problem.line, problem.column, problem.message, problem.hint)


def _root(path: Path, revision: str) -> Path:
    folder = next(parent for parent in (path.resolve(), *path.resolve().parents) if parent.is_dir())
    answer = _git(folder, "rev-parse", "--show-toplevel")
    if answer.returncode:
        what = f"`{revision}` is no file and no folder, and {path} is in no git repository whose revision it may be"
        raise RefusedError([Problem("--against", 0, 0, what, _WAY_OUT)])
    return Path(answer.stdout.decode().rstrip("\n")).resolve()


def _commit(root: Path, revision: str) -> str:
    answer = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
    if answer.returncode:
        what = f"`{revision}` is no file and no folder, and no revision of the git repository {root}"
        raise RefusedError([Problem("--against", 0, 0, what, _SHALLOW)])
    return answer.stdout.decode().strip()


def _files(root: Path, commit: str, inside: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    """The YAML files below a place in a commit, by their paths in the repository. Links are left alone."""
    below = [] if inside == PurePosixPath() else ["--", str(inside)]
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", commit, *below)
    for entry in filter(None, listed.stdout.split(b"\0")):
        about, _, name = entry.partition(b"\t")
        mode, kind, blob = about.split()
        path = name.decode("utf-8", "surrogateescape")
        if kind == b"blob" and mode != _LINK and path.endswith(_SUFFIXES):
            yield path, _git(root, "cat-file", "blob", blob.decode()).stdout


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError:
        raise RefusedError(
            [Problem("--against", 0, 0, "a revision is read by git, which is not installed", _WAY_OUT)]
        ) from None
