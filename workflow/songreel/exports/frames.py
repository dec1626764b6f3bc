"""Frames of a film as PNG, each named by its number in the film."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from songreel.exports import footage
from songreel.exports.footage import Footage, Size
from songreel.exports.spans import Span
from songreel.ground import stops
from songreel.ground.errors import UserError

DIGITS = 6


def write(film: Footage, span: Span, size: Size, folder: Path, force: bool) -> None:
    """Write `000123.png` and so on into a folder, which comes to be with all of them.

    Where it is there already, they are moved into it one by one, whole as they are. Raises UserError where
    one of them is there and not to be replaced.
    """
    _check_free(span, folder, force)
    # Within it where it is there: it may be a disk of its own, or have no name, as "." has none.
    name = f".{os.getpid()}-{folder.name}"
    temporary = folder / name if folder.exists() else folder.with_name(name)
    temporary.mkdir(parents=True)
    with stops.undoing(lambda: shutil.rmtree(temporary, ignore_errors=True)):
        try:
            _make(film, span, size, temporary, folder)
            _move(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _name(frame: int) -> str:
    return f"{frame:0{DIGITS}}.png"


def _check_free(span: Span, folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: found a file, expected a folder for the frames; name another.")
    there = set(os.listdir(folder)) if folder.exists() else set()  # noqa: PTH208
    if not force and (taken := sorted(there & {_name(frame) for frame in range(span.first, span.end)})):
        raise UserError(
            f"{folder}: found {len(taken)} of the frames there, the first of them {taken[0]}, expected none;"
            f" name another folder, or say --force to replace them."
        )


def _make(film: Footage, span: Span, size: Size, temporary: Path, folder: Path) -> None:
    pattern = f"{temporary}/".replace("%", "%%") + f"%0{DIGITS}d.png"
    output = footage.scaled(film.stream(span.first, span.end), film.size, size).output(
        f"file:{pattern}", format="image2", fps_mode="passthrough", start_number=span.first
    )
    footage.make(output, temporary / _name(span.end - 1), folder, film.program)


def _move(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    for file in sorted(temporary.iterdir()):
        file.replace(folder / file.name)
