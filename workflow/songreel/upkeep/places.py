"""Whether the folders that a run writes to are there to be written: told before anything is rendered."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths

SNAKEMAKE = Path(".snakemake")  # where it keeps what it needs to know, even of a film that is done
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_folders(song: str, paths: Paths) -> None:
    """Raise UserError when something else has the name of a folder that songreel writes to.

    It is not moved away: a link may lead to a disk that is not there at the moment.
    """
    for folder in _written(song, paths):
        if os.path.lexists(folder) and not folder.is_dir():
            found = "a link that leads to no folder" if folder.is_symlink() else "a file"
            raise UserError(
                f"{folder}: found {found}, expected a folder for results; see that its disk is there, or move"
                f" it away, and run the same command again."
            )


def check_notes() -> None:
    """Raise UserError when Snakemake may not keep its notes in the folder that it was started for."""
    for folder in [SNAKEMAKE, *SNAKEMAKE.glob("*/")]:
        try:
            _write(folder)
        except OSError as error:
            # A disk that is full only matters when there is something to do
            if error.errno in REFUSED:
                raise UserError(
                    f"{folder.absolute()}: snakemake may not write its notes here ({error.strerror}),"
                    f" expected a folder of your own; copy songreel into one and run it there."
                ) from None


def check_results(song: str, paths: Paths) -> None:
    """Raise OSError, with the folder's name, when results cannot be written."""
    for folder in _written(song, paths):
        _write(folder)


def check_page(song: str, paths: Paths) -> None:
    """Raise OSError when a storyboard is there, to be made again, and nothing can be written.

    Snakemake would say that in many lines, and before the run begins.
    """
    if paths.storyboard(song).exists():
        check_results(song, paths)


def _written(song: str, paths: Paths) -> Iterator[Path]:
    """The folders that jobs write to, and their parents before them."""
    files = [
        *(paths.segment_plan(""), paths.clip_plan(""), paths.audio_facts("")),
        *(paths.latents("", ""), paths.clip(""), paths.film(song), paths.work("any")),
        *(
            paths.score("", ""),
            paths.strip(""),
            paths.start(""),
            paths.ranking(""),
            paths.seen(""),
            paths.album_facts(""),
        ),
        *(paths.log(kind, "") for kind in ("keyframes", "clips", "films", "storyboards")),
    ]
    folders = {folder for file in files for folder in file.parents if folder.is_relative_to(paths.root)}
    yield from sorted(folders, key=lambda folder: (len(folder.parts), folder))


def _write(folder: Path) -> None:
    """Try to make a file in a folder, or in what it will be made in."""
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(folder)
        raise
