from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from streams.cli.revision import rules_at, told_as
from streams.core.document import Problem, RefusedError


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with two commits: rules in a folder in it, then others."""
    rules = tmp_path / "repository" / "desk" / "my rules"
    (rules / "deep").mkdir(parents=True)
    (rules / "a.yaml").write_text("old", "utf-8")
    (rules / "deep" / "b.yml").write_text("deep", "utf-8")
    (rules / "note.txt").write_text("not a rule", "utf-8")
    (rules / "link.yaml").symlink_to("/etc/passwd")
    root = tmp_path / "repository"
    git(root, "init", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    (rules / "a.yaml").write_text("new", "utf-8")
    (root / "late").mkdir()
    (root / "late" / "c.yaml").write_text("late", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "-m", "two")
    return root


@pytest.fixture(autouse=True)
def no_git_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.resolve()))
    monkeypatch.delenv("GIT_DIR", raising=False)


def texts(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_is_read_as_it_was_with_what_is_below_it_and_nothing_but_rules(project: Path, tmp_path: Path) -> None:
    [found] = rules_at("HEAD~1", [project / "desk" / "my rules"], tmp_path / "there")
    assert texts(found) == {"a.yaml": "old", "deep/b.yml": "deep"}
    [now] = rules_at("main", [project / "desk" / "my rules"], tmp_path / "now")
    assert texts(now)["a.yaml"] == "new"


def test_the_whole_repository_and_one_file_can_be_rules_also_one_that_is_there_no_more(
    project: Path, tmp_path: Path
) -> None:
    [whole] = rules_at("HEAD~1", [project], tmp_path / "whole")
    assert set(texts(whole)) == {"desk/my rules/a.yaml", "desk/my rules/deep/b.yml"}
    file = project / "desk" / "my rules" / "a.yaml"
    file.unlink()
    [one] = rules_at("HEAD~1", [file], tmp_path / "one")
    assert one.read_text("utf-8") == "old"


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~9", "--help", "-x", "HEAD:desk"])
def test_what_is_no_revision_is_refused_by_name(project: Path, tmp_path: Path, revision: str) -> None:
    with pytest.raises(RefusedError) as refused:
        rules_at(revision, [project / "desk"], tmp_path / "there")
    [problem] = refused.value.problems
    assert problem.message.startswith(f"`{revision}` is no file and no folder, and no revision of the git repository")
    assert "fetch --unshallow" in problem.hint


def test_rules_that_were_not_there_then_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there were no rules at `HEAD~1`"):
        rules_at("HEAD~1", [project / "late"], tmp_path / "there")


def test_rules_in_no_repository_have_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is in no git repository"):
        rules_at("HEAD", [tmp_path], tmp_path / "there")


def test_without_git_the_way_out_is_told(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="git, which is not installed"):
        rules_at("HEAD", [project / "desk"], tmp_path / "there")


def test_a_mistake_of_then_is_told_where_it_stood(tmp_path: Path) -> None:
    then = Problem(str(tmp_path / "0" / "desk" / "a.yaml"), 3, 4, "is wrong", "mend it")
    now = Problem("wirewatch.yaml", 1, 1, "is wrong")
    assert told_as([then, now], "HEAD~1", tmp_path) == [Problem("HEAD~1:desk/a.yaml", 3, 4, "is wrong", "mend it"), now]
