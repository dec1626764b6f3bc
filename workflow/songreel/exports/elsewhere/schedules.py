"""Deforum's schedules: `0: (1.02), 60: (1.0)`, keys in frames, each value a formula of the frame.

From a number the way to the next key is straight; a formula holds until there, as Deforum's own code has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from songreel.exports.elsewhere import formulas
from songreel.exports.elsewhere.formulas import Formula, FormulaError, Values
from songreel.planning import curves

MOST_KEYS = 100_000


@dataclass(frozen=True)
class Piece:
    """A stretch of frames in which one formula holds; None where its values lie between two numbers."""

    first: int
    end: int  # the frame after its last
    formula: Formula | None


@dataclass(frozen=True)
class Schedule:
    """The value of each frame, and the formulas behind them."""

    values: Values  # [frames]
    pieces: tuple[Piece, ...]


def parse(text: object, frames: int, known: Mapping[str, float]) -> Schedule | None:
    """The schedule that a setting says of so many frames; None where it says nothing.

    Raises FormulaError where it cannot be read, PythonError where it reaches for Python.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise FormulaError(f"{type(text).__name__} instead of a schedule")
    keys = dict(_keys(text, known))
    if not keys:
        return None
    if len(keys) > MOST_KEYS:
        raise FormulaError(f"{len(keys)} keys")
    return _scheduled(sorted(keys.items()), frames, known)


def frame_of(text: str, known: Mapping[str, float]) -> int:
    """The frame that a key names. Raises FormulaError, PythonError."""
    bare = text.strip().strip("\"'").strip()
    if re.fullmatch("[0-9]{1,9}", bare):
        return int(bare)
    value = float(formulas.parse(bare).values(np.zeros(1), known)[0])
    if not 0 <= value < 1e9:
        raise FormulaError(f"the frame {bare!r}")
    return int(value)


def _keys(text: str, known: Mapping[str, float]) -> Iterator[tuple[int, Formula]]:
    for entry in _split(text):
        if not entry.strip():
            continue
        frame, colon, value = entry.partition(":")
        if not colon:
            if ":" in text:
                raise FormulaError(f"{entry.strip()[:40]!r} without a frame")
            frame, value = "0", entry  # a value alone
        yield frame_of(frame, known), formulas.parse(value)


def _split(text: str) -> Iterator[str]:
    """What stands between commas outside of brackets. Raises FormulaError where one is not closed."""
    try:
        yield from curves.split(text)
    except ValueError as error:
        raise FormulaError(str(error)) from None


def _scheduled(keys: list[tuple[int, Formula]], frames: int, known: Mapping[str, float]) -> Schedule:
    every = np.arange(frames, dtype=float)
    values = np.full(frames, np.nan)
    pieces: list[Piece] = []
    ends = [frame for frame, _ in keys[1:]] + [frames]
    for (frame, formula), end in zip(keys, ends, strict=True):
        first, end = min(frame, frames), min(end, frames)
        if first < end:
            alone = formula.number is not None
            shown = slice(first, first + 1) if alone else slice(first, end)
            values[shown] = formula.values(every[shown], known)
            pieces.append(Piece(first, end, None if alone else formula))
    return Schedule(_filled(values, keys, frames, known), tuple(pieces))


def _filled(
    values: Values, keys: list[tuple[int, Formula]], frames: int, known: Mapping[str, float]
) -> Values:
    """The values with those between numbers, on a straight way; before and after all as the nearest."""
    set_at = np.flatnonzero(~np.isnan(values))
    heights = values[set_at]
    beyond = [(frame, formula) for frame, formula in keys if frame >= frames]
    if beyond:  # the way to it has begun
        frame, formula = beyond[0]
        set_at = np.append(set_at, frame)
        heights = np.append(heights, formula.values(np.array([float(frame)]), known))
    filled: Values = np.interp(np.arange(frames), set_at, heights)
    return filled
