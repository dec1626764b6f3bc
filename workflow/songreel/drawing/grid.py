"""An endless grid that shows how a camera moves where there is no picture yet."""

from __future__ import annotations

import colorsys
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]  # [height, width, 3]
Map = NDArray[np.float64]  # [3, 3], of points in pixels from a picture's middle

CLOSEST = 18  # pixels between lines; those that come closer fade, so that any zoom shows some
LINE = 0.8  # pixels, half as wide as a line is
LEVELS = (1, 2, 4)  # how far apart, by the closest
GROUND, STROKE = 0.16, 0.62  # brightness
SATURATION = 0.45
TURN = 0.381966  # of the circle of hues, from one line's colour to the next: no two are alike for long


class Grid:
    """Grids of one size in the colours of lines."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height

    @cached_property
    def _points(self) -> NDArray[np.float32]:
        """Each pixel from the picture's middle, [3, height * width], the third 1."""
        width, height = self.size
        y, x = np.mgrid[:height, :width].astype(np.float32)
        points = np.stack([x - (width - 1) / 2, y - (height - 1) / 2, np.ones_like(x)])
        return points.reshape(3, -1)

    def drawn(self, moved: Map, line: int) -> Frame:
        """The grid of a line, counted from 0, whose points went where a map takes them."""
        width, height = self.size
        back = np.linalg.inv(moved)
        u, v = (back[:2] @ self._points).astype(np.float32)
        pixel = float(np.sqrt(abs(np.linalg.det(back[:2, :2]))))  # of the grid's own length, in a pixel
        octave = np.log2(CLOSEST * pixel)
        closest, share = 2.0 ** np.ceil(octave), float(np.ceil(octave) - octave)
        strokes = np.zeros(width * height, np.float32)
        # A level fades as it comes to be the closest, so that lines come and go without a jump.
        for level, factor in enumerate(LEVELS):
            strength = (level + share) / (len(LEVELS) - 1 + share)
            for along in (u, v):
                spacing = closest * factor
                off = np.abs(along / spacing - np.rint(along / spacing)) * (spacing / pixel)  # pixels
                np.maximum(strokes, np.clip(LINE + 0.5 - off, 0, 1) * strength, out=strokes)
        colour = np.array(colorsys.hsv_to_rgb(line * TURN % 1, SATURATION, 1), np.float32)
        light = (GROUND + (STROKE - GROUND) * strokes)[:, None] * colour
        frame: Frame = (255 * light).astype(np.uint8).reshape(height, width, 3)
        return frame


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
