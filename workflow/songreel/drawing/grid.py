"""An endless grid that shows how a camera moves where there is no picture yet."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Frame = NDArray[np.uint8]  # [height, width, 3]
Map = NDArray[np.float64]  # [3, 3], of points in pixels from a picture's middle

CLOSEST = 36  # pixels between lines; those that come closer fade, so that any zoom shows some
LEVELS = (1, 2, 4)  # how far apart, by the closest
FINER = 2  # as large is drawn what is then made smaller, for smooth lines
GROUND, STROKE = 0.16, 0.62  # brightness
SATURATION = 0.45
TURN = 0.381966  # of the circle of hues, from one line's colour to the next: no two are alike for long


def drawn(size: tuple[int, int], moved: Map, line: int) -> Frame:
    """The grid of a line, counted from 0, whose points went where a map takes them: [height, width, 3]."""
    width, height = (FINER * side for side in size)
    strokes = Image.new("L", (width, height), round(255 * GROUND))
    pen = ImageDraw.Draw(strokes)
    for (start, end), strength in _lines(size, moved):
        ends = [
            FINER * (value + side / 2)
            for point in (start, end)
            for value, side in zip(point, size, strict=True)
        ]
        pen.line(ends, fill=round(255 * (GROUND + (STROKE - GROUND) * strength)), width=FINER)
    smooth = strokes.reduce(FINER)
    smooth.putpalette(_colours(line))
    return np.array(smooth.convert("RGB"))


def _lines(size: tuple[int, int], moved: Map) -> Iterator[tuple[NDArray[np.float64], float]]:
    """The ends [2, 2] of each line that may be seen, in pixels from the middle, and how strong it is.

    The faintest first. A level fades as it comes to be the closest, so that lines come and go without a jump.
    """
    back = np.linalg.inv(moved)
    pixel = float(np.sqrt(abs(np.linalg.det(back[:2, :2]))))  # of the grid's own length, in a pixel
    octave = np.log2(CLOSEST * pixel)
    closest, share = 2.0 ** np.ceil(octave), float(np.ceil(octave) - octave)
    corners = np.array([[x, y, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]) * [*size, 1]
    seen = (back @ corners.T)[:2]  # of the grid
    least, most = seen.min(1), seen.max(1)
    for level, factor in enumerate(LEVELS):
        spacing, strength = closest * factor, (level + share) / (len(LEVELS) - 1 + share)
        for axis in (0, 1):
            at = spacing * np.arange(np.ceil(least[axis] / spacing), np.floor(most[axis] / spacing) + 1)
            ends = np.ones((len(at), 2, 3))
            ends[:, :, axis] = at[:, None]
            ends[:, :, 1 - axis] = least[1 - axis], most[1 - axis]
            for both in ends @ moved[:2].T:
                yield both, strength


def _colours(line: int) -> bytes:
    """The colour of each of 256 brightnesses, of a line's hue."""
    hue = np.array(colorsys.hsv_to_rgb(line * TURN % 1, SATURATION, 1))
    return bytes((np.arange(256)[:, None] * hue).astype(np.uint8))


def taken(zoom: float, angle: float, x: float, y: float, shear: float, size: tuple[int, int]) -> Map:
    """Where a small move takes points: of a ratio, degrees, and parts of a picture's width and height.

    As `kernels.moving.matrices` has it, which needs torch: the exponential of its velocities, summed up.
    """
    growth, turn = np.log(zoom), np.radians(angle)
    width, height = size
    velocity = np.array([[growth, turn + shear, x * width], [-turn, growth, y * height], [0, 0, 0]])
    total = term = np.eye(3)
    for power in range(1, 16):
        term = term @ velocity / power
        total = total + term
    return total
