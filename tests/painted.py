"""A film of painted frames, each of which shows its own number: planned and joined, but never sampled."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from songreel.drawing import film
from songreel.ground.paths import Paths
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from tests.conftest import TINY
from tests.films import FFMPEG

Frames = NDArray[np.uint8]  # [n, height, width, 3]

BITS = 8  # of a frame's number, as columns that are dark or light


@dataclass(frozen=True)
class Painted:
    """A film in the current folder, whose config.yaml is its own."""

    plan: Plan
    paths: Paths

    @property
    def film(self) -> Path:
        return self.paths.film(self.plan.song)


def paint(rows: Sequence[tuple[Any, ...]], **keys: Any) -> Painted:
    """Write a screenplay and config.yaml into the current folder, and join a film of them."""
    with Path("song.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    settings = {**TINY, "size": "64x32", "screenplay": "song.csv", **keys}
    Path("config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    paths = Paths(Path("results"))
    made = plan.make(resolve(settings), paths)
    join(made, paths)
    return Painted(made, paths)


def join(made: Plan, paths: Paths) -> None:
    """Paint the clips of a plan and join them."""
    size = next(iter(made.segments.values())).size
    first, clips = 0, []
    for entry in made.timeline.clips:
        target = paths.clip(entry.clip)
        numbers = range(first, first + entry.frames)
        if not target.exists():  # a clip that comes twice shows the numbers of the first
            film.encode([numbered(numbers, size)], made.clips[entry.clip], size, target, FFMPEG)
        clips.append(target)
        first += entry.frames
    film.join(made.timeline, clips, paths.film(made.song), FFMPEG)


def numbered(numbers: Sequence[int], size: tuple[int, int]) -> Frames:
    """Frames that show these numbers, over a colour that turns with them."""
    width, height = size
    frames = np.empty((len(numbers), height, width, 3), np.uint8)
    for frame, number in zip(frames, numbers, strict=True):
        bits = [number >> bit & 1 for bit in range(BITS)]
        columns = np.repeat(bits, -(-width // BITS))[:width]
        frame[:] = np.where(columns, 200, 50)[None, :, None]
        frame[: height // 4] = (number % 200, 120, 200 - number % 200)
    return frames


def read(frame: NDArray[Any]) -> int:
    """The number that a frame shows, uint8 [height, width, 3]."""
    height, width = frame.shape[:2]
    lit = [frame[height // 2 :, int((bit + 0.5) * width / BITS)].mean() > 125 for bit in range(BITS)]
    return sum(1 << bit for bit, on in enumerate(lit) if on)
