"""Which fonts draw the words on the picture: the one asked for, and the machine's for what it lacks."""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import regex

from songreel import data
from songreel.drawing.fonts import Font
from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.ground.lettering import Face
from songreel.planning.config_file import shown

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
WEIGHT = "demibold"  # as the font that comes along
# Where fonts lie when no fontconfig tells.
FOLDERS = (
    "~/.local/share/fonts",
    "~/.fonts",
    "~/Library/Fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
)
KEPT = 16  # files in memory


@dataclass(frozen=True)
class Typeface:
    """A face of a font file, read."""

    path: Path
    face: Face
    font: Font


@dataclass(frozen=True)
class _Found:
    """A face that this machine has, by what its fontconfig tells."""

    path: Path
    number: int
    families: tuple[str, ...]
    letters: tuple[range, ...]

    def may_draw(self, cluster: str) -> bool:
        """Whether it has the letter itself; whether it has its marks, the file tells."""
        return any(ord(cluster[0]) in some for some in self.letters)


def asked_for(setting: str) -> Typeface:
    """The font that `lyrics_font` names, by path or family; empty is the one that comes along.

    Raises UserError when there is none, or it cannot be drawn.
    """
    path = Path(setting) if setting else data.FONT
    if not setting or path.is_file():
        return _read_or_refuse(path, 0)
    if path.suffix.lower() in SUFFIXES or os.sep in setting:
        raise _unusable(setting, "no such file")
    wanted = setting.casefold()
    # The best of a family last, which stays.
    families = {family: found for found in reversed(_machines("")) for family in found.families}
    for family, best in families.items():
        if family.casefold() == wanted:
            return _read_or_refuse(*_plainest(family, best))
    near = difflib.get_close_matches(setting, families, n=1, cutoff=0.5)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise _unusable(setting, f"no family of that name among this machine's fonts{hint}")


@functools.cache
def standing_in(cluster: str, language: str) -> Typeface | None:
    """The machine's first font with a letter, as its settings rank them for a language ("" is any)."""
    for candidate in _machines(language):
        if candidate.may_draw(cluster):
            typeface = _read(candidate.path, candidate.number)
            if typeface and typeface.font.draws(cluster):
                return typeface
    return None


def language(texts: Sequence[str]) -> str:
    """Whose forms of Chinese characters are meant, Japanese or Korean, or "" for what is usual here."""
    together = "".join(texts)
    if regex.search(r"[\p{Hiragana}\p{Katakana}]", together):
        return "ja"
    return "ko" if regex.search(r"\p{Hangul}", together) else ""


def _plainest(family: str, best: _Found) -> tuple[Path, int]:
    """The face of a family that is nearest to what comes along in weight, upright, where fontconfig knows."""
    pattern = f"{family.translate(_ESCAPES)}:weight={WEIGHT}:slant=roman:variable=false"
    same = (match for match in _fontconfig("fc-match", pattern) if family in match.families)
    match = next(same, best)
    return match.path, match.number


_ESCAPES = str.maketrans({letter: f"\\{letter}" for letter in "\\-:,="})


@functools.cache
def _machines(language: str) -> tuple[_Found, ...]:
    """This machine's fonts, the best first: none of coloured pictures, those with axes last."""
    pattern = f"sans-serif:weight={WEIGHT}" + (f":lang={language}" if language else "")
    if not shutil.which("fc-match"):
        return tuple(_scanned())
    return tuple(_fontconfig("fc-match", "-s", "-a", f"{pattern}:variable=false"))


def _fontconfig(program: str, *arguments: str) -> list[_Found]:
    """The faces that fontconfig finds, in its order; none where there is no fontconfig."""
    form = "%{file}\\t%{index}\\t%{scalable}\\t%{color}\\t%{variable}\\t%{family}\\t%{charset}\\n"
    try:
        done = subprocess.run(
            [program, "--format", form, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    rows = (row.split("\t") for row in done.stdout.decode("utf-8", "replace").splitlines())
    drawable = [row for row in rows if len(row) == 7 and row[2] == "True" and row[3] != "True"]
    drawable.sort(key=lambda row: row[4] == "True")  # stays in order otherwise
    return [
        _Found(Path(row[0]), int(row[1]) & 0xFFFF, tuple(row[5].split(",")), _ranges(row[6]))
        for row in drawable
        if Path(row[0]).suffix.lower() in SUFFIXES
    ]


def _ranges(charset: str) -> tuple[range, ...]:
    """Fontconfig's `20-7e a0`."""
    pairs = (part.partition("-") for part in charset.split())
    return tuple(range(int(first, 16), int(last or first, 16) + 1) for first, _, last in pairs)


def _scanned() -> Iterator[_Found]:
    """The fonts in the folders where they usually lie, by name."""
    for folder in FOLDERS:
        for path in sorted(Path(folder).expanduser().rglob("*")):
            if path.suffix.lower() in SUFFIXES and (typeface := _read(path, 0)):
                yield _Found(path, 0, typeface.font.families, typeface.font.letters)


@functools.lru_cache(KEPT)
def _read(path: Path, number: int) -> Typeface | None:
    """A face, None when it cannot be read or drawn."""
    try:
        return _loaded(path, number)
    except (OSError, ValueError):
        return None


def _read_or_refuse(path: Path, number: int) -> Typeface:
    try:
        return _loaded(path, number)
    except (OSError, ValueError) as error:
        raise _unusable(str(path), f"one that cannot be drawn ({error})") from None


def _loaded(path: Path, number: int) -> Typeface:
    content = files.read_bytes(path)
    return Typeface(path, Face(hashlib.sha256(content).hexdigest(), number), Font(content, number))


def _unusable(setting: str, found: str) -> UserError:
    return UserError(
        f"config key 'lyrics_font': found {shown(setting)}, {found}, expected the path of a TrueType or"
        f" OpenType font or the name of a family that this machine has; correct it, or leave it empty for"
        f" Noto Sans, which comes along."
    )
