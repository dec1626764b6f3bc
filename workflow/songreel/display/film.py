"""What is to be shown of a film: its lines, and the work that each still needs when a run begins."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from songreel.costs import forecast, history
from songreel.costs.forecast import Row
from songreel.costs.history import Speeds
from songreel.ground.paths import Paths
from songreel.planning.plan import Plan, missing_latents


@dataclass(frozen=True)
class Line:
    """A line of a film, and the work that it needs; what several lines share is the first one's work."""

    text: str
    segment: str
    clip: str
    cached: bool  # whether its clip is there
    keyframes: int = 0  # that its segment will have, where some of them are to do
    kept: int = 0  # of them there
    iterations: int = 0  # to do
    frames: int = 0  # to draw
    per_iteration: float | None = None  # seconds, from earlier runs
    per_frame: float | None = None


@dataclass(frozen=True)
class Film:
    """A film, its files and its lines."""

    song: str
    title: str
    seconds: float
    screenplay: Path
    paths: Paths
    lines: tuple[Line, ...]
    jobs_per_gpu: int = 1

    @functools.cached_property
    def by_name(self) -> Mapping[str, Line]:
        """The first line of each segment and clip."""
        lines = [*reversed(self.lines)]
        return {line.segment: line for line in lines} | {line.clip: line for line in lines}

    @property
    def cached(self) -> int:
        """How many lines were there when the run began."""
        return sum(line.cached for line in self.lines)


def of(plan: Plan, paths: Paths, screenplay: Path, jobs_per_gpu: int) -> Film:
    """Compare a plan with what is on disk, before anything is rendered."""
    rows = forecast.make(plan, paths, 0.0).rows
    missing = missing_latents(plan, paths)
    speeds = history.here(paths)
    drawn: set[str] = set()
    lines = []
    for number, row in enumerate(rows):
        clip = plan.timeline.clips[number].clip
        lines.append(_line(plan, paths, speeds, number, row, missing, clip not in drawn))
        drawn.add(clip)
    timeline = plan.timeline
    seconds = float(timeline.seconds)
    return Film(plan.song, timeline.title, seconds, screenplay, paths, tuple(lines), jobs_per_gpu)


def _line(
    plan: Plan,
    paths: Paths,
    speeds: Speeds,
    number: int,
    row: Row,
    missing: Mapping[str, int],
    first: bool,
) -> Line:
    segment, clip = plan.timeline.lines[number].segment, plan.timeline.clips[number].clip
    recipe, drawing = plan.segments[segment], plan.clips[clip]
    cached = paths.clip(clip).exists()
    return Line(
        row.text,
        segment,
        clip,
        cached,
        keyframes=missing.get(segment, 0),
        kept=missing[segment] - row.keyframes if row.keyframes else 0,
        iterations=row.iterations,
        frames=drawing.shown.frames if first and not cached else 0,
        per_iteration=speeds.slowest(history.optimising(recipe)),
        per_frame=speeds.slowest(history.drawing(recipe, drawing)),
    )
