"""A song drawn from left to right: how loud it is, its beats, its lines, and numbers that change with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from songreel.drawing.grid import Frame

SOUND, ROW = 44, 18  # pixels high, even: what is heard, and each of the numbers below it
WIDEST = 200_000  # pixels of a whole song
PAPER, LOUD, LOW, BEAT, CUT, CURVE = (
    (20, 20, 22),
    (112, 116, 124),
    (214, 158, 84),
    (70, 72, 78),
    (235, 235, 235),
    (120, 200, 220),
)
HEAD = (255, 90, 80)  # the place that is heard now


@dataclass(frozen=True)
class Row:
    """A number that changes, and between which values it is drawn."""

    name: str
    values: NDArray[np.float64]  # one for each step of the chart's rate
    least: float
    most: float


def scale(seconds: float, wanted: float) -> float:
    """Pixels a second: so many as are wanted, or as a long song has room for."""
    return min(wanted, WIDEST / max(seconds, 1.0))


def drawn(
    seconds: float,
    per_second: float,
    heard: Mapping[str, NDArray[np.float32]],
    heard_rate: float,
    beats: Sequence[float],
    cuts: Sequence[float],
    rows: Sequence[Row],
) -> Frame:
    """The whole chart, uint8 [height, width, 3], of so many pixels a second.

    `heard` has the curves `amp` and `low`, 0..1, of so many values a second, where anything is heard; times
    are in seconds.
    """
    width = max(1, round(seconds * per_second))
    chart = np.empty((SOUND + ROW * len(rows), width, 3), np.uint8)
    chart[:] = PAPER
    for time in beats:
        chart[:SOUND, min(width - 1, round(time * per_second))] = BEAT
    at = ((np.arange(width) + 0.5) / per_second * heard_rate).astype(int)
    away = np.abs(np.arange(SOUND) - SOUND / 2 + 0.5)[:, None]  # pixels from the middle
    for name, colour in (("amp", LOUD), ("low", LOW)):
        if name in heard and len(heard[name]):
            values = heard[name][np.minimum(at, len(heard[name]) - 1)]
            share = 1.0 if name == "amp" else 0.5
            chart[:SOUND][away < values * share * SOUND / 2] = colour
    for number, row in enumerate(rows):
        _plot(chart[SOUND + ROW * number : SOUND + ROW * (number + 1)], row, seconds)
    for time in cuts:
        chart[:, min(width - 1, round(time * per_second))] = CUT
    return chart


def _plot(area: Frame, row: Row, seconds: float) -> None:
    height, width = area.shape[:2]
    at = np.minimum(np.arange(width) * len(row.values) // width, len(row.values) - 1)
    share = (row.values[at] - row.least) / max(row.most - row.least, 1e-9)
    levels = np.rint((height - 3) * (1 - share) + 1).astype(int)
    # From a value to the next there is no gap.
    following = np.append(levels[1:], levels[-1])
    y = np.arange(height)[:, None]
    area[(y >= np.minimum(levels, following)) & (y <= np.maximum(levels, following))] = CURVE


def window(chart: Frame, middle: float, width: int) -> Frame:
    """So many pixels of a chart around one of them, which is marked; what lies outside is empty."""
    first = round(middle) - width // 2
    part = np.empty((chart.shape[0], width, 3), np.uint8)
    part[:] = PAPER
    begin, end = max(0, first), min(chart.shape[1], first + width)
    if begin < end:
        part[:, begin - first : end - first] = chart[:, begin:end]
    part[:, width // 2] = HEAD
    return part
