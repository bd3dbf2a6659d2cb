"""Secrets are named in files and held where nothing prints them.

A file says where a secret is, ``env:NAME`` or ``file:/path``; the secret itself is read when its channel is
opened. A path that is relative starts from the folder of the file that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from alerts.userfile import expanded

#: What to write where a secret stands in plain sight.
WAY_OUT = "write `env:NAME` for an environment variable or `file:/path` for a file that holds it"

#: Parts of the names of headers and parameters whose value is a secret.
_SECRETIVE = re.compile(
    r"auth(?!or\b)|cookie|token|secret|key|passw|credential|session|\bsig(nature)?\b", re.IGNORECASE
)

_NAME = re.compile(r"[\w.@ -]{0,64}")
_REFERENCE = re.compile(r"env:(?P<env>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>.+)")


class SecretError(Exception):
    """A secret is not where its reference says. The message names the place and never the secret."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A value of a user's file that may be a secret: errors that quote it show this instead."""

    value: Any

    def __repr__(self) -> str:
        return "the value given (not shown)"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is: the name of an environment variable, or the path of a file."""

    scheme: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"

    def resolve(self, environ: Mapping[str, str], folder: Path) -> SecretStr:
        """Read the secret, from ``environ`` or from a file below ``folder``; white space around it is no part of it.

        Raises:
            SecretError: the variable is not set, the file cannot be read, or either is empty.
        """
        if self.scheme == "env":
            secret = environ.get(self.name, "").strip()
            if not secret:
                raise SecretError(f"the environment variable {self.name} is not set")
            return SecretStr(secret)
        path = folder / expanded(Path(self.name))
        try:
            secret = path.read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            raise SecretError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretError(f"{path} is not UTF-8 text") from None
        if not secret:
            raise SecretError(f"{path} is empty")
        return SecretStr(secret)


def reference(value: Any) -> Reference:
    """``value`` as a reference to a secret; a pydantic validator.

    Raises:
        ValueError: it is something else, perhaps the secret itself, which the message does not repeat.
    """
    found = find_reference(value)
    if found is None:
        raise ValueError(f"a secret does not stand in this file: {WAY_OUT}")
    return found


def find_reference(value: Any) -> Reference | None:
    """``value`` as a reference, or None where it is something else."""
    match = _REFERENCE.fullmatch(text) if isinstance(text := uncover(value), str) else None
    if match is None:
        return None
    return Reference("env", match["env"]) if match["env"] else Reference("file", match["file"])


def looks_secret(name: str) -> bool:
    """Whether what goes by this name, a header or a parameter of a URL, is usually a secret."""
    return bool(_SECRETIVE.search(name))


def named(text: str) -> str:
    """``text`` between backticks where it can be a name; one that holds other signs may be a secret, and is hidden."""
    return f"`{text}`" if _NAME.fullmatch(text) else "what stands here (not shown)"


def cover(value: Any) -> Any:
    """``value`` with everything in it covered; mappings and lists keep their shape."""
    if isinstance(value, dict):
        return {key: cover(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [cover(inner) for inner in value]
    return Covered(value)


def uncover(value: Any) -> Any:
    """The value that was covered, or ``value`` where it was not."""
    return value.value if isinstance(value, Covered) else value
