"""A contact sheet: a frame from the middle of each line, with the line's number, times and words beneath."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log
from typing import Any

import ffmpeg
import numpy as np

from songreel.drawing import captions, onpicture
from songreel.drawing.captions import Caption
from songreel.exports import footage, spans
from songreel.exports.footage import Footage, Frame, Size
from songreel.ground import files
from songreel.ground.documents import TimelineLine
from songreel.ground.errors import UserError
from songreel.ground.lettering import ON_PICTURE, Face
from songreel.planning import lettering, typefaces
from songreel.planning.config import Config
from songreel.planning.plan import Plan

WIDEST = 1920  # pixels of a sheet, where its pictures
# have a longer side of so many pixels; for more lines a sheet is larger.
SMALLEST, LARGEST = 240, 640
LONGEST = 8000  # pixels of the longer side of a sheet, whatever is on it
TINIEST = 16  # pixels of a picture's longer side
SHAPE = 1.5  # width by height that a sheet comes near to
EMPTY = 1.5  # how much empty places count against that
WORDS = 0.07  # of a picture's shorter side
FEWEST = 12  # pixels of an em
GAP = 0.05  # of a picture's shorter side
STRIP = 4.5  # ems beneath a picture, about, by which columns are chosen
PAPER = "0x161616"


@dataclass(frozen=True)
class Grid:
    """How pictures stand on a sheet."""

    columns: int
    rows: int
    picture: Size
    em: float  # pixels
    gap: int  # pixels

    def size(self, strip: int) -> Size:
        """The sheet's, with strips of so many pixels beneath the pictures."""
        width, height = self.picture
        return (
            self.columns * (width + self.gap) + self.gap,
            self.rows * (height + strip + self.gap) + self.gap,
        )


def draw(film: Footage, plan: Plan, config: Config, size: int | None, report: Callable[[str], None]) -> Frame:
    """The sheet of a film, whose longer side has at most `size` pixels.

    Raises UserError where it cannot be drawn, with what to do.
    """
    faces, carried = _fonts(plan, config, report)
    grid, script, strip = _fitting(plan, film.size, faces, carried, size)
    middles = [span.first + span.frames // 2 for span in spans.of_lines(plan)]
    with footage.scratch() as folder, onpicture.handed_on(script) as handle:
        raw = folder / "sheet.rgb"
        output = _tiled(grid, strip, handle).output(f"file:{raw}", format="rawvideo", **{"frames:v": 1})
        batches = (frame[np.newaxis] for frame in film.stills(middles, grid.picture))
        footage.make(output, raw, film.film, film.program, batches=batches, handle=handle)
        return footage.read_raw(raw, grid.size(strip), film.film)


def _tiled(grid: Grid, strip: int, handle: int | None) -> Any:
    """Pictures that are piped in, with a strip for words beneath each, side by side."""
    width, height = grid.picture
    stream = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=1)
    stream = stream.filter("pad", width, height + strip, 0, 0, PAPER)
    stream = onpicture.drawn(stream, handle, Fraction(1)).filter("format", "rgb24")
    layout = f"{grid.columns}x{grid.rows}"
    return stream.filter("tile", layout, padding=grid.gap, margin=grid.gap, color=PAPER)


# How large


def _fitting(
    plan: Plan, picture: Size, faces: tuple[Face, ...], carried: Mapping[str, bytes], size: int | None
) -> tuple[Grid, bytes, int]:
    """The largest grid that fits, the script of its words and how many pixels they take beneath a picture."""
    texts = [_caption(number, line) for number, line in enumerate(plan.timeline.lines, 1)]
    columns = columns_of(len(texts), picture)
    side = size / columns if size else min(max(WIDEST / columns, SMALLEST), LARGEST)
    most = size or LONGEST
    while side >= TINIEST:
        grid = _grid(columns, len(texts), footage.fitted(picture, int(side), larger=True))
        script, strip = captions.script(texts, faces, grid.picture, grid.em, carried)
        if max(grid.size(strip)) <= most:
            return grid, script, strip
        side = min(side - 1, side * most / max(grid.size(strip)))
    raise UserError(
        f"--size: found {most} pixels, expected more for a sheet of {len(texts)} lines; say more, or nothing."
    )


def columns_of(count: int, picture: Size) -> int:
    """In how many columns so many pictures come near to SHAPE, with few places empty."""
    return min(range(1, count + 1), key=lambda columns: _oddness(columns, count, picture))


def _oddness(columns: int, count: int, picture: Size) -> float:
    rows = ceil(count / columns)
    width, height = (side / min(picture) for side in picture)
    shape = columns * width / (rows * (height + STRIP * WORDS))
    return abs(log(shape / SHAPE)) + EMPTY * (columns * rows - count) / (columns * rows)


def _grid(columns: int, count: int, picture: Size) -> Grid:
    shorter = min(picture)
    return Grid(columns, ceil(count / columns), picture, max(FEWEST, WORDS * shorter), ceil(GAP * shorter))


# What is written


def _caption(number: int, line: TimelineLine) -> Caption:
    times = "\u2013".join(minutes_and_seconds(seconds) for seconds in (line.start_seconds, line.end_seconds))
    return Caption(f"{number}  \u00b7  {times}", line.text)


def minutes_and_seconds(seconds: float) -> str:
    """A time in the film, to the second before it."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _fonts(
    plan: Plan, config: Config, report: Callable[[str], None]
) -> tuple[tuple[Face, ...], Mapping[str, bytes]]:
    """The fonts that words on the picture have, and the one that comes along for the times; and their files.

    Of letters that they lack the plan has told already where its words are on the picture.
    """
    drawn = lettering.made(plan.shots, config, (lambda _: None) if config.lyrics in ON_PICTURE else report)
    plain = typefaces.asked_for("")
    faces = dict.fromkeys(face for one in drawn.of_clips for face in one.faces) | {plain.face: None}
    places = {**drawn.fonts, plain.face.sha256: plain.path}
    return tuple(faces), {digest: files.read_bytes(path) for digest, path in places.items()}
