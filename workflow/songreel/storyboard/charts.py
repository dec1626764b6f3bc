"""Curves of numbers as the paths of SVG drawings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

WAVE_HEIGHT = 100  # units from the lowest to the highest sound
SPARK_WIDTH, SPARK_HEIGHT = 100, 24  # units
MOST_POINTS = 60  # of a sparkline, which is about as many pixels wide


def waveform(pairs: Sequence[tuple[float, float]]) -> str:
    """The outline of a song's (lowest, highest) in -1 to 1, a unit wide each; "" for no song.

    It is as high as its loudest part, since a quiet song is to be seen, too.
    """
    if not pairs:
        return ""
    loudest = max(max(-low, high) for low, high in pairs) or 1.0
    middle = WAVE_HEIGHT / 2
    upper = [_rounded(middle - high / loudest * middle) for _, high in pairs]
    lower = [_rounded(middle - low / loudest * middle) for low, _ in pairs]
    there = "".join(f"V{y}h1" for y in upper)
    back = "".join(f"V{y}h-1" for y in reversed(lower))
    return f"M0 {_rounded(middle)}{there}{back}Z"


def sparkline(values: Sequence[float]) -> str:
    """A curve from its first value to its last, its lowest at the bottom; "" for fewer than two values."""
    if len(values) < 2:
        return ""
    points = _thinned(values)
    low, high = min(points), max(points)
    across, up = SPARK_WIDTH / (len(points) - 1), (SPARK_HEIGHT - 2) / ((high - low) or 1.0)
    placed = (
        f"{_rounded(place * across)} {_rounded(SPARK_HEIGHT - 1 - (value - low) * up)}"
        for place, value in enumerate(points)
    )
    return "M" + "L".join(placed)


def _rounded(value: float) -> str:
    return f"{round(value, 1):g}"


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """At most `MOST_POINTS` means of equally long parts."""
    if len(values) <= MOST_POINTS:
        return values
    edges = [place * len(values) // MOST_POINTS for place in range(MOST_POINTS + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
