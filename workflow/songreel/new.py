"""`songreel new`: a project in a folder of its own, rendered by the songreel that is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from songreel import data
from songreel.ground import stops
from songreel.ground.errors import UserError

COPIED = (
    "config.yaml",
    "profiles/default/config.yaml",
    "profiles/slurm/config.yaml",
    "screenplays/over-the-river.csv",
    "screenplays/over-the-river.mp3",
)
SNAKEFILE = """\
# `snakemake --cores 2` renders what config.yaml asks for, by the songreel that is installed beside it.
try:
    from songreel.data import SNAKEFILE
except ImportError:
    raise SystemExit(
        "Snakefile: found a snakemake that has no songreel, expected the one beside `songreel`; run that one."
    )


include: SNAKEFILE


rule here:
    default_target: True
    input:
        rules.all.input,
"""


def project(folder: Path) -> None:
    """Make a project with the demo in a folder that is new or empty: all of it or, when that fails, nothing.

    Raises UserError when something else is there, OSError when nothing can be written.
    """
    _check_free(folder)
    contents = {name: (data.ROOT / name).read_bytes() for name in COPIED} | {"Snakefile": SNAKEFILE.encode()}
    made: list[Path] = []
    with stops.undoing(lambda: _remove(made)):
        try:
            for name, content in contents.items():
                _write(folder / name, content, made)
        except OSError:
            _remove(made)
            raise


def how_to_render(folder: Path) -> str:
    """The command that renders it: with the snakemake beside this Python, if a shell finds another."""
    beside, on_path = Path(sys.executable).with_name("snakemake"), shutil.which("snakemake")
    command = "snakemake"
    if beside.exists() and not (on_path and beside.samefile(on_path)):
        command = shlex.quote(str(beside))
    return f"cd {shlex.quote(str(folder))} && {command} --cores 2"


def _check_free(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder}: found something that is no folder, expected a new one; name another.")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if held:
        raise UserError(
            f"{folder}: found a folder that holds {held[0]!r}, expected a new or an empty one; name another."
        )


def _write(path: Path, content: bytes, made: list[Path]) -> None:
    """Write a file that is not there yet, and note it and the folders that were made for it."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir()
            made.append(parent)
    with path.open("xb") as file:
        made.append(path)
        file.write(content)


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
