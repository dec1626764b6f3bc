"""Loops, as GIF or WebP, that play a part of a film there and back: each frame is followed by a neighbour.

A fade from the end to the beginning would show two pictures at once, and cost its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from songreel.exports import footage
from songreel.exports.footage import Footage, Size
from songreel.exports.spans import Span
from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.planning.plan import Plan

# Frames a second. Of a GIF, browsers slow down what is faster than 50, and a faster one is a larger file.
FASTEST = {"gif": 25, "webp": 30}
LONGEST_SIDE = {"gif": 480, "webp": 640}  # pixels, unless told otherwise
ENCODED: Mapping[str, Mapping[str, Any]] = {
    "gif": {"format": "gif", "c:v": "gif"},
    "webp": {"format": "webp", "c:v": "libwebp_anim", "quality": 80, "compression_level": 4},
}
# A pattern that stays where it is, so that what does not move is not written again.
DITHERED = {"dither": "bayer", "bayer_scale": 5, "diff_mode": "rectangle"}
MOST_PIXELS = 200_000_000  # of all frames, which ffmpeg holds to play them backwards: 600 MB


def without_blend(span: Span, line: int, plan: Plan) -> Span:
    """A line's frames without those in which the line before, still there, turns into it.

    Unless that would leave less than half of them.
    """
    blended = plan.clips[plan.timeline.clips[line - 1].clip].blend_frames
    return replace(span, first=span.first + blended) if 2 * blended <= span.frames else span


def write(film: Footage, span: Span, size: Size, kind: str, target: Path) -> None:
    """Write a loop. Raises UserError where it is too much of one."""
    step = every(FASTEST[kind], film.rate)
    frames = -(-span.frames // step)
    _check_size(frames, span, size, film, target)
    with replacing(target) as temporary, footage.scratch() as folder:
        stream = _there_and_back(film, span, size, step, frames)
        if kind == "gif":
            palette = _palette(_shown(film, span, size, step), folder, target, film)
            stream = ffmpeg.filter([stream, ffmpeg.input(f"file:{palette}")], "paletteuse", **DITHERED)
        options = {**ENCODED[kind], **(_last_delay(film.rate / step) if kind == "gif" else {})}
        output = stream.output(f"file:{temporary}", fps_mode="passthrough", loop=0, **options)
        footage.make(output, temporary, target, film.program)


def every(most: int, rate: Fraction) -> int:
    """One frame of how many is shown, for at most so many a second."""
    return max(1, -(-rate.numerator // (rate.denominator * most)))


def _check_size(frames: int, span: Span, size: Size, film: Footage, target: Path) -> None:
    pixels, seconds = frames * size[0] * size[1], float(span.frames / film.rate)
    if pixels > MOST_PIXELS:
        raise UserError(
            f"{target}: found {seconds:.1f} s of {size[0]}x{size[1]}, expected a loop of"
            f" {seconds * MOST_PIXELS / pixels:.1f} s at most at that size; choose a line with --line or a"
            f" part with --between, or make it smaller with --size."
        )


def _there_and_back(film: Footage, span: Span, size: Size, step: int, frames: int) -> Any:
    """The frames forwards and then, without the last and the first, backwards."""
    stream = _shown(film, span, size, step)
    if frames > 2:
        both = stream.filter_multi_output("split")
        back = both[1].filter("trim", start_frame=1, end_frame=frames - 1).filter("reverse")
        stream = ffmpeg.concat(both[0], back.filter("setpts", "PTS-STARTPTS"), v=1, a=0)
    rate = film.rate / step
    return stream.filter("settb", expr=str(1 / rate)).filter("setpts", "N")


def _shown(film: Footage, span: Span, size: Size, step: int) -> Any:
    stream = film.stream(span.first, span.end).filter("select", f"not(mod(n,{step}))")
    return footage.scaled(stream, film.size, size)


def _last_delay(rate: Fraction) -> dict[str, int]:
    """How long a GIF's last frame is shown, in hundredths of a second: ffmpeg itself makes it one."""
    return {"final_delay": round(100 / rate)}


def _palette(shown: Any, folder: Path, target: Path, film: Footage) -> Path:
    """The 256 colours that a GIF has at most, found in all its frames."""
    palette = folder / "palette.png"
    output = shown.filter("palettegen").output(f"file:{palette}", **{"frames:v": 1, "update": 1})
    footage.make(output, palette, target, film.program)
    return palette
