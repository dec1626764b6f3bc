"""How a file is written that a person asked for: never over another one, unless that is said."""

from __future__ import annotations

from pathlib import Path

from songreel.ground.errors import UserError
from songreel.ground.files import replacing


def check_free(target: Path, force: bool, source: Path | None = None) -> None:
    """Raise UserError where something has the target's name that may not be replaced."""
    if target.is_dir():
        raise UserError(f"{target}: found a folder, expected the name of a file to write; add one.")
    if source and target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target}: found the file that is to be read, expected another; name another.")
    if target.exists() and not force:
        raise UserError(
            f"{target}: found a file of that name, expected none; name another, or say --force to replace it."
        )


def write(target: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all. Raises OSError."""
    with replacing(target) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))
