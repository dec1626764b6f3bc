"""How many keyframes a line needs."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from songreel.ground.documents import MOTION_MARGIN, ClipPlan, Shown
from songreel.planning.config import Config
from songreel.planning.timeline import Shot

# A segment's length is a multiple of so many keyframes, so that small retimings find it long enough
STEP = 5


def keyframes_for(frames: int, clip: ClipPlan) -> int:
    """Keyframes needed to draw a segment's first `frames` frames, rounded up to a multiple of STEP."""
    rate = clip.keyframe_rate / clip.frames_per_second
    margin = (MOTION_MARGIN if clip.interpolation == "motion" else 0) + clip.averaged
    need = ceil((frames - 1) * rate) + 1 + margin
    return in_steps(need)


def in_steps(keyframes: int) -> int:
    """So many keyframes, rounded up to a multiple of STEP."""
    return ceil(Fraction(keyframes, STEP)) * STEP


def of_shot(shot: Shot, config: Config) -> int:
    """Keyframes of a line, rendered past its end by the transition into the next."""
    transition = round(config.transition * config.frames_per_second)  # frames
    return keyframes_for(shot.frames + transition, ClipPlan.of(config, Shown("", shot.frames)))
