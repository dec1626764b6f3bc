"""Pictures that a screenplay names: prompts, starts and masks, each known by what it shows.

A plan reads them, and keeps them as PNG with the other pictures that lines start from: so a job on another
machine finds them, and to edit a picture is to edit its lines. What a file shows is noted until the file is
written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from songreel.ground import pictures
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.ground.pictures import Pixels
from songreel.planning import album
from songreel.planning.rows import Place, shown

SIDE = 448  # pixels of an image prompt's shorter side: no perceptor sees more
MOST_KNOWN = 16  # pictures in memory while a plan is made
REMEDY = "replace it, or take it out of the screenplay"

Size = tuple[int, int]


@dataclass(frozen=True)
class Hung:
    """Where a picture came from, and to which width and height it was cut; None: not at all."""

    path: Path
    size: Size | None

    def pixels(self) -> Pixels:
        """What it shows. Raises UserError when it cannot be read."""
        found = self.path.stat()
        return _pixels(self.path, self.size, found.st_mtime_ns, found.st_size)

    @property
    def place(self) -> str:
        """The id of where it came from, that its facts are noted under."""
        return album.place(self.path)

    def digest(self, paths: Paths) -> str:
        """The sha256 of what it shows: the noted one, unless the file has changed since.

        Raises UserError when it cannot be read.
        """
        found, record, shape = self.path.stat(), paths.album_facts(self.place), repr(self.size)
        stamp = [found.st_size, found.st_mtime_ns]
        noted = {
            name: str(facts[2])
            for name, facts in album.noted(record).items()
            if len(facts) == 3 and list(facts[:2]) == stamp
        }
        if shape not in noted:
            noted[shape] = pictures.digest(self.pixels())
            album.note(record, {name: [*stamp, digest] for name, digest in noted.items()}, paths)
        return noted[shape]


class Gallery:
    """The pictures of one screenplay, whose paths are seen from its folder."""

    def __init__(self, screenplay: Path, size: Size, paths: Paths) -> None:
        self.screenplay, self.size, self.paths = screenplay, size, paths
        self.hung: dict[str, Hung] = {}
        self._known: dict[Hung, str] = {}

    def prompt(self, path: str, row: int) -> str:
        """The sha256 of an image prompt, of which all is seen. Raises UserError when it cannot be read."""
        return self._hang(path, None, row)

    def fitted(self, path: str, row: int) -> str:
        """The sha256 of a picture of the film's size. Raises UserError when it cannot be read."""
        return self._hang(path, self.size, row)

    def _hang(self, name: str, size: Size | None, row: int) -> str:
        place = Place(self.screenplay, row)
        try:
            path = self.screenplay.parent / Path(name).expanduser()
            hung = Hung(path, size)
            if hung not in self._known:
                self._known[hung] = hung.digest(self.paths)
        except UserError as error:
            raise UserError(f"{place.named}: {error}") from None
        except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL; RuntimeError: no such home
            reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
            expected = f"a picture at {shown(name)}, seen from the screenplay's folder"
            raise place.error(reason, expected, "correct its path, or put it there") from None
        self.hung[self._known[hung]] = hung
        return self._known[hung]


@lru_cache(maxsize=MOST_KNOWN)
def _pixels(path: Path, size: Size | None, changed: int, length: int) -> Pixels:
    return pictures.fitted(path, size, REMEDY) if size else pictures.shrunk(path, SIDE, REMEDY)


def keep(hung: Mapping[str, Hung], paths: Paths) -> None:
    """Have the pictures there that lines are rendered with.

    Raises UserError when one cannot be read, or has changed since the plan was made.
    """
    for name, picture in hung.items():
        if paths.start(name).is_file():
            continue
        pixels = picture.pixels()
        if pictures.digest(pixels) != name:
            # Or another Pillow decodes it otherwise than the one by which its facts were noted.
            paths.album_facts(picture.place).unlink(missing_ok=True)
            raise UserError(
                f"{picture.path}: found that the picture has changed while the plan was made; run the same"
                f" command again."
            )
        pictures.keep(pixels, paths.start(name))
