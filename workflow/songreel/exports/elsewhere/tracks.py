"""A camera's setting over a film's frames as what each line's cell says: a number, a formula or keys.

Numbers per frame become numbers per second, and frames seconds of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from songreel.exports.elsewhere.formulas import FormulaError, Values
from songreel.exports.elsewhere.schedules import Piece, Schedule
from songreel.exports.elsewhere.script import plain
from songreel.ground.errors import UserError
from songreel.planning import curves

STEPS = 0.002  # of a curve's height, by which its keys may be off
MOST_KEYS = 300  # in a cell


@dataclass(frozen=True)
class Track:
    """How a setting per frame is one per second."""

    name: str
    still: float  # the value that moves nothing
    least: float  # by which two values differ
    per_second: Callable[[Values], Values]
    written: Callable[[str], str]  # the same of a formula


def zoom(frames_per_second: float) -> Track:
    """A ratio per frame."""
    rate = plain(frames_per_second, 6)
    return Track("zoom", 1.0, 1e-4, lambda each: each**frames_per_second, lambda text: f"({text})**{rate}")


def scaled(name: str, factor: float, least: float) -> Track:
    """What adds up from frame to frame, `factor` times as much in a second."""
    digits = f"{factor:.10f}".rstrip("0").rstrip(".")
    return Track(name, 0.0, least, lambda each: each * factor, lambda text: f"{digits}*({text})")


def of_settings(frames_per_second: float, width: float, height: float) -> tuple[Track, ...]:
    """The tracks of pictures of so many pixels: zoom, angle and both translations."""
    return (
        zoom(frames_per_second),
        scaled("angle", frames_per_second, 0.01),
        scaled("translation_x", frames_per_second / width, 1e-4),
        scaled("translation_y", frames_per_second / height, 1e-4),
    )


def cell(
    track: Track,
    schedule: Schedule,
    first: int,
    end: int,
    frames_per_second: float,
    write: Callable[[Piece, int, int], str | None],
) -> str:
    """What a line of the frames from `first` to `end` says, "" where nothing moves.

    `write` puts a piece's formula into songreel's words, per frame, for a line of these frames. Raises
    FormulaError for a value out of a camera's reach.
    """
    values = _reachable(track, schedule.values[first:end])
    if np.ptp(values) <= track.least:
        return "" if abs(values[0] - track.still) <= track.least else _digits(values[0])
    pieces = [piece for piece in schedule.pieces if piece.first < end and piece.end > first]
    texts = [_formula(track, write(piece, first, end)) for piece in pieces]
    if len(pieces) == 1 and texts[0]:
        return texts[0]
    keys: dict[int, str] = {}
    for piece, text, following in zip(pieces, texts, [*texts[1:], "the end"], strict=True):
        begins, ends = max(piece.first, first) - first, min(piece.end, end) - first
        if text:
            keys |= dict.fromkeys((begins, ends - 1), text)
        else:
            # The way of numbers leads to the next piece's first value, unless that changes by itself
            reach = ends if following else ends + 1
            corners = (begins + at for at in kept(values[begins:reach], track.least))
            keys |= {at: _digits(values[at]) for at in corners}
    return ", ".join(f"{plain(at / frames_per_second, 4)}s:({text})" for at, text in sorted(keys.items()))


def _formula(track: Track, each: str | None) -> str | None:
    """A formula per second, where songreel's curves take it."""
    if each is None:
        return None
    try:
        return curves.parse(track.written(each), track.name).text
    except UserError:
        return None


def _reachable(track: Track, each: Values) -> Values:
    """The values per second. Raises FormulaError for a zoom that is none, and for what is too large."""
    if track.name == "zoom" and (each <= 0).any():
        raise FormulaError("a zoom of 0 or less")
    with np.errstate(all="ignore"):
        values = track.per_second(each)
    low, high = (1e-3, 1e3) if track.name == "zoom" else (-1e5, 1e5)
    if not ((values >= low) & (values <= high)).all():
        raise FormulaError(f"{each[np.argmax(np.abs(each))]:g} a frame, which is too fast")
    return values


def kept(values: Values, least: float) -> list[int]:
    """Which of evenly spaced values lead, by straight ways, near to all: the first and last among them."""
    near = max(least, STEPS * float(np.ptp(values)))
    found = [*_corners(values, near)]
    while len(found) > MOST_KEYS:
        near *= 2
        found = [*_corners(values, near)]
    return found


def _corners(values: Values, near: float) -> Iterator[int]:
    """Each the farthest that a straight way reaches which passes all before it at `near`."""
    at, last = 0, len(values) - 1
    yield 0
    while at < last:
        steepest, flattest, reached = np.inf, -np.inf, at + 1
        for ahead in range(at + 1, last + 1):
            rise, run = float(values[ahead] - values[at]), ahead - at
            if flattest <= rise / run <= steepest:
                reached = ahead
            steepest, flattest = min(steepest, (rise + near) / run), max(flattest, (rise - near) / run)
            if flattest > steepest:
                break
        at = reached
        yield at


def _digits(value: float) -> str:
    return plain(float(value), 6)


def cuts(starts: Sequence[int], frames: int) -> Iterator[tuple[int, int]]:
    """The first frame of each line, and the one after its last."""
    for at, first in enumerate(starts):
        yield first, starts[at + 1] if at + 1 < len(starts) else max(frames, first + 1)
