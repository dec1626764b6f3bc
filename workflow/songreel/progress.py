"""What a person sees while lines are rendered: in the terminal, and as the same plain lines in a log file."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from songreel import files
from songreel.documents import SegmentRecipe, Timeline
from songreel.environment import FILM
from songreel.paths import Paths

if TYPE_CHECKING:  # importing zarr takes a while, and `say` must be at hand before that
    from songreel.latents import Segment

EVERY = 5.0  # seconds between two reports of one job


class Progress:
    """Reports one segment's keyframes, speed and time left, and how many of the film's lines are done."""

    def __init__(self, recipe: SegmentRecipe, keyframes: int, paths: Paths, log: Path | None) -> None:
        self.recipe, self.keyframes, self.paths, self.log = recipe, keyframes, paths, log
        self.kept = 0  # keyframes
        self.iterations = 0  # in this job
        self.to_do = 0  # iterations of this job, in all
        self.started = self.told = time.monotonic()

    def iteration(self) -> None:
        """One iteration is done."""
        self.iterations += 1
        if time.monotonic() - self.told >= EVERY:
            self._tell()

    def keyframe(self, segment: Segment) -> None:
        """The segment as it is at the start, and after every keyframe."""
        if not self.to_do:
            strategy = self.recipe.strategy
            lead_in = 0 if len(segment) else strategy.lead_in
            self.to_do = (self.keyframes - len(segment)) * strategy.iterations + lead_in
            self.started = time.monotonic()
        self.kept = len(segment)
        if self.kept == self.keyframes or not self.iterations:
            self._tell()

    @property
    def seconds(self) -> float:
        """How long the iterations have taken, up to the last report."""
        return self.told - self.started

    def warn(self, message: str) -> None:
        """Something is wrong that the work can do without."""
        say(message, self.log)

    def _tell(self) -> None:
        self.told = time.monotonic()
        say(f"{self._line()}{self._film()}", self.log)

    def _line(self) -> str:
        state = f"{shorten(self.recipe.text)}: keyframe {self.kept} of {self.keyframes}"
        if not self.iterations:
            return state
        speed = self.iterations / (self.told - self.started)
        left = (self.to_do - self.iterations) / speed
        return f"{state}, {speed:.1f} iterations/s, {clock(left)} left"

    def _film(self) -> str:
        """Lines done of the film's lines, when the workflow has said which film it is."""
        song = os.environ.get(FILM)
        if not song or not self.paths.timeline(song).exists():
            return ""
        segments = [line.segment for line in Timeline.read(self.paths.timeline(song)).lines]
        ready = sum(bool(self.paths.rendered(segment)) for segment in segments)
        return f"; {ready} of {len(segments)} lines done"


def say(message: str, log: Path | None = None) -> None:
    """Print one line to the terminal and add it to the log file, if any."""
    # One write: where Python does not buffer, `print` makes two, and lines of jobs side by side run together.
    sys.stderr.write(f"songreel: {message}\n")
    sys.stderr.flush()
    note(message, log)


def say_first(messages: Sequence[str], most: int = 20) -> None:
    """Say some messages of what may be thousands, and how many more there are."""
    for message in messages[:most]:
        say(message)
    if len(messages) > most:
        say(f"{len(messages) - most} more such lines: songreel plan tells of all.")


def print_anywhere() -> None:
    """Let a terminal or file that takes no UTF-8 have the rest as escapes, instead of ending in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def prints_all() -> bool:
    """Whether the standard output takes every letter as it is."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def note(message: str, log: Path | None) -> None:
    """Add one line to the log file, if that can be written: its disk may be the one that is full."""
    if log:
        with contextlib.suppress(OSError):
            files.append(log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n".encode())


def shorten(text: str, letters: int = 40) -> str:
    """A text on one line, quoted, and cut to about so many letters."""
    line = " ".join(text.split())
    return repr(line if len(line) <= letters else line[: letters - 1] + "…")


def clock(seconds: float) -> str:
    """A duration as people say it: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
