"""Which screenplay a film's folder belongs to, so that another of its name does not overwrite the film."""

from __future__ import annotations

import os
from pathlib import Path

from songreel.ground.errors import UserError
from songreel.ground.files import read_json
from songreel.ground.paths import Paths, named, song_folder


def folder(screenplay: Path, paths: Paths) -> str:
    """The folder of a screenplay's film: its song's name, with a hash where that is another's."""
    song, here = song_folder(screenplay), place(screenplay, paths)
    apart = named(song, here)
    if _owner(apart, paths) == here:
        return apart
    owner = _owner(song, paths)
    # A screenplay that is gone was moved: most likely this is it.
    return song if owner in (None, here) or not (paths.root.resolve() / owner).exists() else apart


def place(screenplay: Path, paths: Paths) -> str:
    """Where a screenplay lies, seen from the results: as before where a project was copied or moved."""
    absolute = screenplay.absolute()
    return os.path.relpath(absolute.parent.resolve() / absolute.name, paths.root.resolve())


def note(screenplay: Path, song: str, paths: Paths) -> str | None:
    """Where the film is found that is not where its name says, in one sentence; None where it is there."""
    usual = song_folder(screenplay)
    if song == usual:
        return None
    return (
        f"{screenplay}: found that {paths.film(usual)} is another screenplay's of that name"
        f" ({_owner(usual, paths)} seen from {paths.root}); this film is {paths.film(song)}."
    )


def _owner(song: str, paths: Paths) -> str | None:
    """The screenplay that a folder belongs to, as `place` says it; None where nobody has said it."""
    try:
        screenplay = read_json(paths.owner(song))["screenplay"]
    except (UserError, OSError, LookupError, TypeError, RecursionError):
        return None
    return screenplay if isinstance(screenplay, str) and "\0" not in screenplay else None
