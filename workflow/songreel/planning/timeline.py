"""Seconds to frames: where each line stands on the film's clock.

All frames come from absolute song time, rounded once, so nothing accumulates: the last frame of an hour is
as exact as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from songreel.ground.messages import shorten
from songreel.planning.screenplay import Line

MOST_NAMED = 100  # lines of which one note gives row and words


@dataclass(frozen=True)
class Shot:
    """A line as the film shows it: from the frame its first word is sung to the next line's first frame."""

    line: Line
    end_seconds: float
    first_frame: int
    frames: int


def moved(lines: Sequence[Line], offset: float) -> tuple[Sequence[Line], Sequence[Line]]:
    """The lines so many seconds later, and first those of them that are over before the film begins."""
    after = [line.later(offset) for line in lines]
    over = sum(following.start_seconds <= 0 for following in after[1:])
    return after[:over], after[over:]


def end_seconds(lines: Sequence[Line], tail: float, audio_seconds: float | None) -> float:
    """When the film ends: with the audio, or `tail` seconds after the last line's start.

    The tail also holds when the audio ends before the last line starts. A tail of 0 makes the last line an
    end marker: the film ends at its start, whatever the audio does.
    """
    last = lines[-1].start_seconds
    if tail > 0 and audio_seconds is not None and audio_seconds > last:
        return audio_seconds
    return last + tail


def shots(lines: Sequence[Line], frames_per_second: int | Fraction, end: float) -> tuple[Shot, ...]:
    """The lines' shots, back to back from frame 0 to the film's end, without lines too short for a frame.

    A film begins at time 0: when the first line starts later, its picture is there from 0, and when an offset
    put its start before 0, it is sung from 0.
    """
    ends = [line.start_seconds for line in lines[1:]] + [end]
    first_frames = [0] + [max(0, round(seconds * frames_per_second)) for seconds in ends]
    shots = (
        Shot(_within(line, seconds), seconds, first, following - first)
        for line, seconds, first, following in zip(lines, ends, first_frames, first_frames[1:], strict=False)
    )
    return tuple(shot for shot in shots if shot.frames > 0)


def _within(line: Line, end: float) -> Line:
    """The line with its words in the film, from 0 to where its picture ends."""
    if line.start_seconds < 0:
        until = None if line.end_seconds is None else max(0.0, line.end_seconds)
        line = replace(line, start_seconds=0.0, end_seconds=until, words=())
    if line.end_seconds is not None and line.end_seconds >= end:
        line = replace(line, end_seconds=None)
    return line


def too_short(lines: Sequence[Line], shown: Sequence[Shot], tail: float) -> str | None:
    """Which lines have no frame, in one sentence, as their words vanish with them; None where all have one.

    Not those of an end marker, which nobody expects to see.
    """
    sung = lines[:-1] if tail == 0 else lines
    rows = {shot.line.row for shot in shown}
    missing = [line for line in sung if line.row not in rows]
    if not missing:
        return None
    count = "1 line is" if len(missing) == 1 else f"{len(missing)} lines are"
    unit = " (a spreadsheet's fractions of a day are to be seconds)" if lines[-1].start_seconds < 1 else ""
    return (
        f"{count} shorter than a frame, so neither their pictures nor their words are shown:"
        f" {_named(missing)}; let the line after each start later{unit}, or join their rows."
    )


def silent(shown: Sequence[Shot], sound_seconds: float) -> str | None:
    """Which lines begin when the sound is over, in one sentence; None where none does."""
    late = [shot.line for shot in shown if shot.line.start_seconds >= sound_seconds]
    if not late:
        return None
    count = "1 line begins" if len(late) == 1 else f"{len(late)} lines begin"
    return (
        f"{count} after the sound's end at {sound_seconds:.3f} s, and so in silence: {_named(late)}; correct"
        f" the starts, or see whether the sound is whole."
    )


def _named(lines: Sequence[Line]) -> str:
    """The rows and words of lines, as far as one wants to read of them."""
    named = ", ".join(f"row {line.row} {shorten(line.text)}" for line in lines[:MOST_NAMED])
    return named + (f" and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else "")
