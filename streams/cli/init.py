"""``wirewatch init``: a starter project, commented."""

from __future__ import annotations

import shlex
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from streams.cli.common import FLAG, Exit, UnreachableError, err, out, told_plainly, typed


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write it.")] = Path(),
    force: Annotated[bool, typer.Option("--force", metavar=FLAG, help="Write over files that are there.")] = False,
) -> None:
    """Write a starter project: wirewatch.yaml, channels.yaml, rules and a taxonomy, with comments that explain them.

    Example: wirewatch init desk && cd desk && wirewatch rules check
    """
    with told_plainly():
        files = starter_files()
        there = [name for name in files if (folder / name).exists()]
        if folder.exists() and not folder.is_dir():
            raise typer.BadParameter(f"{folder} is a file, not a folder")
        if there and not force:
            more = f", and {len(there) - 1} more" if len(there) > 1 else ""
            err.print(f"[red]{escape(str(folder / there[0]))} is there already[/red]{more}")
            err.print("    [dim]choose another folder, or write over them with --force[/dim]")
            raise typer.Exit(Exit.USAGE)
        write_starter(folder)
    for name in files:
        out.print(f"wrote {folder / name}", markup=False)
    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    again = shlex.quote(typed(folder))
    out.print(f"\nNext: edit channels.yaml, then `{where}{again} rules check` and `{again} up`", markup=False)


def write_starter(folder: Path) -> None:
    """Write the files of the starter project below ``folder``.

    Raises:
        UnreachableError: the disk refuses.
    """
    for name, content in starter_files().items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise UnreachableError(f"{path} cannot be written: {error.strerror}", "choose another folder") from None


def starter_files() -> dict[str, bytes]:
    """The files of the starter project by their path in it; the taxonomy is the one that comes with wirewatch."""
    package = resources.files("streams")
    files = _below(package / "starter", "")
    return files | _below(package / "taxonomy", "taxonomy/")


def _below(folder: Traversable, prefix: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name != "__pycache__":
            files |= _below(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".yaml"):
            files[prefix + item.name] = item.read_bytes()
    return files
