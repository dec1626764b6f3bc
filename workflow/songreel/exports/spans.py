"""Which frames of a film are asked for: a line's, some lines', those between two times, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from songreel.ground.errors import UserError
from songreel.planning.plan import Plan


@dataclass(frozen=True)
class Asked:
    """What a command line says; None leaves it to the kind of export."""

    kind: str
    output: Path | None = None
    force: bool = False  # whether files are replaced
    lines: tuple[int, int] | None = None  # the first and the last, counted from 1
    between: tuple[float, float] | None = None  # seconds
    at: float | None = None  # seconds
    size: int | None = None  # pixels of the longer side


@dataclass(frozen=True)
class Span:
    """Frames of a film from `first` to before `end`, and what tells them from others in a file's name."""

    first: int
    end: int
    name: str = ""

    @property
    def frames(self) -> int:
        """How many they are."""
        return self.end - self.first


def of(asked: Asked, plan: Plan) -> Span:
    """The frames asked for. Raises UserError where the film has none there."""
    if asked.lines:
        first, last = asked.lines
        spans = of_lines(plan)
        _check_line(last, plan)
        name = f"-line-{first}" if first == last else f"-lines-{first}-{last}"
        return Span(spans[first - 1].first, spans[last - 1].end, name)
    if asked.between:
        first, end = (frame_at(seconds, "--between", plan) for seconds in asked.between)
        if first >= end:
            raise UserError(
                f"--between: found the frames {first} to {end}, expected the first time before the second one"
                f" by a frame or more; correct them."
            )
        return Span(first, end, f"-frames-{first:06}-{end:06}")
    return Span(0, length(plan))


def of_lines(plan: Plan) -> Sequence[Span]:
    """The frames of each line."""
    return [Span(shot.first_frame, shot.first_frame + shot.frames) for shot in plan.shots]


def middle_of(line: int, plan: Plan) -> int:
    """The frame in the middle of a line, counted from 1. Raises UserError where there is no such line."""
    _check_line(line, plan)
    span = of_lines(plan)[line - 1]
    return span.first + span.frames // 2


def frame_at(seconds: float, option: str, plan: Plan) -> int:
    """The frame of a time, rounded as a line's start is. Raises UserError for a time after the film's end."""
    frame = round(seconds * plan.timeline.frames_per_second)
    if frame > length(plan):
        raise UserError(
            f"{option}: found a time of {seconds:g} s, expected one in the film, which lasts"
            f" {float(plan.timeline.seconds):.3f} s; correct it."
        )
    return frame


def length(plan: Plan) -> int:
    """How many frames a film has."""
    return sum(clip.frames for clip in plan.timeline.clips)


def _check_line(line: int, plan: Plan) -> None:
    if line > len(plan.shots):
        raise UserError(
            f"--line: found {line}, expected a line among the film's {len(plan.shots)}, counted from 1;"
            f" `songreel export sheet` shows them with their numbers."
        )
