from __future__ import annotations

from pathlib import Path

import pytest

from alerts.secret import (
    Covered,
    Reference,
    SecretError,
    cover,
    find_reference,
    looks_secret,
    named,
    reference,
)


def test_a_secret_comes_from_the_environment() -> None:
    secret = reference("env:NAME").resolve({"NAME": " s3cret\n"}, Path())
    assert secret.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r}"


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    assert reference(f"file:{tmp_path}/secret").resolve({}, Path()).get_secret_value() == "s3cret"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}, {"NAME": "  "}])
def test_a_variable_that_is_not_set_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(SecretError, match="NAME is not set"):
        reference("env:NAME").resolve(environ, Path())


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, message in (
        ("absent", "cannot be read: No such file"),
        ("empty", "empty"),
        ("binary", "UTF-8"),
    ):
        with pytest.raises(SecretError, match=f"{name}.*{message}"):
            reference(f"file:{tmp_path}/{name}").resolve({}, Path())


@pytest.mark.parametrize("value", ["hunter2", "env:", "env:A B", "file:", "", 12, None, Covered("hunter2")])
def test_a_literal_is_refused_and_not_repeated(value: object) -> None:
    assert find_reference(value) is None
    with pytest.raises(ValueError, match="env:NAME") as caught:
        reference(value)
    assert "hunter2" not in str(caught.value)


def test_a_relative_file_starts_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    assert reference("file:secret").resolve({}, tmp_path).get_secret_value() == "s3cret"
    with pytest.raises(SecretError, match=f"{tmp_path}/nowhere cannot be read"):
        reference("file:nowhere").resolve({}, tmp_path)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("authorization", True),
        ("x-auth", True),
        ("X-Api-Key", True),
        ("access_token", True),
        ("sig", True),
        ("author", False),
        ("x-author", False),
        ("design", False),
        ("region", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert looks_secret(name) == secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [("desk", "`desk`"), ("my desk", "`my desk`"), ("https://a/b", "what stands here (not shown)"), ("x" * 65, "what")],
)
def test_only_what_can_be_a_name_is_shown(text: str, shown: str) -> None:
    assert named(text).startswith(shown)


def test_covered_values_show_nothing_and_keep_their_shape() -> None:
    covered = cover({"url": "hunter2", "headers": {"a": "hunter3"}, "list": ["hunter4"]})
    assert "hunter" not in repr(covered)
    assert covered["headers"]["a"].value == "hunter3"
    assert reference(cover("env:A")) == Reference("env", "A")
