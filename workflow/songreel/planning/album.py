"""Which album a film's lines start from: none, a folder of the user's pictures, or the one of the starter."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from songreel import data
from songreel.ground import files, pictures
from songreel.ground.errors import UserError
from songreel.ground.files import read_json, write_json_if_changed
from songreel.ground.paths import Paths
from songreel.ground.written import Written
from songreel.planning.config import Config, weighed

STARTER = data.MODELS / "starter/album.safetensors"
PHONES = (".heic", ".heif")  # pictures that are passed over with a word
MOST_NAMED = 3

Facts = Mapping[str, Sequence[object]]  # size, time and sha256 of files, by name


@dataclass(frozen=True)
class Picture(Written):
    """A picture in a folder."""

    name: str
    sha256: str  # of the file


@dataclass(frozen=True)
class Source(Written):
    """Where pictures come from that lines start from."""

    folder: str  # of the user's own pictures; "" is the album that came with the starter
    digest: str
    pictures: tuple[Picture, ...]  # of the folder, no two the same


def find(config: Config, paths: Paths, report: Callable[[str], None]) -> Source | None:
    """The album that a config asks for; None where lines start from the canvas.

    `report` is told of pictures that are passed over. Raises UserError when the folder cannot be read or has
    no picture in it.
    """
    if config.album == "auto":
        return _of_starter(config)
    return None if config.album == "none" else _of_folder(Path(config.album), paths, report)


def _of_starter(config: Config) -> Source | None:
    """What the starter pair brings, which is made for it: its pictures are its tokens."""
    models = {config.model, *(weighed(judge)[0] for judge in config.perceptors)}
    if models != {"starter"} or not STARTER.is_file():
        return None
    return Source("", files.sha256(STARTER), ())


def _of_folder(folder: Path, paths: Paths, report: Callable[[str], None]) -> Source:
    chosen = pictures_in(folder, report)
    different = {picture.sha256: picture for picture in reversed([*_hashed(folder, chosen, paths)])}
    found = tuple(sorted(different.values(), key=lambda picture: picture.name))
    digest = hashlib.sha256(repr([(it.name, it.sha256) for it in found]).encode("utf-8", "surrogateescape"))
    return Source(str(folder), digest.hexdigest(), found)


def pictures_in(folder: Path, report: Callable[[str], None]) -> list[str]:
    """The names of a folder's pictures, none of them opened; `report` is told of those passed over.

    Raises UserError when the folder cannot be read or has no picture in it.
    """
    names = _names(folder)
    if passed_over := [name for name in names if name.lower().endswith(PHONES)]:
        report(
            f"config key 'album': {len(passed_over)} of the pictures in {str(folder)!r} are passed over, such"
            f" as {passed_over[0]!r}; save them as JPEG to have them in the film."
        )
    chosen = [name for name in names if name.lower().endswith(pictures.SUFFIXES)]
    if not chosen:
        raise UserError(
            f"config key 'album': found no picture in the folder {str(folder)!r}, expected {pictures.KINDS};"
            f" put some there, or write 'album: none'."
        )
    return chosen


def _names(folder: Path) -> list[str]:
    """The files in a folder, without hidden ones."""
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        return sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        reason = "found no such folder" if isinstance(error, FileNotFoundError) else f"found {error.strerror}"
        raise UserError(
            f"config key 'album': {reason} where {str(folder)!r} was expected to hold pictures; correct it,"
            f" or write 'album: none'."
        ) from None


def _hashed(folder: Path, names: Sequence[str], paths: Paths) -> Iterator[Picture]:
    """The pictures, each read again only when its size or its time has changed."""
    record = paths.album_facts(place(folder))
    before, now = noted(record), {}
    for name in names:
        facts = _facts(folder / name, before.get(name, ()))
        now[name] = facts
        yield Picture(name, facts[-1])
    note(record, now, paths)


def place(folder: Path) -> str:
    """The id of where a folder or a picture lies."""
    return hashlib.sha256(str(folder.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _facts(path: Path, before: Sequence[object]) -> tuple[int, int, str]:
    try:
        found = path.stat()
        stamp = (found.st_size, found.st_mtime_ns)
        known = before[2] if tuple(before[:2]) == stamp and len(before) == 3 else None
        return (*stamp, known if isinstance(known, str) else files.sha256(path))
    except OSError as error:
        raise UserError(
            f"config key 'album': the picture {str(path)!r} cannot be read ({error.strerror}); correct that,"
            f" or take it out of the folder."
        ) from None


def noted(record: Path) -> dict[str, Sequence[object]]:
    """The facts that are kept in a file: none where it is not there, or says something else."""
    with suppress(UserError, OSError):
        found = read_json(record)
        if isinstance(found, dict) and all(isinstance(facts, list) for facts in found.values()):
            return found
    return {}


def note(record: Path, facts: Facts, paths: Paths) -> None:
    """Keep facts for the next plan. One that is only looked at makes no folder for them."""
    if paths.root.is_dir():
        with suppress(OSError):
            write_json_if_changed(record, facts, lasting=False)
