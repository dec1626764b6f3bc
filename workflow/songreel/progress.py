"""What a person sees while lines are rendered: in the terminal, and as the same plain lines in a log file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from songreel.files import read_json
from songreel.latents import Segment
from songreel.paths import Paths

EVERY = 5.0  # seconds between two reports of one job
FILM = "SONGREEL_FILM"  # environment variable: the song whose lines are counted


class Progress:
    """Reports one segment's keyframes, speed and time left, and how many of the film's lines are done."""

    def __init__(self, text: str, keyframes: int, iterations: int, paths: Paths, log: Path | None) -> None:
        self.text, self.keyframes, self.iterations = text, keyframes, iterations
        self.paths, self.log = paths, log
        self.first: tuple[int, float] | None = None
        self.told = float("-inf")

    def __call__(self, segment: Segment) -> None:
        """Called at the start and after every keyframe."""
        now = time.monotonic()
        done = len(segment)
        if self.first is None:
            self.first = (done, now)
        if now - self.told >= EVERY or done == self.keyframes:
            self.told = now
            say(f"{self._line(done, now)}{self._film(done)}", self.log)

    def _line(self, done: int, now: float) -> str:
        assert self.first is not None
        rendered, seconds = done - self.first[0], now - self.first[1]
        state = f"{shorten(self.text)}: keyframe {done} of {self.keyframes}"
        if not rendered:
            return state
        speed = rendered * self.iterations / seconds
        left = (self.keyframes - done) * seconds / rendered
        return f"{state}, {speed:.1f} iterations/s, {clock(left)} left"

    def _film(self, done: int) -> str:
        """Lines done of the film's lines, when the workflow has said which film it is."""
        song = os.environ.get(FILM)
        if not song or not self.paths.timeline(song).exists():
            return ""
        segments = [line["segment"] for line in read_json(self.paths.timeline(song))["lines"]]
        ready = sum(bool(self.paths.rendered(segment)) for segment in segments)
        return f"; {ready} of {len(segments)} lines done"


def say(message: str, log: Path | None) -> None:
    """Print one line to the terminal and add it to the log file."""
    print(f"songreel: {message}", file=sys.stderr, flush=True)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")


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
